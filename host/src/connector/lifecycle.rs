//! What has to happen for a connector to be as it is wanted: a pure state machine.
//!
//! The wish is a [`Target`]; the world is whether anything of it runs: tasks, or its own instance. All changes
//! of the wish are legal and repeating one changes nothing (`kafka-connect` states: STOPPED holds no tasks;
//! PAUSED keeps those it has and makes none; RUNNING makes them when there are none).

use super::status::State;
pub(crate) use crate::config::Target;

/// What to do to the tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Ask the plugin for task configurations and start the tasks.
    Start,
    /// End the tasks in good order.
    Stop,
    /// Tell them to hold still.
    Pause,
    /// Tell them to go on.
    Resume,
    /// As it should be.
    Nothing,
}

/// What to do when `target` is wanted.
pub(crate) fn step(target: Target, is_active: bool) -> Step {
    match (target, is_active) {
        (Target::Running, false) => Step::Start,
        (Target::Running, true) => Step::Resume,
        (Target::Paused, true) => Step::Pause,
        (Target::Stopped, true) => Step::Stop,
        (Target::Paused | Target::Stopped, false) => Step::Nothing,
    }
}

/// The state to show once `target` is reached.
pub(crate) fn reached(target: Target) -> State {
    match target {
        Target::Running => State::Running,
        Target::Paused => State::Paused,
        Target::Stopped => State::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_connector_that_is_paused_makes_no_tasks() {
        assert_eq!(step(Target::Paused, false), Step::Nothing);
    }

    #[test]
    fn a_running_connector_without_tasks_starts() {
        assert_eq!(step(Target::Running, false), Step::Start);
    }

    #[test]
    fn only_stop_takes_the_tasks_away() {
        assert_eq!(step(Target::Stopped, true), Step::Stop);
        assert_eq!(step(Target::Paused, true), Step::Pause);
        assert_eq!(step(Target::Running, true), Step::Resume);
    }
}
