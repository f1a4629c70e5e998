//! Why an instance of a task ended against its will, and who has to act.

use std::error::Error as StdError;
use std::fmt::Write as _;

use thiserror::Error;

use crate::config::{Problems, Vault};
use crate::convert::ConvertError;
use crate::kafka::KafkaError;
use crate::offsets::StoreError;
use crate::plugin::{CallError, Code};

/// What ended an instance of a task.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// A call of the guest failed: its own error, a trap or a missed deadline.
    #[error("a call of the plugin failed")]
    Call(#[source] CallError),
    /// The guest returned bytes that are no batch.
    #[error("the plugin's `{call}` returned a malformed batch")]
    Batch { call: &'static str, source: transom_batch::Malformed },
    /// The guest returned text that is not what its interface says.
    #[error("the plugin's `{call}` returned {problem}: {text}")]
    Answer { call: &'static str, problem: String, text: String },
    /// The plugin reported records it cannot take.
    #[error(
        "the plugin's `put` could not write {topic}-{partition} at offset {offset} (code {code}): {message}; and {more} more"
    )]
    Rejected { topic: String, partition: i32, offset: i64, code: u32, message: String, more: usize },
    /// A source wrote to a topic it is not granted.
    #[error(
        "topic {topic} is not granted to plugin {plugin}; the operator grants it with sandbox.{plugin}.topics={topic}"
    )]
    TopicNotGranted { topic: String, plugin: String },
    /// A converter could not take a record.
    #[error("could not convert the {part} of a record of topic {topic}")]
    Convert { topic: String, part: &'static str, source: ConvertError },
    /// A record does not fit into a batch.
    #[error("record {topic}-{partition} at offset {offset} does not fit into a batch")]
    Write { topic: String, partition: i32, offset: i64, source: transom_batch::WriteError },
    /// Kafka refused a record or a client gave up.
    #[error("{doing}")]
    Kafka { doing: String, source: KafkaError },
    /// Another owner took the task's place in its consumer group.
    #[error(
        "another worker runs this task: its place in group {group} (group.instance.id {instance}) was taken"
    )]
    Fenced { group: String, instance: String },
    /// Two workers fence each other: one has to give way.
    #[error(
        "the task was fenced twice in a minute: two workers run a connector of this name; stop one of them, or rename its connector"
    )]
    FencedForGood,
    /// The Kafka clients' settings are wrong.
    #[error("the settings of the Kafka client are wrong:\n{0}")]
    Clients(Problems),
    /// What its configuration refers to cannot be had.
    #[error("the configuration refers to what cannot be resolved:\n{0}")]
    Secrets(Problems),
    /// The plugin planned more tasks than the user allows. Kafka Connect's words.
    #[error(
        "The connector {connector} has generated {tasks} tasks, which is greater than {max}, the maximum number of tasks it is configured to create."
    )]
    TooManyTasks { connector: String, tasks: usize, max: u32 },
    /// The operating system gave no thread.
    #[error("could not start a thread for the plugin")]
    Thread { source: std::io::Error },
    /// The worker's own code panicked where it called the plugin.
    #[error("the worker's own code panicked in a call of the plugin; see its log")]
    Panicked,
    /// The offsets could not be read or made durable.
    #[error("could not reach the source offsets")]
    Offsets(#[from] StoreError),
}

impl Failure {
    /// Whether a start with the same configuration could go better.
    pub(crate) fn can_start_again(&self) -> bool {
        match self {
            Self::Call(CallError::Guest { code, .. }) => *code != Code::Configuration,
            Self::Call(CallError::Grant(_)) => false,
            Self::TopicNotGranted { .. }
            | Self::FencedForGood
            | Self::Clients(_)
            | Self::TooManyTasks { .. } => false,
            _ => true,
        }
    }

    /// Whether other code of the same plugin could have gone on.
    pub(crate) fn is_the_plugins(&self) -> bool {
        match self {
            Self::Call(error) => !matches!(error, CallError::Grant(_)),
            Self::Batch { .. } | Self::Answer { .. } | Self::Panicked => true,
            _ => false,
        }
    }

    /// The failure with all its causes, as the status shows it, without what the connector knows in secret.
    pub(crate) fn trace(&self, vault: &Vault) -> String {
        vault.hide(&chain(self)).into_owned()
    }
}

/// An error and its causes, one a line, and the guest's backtrace where there is one.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, "\nCaused by: {error}");
        if let Some(CallError::Trap { backtrace, .. }) = error.downcast_ref()
            && !backtrace.is_empty()
        {
            let _ = write!(text, "\n{backtrace}");
        }
        cause = error.source();
    }
    text
}
