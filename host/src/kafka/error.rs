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

    /// There is no such group.
    pub(crate) fn is_unknown_group(&self) -> bool {
        self.code == codes::GROUP_ID_NOT_FOUND
    }

    /// The group has members, or subscribes to the topic: its offsets are theirs to commit.
    pub(crate) fn is_group_in_use(&self) -> bool {
        [codes::UNKNOWN_MEMBER_ID, codes::NON_EMPTY_GROUP, codes::GROUP_SUBSCRIBED_TO_TOPIC]
            .contains(&self.code)
    }

    /// The group's members are of another kind than this one.
    pub(crate) fn is_other_protocol(&self) -> bool {
        self.code == codes::INCONSISTENT_GROUP_PROTOCOL
    }

    /// It goes on until somebody mends the rights, the password or the settings: a client that tries again would
    /// try for ever.
    pub(crate) fn needs_operator(&self) -> bool {
        codes::FOR_THE_OPERATOR.contains(&self.code)
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
    pub(super) const UNKNOWN_MEMBER_ID: i32 = 25;
    pub(super) const REBALANCE_IN_PROGRESS: i32 = 27;
    pub(super) const INVALID_PRODUCER_EPOCH: i32 = 47;
    pub(super) const NON_EMPTY_GROUP: i32 = 68;
    pub(super) const GROUP_ID_NOT_FOUND: i32 = 69;
    pub(super) const FENCED_INSTANCE_ID: i32 = 82;
    pub(super) const GROUP_SUBSCRIBED_TO_TOPIC: i32 = 86;
    pub(super) const PRODUCER_FENCED: i32 = 90;

    pub(super) const SSL: i32 = -181;
    pub(super) const AUTHENTICATION: i32 = -169;
    pub(super) const AUTO_OFFSET_RESET: i32 = -140;
    pub(super) const INCONSISTENT_GROUP_PROTOCOL: i32 = 23;
    pub(super) const INVALID_GROUP_ID: i32 = 24;
    pub(super) const INVALID_SESSION_TIMEOUT: i32 = 26;
    pub(super) const TOPIC_AUTHORIZATION_FAILED: i32 = 29;
    pub(super) const GROUP_AUTHORIZATION_FAILED: i32 = 30;
    pub(super) const CLUSTER_AUTHORIZATION_FAILED: i32 = 31;
    pub(super) const UNSUPPORTED_SASL_MECHANISM: i32 = 33;
    pub(super) const UNSUPPORTED_VERSION: i32 = 35;
    pub(super) const SASL_AUTHENTICATION_FAILED: i32 = 58;
    pub(super) const GROUP_MAX_SIZE_REACHED: i32 = 81;

    /// Java's consumer throws them out of `poll`, which fails the task.
    pub(super) const FOR_THE_OPERATOR: [i32; 13] = [
        SSL,
        AUTHENTICATION,
        AUTO_OFFSET_RESET,
        INCONSISTENT_GROUP_PROTOCOL,
        INVALID_GROUP_ID,
        INVALID_SESSION_TIMEOUT,
        TOPIC_AUTHORIZATION_FAILED,
        GROUP_AUTHORIZATION_FAILED,
        CLUSTER_AUTHORIZATION_FAILED,
        UNSUPPORTED_SASL_MECHANISM,
        UNSUPPORTED_VERSION,
        SASL_AUTHENTICATION_FAILED,
        GROUP_MAX_SIZE_REACHED,
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
            (WAIT_COORDINATOR, E::RD_KAFKA_RESP_ERR__WAIT_COORD),
            (FENCED, E::RD_KAFKA_RESP_ERR__FENCED),
            (ILLEGAL_GENERATION, E::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION),
            (UNKNOWN_MEMBER_ID, E::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID),
            (NON_EMPTY_GROUP, E::RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP),
            (GROUP_ID_NOT_FOUND, E::RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND),
            (GROUP_SUBSCRIBED_TO_TOPIC, E::RD_KAFKA_RESP_ERR_GROUP_SUBSCRIBED_TO_TOPIC),
            (REBALANCE_IN_PROGRESS, E::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS),
            (INVALID_PRODUCER_EPOCH, E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH),
            (FENCED_INSTANCE_ID, E::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID),
            (PRODUCER_FENCED, E::RD_KAFKA_RESP_ERR_PRODUCER_FENCED),
            (SSL, E::RD_KAFKA_RESP_ERR__SSL),
            (AUTHENTICATION, E::RD_KAFKA_RESP_ERR__AUTHENTICATION),
            (AUTO_OFFSET_RESET, E::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET),
            (INCONSISTENT_GROUP_PROTOCOL, E::RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL),
            (INVALID_GROUP_ID, E::RD_KAFKA_RESP_ERR_INVALID_GROUP_ID),
            (INVALID_SESSION_TIMEOUT, E::RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT),
            (TOPIC_AUTHORIZATION_FAILED, E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED),
            (GROUP_AUTHORIZATION_FAILED, E::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED),
            (CLUSTER_AUTHORIZATION_FAILED, E::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED),
            (UNSUPPORTED_SASL_MECHANISM, E::RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM),
            (UNSUPPORTED_VERSION, E::RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION),
            (SASL_AUTHENTICATION_FAILED, E::RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED),
            (GROUP_MAX_SIZE_REACHED, E::RD_KAFKA_RESP_ERR_GROUP_MAX_SIZE_REACHED),
        ];
        for (ours, theirs) in pairs {
            assert_eq!(ours, theirs as i32, "{theirs:?}");
        }
    }
}
