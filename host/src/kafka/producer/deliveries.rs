//! The producer's thread: sorts deliveries into lanes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Ack, Lanes, NUMBER, NUMBER_BITS, OVERHEAD};
use crate::kafka::native::{Client, Queue, QueueEvent, error_of};
use crate::lock::unpoisoned;

/// How long the thread waits for an event.
const POLL_MS: i32 = 100;

/// Consecutive records of one lane that ended alike.
#[derive(Debug, Clone, Copy)]
struct Run {
    lane: u64,
    first: u64,
    last: u64,
    code: i32,
    bytes: u64,
}

/// See the module.
pub(super) struct Deliveries {
    lanes: Arc<Lanes>,
    runs: Vec<Run>,
}

impl Deliveries {
    pub(super) fn new(lanes: Arc<Lanes>) -> Self {
        Self { lanes, runs: Vec::new() }
    }

    pub(super) fn serve(mut self, client: &Client, queue: &Queue, ending: &AtomicBool) {
        while !ending.load(Ordering::Acquire) {
            let Some(event) = queue.poll(POLL_MS) else { continue };
            self.take(&event);
            if let Some(error) = event.error() {
                if let Some(fatal) = client.fatal() {
                    tracing::error!(client = client.name(), "the producer is dead: {fatal}");
                    self.lanes.die(fatal);
                } else if error.needs_operator() {
                    // Every task of it is told, and makes a new one when it starts again.
                    self.lanes.die(error);
                } else {
                    self.lanes.complaints.say(&client.name(), error);
                }
            }
        }
    }

    fn take(&mut self, event: &QueueEvent) {
        let runs = &mut self.runs;
        let _ = event.deliveries(|delivery| {
            let (lane, number) = (delivery.opaque >> NUMBER_BITS, delivery.opaque & NUMBER);
            let bytes = delivery.bytes as u64 + OVERHEAD;
            match runs.last_mut() {
                Some(run) if run.lane == lane && run.last + 1 == number && run.code == delivery.code => {
                    run.last = number;
                    run.bytes += bytes;
                }
                _ => runs.push(Run { lane, first: number, last: number, code: delivery.code, bytes }),
            }
        });
        if self.runs.is_empty() {
            return;
        }
        let (mut swept, mut arrived) = (false, false);
        {
            let lanes = unpoisoned(self.lanes.lanes.lock());
            for run in self.runs.drain(..) {
                let Some(Some(lane)) = lanes.get(run.lane as usize) else { continue };
                let records = run.last - run.first + 1;
                let error = (run.code != 0).then(|| error_of(run.code));
                // One lock for both: who sees that nothing is in flight finds every ack.
                let mut acks = unpoisoned(lane.acks.lock());
                acks.push(Ack { first: run.first, last: run.last, error });
                self.lanes.uncount(lane, records, run.bytes);
                drop(acks);
                swept |= lane.left.load(Ordering::Acquire) && lane.records.load(Ordering::Acquire) == 0;
                arrived |= run.code == 0;
                lane.wake.notify_one();
            }
        }
        if swept {
            self.lanes.sweep();
        }
        if arrived {
            self.lanes.complaints.clear();
        }
    }
}
