//! What concerns several settings at once, except for logins and certificates.

use super::ClientKind;
use super::given::Given;
use super::row::Outcome;

/// More in flight would let librdkafka, like Java's producer, lose the order of an idempotent producer.
const MAX_IDEMPOTENT_IN_FLIGHT: i64 = 5;

pub(super) fn apply(kind: ClientKind, given: &Given<'_>, outcome: &mut Outcome) {
    backoff(given, outcome);
    match kind {
        ClientKind::Producer => {
            idempotence(given, outcome);
            delivery_timeout(given, outcome);
            compression_level(given, outcome);
        }
        ClientKind::Consumer => {
            group_timeouts(given, outcome);
            fetch_size(given, outcome);
        }
        ClientKind::Admin => {}
    }
}

/// The first wait must not be longer than the longest; librdkafka would refuse what Java repairs.
fn backoff(given: &Given<'_>, outcome: &mut Outcome) {
    let millis = |name| given.number(name).unwrap_or_default();
    let (first, longest) = (millis("reconnect.backoff.ms"), millis("reconnect.backoff.max.ms"));
    // Java's rule: who sets the first one only wants no growth.
    let fixed = given.written("reconnect.backoff.ms").is_some()
        && given.written("reconnect.backoff.max.ms").is_none();
    let longest = if fixed { first } else { longest };
    let mut set = |native: &str, value: i64, min: i64, max: i64| {
        outcome.settings.set(native, value.clamp(min, max).to_string());
    };
    set("reconnect.backoff.ms", first.min(longest), 0, 3_600_000);
    set("reconnect.backoff.max.ms", longest, 0, 3_600_000);
    let (first, longest) = (millis("retry.backoff.ms"), millis("retry.backoff.max.ms"));
    set("retry.backoff.ms", first.min(longest), 1, 300_000);
    set("retry.backoff.max.ms", longest, 1, 300_000);
}

/// Idempotence is on unless the user turns it off, by name or, as in Java, by what excludes it. Without it only
/// one request in flight keeps the order when one fails (invariant 4), whatever the user says.
fn idempotence(given: &Given<'_>, outcome: &mut Outcome) {
    let name = "max.in.flight.requests.per.connection";
    let all = matches!(given.value("acks"), Some("all" | "-1"));
    let retries = given.number("retries") != Some(0);
    let wanted = given.value("enable.idempotence").map(|value| value.eq_ignore_ascii_case("true"));
    let in_flight = given.number(name).unwrap_or(MAX_IDEMPOTENT_IN_FLIGHT);
    let on = wanted.unwrap_or(all && retries);
    if on {
        let mut wrong = |name, message| outcome.problems.push(given.problem(name, message));
        if !all {
            wrong(
                "acks",
                "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee \
                 idempotence.",
            );
        }
        if !retries {
            wrong("retries", "Must set retries to non-zero when using the idempotent producer.");
        }
        if wanted.is_some() && in_flight > MAX_IDEMPOTENT_IN_FLIGHT {
            wrong(
                name,
                "Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer.",
            );
        }
    }
    outcome.settings.set("enable.idempotence", on.to_string());
    let in_flight = if on { in_flight.min(MAX_IDEMPOTENT_IN_FLIGHT) } else { 1 };
    outcome.settings.set(name, in_flight.to_string());
}

/// Only what the user wrote can be too short: the default is as good as for ever.
fn delivery_timeout(given: &Given<'_>, outcome: &mut Outcome) {
    let name = "delivery.timeout.ms";
    let millis = |name| given.number(name).unwrap_or_default();
    if given.written(name).is_some() && millis(name) < millis("linger.ms") + millis("request.timeout.ms") {
        let message = "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms";
        outcome.problems.push(given.problem(name, message));
    }
}

/// Java has a level for each way of compressing, librdkafka one for all.
fn compression_level(given: &Given<'_>, outcome: &mut Outcome) {
    let codec = given.value("compression.type").unwrap_or_default();
    let (max, name) = match codec {
        "gzip" => (9, "compression.gzip.level"),
        "lz4" => (12, "compression.lz4.level"),
        "zstd" => (12, "compression.zstd.level"),
        _ => return,
    };
    if let Some(level) = given.number(name) {
        // -1 is librdkafka's word for the default; zstd's negative levels are faster than its first.
        let min = if codec == "gzip" && level == -1 { -1 } else { 1 };
        outcome.settings.set("compression.level", level.clamp(min, max).to_string());
    }
}

fn group_timeouts(given: &Given<'_>, outcome: &mut Outcome) {
    let millis = |name| given.number(name).unwrap_or_default();
    let (heartbeat, session) = (millis("heartbeat.interval.ms"), millis("session.timeout.ms"));
    let between_polls = millis("max.poll.interval.ms");
    // The complaint stands at a key that the user wrote.
    let written = |name, other| if given.written(name).is_some() { name } else { other };
    if heartbeat >= session {
        let name = written("heartbeat.interval.ms", "session.timeout.ms");
        let message = format!(
            "Heartbeat must be set lower than the session timeout (heartbeat.interval.ms is {heartbeat}, \
             session.timeout.ms {session})"
        );
        outcome.problems.push(given.problem(name, message));
    }
    if between_polls < session {
        let name = written("max.poll.interval.ms", "session.timeout.ms");
        let message = format!(
            "max.poll.interval.ms ({between_polls}) must not be less than session.timeout.ms ({session}); set both"
        );
        outcome.problems.push(given.problem(name, message));
    }
}

