//! Where a connector stands, and moving it: the source offsets of the worker's store, or what a sink's consumer
//! group has committed in Kafka.
//!
//! A change needs the connector STOPPED and keeps it so: it holds the connector's turn. The plugin is asked first,
//! on an instance that is thrown away, because what it refuses must not have happened (invariant 2 is the user's
//! to break here, and nobody else's). A sink's group must have no members. Static members stay until their session
//! is over, so a change waits for that, as long as the session of the connector's members is, before it says what is
//! in the way.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{ConnectorInfo, RawConfig, Worker, WorkerError, stage};
use crate::config::{ConnectorConfig, Kind};
use crate::connector::status::State;
use crate::connector::{self, Sought};
use crate::kafka::{KafkaError, Wanted};
use crate::offsets::StoreError;
use crate::plugin;

/// How often a group is looked at that still has members.
const LOOK: Duration = Duration::from_millis(250);
/// How much longer than a session a group may take to notice that it is over.
const SLACK: Duration = Duration::from_secs(5);

/// A partition and its offset, as the REST API has them; no offset: it shall be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) partition: Option<Map<String, Value>>,
    pub(crate) offset: Option<Map<String, Value>>,
}

/// What is to happen to the offsets.
#[derive(Debug)]
enum Change {
    To(Vec<Position>),
    Reset,
}

impl Change {
    fn verb(&self) -> &'static str {
        match self {
            Self::To(_) => "altered",
            Self::Reset => "reset",
        }
    }
}

impl Worker {
    /// # Errors
    /// There is no such connector, or nobody knows its offsets.
    pub(crate) async fn offsets(&self, name: &str) -> Result<Vec<Position>, WorkerError> {
        let ConnectorInfo { config, kind, .. } = self.info(name)?;
        if kind == Some(Kind::Sink) {
            let group = self.group_of(config).await?;
            let committed = self.inner.services.admin.group_offsets(&group).await;
            let committed = committed.map_err(|error| {
                WorkerError::Internal(format!(
                    "Failed to retrieve consumer group offsets for connector {name}: {error}"
                ))
            })?;
            return Ok(committed
                .into_iter()
                .map(|((topic, partition), offset)| sink_position(&topic, partition, offset))
                .collect());
        }
        let positions = self.inner.services.offsets.positions(name);
        Ok(positions.iter().map(|(partition, offset)| source_position(partition, offset)).collect())
    }

    /// Moves a connector. Answers with what there is to say about it.
    ///
    /// # Errors
    /// There is no such connector, it is not stopped, or these are not offsets of it.
    pub(crate) async fn alter_offsets(&self, name: &str, to: Vec<Position>) -> Result<String, WorkerError> {
        self.change_offsets(name, Change::To(to)).await
    }

    /// Has a connector begin anew.
    ///
    /// # Errors
    /// As [`Self::alter_offsets`].
    pub(crate) async fn reset_offsets(&self, name: &str) -> Result<String, WorkerError> {
        self.change_offsets(name, Change::Reset).await
    }

