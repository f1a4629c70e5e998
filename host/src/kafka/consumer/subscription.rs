//! What a consumer is made with: topics, a place in a group, and how much it may fetch ahead.

use crate::config::TopicPattern;
use crate::kafka::ClientSettings;

/// librdkafka counts keys and values; a record costs it some 400 bytes besides, so that small ones are bounded
/// by their number.
const RECORD: usize = 512;
/// Answers to a fetch that a consumer's part holds. librdkafka looks at its limits before it asks, and an answer with
/// small records grows fivefold when it is taken apart, so that one that was as large as the part would burst it.
const ANSWERS: usize = 8;

/// What a sink reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subscription {
    Topics(Vec<String>),
    Pattern(TopicPattern),
}

/// A place in a consumer group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) group: String,
    /// Static membership; `None`: dynamic.
    pub(crate) instance_id: Option<String>,
}

impl Subscription {
    /// What librdkafka is told: it takes for a pattern what starts with `^`.
    pub(super) fn native(&self) -> Vec<String> {
        match self {
            Self::Topics(topics) => topics.clone(),
            Self::Pattern(pattern) => vec![pattern.native().to_owned()],
        }
    }
}

/// The settings of a consumer that may hold so many bytes of records that were fetched and not yet taken.
/// librdkafka keeps to it but for what one answer of each broker brings beyond it. A record that is larger than an
/// answer comes all the same: a broker always sends a whole batch.
pub(super) fn prefetching(settings: ClientSettings, bytes: usize) -> ClientSettings {
    let given = settings.get("fetch.max.bytes").and_then(|value| value.parse().ok());
    let fetch = (bytes / ANSWERS).min(given.unwrap_or(usize::MAX));
    settings
        .with("queued.max.messages.kbytes", (bytes / 1024).max(1).to_string())
        .with("queued.min.messages", (bytes / RECORD).clamp(100, 1_000_000).to_string())
        .with("fetch.max.bytes", fetch.to_string())
        // Nothing to a consumer, but librdkafka wants it to be no more than an answer.
        .with("message.max.bytes", fetch.clamp(1000, 1_000_000).to_string())
}
