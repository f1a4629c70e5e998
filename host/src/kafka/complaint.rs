//! What a client says while it goes on trying: a broker that is away, a topic that is not there yet. It is logged
//! once, not at every attempt, and kept for the status of whoever waits for the client.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::KafkaError;
use crate::lock::unpoisoned;

/// The same complaint is logged this often at most.
const AGAIN: Duration = Duration::from_secs(60);
/// Nobody says that all is well again. But what lasts is said anew: librdkafka repeats itself every 30 s.
const LASTS: Duration = Duration::from_secs(45);

/// The newest complaint of a client.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<Option<Complaint>>);

#[derive(Debug)]
struct Complaint {
    error: KafkaError,
    said: Instant,
    logged: Instant,
}

impl Complaints {
    fn lock(&self) -> MutexGuard<'_, Option<Complaint>> {
        unpoisoned(self.0.lock())
    }

    pub(super) fn say(&self, client: &str, error: KafkaError) {
        let mut newest = self.lock();
        let said = Instant::now();
        let logged = match newest.as_ref() {
            Some(last) if last.error.code == error.code && last.logged.elapsed() < AGAIN => last.logged,
            _ => {
                tracing::warn!(client, "a Kafka client goes on trying: {error}");
                said
            }
        };
        *newest = Some(Complaint { error, said, logged });
    }

    /// All is well again.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    /// What is likely to hold still.
    pub(super) fn newest(&self) -> Option<KafkaError> {
        let newest = self.lock();
        newest.as_ref().filter(|newest| newest.said.elapsed() < LASTS).map(|newest| newest.error.clone())
    }
}