    async fn change_offsets(&self, name: &str, change: Change) -> Result<String, WorkerError> {
        let entry = self.entry(name)?;
        let _turn = entry.turn.lock().await;
        let status = entry.connector.shown.status();
        if status.state != State::Stopped || !status.tasks.is_empty() {
            return Err(WorkerError::BadRequest(format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for \
                 the specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            )));
        }
        let _stage = stage::enter(format!("modifying offsets for connector {name}"));
        let config = self.parsed_aside(entry.connector.shown.config()).await?;
        let outside = match config.kind {
            Kind::Sink => self.change_group(&config, &change).await?,
            _ => self.change_source(&config, &change).await?,
        };
        let verb = change.verb();
        Ok(if outside {
            format!("The offsets for this connector have been {verb} successfully")
        } else {
            format!(
                "The Connect framework-managed offsets for this connector have been {verb} successfully. However, if \
                 this connector manages offsets externally, they will need to be manually {verb} in the system that \
                 the connector uses."
            )
        })
    }

    async fn change_source(&self, config: &ConnectorConfig, change: &Change) -> Result<bool, WorkerError> {
        let store = &self.inner.services.offsets;
        let positions: Vec<(Value, Value)> = match change {
            Change::To(positions) => positions.iter().map(source_change).collect(),
            Change::Reset => {
                let known = store.positions(&config.name);
                known.iter().map(|(partition, _)| (text_to_json(partition), Value::Null)).collect()
            }
        };
        let outside = self.ask_plugin(config, &positions).await?;
        // Java keeps one for null, too; here there is none to keep.
        let some = positions.into_iter().filter(|(partition, _)| !partition.is_null());
        let saved = some.map(|(partition, offset)| (partition.to_string().into(), offset.to_string().into()));
        store.save(&config.name, saved.collect()).await.map_err(|error: StoreError| {
            WorkerError::Internal(format!("Failed to alter offsets for connector {}: {error}", config.name))
        })?;
        Ok(outside)
    }

    async fn change_group(&self, config: &ConnectorConfig, change: &Change) -> Result<bool, WorkerError> {
        let services = &self.inner.services;
        let Sought { group, session } = services.group(config).map_err(WorkerError::InvalidConfig)?;
        let refused = |error: KafkaError| group_refused(&config.name, change, &error);
        let wanted: Wanted = match change {
            Change::To(positions) => sink_changes(positions)?,
            Change::Reset => {
                let committed = services.admin.group_offsets(&group).await.map_err(refused)?;
                committed.into_keys().map(|partition| (partition, None)).collect()
            }
        };
        check_signs(&config.name, &wanted)?;
        let until = Instant::now() + session + SLACK;
        // Before the plugin is told, which cannot take it back.
        let leaving = stage::enter(format!("waiting for the members of group {group} to leave"));
        while Instant::now() < until
            && !services.admin.group(&group).await.map_err(refused)?.members.is_empty()
        {
            tokio::time::sleep(LOOK).await;
        }
        drop(leaving);
        let positions: Vec<_> = wanted.iter().map(sink_change).collect();
        let outside = self.ask_plugin(config, &positions).await?;
        let changed = match change {
            Change::To(_) => services.admin.alter_group_offsets(&group, &wanted).await,
            Change::Reset => services.admin.delete_group(&group).await,
        };
        changed.map_err(refused)?;
        Ok(outside)
    }

    async fn ask_plugin(
        &self,
        config: &ConnectorConfig,
        positions: &[(Value, Value)],
    ) -> Result<bool, WorkerError> {
        let plugin = self.plugin(&config.class, config.version.as_ref())?;
        let list: Value = positions
            .iter()
            .map(|(partition, offset)| json!({ "partition": partition, "offset": offset }))
            .collect();
        let asked = connector::alter_offsets(&self.inner.services, config, &plugin, list.to_string()).await;
        asked.map_err(WorkerError::Internal)
    }

    async fn group_of(&self, raw: RawConfig) -> Result<String, WorkerError> {
        let config = self.parsed_aside(raw).await?;
        Ok(self.inner.services.group(&config).map_err(WorkerError::InvalidConfig)?.group)
    }

    async fn parsed_aside(&self, raw: RawConfig) -> Result<ConnectorConfig, WorkerError> {
        let worker = self.clone();
        plugin::off_thread(move || worker.parsed(raw)).await.ok_or_else(super::validate::too_slow)?
    }
}

fn group_refused(name: &str, change: &Change, error: &KafkaError) -> WorkerError {
    let verb = match change {
        Change::To(_) => "alter",
        Change::Reset => "reset",
    };
    WorkerError::Internal(if error.is_group_in_use() {
        format!(
            "Failed to {verb} consumer group offsets for connector {name} either because its tasks haven't stopped \
             completely yet or the connector was resumed before the request to {verb} its offsets could be \
             successfully completed. If the connector is in a stopped state, this operation can be safely retried. If \
             it doesn't eventually succeed, the Connect cluster may need to be restarted to get rid of the zombie sink \
             tasks."
        )
    } else {
        format!("Failed to {verb} consumer group offsets for connector {name}")
    })
}

fn text_to_json(text: &str) -> Value {
    serde_json::from_str(text).expect("only JSON comes into the store")
}

fn source_position(partition: &str, offset: &str) -> Position {
    let object = |text| match text_to_json(text) {
        Value::Object(object) => Some(object),
        _ => None,
    };
    Position { partition: object(partition), offset: object(offset) }
}

fn source_change(Position { partition, offset }: &Position) -> (Value, Value) {
    let value = |object: &Option<Map<String, Value>>| object.clone().map_or(Value::Null, Value::Object);
    (value(partition), value(offset))
}

const TOPIC: &str = "kafka_topic";
const PARTITION: &str = "kafka_partition";
const OFFSET: &str = "kafka_offset";

fn sink_position(topic: &str, partition: i32, offset: i64) -> Position {
    let object = |pairs: &[(&str, Value)]| {
        Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect::<Map<_, _>>())
    };
    Position {
        partition: object(&[(TOPIC, topic.into()), (PARTITION, partition.into())]),
        offset: object(&[(OFFSET, offset.into())]),
    }
}

