//! Restarts that somebody asks for.

use std::collections::BTreeSet;

use super::Supervisor;
use crate::connector::Restart;
use crate::connector::status::State;
use crate::connector::tasks::Task;

impl Supervisor {
    /// Shows what is going to be restarted, before whoever asked for it is answered.
    pub(super) fn announce(&self, what: Restart) {
        if what.include_tasks {
            self.shown.set_restarting(self.chosen(what));
        }
        let itself = !what.only_failed || self.shown.has_failed();
        if itself && (self.tasks.is_empty() || self.watches()) {
            self.shown.set_state(State::Restarting);
        }
    }

    /// The tasks that a restart concerns.
    fn chosen(&self, what: Restart) -> BTreeSet<u32> {
        let concerns = |task: &&Task| !what.only_failed || task.view.status.borrow().state == State::Failed;
        self.tasks.iter().filter(concerns).map(|task| task.number).collect()
    }

    pub(super) async fn restart(&mut self, what: Restart) {
        let limit = self.services.config.shutdown_timeout;
        let failed = self.shown.has_failed();
        let itself = !what.only_failed || failed;
        // What is all the connector is, or what failed before all of its tasks were there, starts from nothing.
        if self.tasks.is_empty() || (failed && what.include_tasks && !self.watches()) {
            if itself {
                self.shown.set_state(State::Restarting);
                self.stop(limit).await;
                self.reach().await;
            }
            return;
        }
        if itself && self.watches() {
            self.shown.set_state(State::Restarting);
            self.unobserve(limit).await;
            self.reach().await;
        }
        if what.include_tasks {
            self.restart_tasks(self.chosen(what)).await;
        }
    }

    pub(super) async fn restart_tasks(&mut self, chosen: BTreeSet<u32>) {
        let limit = self.services.config.shutdown_timeout;
        let stopped = self.tasks.stop_some(&self.config.name, &chosen, limit).await;
        let _ = self.begin(stopped.into_iter().map(|task: Task| (task.number, task.view.config)).collect());
    }
}
