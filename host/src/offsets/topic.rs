//! The offsets topic: Kafka Connect's own format, shared by all workers of a cluster.
//!
//! A key is the JSON array of a connector's name and a source partition, a value the source offset, null for "gone".
//! Kafka knows keys by their bytes: a partition whose members stand in another order, or between other blanks, would
//! be another key, which compaction keeps beside the first and Java's worker never finds. Here partitions compare as
//! JSON, and a save goes under the very bytes that the topic has for its partition. A new key is written as Java's
//! worker would write it.
//!
//! A save is durable when every replica has it, and it ends when it has come back by the [`Log`], which is what
//! readers see. A worker that has lost its place without knowing it may still save: what it had delivered, so that
//! nothing is ever skipped, and at worst something comes twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, RwLock};

use serde_json::Value;
use serde_json::value::RawValue;

use super::store::{Offsets, Position, StoreError, canonical};
use crate::convert::write_java_json;
use crate::kafka::{Admin, ClientSettings, KafkaError, Log, LogWriter, Message};
use crate::lock::unpoisoned;

/// By connector and partition in its canonical form: the key in the topic.
type Keys = HashMap<(String, String), Vec<u8>>;

/// See the module.
#[derive(Debug)]
pub(crate) struct OffsetTopic {
    name: String,
    memory: Memory,
    log: Log,
    writer: LogWriter,
}

/// What the topic has told so far.
#[derive(Debug, Clone, Default)]
struct Memory {
    offsets: Arc<RwLock<Offsets>>,
    keys: Arc<Mutex<Keys>>,
}

impl OffsetTopic {
    /// Begins to read a topic of so many partitions.
    ///
    /// # Errors
    /// The clients' settings are refused.
    pub(crate) fn open(
        topic: (&str, usize),
        reading: &ClientSettings,
        writing: &ClientSettings,
        admin: Admin,
    ) -> Result<Self, KafkaError> {
        let name = topic.0.to_owned();
        let writer = LogWriter::new(writing, &name)?;
        let (memory, of) = (Memory::default(), name.clone());
        let taking = memory.clone();
        let log = Log::follow(reading, topic, admin, move |record: &Message<'_>| {
            if let Err(problem) = taking.apply(record.key(), record.value()) {
                let place = (record.partition(), record.offset());
                tracing::warn!("topic {of}: a record is ignored (partition, offset: {place:?}): {problem}");
            }
        })?;
        Ok(Self { name, memory, log, writer })
    }

    pub(super) fn durable(&self) -> Arc<RwLock<Offsets>> {
        self.memory.offsets.clone()
    }

    /// Waits until everything that other workers have saved is known here.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub(crate) async fn caught_up(&self) -> Result<(), KafkaError> {
        self.log.caught_up().await
    }

    pub(super) async fn save(
        &self,
        connector: &str,
        positions: Vec<(String, Position)>,
    ) -> Result<(), StoreError> {
        let records = positions.into_iter().map(|(partition, position)| {
            let value = (&*position.1 != "null").then(|| position.1.as_bytes().to_vec());
            (self.memory.key(connector, partition, &position.0), value)
        });
        let failed = |source| StoreError::Kafka { topic: self.name.clone(), source };
        let places = self.writer.write(records.collect()).await.map_err(failed)?;
        self.log.taken(&places).await.map_err(failed)
    }
}

impl Memory {
    /// The key under which a partition is, or is to be, in the topic.
    fn key(&self, connector: &str, canonical: String, partition: &str) -> Vec<u8> {
        let mut keys = unpoisoned(self.keys.lock());
        keys.entry((connector.to_owned(), canonical)).or_insert_with(|| new_key(connector, partition)).clone()
    }

