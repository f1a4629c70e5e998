//! The requests: what waits to be sent, what is under way, and what goes again.
//!
//! Several requests are under way at once, and they live on between two calls of the plugin: a call looks what has
//! come, sends what can be sent, and returns. Whatever the server does not take now goes again: a whole request, after
//! the time that the server names or one that doubles, and everything else waits with it until one request succeeds; or
//! single actions, after a time of their own, while everything else goes on. Nothing is given up before `max.retries`.
//!
//! Order. Documents with versions may be written in any order, since only a newer version takes the place of an older
//! one. Where that does not hold (updates, which have no versions; deletes, whose versions are forgotten), an action
//! is *alone*: it is sent once no other action of its document is under way, and what is behind it waits too. Within a
//! request the server keeps the order.
//!
//! A request that is refused as a whole (400, 413) is divided, until it is known which action is at fault. The parts
//! go one after the other.
//!
//! Memory: [`Traffic::has_room`] is asked before anything is added, and counts whatever has no answer yet. What is
//! under way is there twice, once to be sent again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use transom_sdk::http::{self, Pending, Response};
use transom_sdk::{Error, Kind, log};

use crate::answer::{self, Verdict};
use crate::bulk::Bulk;
use crate::config::Settings;
use crate::ledger::Ledger;

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);
/// The longest wait between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// How soon it is looked again whether an answer is there.
const SOON: Duration = Duration::from_millis(5);

/// All requests of a task.
pub(crate) struct Traffic {
    settings: Rc<Settings>,
    /// To which of the servers.
    server: usize,
    /// Not full yet, and when its first action came.
    building: Bulk,
    since: Option<Instant>,
    ready: VecDeque<Bulk>,
    /// Each with the time from which it may go.
    again: Vec<(Instant, Bulk)>,
    /// Of divided requests.
    parts: VecDeque<(Instant, Bulk)>,
    flights: Vec<Flight>,
    /// How many actions of a document have been sent and not settled.
    under_way: HashMap<u64, usize>,
    /// Nothing is sent before.
    hold: Option<Instant>,
    /// Requests that failed since one succeeded.
    failures: u32,
    trouble: Option<String>,
    waiting: usize,
    bytes: usize,
}

struct Flight {
    pending: Pending,
    bulk: Bulk,
}

impl Traffic {
    pub(crate) fn new(settings: Rc<Settings>) -> Self {
        Self {
            settings,
            server: 0,
            building: Bulk::default(),
            since: None,
            ready: VecDeque::new(),
            again: Vec::new(),
            parts: VecDeque::new(),
            flights: Vec::new(),
            under_way: HashMap::new(),
            hold: None,
            failures: 0,
            trouble: None,
            waiting: 0,
            bytes: 0,
        }
    }

    /// Whether so many more records are within the bounds. What is larger than all of them is taken alone.
    pub(crate) fn has_room(&self, records: usize) -> bool {
        let settings = &self.settings;
        self.waiting == 0
            || (self.waiting + records <= settings.buffered_records && self.bytes < settings.buffered_bytes)
    }

    /// Adds an action, which `write` writes, if it does.
    pub(crate) fn add<R>(&mut self, write: impl FnOnce(&mut Bulk) -> R) -> R {
        let (records, bytes) = (self.building.items.len(), self.building.body.len());
        let result = write(&mut self.building);
        self.waiting += self.building.items.len() - records;
        self.bytes += self.building.body.len() - bytes;
        if !self.building.items.is_empty() {
            self.since.get_or_insert_with(Instant::now);
        }
        let full = self.building.items.len() >= self.settings.batch_records
            || self.building.body.len() >= self.settings.batch_bytes;
        if full {
            self.seal();
        }
        result
    }

    /// What there is is sent without waiting for more.
    pub(crate) fn seal(&mut self) {
        if !self.building.items.is_empty() {
            self.ready.push_back(std::mem::take(&mut self.building));
            self.since = None;
        }
    }

    /// Takes the answers that have come, and sends what can be sent. Waits for nothing.
    ///
    /// # Errors
    /// What no further attempt can mend.
    pub(crate) fn turn(&mut self, ledger: &mut Ledger) -> Result<(), Error> {
        let mut index = 0;
        while let Some(flight) = self.flights.get_mut(index) {
            match flight.pending.poll() {
                Ok(None) => index += 1,
                answer => {
                    let bulk = self.flights.swap_remove(index).bulk;
                    self.settle(bulk, answer.transpose(), ledger)?;
                }
            }
        }
        while self.flights.len() < self.most_flights() {
            let Some(bulk) = self.next() else { break };
            if let Some(bulk) = self.owned(bulk, ledger) {
                self.send(bulk, ledger)?;
            }
        }
        Ok(())
    }

