//! What a consumer has to say besides records, and where its callbacks leave it: they are called from within
//! `serve` and from librdkafka's own threads, so they only take notes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::kafka::complaint::Complaints;
use crate::kafka::native::{Hooks, RawRebalance};
use crate::kafka::{KafkaError, TopicPartition};
use crate::lock::unpoisoned;

/// Something that a sink has to act on.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// These come; `assign` answers.
    Assign(Vec<TopicPartition>),
    /// These go; `unassign` answers. Lost: somebody else may own them already.
    Revoke { partitions: Vec<TopicPartition>, lost: bool },
    /// Another member took this one's place: the client is dead.
    Fenced,
    /// The client is dead, or goes on in vain until somebody mends what it says.
    Error(KafkaError),
}

/// The notes, shared with the callbacks.
#[derive(Debug, Clone, Default)]
pub(super) struct Notes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    events: Mutex<VecDeque<Event>>,
    complaints: Complaints,
}

impl Notes {
    fn events(&self) -> MutexGuard<'_, VecDeque<Event>> {
        unpoisoned(self.0.events.lock())
    }

    pub(super) fn has_event(&self) -> bool {
        !self.events().is_empty()
    }

    /// Whether the client is of no more use: an event says why.
    pub(super) fn is_dead(&self) -> bool {
        self.events().iter().any(|event| matches!(event, Event::Fenced | Event::Error(_)))
    }

    pub(super) fn take_event(&self) -> Option<Event> {
        self.events().pop_front()
    }

    pub(super) fn complaints(&self) -> &Complaints {
        &self.0.complaints
    }

    fn push(&self, event: Event) {
        self.events().push_back(event);
    }

    /// Takes note of an error: an event if somebody has to act, else a complaint.
    pub(super) fn failed(&self, error: KafkaError) {
        if error.fatal && error.is_fenced() {
            self.push(Event::Fenced);
        } else if error.fatal || error.needs_operator() {
            self.push(Event::Error(error));
        } else {
            self.complaints().say("consumer", error);
        }
    }

    /// What the client calls back.
    pub(super) fn hooks(&self, wake: &Arc<Notify>) -> Hooks {
        let (rebalances, rebalanced) = (self.clone(), Arc::clone(wake));
        let (errors, failed) = (self.clone(), Arc::clone(wake));
        Hooks {
            rebalance: Some(Box::new(move |rebalance: RawRebalance| {
                let RawRebalance { assigned, partitions, lost } = rebalance;
                rebalances.push(match assigned {
                    true => Event::Assign(partitions),
                    false => Event::Revoke { partitions, lost },
                });
                rebalanced.notify_one();
            })),
            error: Some(Box::new(move |error: KafkaError| {
                errors.failed(error);
                failed.notify_one();
            })),
            ..Hooks::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32) -> KafkaError {
        KafkaError { code, ..KafkaError::local("it is so") }
    }

    #[test]
    fn what_passes_by_itself_is_a_complaint_and_no_event() {
        let notes = Notes::default();
        notes.failed(error(-195));
        assert!(!notes.has_event());
        assert_eq!(notes.complaints().newest().unwrap().code, -195);
        notes.complaints().clear();
        assert!(notes.complaints().newest().is_none());
    }

    #[test]
    fn what_somebody_has_to_mend_is_an_event() {
        let notes = Notes::default();
        notes.failed(error(29));
        assert!(matches!(notes.take_event(), Some(Event::Error(error)) if error.code == 29));
        notes.failed(error(82).into_fatal());
        assert!(matches!(notes.take_event(), Some(Event::Fenced)));
    }
}
