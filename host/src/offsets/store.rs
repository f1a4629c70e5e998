//! The durable offsets of all sources of a worker: in a file, or in the topic of its cluster ([`super::topic`]).
//!
//! What readers see is what is durable, in either. For the file one thread writes. It takes all saves that wait, puts them into one file, and answers them all when the
//! file is on disk, so that a hundred tasks cost no more writes than one. A save that failed leaves everything as it was. The last store ends the thread, and
//! only then gives up the right to the file.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::thread::{self, JoinHandle};

use serde_json::Value;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::file;
use super::lock::Lock;
use super::topic::OffsetTopic;
use crate::kafka::KafkaError;
use crate::lock::unpoisoned;

/// Saves that may wait for the writer.
const QUEUE: usize = 1024;

/// Source partition and offset, both JSON; an offset of `null` forgets the partition.
pub(crate) type Position = (Arc<str>, Arc<str>);

/// By connector, then by the partition in its canonical form: the partition and the offset as they were given.
pub(super) type Offsets = BTreeMap<String, BTreeMap<String, Position>>;

/// Why offsets could not be read or made durable.
#[derive(Debug, Clone, Error)]
pub(crate) enum StoreError {
    #[error("cannot read offsets from {}", path.display())]
    Read { path: PathBuf, source: Arc<io::Error> },
    #[error("{} is no file of offsets: {problem}; move it away to start without offsets", path.display())]
    Content { path: PathBuf, problem: String },
    #[error("cannot write offsets to {}", path.display())]
    Write { path: PathBuf, source: Arc<io::Error> },
    #[error("{what} is not a JSON object: {text}")]
    Json { what: &'static str, text: String },
    #[error(
        "offset.storage.file.filename={} is used by another worker (process {holder}), and two would undo each other's \
         saves: give this one a file of its own, or end the other", path.display()
    )]
    Held {
        path: PathBuf,
        /// Its process id, if it has written it yet.
        holder: String,
    },
    #[error("cannot lock {}", path.display())]
    Lock { path: PathBuf, source: Arc<io::Error> },
    #[error("the writer of {} has ended", path.display())]
    Ended { path: PathBuf },
    #[error("cannot write offsets to topic {topic}")]
    Kafka { topic: String, source: KafkaError },
}

struct Save {
    connector: String,
    positions: Vec<(String, Position)>,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct OffsetStore {
    durable: Arc<RwLock<Offsets>>,
    place: Place,
}

/// Where it is kept.
#[derive(Debug, Clone)]
enum Place {
    File(Arc<PathBuf>, Arc<Writer>),
    Topic(Arc<OffsetTopic>),
}

/// The thread that writes.
#[derive(Debug)]
struct Writer {
    /// `None` only while it is dropped.
    saves: Option<mpsc::Sender<Save>>,
    thread: Option<JoinHandle<()>>,
    /// Given back when nothing is written any more.
    _lock: Lock,
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.saves.take());
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has ended, too.
            let _ = thread.join();
        }
    }
}

/// The offsets of one connector.
#[derive(Debug, Clone)]
pub(crate) struct Reader {
    store: OffsetStore,
    connector: String,
}

impl OffsetStore {
    /// Reads what is there, and starts the writer. A file that is missing has no offsets.
    ///
    /// # Errors
    /// Another worker uses the file; or it cannot be read, or is something else: it is never overwritten then.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        // Before it is read: what another worker would write after that would be lost.
        let lock = Lock::take(path)?;
        let offsets = file::read(path)?;
        let (sender, saves) = mpsc::channel(QUEUE);
        let durable = Arc::new(RwLock::new(offsets));
        let (target, shared) = (path.to_owned(), durable.clone());
        let thread = thread::Builder::new()
            .name("offsets".to_owned())
            .spawn(move || write_saves(&target, &shared, saves))
            .map_err(|source| StoreError::Write { path: path.to_owned(), source: Arc::new(source) })?;
        let writer = Writer { saves: Some(sender), thread: Some(thread), _lock: lock };
        Ok(Self { durable, place: Place::File(Arc::new(path.to_owned()), Arc::new(writer)) })
    }

    /// The offsets that a topic keeps.
    pub(crate) fn of_topic(topic: OffsetTopic) -> Self {
        Self { durable: topic.durable(), place: Place::Topic(Arc::new(topic)) }
    }

    /// Makes positions durable, all of them or none (invariant 5).
    ///
    /// # Errors
    /// They are not JSON objects, or the disk does not take them.
    pub(crate) async fn save(&self, connector: &str, positions: Vec<Position>) -> Result<(), StoreError> {
        let positions = positions
            .into_iter()
            .map(|position| Ok((canonical("a source partition", &position.0)?, checked(position)?)))
            .collect::<Result<_, StoreError>>()?;
        let (path, writer) = match &self.place {
            Place::File(path, writer) => (path, writer),
            Place::Topic(topic) => return topic.save(connector, positions).await,
        };
        let (done, answer) = oneshot::channel();
        let ended = || StoreError::Ended { path: path.as_ref().clone() };
        let save = Save { connector: connector.to_owned(), positions, done };
        let saves = writer.saves.as_ref().ok_or_else(ended)?;
        saves.send(save).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Waits until everything that other workers have saved is known here.
    ///
    /// # Errors
    /// Kafka does not answer.
    pub(crate) async fn caught_up(&self) -> Result<(), KafkaError> {
        match &self.place {
            Place::File(..) => Ok(()),
            Place::Topic(topic) => topic.caught_up().await,
        }
    }

    /// The offsets of one connector.
    pub(crate) fn reader(&self, connector: &str) -> Reader {
        Reader { store: self.clone(), connector: connector.to_owned() }
    }

    /// All that is durable of one connector.
    pub(crate) fn positions(&self, connector: &str) -> Vec<Position> {
        self.read().get(connector).map(|positions| positions.values().cloned().collect()).unwrap_or_default()
    }

    fn read(&self) -> RwLockReadGuard<'_, Offsets> {
        unpoisoned(self.durable.read())
    }
}