    /// How many requests may be under way. A server that took none the last time is asked by one, not by all at once.
    fn most_flights(&self) -> usize {
        if self.failures == 0 { self.settings.in_flight } else { 1 }
    }

    /// Waits until something may have come, so long at most.
    pub(crate) fn wait(&self, most: Duration) {
        let pending: Vec<_> = self.flights.iter().map(|flight| &flight.pending).collect();
        http::wait(&pending, self.due().map_or(most, |due| due.min(most)));
    }

    /// When there is something to do, if anything is waited for.
    pub(crate) fn soon(&self) -> Option<Duration> {
        if self.flights.is_empty() { self.due() } else { Some(SOON) }
    }

    /// Records that have no answer yet.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// What the server is waited for, in words.
    pub(crate) fn trouble(&self) -> String {
        self.trouble
            .clone()
            .unwrap_or_else(|| format!("{} records wait for the server's answer", self.waiting))
    }

    /// When something that is not under way is due.
    fn due(&self) -> Option<Duration> {
        let now = Instant::now();
        let linger = self.since.map(|since| since + self.settings.linger);
        let again = self.again.iter().chain(&self.parts).map(|(due, _)| *due);
        // While requests are under way, it is their answers that make way.
        let ready = (!self.ready.is_empty() && self.flights.is_empty()).then_some(now);
        let first = again.chain(linger).chain(ready).min()?;
        let first = self.hold.map_or(first, |hold| hold.max(first));
        Some(first.saturating_duration_since(now).max(SOON))
    }

    /// The next request to send.
    fn next(&mut self) -> Option<Bulk> {
        let now = Instant::now();
        if self.hold.is_some_and(|hold| hold > now) {
            return None;
        }
        self.hold = None;
        let part_out = self.flights.iter().any(|flight| flight.bulk.part);
        if !part_out && self.parts.front().is_some_and(|(due, _)| *due <= now) {
            return self.parts.pop_front().map(|(_, bulk)| bulk);
        }
        if let Some(index) = self.again.iter().position(|(due, _)| *due <= now) {
            return Some(self.again.remove(index).1);
        }
        if self.ready.is_empty() && self.since.is_some_and(|since| since + self.settings.linger <= now) {
            self.seal();
        }
        let blocked = |bulk: &Bulk| {
            bulk.items.iter().any(|item| item.alone && self.under_way.contains_key(&item.document))
        };
        if self.ready.front().is_none_or(blocked) { None } else { self.ready.pop_front() }
    }

    /// Without the records of partitions that have gone: they are somebody else's now.
    fn owned(&mut self, bulk: Bulk, ledger: &Ledger) -> Option<Bulk> {
        if bulk.items.iter().all(|item| ledger.owns(item.place)) {
            return Some(bulk);
        }
        self.leave(&bulk);
        let owned = bulk.select(|_, item| ledger.owns(item.place));
        self.enter(&owned);
        (!owned.items.is_empty()).then_some(owned)
    }

    fn send(&mut self, mut bulk: Bulk, ledger: &mut Ledger) -> Result<(), Error> {
        if !bulk.counted {
            self.leave(&bulk);
            bulk.counted = true;
            self.enter(&bulk);
        }
        bulk.server = self.server;
        match self.settings.bulk_request(self.server, &bulk.body).start() {
            Ok(pending) => {
                self.flights.push(Flight { pending, bulk });
                Ok(())
            }
            Err(error) => self.failed(bulk, error, ledger),
        }
    }

    /// An answer, or none, to a request.
    fn settle(
        &mut self,
        bulk: Bulk,
        answer: Option<Result<Response, Error>>,
        ledger: &mut Ledger,
    ) -> Result<(), Error> {
        let response = match answer {
            Some(Ok(response)) => response,
            Some(Err(error)) => return self.failed(bulk, error, ledger),
            None => return Ok(()),
        };
        match response.status {
            200..=299 => match answer::read(&response.body, bulk.items.len()) {
                Ok(verdicts) => {
                    (self.failures, self.trouble) = (0, None);
                    self.judge(&bulk, verdicts, ledger)
                }
                Err(error) => self.failed(bulk, error, ledger),
            },
            400 | 413 => {
                (self.failures, self.trouble) = (0, None);
                self.divide(&bulk, &response, ledger);
                Ok(())
            }
            _ => {
                let error = self.settings.error(&response);
                self.failed(bulk, error, ledger)
            }
        }
    }