fn sink_change(((topic, partition), offset): (&(String, i32), &Option<i64>)) -> (Value, Value) {
    let offset = offset.map_or(Value::Null, |offset| json!({ OFFSET: offset }));
    (json!({ TOPIC: topic, PARTITION: partition }), offset)
}

/// The positions of a sink; of one that stands twice the last counts. Complaints are Kafka Connect's.
fn sink_changes(positions: &[Position]) -> Result<Wanted, WorkerError> {
    let bad = |message: String| Err(WorkerError::BadRequest(message));
    let mut wanted = BTreeMap::new();
    for Position { partition, offset } in positions {
        let Some(partition) = partition else {
            return bad("The partition for a sink connector offset cannot be null or missing".into());
        };
        let (Some(topic), Some(number)) = (partition.get(TOPIC), partition.get(PARTITION)) else {
            return bad(format!(
                "The partition for a sink connector offset must contain the keys '{TOPIC}' and '{PARTITION}'"
            ));
        };
        if topic.is_null() {
            return bad("Kafka topic names must be valid strings and may not be null".into());
        }
        if number.is_null() {
            return bad("Kafka partitions must be valid numbers and may not be null".into());
        }
        let Ok(number) = plain(number).parse::<i32>() else {
            return bad(format!(
                "Failed to parse the following Kafka partition value in the provided offsets: '{}'. Partition values \
                 for sink connectors need to be integers.",
                plain(number)
            ));
        };
        let offset = match offset {
            None => None,
            Some(offset) => Some(sink_offset(offset)?),
        };
        let _ = wanted.insert((plain(topic), number), offset);
    }
    Ok(wanted)
}

/// What no broker would be asked for.
fn check_signs(name: &str, wanted: &Wanted) -> Result<(), WorkerError> {
    if wanted.values().flatten().any(|offset| *offset < 0) {
        return Err(WorkerError::Internal(format!("Failed to modify offsets for sink connector {name}")));
    }
    if wanted.keys().any(|(_, partition)| *partition < 0) {
        let message = format!("Failed to alter consumer group offsets for connector {name}");
        return Err(WorkerError::Internal(message));
    }
    Ok(())
}

fn sink_offset(offset: &Map<String, Value>) -> Result<i64, WorkerError> {
    let bad = |message: String| Err(WorkerError::BadRequest(message));
    let Some(value) = offset.get(OFFSET) else {
        return bad(format!(
            "The offset for a sink connector should either be null or contain the key '{OFFSET}'"
        ));
    };
    match plain(value).parse() {
        Ok(offset) => Ok(offset),
        Err(_) => bad(format!(
            "Failed to parse the following Kafka offset value in the provided offsets: '{}'. Offset values for sink \
             connectors need to be integers.",
            plain(value)
        )),
    }
}

/// As Java would print it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(partition: Value, offset: Value) -> Position {
        let object = |value| match value {
            Value::Object(object) => Some(object),
            _ => None,
        };
        Position { partition: object(partition), offset: object(offset) }
    }

    fn refused(partition: Value, offset: Value) -> String {
        sink_changes(&[position(partition, offset)]).unwrap_err().to_string()
    }

    #[test]
    fn a_sinks_offsets_may_be_numbers_or_their_texts_and_the_last_counts() {
        let of = |partition: Value, offset: Value| {
            position(json!({ "kafka_topic": "t", "kafka_partition": partition }), offset)
        };
        let wanted = sink_changes(&[
            of(json!(0), json!({ "kafka_offset": 1 })),
            of(json!("0"), json!({ "kafka_offset": "7" })),
            of(json!(1), Value::Null),
        ]);
        let expected = [(("t".to_owned(), 0), Some(7)), (("t".to_owned(), 1), None)];
        assert_eq!(wanted.unwrap(), expected.into());
    }

    #[test]
    fn what_is_no_offset_of_a_sink_is_told_in_kafka_connects_words() {
        let partition = || json!({ "kafka_topic": "t", "kafka_partition": 0 });
        assert!(refused(Value::Null, Value::Null).contains("cannot be null or missing"));
        assert!(refused(json!({ "kafka_topic": "t" }), Value::Null).contains("must contain the keys"));
        let topic = json!({ "kafka_topic": null, "kafka_partition": 0 });
        assert!(refused(topic, Value::Null).contains("valid strings"));
        let number = json!({ "kafka_topic": "t", "kafka_partition": 1.5 });
        assert!(refused(number, Value::Null).contains("'1.5'"));
        assert!(refused(partition(), json!({})).contains("should either be null or contain the key"));
        assert!(refused(partition(), json!({ "kafka_offset": "many" })).contains("need to be integers"));
    }
}
