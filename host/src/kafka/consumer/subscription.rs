//! What a consumer is made with: topics, a place in a group, and how much it may fetch ahead.

use crate::config::TopicPattern;
use crate::kafka::ClientSettings;

/// librdkafka counts keys and values; a record costs it some 400 bytes besides, so that small ones are bounded
/// by their number.
const RECORD: usize = 512;
/// The least that the answer to a fetch is limited to.
const FETCH: usize = 1 << 20;

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
/// librdkafka keeps to it but for what one answer of each broker brings beyond it.
pub(super) fn prefetching(settings: ClientSettings, bytes: usize) -> ClientSettings {
    let given = settings.get("fetch.max.bytes").and_then(|value| value.parse().ok());
    let fetch = bytes.max(FETCH).min(given.unwrap_or(usize::MAX));
    settings
        .with("queued.max.messages.kbytes", (bytes / 1024).max(1).to_string())
        .with("queued.min.messages", (bytes / RECORD).clamp(100, 1_000_000).to_string())
        .with("fetch.max.bytes", fetch.to_string())
}
