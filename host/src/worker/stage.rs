//! What the worker is at, for the answer to a request that takes too long.
//!
//! Work that may wait says what for, in Kafka Connect's words where it has some, and takes that back when it is
//! done. It belongs to the request, not to the worker: several are at work at once here, and who waits wants to
//! know of its own.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::lock::unpoisoned;

tokio::task_local! {
    static STAGES: Stages;
}

/// What one request has been at. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stages(Arc<Mutex<Vec<Stage>>>);

#[derive(Debug, Clone)]
struct Stage {
    what: String,
    begun: SystemTime,
    ended: Option<SystemTime>,
}

/// Ends its stage when dropped.
#[derive(Debug)]
pub(crate) struct Guard(Option<(Stages, usize)>);

/// Something is begun that may take its time.
pub(crate) fn enter(what: impl Into<String>) -> Guard {
    let stage = Stage { what: what.into(), begun: SystemTime::now(), ended: None };
    // Outside of a request nobody asks.
    Guard(STAGES.try_with(Clone::clone).ok().map(|stages| {
        let mut list = unpoisoned(stages.0.lock());
        list.push(stage);
        let index = list.len() - 1;
        drop(list);
        (stages, index)
    }))
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((stages, index)) = self.0.take() {
            unpoisoned(stages.0.lock())[index].ended = Some(SystemTime::now());
        }
    }
}

impl Stages {
    /// Does a request's work, whose stages these are.
    pub(crate) fn scope<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        STAGES.scope(self.clone(), work)
    }

    /// A sentence about the stage that is under way, or else about the last one: what it was, when it began, and
    /// when it ended. `show` writes a time.
    pub(crate) fn summary(&self, show: impl Fn(SystemTime) -> String) -> Option<String> {
        let list = unpoisoned(self.0.lock());
        let under_way = list.iter().rev().find(|stage| stage.ended.is_none());
        let Stage { what, begun, ended } = under_way.or_else(|| list.last())?;
        Some(match ended {
            None => format!("The worker is currently {what}, which began at {}", show(*begun)),
            Some(ended) => format!(
                "The last operation the worker completed was {what}, which began at {} and completed at {}",
                show(*begun),
                show(*ended)
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_innermost_stage_that_is_under_way_is_told_and_else_the_last() {
        let stages = Stages::default();
        let told = |stages: &Stages| stages.summary(|_| "T".to_owned());
        assert_eq!(told(&stages), None);
        let seen = stages.clone();
        stages
            .scope(async {
                let _outer = enter("stopping x");
                drop(enter("thinking"));
                assert_eq!(told(&seen).unwrap(), "The worker is currently stopping x, which began at T");
                let _inner = enter("writing y");
                assert_eq!(told(&seen).unwrap(), "The worker is currently writing y, which began at T");
            })
            .await;
        let last =
            "The last operation the worker completed was writing y, which began at T and completed at T";
        assert_eq!(told(&stages).unwrap(), last);
    }

    #[test]
    fn outside_of_a_request_nothing_is_kept() {
        drop(enter("starting"));
    }
}
