//! `cpu.max`: the share of a core that a guest may have.
//!
//! What a guest uses is read from the clock of the thread that runs it, so that a busy machine is not put down
//! to it. Every stretch of it is paid for by time: at a share of a tenth, 10 ms take 100 ms to be paid. A guest may
//! run ahead by [`AHEAD`], so that a short call is not stretched; who is further ahead is not run until all is paid.
//! The engine's tick bounds how far further that can be. Time that was not used is not saved up.
//!
//! A guest that is held back is within its call, and the call's deadline does not wait for it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, Sleep};

/// How far ahead of its share a guest may be.
const AHEAD: Duration = Duration::from_millis(100);

/// What an instance has used of its share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    permille: u32,
    /// Until then the share pays for what was used.
    paid: Instant,
}

impl Share {
    /// `None`: a guest runs on one thread at a time, so that a core or more is no limit.
    pub(crate) fn new(permille: Option<u32>) -> Option<Self> {
        let permille = permille.filter(|permille| *permille < 1000)?;
        Some(Self { permille: permille.max(1), paid: Instant::now() })
    }

    fn used(&mut self, cpu: Duration, now: Instant) {
        let begin = now.checked_sub(cpu).unwrap_or(now);
        self.paid = self.paid.max(begin) + cpu.saturating_mul(1000) / self.permille;
    }

    /// When it may run again; `None`: now.
    fn held_until(&self, now: Instant) -> Option<Instant> {
        (self.paid > now + AHEAD).then_some(self.paid)
    }
}

/// Holds one call's guest back.
#[derive(Debug)]
pub(crate) struct Brake<'a> {
    share: &'a mut Share,
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
    held: Duration,
}

impl<'a> Brake<'a> {
    pub(crate) fn new(share: &'a mut Share) -> Self {
        Self { share, sleep: None, held: Duration::ZERO }
    }

    /// Ready when the guest may run.
    pub(crate) fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.sleep.is_none() {
            let now = Instant::now();
            let until = self.share.held_until(now);
            self.sleep = until.map(|until| (now, Box::pin(tokio::time::sleep_until(until))));
        }
        if let Some((_, sleep)) = &mut self.sleep {
            ready!(sleep.as_mut().poll(context));
            self.held = self.held();
            self.sleep = None;
        }
        Poll::Ready(())
    }

    /// How long it held the guest back, up to now.
    pub(crate) fn held(&self) -> Duration {
        self.held + self.sleep.as_ref().map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }

    /// Runs the guest for a stretch, and counts it.
    pub(crate) fn run<T>(&mut self, stretch: impl FnOnce() -> T) -> T {
        let begin = thread_time();
        let result = stretch();
        self.share.used(thread_time().saturating_sub(begin), Instant::now());
        result
    }
}

/// What this thread has computed since it began.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_guest_gets_its_share_in_the_long_run() {
        let begin = Instant::now();
        let mut share = Share { permille: 250, paid: begin };
        let (mut now, mut used) = (begin, Duration::ZERO);
        while used < MS * 10_000 {
            if let Some(until) = share.held_until(now) {
                now = until;
            }
            now += MS * 10;
            used += MS * 10;
            share.used(MS * 10, now);
        }
        let took = now - begin;
        assert!(took >= used * 4 - AHEAD * 2 && took <= used * 4, "{took:?} for {used:?}");
    }

    #[test]
    fn a_short_stretch_is_not_held_back() {
        let now = Instant::now();
        let mut share = Share { permille: 100, paid: now };
        share.used(MS * 11, now + MS * 11);
        assert_eq!(share.held_until(now + MS * 11), None);
        share.used(MS * 10, now + MS * 21);
        assert_eq!(share.held_until(now + MS * 21), Some(now + MS * 210));
    }

    #[test]
    fn idle_time_is_not_saved_up() {
        let now = Instant::now();
        let mut share = Share { permille: 500, paid: now };
        let later = now + MS * 60_000;
        share.used(MS * 200, later);
        assert_eq!(share.held_until(later), Some(later + MS * 200));
    }

    #[test]
    fn a_core_is_no_limit() {
        assert!(Share::new(None).is_none() && Share::new(Some(1000)).is_none());
        assert_eq!(Share::new(Some(999)).map(|share| share.permille), Some(999));
    }
}
