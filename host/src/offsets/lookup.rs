//! What a guest may ask of the store: the durable offsets of its own connector.

use serde_json::value::RawValue;

use super::store::Reader;
use crate::plugin::{BoxFuture, OffsetLookup};

impl OffsetLookup for Reader {
    fn offsets<'a>(&'a self, partitions: &'a str) -> BoxFuture<'a, Result<String, String>> {
        let answer = answer(self, partitions);
        Box::pin(std::future::ready(answer))
    }
}

fn answer(reader: &Reader, partitions: &str) -> Result<String, String> {
    let partitions: Vec<&RawValue> = serde_json::from_str(partitions)
        .map_err(|error| format!("offsets takes a JSON array of partitions: {error}"))?;
    let mut answer = String::from("[");
    for (index, partition) in partitions.iter().enumerate() {
        if index > 0 {
            answer.push(',');
        }
        let offset = reader.get(partition.get()).map_err(|error| error.to_string())?;
        answer.push_str(offset.as_deref().unwrap_or("null"));
    }
    answer.push(']');
    Ok(answer)
}
