//! Writing and reading records.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::{Kafka, wait};

/// The limit of one request.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

/// A record, as it was read or shall be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Its partition. Writing: `None` lets the key decide, as Java clients do.
    pub partition: Option<i32>,
    /// Its offset; 0 when writing.
    pub offset: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Milliseconds since the epoch. Writing: `None` is now.
    pub timestamp: Option<i64>,
    /// Its headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    /// A record without key.
    pub fn of(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), ..Self::default() }
    }

    /// A record with a key.
    pub fn keyed(key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { key: Some(key.into()), ..Self::of(value) }
    }

    /// The key as text, empty when there is none.
    ///
    /// # Panics
    /// When it is no UTF-8.
    pub fn key_text(&self) -> &str {
        std::str::from_utf8(self.key.as_deref().unwrap_or_default()).expect("a key in UTF-8")
    }

    /// The value as text, empty when there is none.
    ///
    /// # Panics
    /// When it is no UTF-8.
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().unwrap_or_default()).expect("a value in UTF-8")
    }
}

impl Kafka {
    /// Writes records and returns when all are acknowledged.
    ///
    /// # Panics
    /// When one is refused.
    pub fn produce(&self, topic: &str, records: impl IntoIterator<Item = Record>) {
        let producer: BaseProducer = self
            .config()
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            // As Java's: a consumer has to take a batch whole.
            .set("batch.size", "16384")
            .create()
            .expect("a producer");
        for record in records {
            send(&producer, topic, &record);
        }
        producer
            .flush(wait::LIMIT)
            .unwrap_or_else(|e| panic!("records for {topic} are not acknowledged: {e}"));
    }

    /// Writes lines of text, without keys.
    ///
    /// # Panics
    /// When one is refused.
    pub fn produce_lines<'a>(&self, topic: &str, lines: impl IntoIterator<Item = &'a str>) {
        self.produce(topic, lines.into_iter().map(Record::of));
    }

    /// Takes a transactional id from whoever has it.
    ///
    /// # Panics
    /// When Kafka refuses.
    pub fn fence(&self, transactional_id: &str) {
        let producer: BaseProducer =
            self.config().set("transactional.id", transactional_id).create().expect("a producer");
        producer.init_transactions(wait::LIMIT).expect("the transactional id");
    }

    /// Everything the topic holds up to its end as readers of committed records see it, by partition and
    /// offset.
    ///
    /// # Panics
    /// When it cannot be read, or its end is not reached.
    pub fn read_all(&self, topic: &str) -> Vec<Record> {
        let partitions = self.partitions(topic);
        let consumer: BaseConsumer = self
            .config()
            .set("group.id", "transom-tests-reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .create()
            .expect("a consumer");
        let mut from = TopicPartitionList::new();
        for partition in 0..partitions {
            from.add_partition_offset(topic, partition, Offset::Beginning).expect("a valid offset");
        }
        consumer.assign(&from).expect("partitions can be assigned");
        let mut records = Vec::new();
        let mut open = partitions;
        while open > 0 {
            match consumer.poll(wait::LIMIT) {
                Some(Ok(message)) => records.push(record(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
                // librdkafka tries again.
                Some(Err(e)) if is_lost_connection(&e) => {}
                Some(Err(e)) => panic!("cannot read {topic}: {e}"),
                None => panic!("the end of {topic} is not reached; {} records so far", records.len()),
            }
        }
        records.sort_by_key(|r: &Record| (r.partition, r.offset));
        records
    }

    /// The values of [`read_all`](Self::read_all) as text.
    ///
    /// # Panics
    /// As there, and when one is no UTF-8.
    pub fn read_lines(&self, topic: &str) -> Vec<String> {
        self.read_all(topic).iter().map(|record| record.text().to_owned()).collect()
    }

    /// The end offset of each partition.
    ///
    /// # Panics
    /// When they cannot be had.
    pub fn end_offsets(&self, topic: &str) -> Vec<i64> {
        self.watermarks(topic).into_iter().map(|(_, end)| end).collect()
    }

    /// The first and the end offset of each partition.
    ///
    /// # Panics
    /// When they cannot be had.
    pub fn watermarks(&self, topic: &str) -> Vec<(i64, i64)> {
        let client = self.native();
        let of = |partition| {
            wait::until(&format!("the offsets of {topic}"), || {
                client.fetch_watermarks(topic, partition, TIMEOUT).map_err(|e| e.to_string())
            })
        };
        (0..self.partitions(topic)).map(of).collect()
    }

    /// Waits until the end offsets of a topic sum up to at least `records`.
    ///
    /// # Panics
    /// When they do not within the limit of [`wait::until`].
    #[track_caller]
    pub fn await_records(&self, topic: &str, records: i64) {
        wait::until(&format!("{records} records in {topic}"), || {
            let sum: i64 = self.end_offsets(topic).iter().sum();
            if sum >= records { Ok(()) } else { Err(format!("{sum} records")) }
        });
    }

    /// The basis of every client's configuration.
    pub(super) fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config.set("topic.metadata.propagation.max.ms", "10000");
        // A broker that comes back shall be found at once.
        config.set("reconnect.backoff.max.ms", "250");
        config
    }
}

fn is_lost_connection(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    matches!(error.rdkafka_error_code(), Some(AllBrokersDown | BrokerTransportFailure))
}

fn send(producer: &BaseProducer, topic: &str, record: &Record) {
    let mut base = BaseRecord::<[u8], [u8]>::to(topic);
    base.partition = record.partition;
    base.key = record.key.as_deref();
    base.payload = record.value.as_deref();
    base.timestamp = record.timestamp;
    if !record.headers.is_empty() {
        let headers = OwnedHeaders::new_with_capacity(record.headers.len());
        base.headers =
            Some(record.headers.iter().fold(headers, |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_ref() })
            }));
    }
    loop {
        match producer.send(base) {
            Ok(()) => break,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(100));
                base = back;
            }
            Err((e, _)) => panic!("cannot write to {topic}: {e}"),
        }
    }
    producer.poll(Duration::ZERO);
}

fn record(message: &rdkafka::message::BorrowedMessage<'_>) -> Record {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Record {
        partition: Some(message.partition()),
        offset: message.offset(),
        key: message.key().map(Into::into),
        value: message.payload().map(Into::into),
        timestamp: message.timestamp().to_millis(),
        headers: headers.map(|header| (header.key.to_owned(), header.value.map(Into::into))).collect(),
    }
}