    /// The server took the request, or most of it.
    fn judge(
        &mut self,
        bulk: &Bulk,
        verdicts: Option<Vec<Verdict>>,
        ledger: &mut Ledger,
    ) -> Result<(), Error> {
        self.leave(bulk);
        let Some(verdicts) = verdicts else {
            bulk.items.iter().for_each(|item| ledger.confirm(item.place));
            return Ok(());
        };
        let not_now =
            |(index, verdict): (usize, &Verdict)| matches!(verdict, Verdict::Again(_)).then_some(index);
        let not_now: HashSet<usize> = verdicts.iter().enumerate().filter_map(not_now).collect();
        let goes_again = bulk.again(&not_now);
        let mut why = None;
        for ((item, verdict), again) in bulk.items.iter().zip(verdicts).zip(&goes_again) {
            match verdict {
                Verdict::Again(reason) => why = why.or(Some(reason)),
                _ if *again => {}
                Verdict::Done => ledger.confirm(item.place),
                Verdict::Conflict => ledger.conflict(item.place),
                Verdict::Refused(reason) => ledger.refuse(item.place, reason),
            }
        }
        let Some(why) = why else { return Ok(()) };
        let mut rest = bulk.select(|index, _| goes_again[index]);
        rest.attempts += 1;
        self.enter(&rest);
        ledger.retried();
        log::warn!("{} of {} documents are not taken now: {why}", rest.items.len(), bulk.items.len());
        let due = Instant::now() + self.backoff(rest.attempts);
        self.enqueue(due, rest, &why)
    }

    /// A request failed as a whole. Everything waits for a while.
    fn failed(&mut self, mut bulk: Bulk, error: Error, ledger: &mut Ledger) -> Result<(), Error> {
        if error.kind() != Kind::Retriable {
            return Err(error);
        }
        ledger.failed();
        self.failures = self.failures.saturating_add(1);
        bulk.attempts += 1;
        let wait = error.after().unwrap_or_else(|| self.backoff(self.failures)).min(LONGEST_WAIT);
        let hold = Instant::now() + wait;
        self.hold = Some(self.hold.map_or(hold, |known| known.max(hold)));
        // One that several requests found wanting is left once.
        if bulk.server == self.server {
            self.server = (self.server + 1) % self.settings.servers.len();
        }
        self.trouble = Some(error.message().to_owned());
        log::warn!("{error}; it is tried again in {} ms", wait.as_millis());
        self.enqueue(hold, bulk, error.message())
    }

    /// To be sent again, unless that was done too often.
    fn enqueue(&mut self, due: Instant, bulk: Bulk, why: &str) -> Result<(), Error> {
        if bulk.attempts > self.settings.max_retries {
            let tries = bulk.attempts;
            return Err(Error::fatal(format!("given up after {tries} attempts (max.retries): {why}")));
        }
        if bulk.part {
            self.parts.push_front((due, bulk));
        } else {
            self.again.push((due, bulk));
        }
        Ok(())
    }

    /// The server does not take a request as it is.
    fn divide(&mut self, bulk: &Bulk, response: &Response, ledger: &mut Ledger) {
        self.leave(bulk);
        if let [item] = bulk.items[..] {
            let reason =
                response.json::<transom_sdk::Value>().map(|answer| answer::explain(&answer["error"]));
            let reason = reason.unwrap_or_else(|_| response.error().message().to_owned());
            return ledger.refuse(item.place, reason);
        }
        let middle = bulk.items.len() / 2;
        for second in [true, false] {
            let mut part = bulk.select(|index, _| (index >= middle) == second);
            part.part = true;
            self.enter(&part);
            self.parts.push_front((Instant::now(), part));
        }
    }

    fn backoff(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(20);
        self.settings.backoff.saturating_mul(1 << doublings).min(LONGEST_BACKOFF)
    }

    /// What has no answer yet is counted.
    fn enter(&mut self, bulk: &Bulk) {
        self.waiting += bulk.items.len();
        self.bytes += bulk.body.len();
        for item in bulk.items.iter().filter(|item| bulk.counted && item.document != 0) {
            *self.under_way.entry(item.document).or_default() += 1;
        }
    }

    fn leave(&mut self, bulk: &Bulk) {
        self.waiting -= bulk.items.len();
        self.bytes -= bulk.body.len();
        for item in bulk.items.iter().filter(|item| bulk.counted && item.document != 0) {
            if let Some(count) = self.under_way.get_mut(&item.document) {
                *count -= 1;
                if *count == 0 {
                    self.under_way.remove(&item.document);
                }
            }
        }
    }
}
