//! librdkafka alone, through its Rust binding: what a worker's speed is to be compared with. With the settings
//! that the worker gives its clients.

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
        let settings = [
            ("enable.idempotence", "true"),
            ("linger.ms", "5"),
            ("batch.size", "1048576"),
            ("batch.num.messages", "100000"),
            ("queue.buffering.max.kbytes", "65536"),
        ];
        let producer: BaseProducer = self.with(&settings).create().expect("a producer");
        for _ in 0..records {
            let mut record = BaseRecord::<(), [u8]>::to(topic).partition(0).payload(value);
            while let Err((error, back)) = producer.send(record) {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                assert_eq!(error, full, "cannot write to {topic}");
                producer.poll(Duration::from_millis(10));
                record = back;
            }
        }
        producer.flush(wait::LIMIT).expect("everything to be acknowledged");
    }

    /// Reads so many records from the beginning of partition 0.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn consume_alone(&self, topic: &str, records: u64) {
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
        let (mut read, mut bytes) = (0, 0);
        while read < records {
            if let Some(message) = consumer.poll(wait::LIMIT) {
                bytes += message.expect("a record").payload().map_or(0, <[u8]>::len);
                read += 1;
            }
        }
        assert!(bytes > 0, "the records have values");
    }

    fn with(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = self.config();
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config
    }
}
