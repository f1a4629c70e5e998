//! librdkafka alone, through its Rust binding: what a worker's speed is to be compared with. With the settings
//! that the worker gives its clients.

use std::fmt;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Message as _, Offset};

use crate::{Kafka, wait};

impl Kafka {
    /// Writes records with this value into partition 0 and returns when all are acknowledged.
    ///
    /// # Panics
    /// When one is refused.
    pub fn produce_alone(&self, topic: &str, records: u64, value: &[u8]) {
        let producer = self.alone(topic);
        for _ in 0..records {
            producer.send(None, value);
        }
        producer.finish();
    }

    /// What writes records into partition 0 of a topic.
    ///
    /// # Panics
    /// When there can be none.
    pub fn alone(&self, topic: &str) -> Alone {
        let settings = [
            ("enable.idempotence", "true"),
            ("linger.ms", "5"),
            ("batch.size", "1048576"),
            ("batch.num.messages", "100000"),
            ("queue.buffering.max.kbytes", "65536"),
        ];
        let producer = self.with(&settings).create().expect("a producer");
        Alone { producer, topic: topic.to_owned() }
    }

    /// Reads so many records from the beginning of partition 0.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn consume_alone(&self, topic: &str, records: u64) {
        let mut bytes = 0;
        self.read_alone(topic, records, |_, _, value| bytes += value.len());
        assert!(bytes > 0, "the records have values");
    }

    /// Reads so many records from the beginning of partition 0: offset, key and value of each.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn read_alone(&self, topic: &str, records: u64, mut read: impl FnMut(i64, &[u8], &[u8])) {
        let settings = [
            ("group.id", topic),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("queued.min.messages", "1000000"),
            ("fetch.queue.backoff.ms", "20"),
        ];
        let consumer: BaseConsumer = self.with(&settings).create().expect("a consumer");
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, 0, Offset::Beginning).expect("a partition");
        consumer.assign(&from).expect("an assignment");
        let mut left = records;
        while left > 0 {
            if let Some(message) = consumer.poll(wait::LIMIT) {
                let message = message.expect("a record");
                let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
                read(message.offset(), key, value);
                left -= 1;
            }
        }
    }

    fn with(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = self.config();
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config
    }
}

/// A producer; see [`Kafka::alone`].
pub struct Alone {
    producer: BaseProducer,
    topic: String,
}

impl Alone {
    /// Sends a record, and waits where there is no room for it.
    ///
    /// # Panics
    /// When it is refused.
    pub fn send(&self, key: Option<&[u8]>, value: &[u8]) {
        let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic).partition(0).payload(value);
        record.key = key;
        while let Err((error, back)) = self.producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "cannot write to {}", self.topic);
            self.producer.poll(Duration::from_millis(10));
            record = back;
        }
    }

    /// Takes what Kafka has acknowledged.
    pub fn poll(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Returns when all is acknowledged.
    ///
    /// # Panics
    /// When it is not.
    pub fn finish(self) {
        self.producer.flush(wait::LIMIT).expect("everything to be acknowledged");
    }
}

impl fmt::Debug for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alone").field("topic", &self.topic).finish_non_exhaustive()
    }
}
