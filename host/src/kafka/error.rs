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
        [codes::ILLEGAL_GENERATION, codes::REBALANCE_IN_PROGRESS, codes::WAIT_COORDINATOR].contains(&self.code)
    }

    /// The same request may well succeed later without anybody's doing (the broker is away, a leader is
    /// being elected, a time limit passed).
    pub(crate) fn is_retriable(&self) -> bool {
        !self.fatal && (self.is_rebalance() || codes::RETRIABLE.contains(&self.code))
    }

    /// The record itself is at fault: too large, or refused by the topic's own rules.
    pub(crate) fn is_bad_record(&self) -> bool {
        [codes::MSG_SIZE_TOO_LARGE, codes::RECORD_LIST_TOO_LARGE, codes::INVALID_RECORD, codes::INVALID_TIMESTAMP]
            .contains(&self.code)
    }

    /// The topic or the partition does not exist (yet).
    pub(crate) fn is_unknown_topic(&self) -> bool {
        [codes::UNKNOWN_TOPIC_OR_PART, codes::LOCAL_UNKNOWN_TOPIC, codes::LOCAL_UNKNOWN_PARTITION]
            .contains(&self.code)
    }

    /// The record was thrown away by [`purge`](super::producer::Lane::purge) or at the end of its client.
    pub(crate) fn is_purged(&self) -> bool {
        [codes::PURGE_QUEUE, codes::PURGE_INFLIGHT].contains(&self.code)
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
    pub(super) const LOCAL_UNKNOWN_PARTITION: i32 = -190;
    pub(super) const LOCAL_UNKNOWN_TOPIC: i32 = -188;
    pub(super) const WAIT_COORDINATOR: i32 = -180;
    pub(super) const PURGE_QUEUE: i32 = -152;
    pub(super) const PURGE_INFLIGHT: i32 = -151;
    pub(super) const FENCED: i32 = -144;
    pub(super) const UNKNOWN_TOPIC_OR_PART: i32 = 3;
    pub(super) const MSG_SIZE_TOO_LARGE: i32 = 10;
    pub(super) const RECORD_LIST_TOO_LARGE: i32 = 18;
    pub(super) const ILLEGAL_GENERATION: i32 = 22;
    pub(super) const REBALANCE_IN_PROGRESS: i32 = 27;
    pub(super) const INVALID_TIMESTAMP: i32 = 32;
    pub(super) const INVALID_PRODUCER_EPOCH: i32 = 47;
    pub(super) const FENCED_INSTANCE_ID: i32 = 82;
    pub(super) const INVALID_RECORD: i32 = 87;
    pub(super) const PRODUCER_FENCED: i32 = 90;

    /// Transport, resolve, timeouts, brokers away; and the broker's own retriable codes.
    pub(super) const RETRIABLE: &[i32] = &[
        -195, -193, -192, -187, -185, -177, -166, -164, -157, -153, // the client's
        2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 56, 72, 74, 75, 76, 79, 83, 88, 89, 91, // the broker's
    ];
}

#[cfg(test)]
mod tests {
    use rdkafka_sys::rd_kafka_resp_err_t as E;

    use super::codes::*;

    #[test]
    fn the_codes_are_librdkafkas() {
        let pairs = [
            (FAIL, E::RD_KAFKA_RESP_ERR__FAIL),
            (LOCAL_UNKNOWN_PARTITION, E::RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION),
            (LOCAL_UNKNOWN_TOPIC, E::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC),
            (WAIT_COORDINATOR, E::RD_KAFKA_RESP_ERR__WAIT_COORD),
            (PURGE_QUEUE, E::RD_KAFKA_RESP_ERR__PURGE_QUEUE),
            (PURGE_INFLIGHT, E::RD_KAFKA_RESP_ERR__PURGE_INFLIGHT),
            (FENCED, E::RD_KAFKA_RESP_ERR__FENCED),
            (UNKNOWN_TOPIC_OR_PART, E::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART),
            (MSG_SIZE_TOO_LARGE, E::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE),
            (RECORD_LIST_TOO_LARGE, E::RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE),
            (ILLEGAL_GENERATION, E::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
            (REBALANCE_IN_PROGRESS, E::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS),
            (INVALID_TIMESTAMP, E::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP),
            (INVALID_PRODUCER_EPOCH, E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH),
            (FENCED_INSTANCE_ID, E::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID),
            (INVALID_RECORD, E::RD_KAFKA_RESP_ERR_INVALID_RECORD),
            (PRODUCER_FENCED, E::RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(ours, theirs as i32, "{theirs:?}");
        }
    }
}
