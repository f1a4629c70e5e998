//! The connector: what checks a configuration and plans the tasks.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ConfigMap, Error};

/// A running connector. It plans tasks and moves no data.
///
/// Most plugins never see it: the default of [`Source::connector`](crate::Source::connector) runs one
/// task, that of [`Sink::connector`](crate::Sink::connector) as many as the user allows.
///
/// If the manifest says [`watch`](crate::Manifest::watch), the value lives as long as the connector runs,
/// and its tasks follow what it finds outside. One task for each file of a folder:
///
/// ```
/// use std::{collections::BTreeSet, time::Duration};
/// use transom_sdk::{ConfigMap, Connector, Error, wait};
///
/// struct Files { config: ConfigMap, folder: String, planned: BTreeSet<String> }
///
/// impl Files {
///     fn there(&self) -> Result<BTreeSet<String>, Error> {
///         std::fs::read_dir(&self.folder)?.map(|file| Ok(file?.path().display().to_string())).collect()
///     }
/// }
///
/// impl Connector for Files {
///     fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<ConfigMap>, Error> {
///         self.planned = self.there()?;
///         let files = self.planned.iter().take(max_tasks as usize);
///         Ok(files.map(|file| self.config.with("file", file.as_str())).collect())
///     }
///
///     fn watch(&mut self, max_wait: Duration) -> Result<bool, Error> {
///         wait(max_wait);
///         Ok(self.there()? != self.planned)
///     }
/// }
/// # let folder = std::env::temp_dir().join(format!("transom-watch-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let folder = folder.display().to_string();
/// # let mut files = Files { config: ConfigMap::default(), folder: folder.clone(), planned: BTreeSet::new() };
/// # assert!(files.task_configs(9)?.is_empty() && !files.watch(Duration::ZERO)?);
/// # std::fs::write(format!("{folder}/a"), "")?;
/// # assert!(files.watch(Duration::ZERO)?);
/// # assert_eq!(files.task_configs(9)?.len(), 1);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Error>(())
/// ```
pub trait Connector {
    /// The configuration of each task, at most `max_tasks`.
    ///
    /// Called at the start and whenever [`watch`](Self::watch) or
    /// [`request_reconfiguration`](crate::request_reconfiguration) asked for it. A task whose configuration
    /// is the one it had goes on undisturbed.
    ///
    /// # Errors
    /// The tasks cannot be planned: the connector fails.
    fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<ConfigMap>, Error>;

    /// Waits at most so long for the outside system to change, less when
    /// [`should_stop`](crate::should_stop) says so ([`wait`](crate::wait) does both). True: plan the
    /// tasks again. Called only if the manifest says [`watch`](crate::Manifest::watch), again and again,
    /// once a second if it does not wait.
    ///
    /// # Errors
    /// The outside system cannot be watched: the connector fails, its tasks go on. It starts again with
    /// backoff, unless the error is one of the [configuration](Error::config).
    fn watch(&mut self, max_wait: Duration) -> Result<bool, Error> {
        let _ = max_wait;
        Ok(false)
    }

    /// The connector ends, or is paused: it is then started anew when it goes on.
    fn stop(&mut self) {}
}

/// A connector whose tasks all have its own configuration.
///
/// Each also learns how many they are ([`TaskContext::tasks`](crate::TaskContext::tasks)), so that it
/// can take its share.
#[derive(Debug)]
pub struct Copies {
    config: ConfigMap,
    most: u32,
}

impl Copies {
    /// The key by which a task learns how many tasks there are.
    pub(crate) const COUNT: &str = "task.count";

    /// One task, however many are allowed.
    pub fn one(config: ConfigMap) -> Self {
        Self::up_to(1, config)
    }

    /// As many tasks as are allowed.
    pub fn all(config: ConfigMap) -> Self {
        Self::up_to(u32::MAX, config)
    }

    /// As many tasks as are allowed, but not more than there is work for.
    pub fn up_to(most: u32, config: ConfigMap) -> Self {
        Self { config, most }
    }
}

impl Connector for Copies {
    fn task_configs(&mut self, max_tasks: u32) -> Result<Vec<ConfigMap>, Error> {
        let tasks = max_tasks.min(self.most);
        let config = self.config.with(Self::COUNT, tasks.to_string());
        Ok(vec![config; tasks as usize])
    }
}

/// A source partition and its offset, as the plugin wrote them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The source partition: a JSON object.
    pub partition: Value,
    /// The offset: a JSON object.
    pub offset: Value,
}

impl Position {
    /// As types of the plugin.
    ///
    /// # Errors
    /// They are not of these types.
    pub fn read<P: for<'de> Deserialize<'de>, O: for<'de> Deserialize<'de>>(&self) -> Result<(P, O), Error> {
        Ok((P::deserialize(&self.partition)?, O::deserialize(&self.offset)?))
    }
}

/// A change of offsets that somebody asks for through the REST API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OffsetChange {
    /// The partition: a source's own, or `{"kafka_topic": …, "kafka_partition": …}`.
    pub partition: Value,
    /// The offset: a source's own, or `{"kafka_offset": …}`. None: forget it.
    pub offset: Option<Value>,
}

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
}

/// A place in a partition of a topic: the offset of the next record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KafkaOffset {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// A partition that comes to a sink task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Where reading starts; none where nothing was committed.
    pub offset: Option<i64>,
}