impl Reader {
    /// The durable offset of a source partition. Partitions are compared as JSON, not as text.
    ///
    /// # Errors
    /// `partition` is not a JSON object.
    pub(crate) fn get(&self, partition: &str) -> Result<Option<Arc<str>>, StoreError> {
        let key = canonical("a source partition", partition)?;
        let offsets = self.store.read();
        let found = offsets.get(&self.connector).and_then(|partitions| partitions.get(&key));
        Ok(found.map(|(_, offset)| offset.clone()))
    }
}

/// The writer's life: ends with the last store.
fn write_saves(path: &Path, durable: &RwLock<Offsets>, mut saves: mpsc::Receiver<Save>) {
    while let Some(save) = saves.blocking_recv() {
        let mut group = vec![save];
        while let Ok(save) = saves.try_recv() {
            group.push(save);
        }
        let mut next = unpoisoned(durable.read()).clone();
        for save in &mut group {
            let partitions = next.entry(save.connector.clone()).or_default();
            for (key, position) in save.positions.drain(..) {
                if &*position.1 == "null" {
                    let _ = partitions.remove(&key);
                } else {
                    let _ = partitions.insert(key, position);
                }
            }
        }
        let written = file::write(path, &next);
        if written.is_ok() {
            *unpoisoned(durable.write()) = next;
        }
        for save in group {
            // Who does not wait any more was dropped, and needs no answer.
            let _ = save.done.send(written.clone());
        }
    }
}

fn checked(position: Position) -> Result<Position, StoreError> {
    match serde_json::from_str::<Value>(&position.1) {
        Ok(Value::Object(_) | Value::Null) => Ok(position),
        _ => Err(StoreError::Json { what: "a source offset", text: position.1.to_string() }),
    }
}

/// The same text for all ways of writing one JSON object.
pub(crate) fn canonical(what: &'static str, text: &str) -> Result<String, StoreError> {
    match serde_json::from_str::<Value>(text) {
        Ok(mut value @ Value::Object(_)) => {
            value.sort_all_objects();
            Ok(value.to_string())
        }
        _ => Err(StoreError::Json { what, text: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(partition: &str, offset: &str) -> Position {
        (partition.into(), offset.into())
    }

    async fn saved(path: &Path, positions: Vec<Position>) -> OffsetStore {
        let store = OffsetStore::open(path).unwrap();
        store.save("c", positions).await.unwrap();
        store
    }

    #[tokio::test]
    async fn what_was_saved_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offsets.json");
        drop(saved(&path, vec![position(r#"{"filename":"f"}"#, r#"{"position":12}"#)]).await);
        let reader = OffsetStore::open(&path).unwrap().reader("c");
        assert_eq!(reader.get(r#"{"filename":"f"}"#).unwrap().as_deref(), Some(r#"{"position":12}"#));
        assert_eq!(reader.get(r#"{"filename":"g"}"#).unwrap(), None);
    }

    #[tokio::test]
    async fn partitions_are_compared_as_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offsets.json");
        let store = saved(&path, vec![position(r#"{"a":1,"b":{"d":2,"c":3}}"#, r#"{"x":1}"#)]).await;
        store.save("c", vec![position(r#"{ "b": {"c":3,"d":2}, "a": 1 }"#, r#"{"x":2}"#)]).await.unwrap();
        assert_eq!(
            store.reader("c").get(r#"{"a":1,"b":{"c":3,"d":2}}"#).unwrap().as_deref(),
            Some(r#"{"x":2}"#)
        );
        assert_eq!(store.read()["c"].len(), 1);
        assert_eq!(store.reader("another").get(r#"{"a":1,"b":{"c":3,"d":2}}"#).unwrap(), None);
    }

    #[tokio::test]
    async fn a_null_offset_forgets_the_partition() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("offsets.json");
        let store = saved(&path, vec![position(r#"{"a":1}"#, r#"{"x":1}"#)]).await;
        store.save("c", vec![position(r#"{"a":1}"#, "null")]).await.unwrap();
        assert_eq!(store.reader("c").get(r#"{"a":1}"#).unwrap(), None);
    }

    #[tokio::test]
    async fn what_is_no_json_object_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = OffsetStore::open(&folder.path().join("o")).unwrap();
        assert!(store.save("c", vec![position("[]", "{}")]).await.is_err());
        assert!(store.save("c", vec![position("{}", "7")]).await.is_err());
        assert!(!folder.path().join("o").exists());
    }

    #[tokio::test]
    async fn a_disk_that_refuses_leaves_what_was_durable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone").join("offsets.json");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let store = saved(&path, vec![position(r#"{"a":1}"#, r#"{"x":1}"#)]).await;
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        let refused = store.save("c", vec![position(r#"{"a":1}"#, r#"{"x":2}"#)]).await;
        assert!(matches!(refused, Err(StoreError::Write { .. })));
        assert_eq!(store.reader("c").get(r#"{"a":1}"#).unwrap().as_deref(), Some(r#"{"x":1}"#));
    }
}