    fn apply(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), String> {
        let key = key.ok_or("it has no key")?;
        let (connector, partition): (String, &RawValue) = serde_json::from_slice(key)
            .map_err(|error| format!("its key is no name and partition: {error}"))?;
        let partition = partition.get();
        let canonical = canonical("a source partition", partition).map_err(|error| error.to_string())?;
        let offset = match value.map(std::str::from_utf8) {
            None | Some(Ok("null")) => None,
            Some(Ok(offset))
                if serde_json::from_str::<Value>(offset).is_ok_and(|offset| offset.is_object()) =>
            {
                Some(offset)
            }
            Some(_) => return Err("its value is no JSON object".to_owned()),
        };
        // Of several keys that are the same partition the newest counts.
        let _ = unpoisoned(self.keys.lock()).insert((connector.clone(), canonical.clone()), key.to_vec());
        let mut offsets = unpoisoned(self.offsets.write());
        match offset {
            Some(offset) => {
                let partitions = offsets.entry(connector).or_default();
                let _ = partitions.insert(canonical, (partition.into(), offset.into()));
            }
            None => {
                let emptied = offsets.get_mut(&connector).is_some_and(|partitions| {
                    let _ = partitions.remove(&canonical);
                    partitions.is_empty()
                });
                if emptied {
                    let _ = offsets.remove(&connector);
                }
            }
        }
        Ok(())
    }
}

/// As Java's worker writes it: without blanks, members in their order, its own escapes.
fn new_key(connector: &str, partition: &str) -> Vec<u8> {
    // It was found to be JSON before.
    let partition = serde_json::from_str(partition).unwrap_or(Value::Null);
    let mut key = Vec::new();
    write_java_json(&Value::Array(vec![connector.into(), partition]), &mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record that a Java worker 4.1.1 wrote.
    const JAVA: (&[u8], &[u8]) = (br#"["lines",{"filename":"/tmp/in/a.txt"}]"#, br#"{"position":14}"#);

    fn offset(memory: &Memory, connector: &str, partition: &str) -> Option<String> {
        let offsets = unpoisoned(memory.offsets.read());
        let partition = canonical("a partition", partition).unwrap();
        offsets.get(connector)?.get(&partition).map(|(_, offset)| offset.to_string())
    }

    fn key(memory: &Memory, connector: &str, partition: &str) -> String {
        let canonical = canonical("a partition", partition).unwrap();
        String::from_utf8(memory.key(connector, canonical, partition)).unwrap()
    }

    #[test]
    fn what_java_wrote_is_read() {
        let memory = Memory::default();
        memory.apply(Some(JAVA.0), Some(JAVA.1)).unwrap();
        let there = offset(&memory, "lines", r#"{ "filename" : "/tmp/in/a.txt" }"#);
        assert_eq!(there.as_deref(), Some(r#"{"position":14}"#));
        memory.apply(Some(JAVA.0), None).unwrap();
        assert!(unpoisoned(memory.offsets.read()).is_empty());
    }

    #[test]
    fn the_key_that_the_topic_has_is_used_again_byte_for_byte() {
        let memory = Memory::default();
        let there = br#"["c", {"b":1,"a":{"d":2,"c":3}}]"#;
        memory.apply(Some(there), Some(b"{}")).unwrap();
        let again = key(&memory, "c", r#"{"a":{"c":3,"d":2}, "b":1}"#);
        assert_eq!(again.as_bytes(), there);
        // It is still the key after the partition was forgotten.
        memory.apply(Some(there), None).unwrap();
        assert_eq!(key(&memory, "c", r#"{"a":{"c":3,"d":2},"b":1}"#).as_bytes(), there);
    }

    #[test]
    fn a_new_key_is_as_java_writes_it() {
        let memory = Memory::default();
        let partition = "{ \"filename\": \"/in/😀é\\\"\\u0001/.txt\", \"a\": 1.5 }";
        assert_eq!(
            key(&memory, "ü", partition),
            r#"["ü",{"filename":"/in/\uD83D\uDE00é\"\u0001/.txt","a":1.5}]"#
        );
    }

    #[test]
    fn what_is_no_offset_is_ignored_and_said() {
        let memory = Memory::default();
        for (key, value) in [
            (&b"x"[..], Some(&b"{}"[..])),
            (br#"["c",[]]"#, Some(b"{}")),
            (br#"["c",{}]"#, Some(b"7")),
            (br#"["c",{}]"#, Some(b"\xff")),
            (br#"{"c":1}"#, None),
        ] {
            assert!(memory.apply(Some(key), value).is_err());
        }
        assert!(memory.apply(None, Some(b"{}")).is_err());
        assert!(unpoisoned(memory.offsets.read()).is_empty());
    }
}
