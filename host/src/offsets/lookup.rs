//! What a guest may ask of the store: the durable offsets of its own connector.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::store::{Reader, StoreError};
use crate::plugin::{BoxFuture, OffsetLookup};

impl OffsetLookup for Reader {
    fn offsets<'a>(&'a self, partitions: &'a str) -> BoxFuture<'a, Result<String, String>> {
        let answer = answer(partitions, |partition| self.get(partition));
        Box::pin(std::future::ready(answer))
    }
}

/// The answer to a guest that asks where these partitions stand: `get` knows it of one.
///
/// # Errors
/// The argument is no list of partitions, or `get` failed.
pub(crate) fn answer(
    partitions: &str,
    get: impl Fn(&str) -> Result<Option<Arc<str>>, StoreError>,
) -> Result<String, String> {
    let partitions: Vec<&RawValue> = serde_json::from_str(partitions)
        .map_err(|error| format!("offsets takes a JSON array of partitions: {error}"))?;
    let mut answer = String::from("[");
    for (index, partition) in partitions.iter().enumerate() {
        if index > 0 {
            answer.push(',');
        }
        let offset = get(partition.get()).map_err(|error| error.to_string())?;
        answer.push_str(offset.as_deref().unwrap_or("null"));
    }
    answer.push(']');
    Ok(answer)
}
