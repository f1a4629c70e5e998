//! What librdkafka says when something fails, as a value that can be kept, shared and asked what to do.

use std::fmt;

/// An error of a Kafka client. Cheap to share (`Arc`), never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KafkaError {
    /// librdkafka's code: negative ones are its own, positive ones the broker's.
    pub(crate) code: i32,
    /// The code's name, as `UNKNOWN_TOPIC_OR_PART`.
    pub(crate) name: String,
    /// What librdkafka or the broker said.
    pub(crate) message: String,
    /// The client that met it is dead: it has to be destroyed and made anew.
    pub(crate) fatal: bool,
}

impl KafkaError {
    /// An error of this layer's own, about the client it speaks of.
    pub(crate) fn local(message: impl Into<String>) -> Self {
        Self { code: codes::FAIL, name: "_FAIL".into(), message: message.into(), fatal: false }
    }

    /// The same error, as the end of its client.
    pub(crate) fn into_fatal(mut self) -> Self {
        self.fatal = true;
        self
    }

    /// Another member with our `group.instance.id` (or another producer with our id) took over.
    pub(crate) fn is_fenced(&self) -> bool {
        [codes::FENCED_INSTANCE_ID, codes::FENCED, codes::INVALID_PRODUCER_EPOCH, codes::PRODUCER_FENCED]
            .contains(&self.code)
    }

    /// A commit met a rebalance: serve events, and send it again once the assignment has settled.
    pub(crate) fn is_rebalance(&self) -> bool {
        [codes::ILLEGAL_GENERATION, codes::REBALANCE_IN_PROGRESS, codes::WAIT_COORDINATOR]
            .contains(&self.code)
    }
}

impl fmt::Display for KafkaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.name)
    }
}

impl std::error::Error for KafkaError {}

/// The few codes decisions are taken on, by value: `rdkafkah.h` and the protocol fix them for ever.
mod codes {
    pub(super) const FAIL: i32 = -196;
    pub(super) const WAIT_COORDINATOR: i32 = -180;
    pub(super) const FENCED: i32 = -144;
    pub(super) const ILLEGAL_GENERATION: i32 = 22;
    pub(super) const REBALANCE_IN_PROGRESS: i32 = 27;
    pub(super) const INVALID_PRODUCER_EPOCH: i32 = 47;
    pub(super) const FENCED_INSTANCE_ID: i32 = 82;
    pub(super) const PRODUCER_FENCED: i32 = 90;
}

#[cfg(test)]
mod tests {
    use rdkafka_sys::rd_kafka_resp_err_t as E;

    use super::codes::*;

    #[test]
    fn the_codes_are_librdkafkas() {
        let pairs = [
            (FAIL, E::RD_KAFKA_RESP_ERR__FAIL),
            (WAIT_COORDINATOR, E::RD_KAFKA_RESP_ERR__WAIT_COORD),
            (FENCED, E::RD_KAFKA_RESP_ERR__FENCED),
            (ILLEGAL_GENERATION, E::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
            (REBALANCE_IN_PROGRESS, E::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS),
            (INVALID_PRODUCER_EPOCH, E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH),
            (FENCED_INSTANCE_ID, E::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID),
            (PRODUCER_FENCED, E::RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(ours, theirs as i32, "{theirs:?}");
        }
    }
}