/// librdkafka wants the limit of a fetch to be no less than that of a message, which means nothing to a
/// consumer, and has no such limit below 1000.
fn fetch_size(given: &Given<'_>, outcome: &mut Outcome) {
    const MESSAGE: i64 = 1_000_000;
    if let Some(bytes) = given.number("fetch.max.bytes").map(|bytes| bytes.max(1000))
        && bytes < MESSAGE
    {
        outcome.settings.set("fetch.max.bytes", bytes.to_string());
        outcome.settings.set("message.max.bytes", bytes.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::super::ClientKind::{Consumer, Producer};
    use super::super::tests::{is_taken_by_librdkafka, problems, with};

    #[track_caller]
    fn producer(settings: &[(&str, &str)], idempotent: &str, in_flight: &str) {
        let settings = with(Producer, settings);
        assert_eq!(settings.get("enable.idempotence"), Some(idempotent));
        assert_eq!(settings.get("max.in.flight.requests.per.connection"), Some(in_flight));
        is_taken_by_librdkafka(Producer, &settings);
    }

    #[test]
    fn without_idempotence_one_request_is_in_flight() {
        let in_flight = "max.in.flight.requests.per.connection";
        producer(&[], "true", "5");
        producer(&[("enable.idempotence", "true"), (in_flight, "3")], "true", "3");
        producer(&[(in_flight, "10")], "true", "5");
        producer(&[("enable.idempotence", "False")], "false", "1");
        producer(&[("enable.idempotence", "false"), (in_flight, "5")], "false", "1");
        producer(&[("acks", "-1")], "true", "5");
        producer(&[("acks", "1")], "false", "1");
        producer(&[("retries", "0")], "false", "1");
    }

    #[test]
    fn idempotence_that_was_asked_for_has_its_conditions() {
        let told = problems(
            Producer,
            &[
                ("enable.idempotence", "true"),
                ("acks", "1"),
                ("retries", "0"),
                ("max.in.flight.requests.per.connection", "6"),
            ],
        );
        assert_eq!(
            told,
            [
                "producer.acks=1: Must set acks to all in order to use the idempotent producer. Otherwise we \
                 cannot guarantee idempotence.",
                "producer.retries=0: Must set retries to non-zero when using the idempotent producer.",
                "producer.max.in.flight.requests.per.connection=6: Must set \
                 max.in.flight.requests.per.connection to at most 5 to use the idempotent producer.",
            ]
        );
    }

    #[test]
    fn a_delivery_must_have_time() {
        assert_eq!(
            problems(Producer, &[("delivery.timeout.ms", "30000"), ("linger.ms", "1")]),
            ["producer.delivery.timeout.ms=30000: delivery.timeout.ms should be equal to or larger than \
              linger.ms + request.timeout.ms"]
        );
        let settings = with(Producer, &[("delivery.timeout.ms", "120000")]);
        assert_eq!(settings.get("message.timeout.ms"), Some("120000"));
    }

    #[test]
    fn the_level_of_the_compression_in_use_counts() {
        let levels = [
            ("compression.gzip.level", "7"),
            ("compression.lz4.level", "17"),
            ("compression.zstd.level", "-5"),
        ];
        for (codec, level) in
            [("gzip", Some("7")), ("lz4", Some("12")), ("zstd", Some("1")), ("snappy", None), ("none", None)]
        {
            let all: Vec<_> = levels.into_iter().chain([("compression.type", codec)]).collect();
            let settings = with(Producer, &all);
            assert_eq!(settings.get("compression.level"), level, "{codec}");
            is_taken_by_librdkafka(Producer, &settings);
        }
    }

    #[test]
    fn waits_are_repaired_as_java_repairs_them() {
        let is = |given: &[(&str, &str)], expected: [&str; 4]| {
            let settings = with(Consumer, given);
            let names = [
                "reconnect.backoff.ms",
                "reconnect.backoff.max.ms",
                "retry.backoff.ms",
                "retry.backoff.max.ms",
            ];
            assert_eq!(names.map(|name| settings.get(name).unwrap_or_default()), expected);
            is_taken_by_librdkafka(Consumer, &settings);
        };
        is(&[], ["50", "1000", "100", "1000"]);
        is(&[("reconnect.backoff.ms", "5000")], ["5000", "5000", "100", "1000"]);
        is(&[("reconnect.backoff.ms", "20")], ["20", "20", "100", "1000"]);
        is(
            &[("reconnect.backoff.ms", "900"), ("reconnect.backoff.max.ms", "500")],
            ["500", "500", "100", "1000"],
        );
        is(&[("retry.backoff.ms", "5000")], ["50", "1000", "1000", "1000"]);
    }

    #[test]
    fn times_of_a_group_fit_together() {
        let told = problems(
            Consumer,
            &[
                ("session.timeout.ms", "10000"),
                ("heartbeat.interval.ms", "10000"),
                ("max.poll.interval.ms", "9"),
            ],
        );
        assert!(told[0].starts_with("consumer.heartbeat.interval.ms=10000: Heartbeat must be set lower"));
        assert!(told[1].starts_with("consumer.max.poll.interval.ms=9: max.poll.interval.ms (9) must not be"));
        let told = problems(Consumer, &[("session.timeout.ms", "400000")]);
        assert!(told[0].starts_with("consumer.session.timeout.ms=400000"), "{told:?}");
    }

    #[test]
    fn fetches_may_be_small() {
        for bytes in ["0", "5000", "999999", "1000000", "2147483647"] {
            is_taken_by_librdkafka(Consumer, &with(Consumer, &[("fetch.max.bytes", bytes)]));
        }
    }
}
