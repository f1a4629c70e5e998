//! What the checks found, a line each.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use serde::Serialize;

use crate::plugin::CallError;

/// Something that the contract demands.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    /// Where the contract says it, and what.
    pub(super) contract: &'static str,
    /// Checks without which this one says nothing.
    pub(super) needs: &'static [&'static str],
}

/// What a check came to: what was seen where it holds.
pub(super) type Checked = Result<String, Miss>;

/// Why a check does not hold, or was not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Miss {
    Failed(String),
    /// The same, by a call that was not done in time.
    Late(String),
    Skipped(String),
}

impl From<CallError> for Miss {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Deadline { .. } => Self::Late(told(&error)),
            _ => Self::Failed(told(&error)),
        }
    }
}

/// An error and its causes, on one line.
pub(super) fn told(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

/// Whether a check holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    Failed,
    Skipped,
}

/// What became of one check.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    check: &'static str,
    pub(crate) verdict: Verdict,
    /// What was seen, what is wrong, or why it was not made.
    note: String,
    contract: &'static str,
}

/// For people: the contract is quoted where it is broken.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, verdict, note, contract } = self;
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::Skipped => "skipped",
        };
        write!(f, "{verdict:<8} {check:<18} {note}")?;
        if self.verdict == Verdict::Failed {
            write!(f, "\n{:28}the contract, {contract}", "")?;
        }
        Ok(())
    }
}

/// All checks that were made, in their order.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    checks: Vec<Outcome>,
}

impl Report {
    /// Whether nothing failed, and anything was found to hold.
    pub(crate) fn holds(&self) -> bool {
        self.count(Verdict::Failed) == 0 && self.count(Verdict::Ok) > 0
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("names and texts are JSON")
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|outcome| outcome.verdict == verdict).count()
    }
}

/// The last line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ok, failed, skipped] =
            [Verdict::Ok, Verdict::Failed, Verdict::Skipped].map(|verdict| self.count(verdict));
        write!(f, "{} checks: {ok} ok, {failed} failed, {skipped} skipped", self.checks.len())
    }
}

/// Makes checks one after the other, and tells of each as soon as it is made.
pub(super) struct Recorder<'a> {
    report: Report,
    tell: &'a mut dyn FnMut(&Outcome),
}

impl<'a> Recorder<'a> {
    pub(super) fn new(tell: &'a mut dyn FnMut(&Outcome)) -> Self {
        Self { report: Report::default(), tell }
    }

    /// Makes a check, unless one that it needs did not hold.
    pub(super) async fn check(&mut self, check: &Check, work: impl Future<Output = Checked>) {
        let lacking = check.needs.iter().find(|name| !self.holds(name));
        let checked = match lacking {
            Some(name) => Err(Miss::Skipped(format!("it needs {name}"))),
            None => Box::pin(work).await,
        };
        let (verdict, note) = match checked {
            Ok(note) => (Verdict::Ok, note),
            Err(Miss::Failed(note) | Miss::Late(note)) => (Verdict::Failed, note),
            Err(Miss::Skipped(note)) => (Verdict::Skipped, note),
        };
        let outcome = Outcome { check: check.name, verdict, note, contract: check.contract };
        (self.tell)(&outcome);
        self.report.checks.push(outcome);
    }

    /// Whether a check was made and holds.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.report.checks.iter().any(|outcome| outcome.check == name && outcome.verdict == Verdict::Ok)
    }

    pub(super) fn finish(self) -> Report {
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Check = Check { name: "first", contract: "wit/plugin.wit: first things first", needs: &[] };
    const SECOND: Check = Check { name: "second", contract: "wit/plugin.wit: then", needs: &["first"] };

    async fn report(first: Checked) -> (Report, Vec<String>) {
        let mut lines = Vec::new();
        let mut tell = |outcome: &Outcome| lines.push(outcome.to_string());
        let mut recorder = Recorder::new(&mut tell);
        recorder.check(&FIRST, async { first }).await;
        recorder.check(&SECOND, async { Ok("seen".to_owned()) }).await;
        (recorder.finish(), lines)
    }

    #[tokio::test]
    async fn what_holds_is_told_in_a_line() {
        let (report, lines) = report(Ok("2 ms".to_owned())).await;
        assert_eq!(lines, ["ok       first              2 ms", "ok       second             seen"]);
        assert!(report.holds());
    }

    #[tokio::test]
    async fn a_failure_quotes_the_contract_and_spares_those_that_need_it() {
        let (report, lines) = report(Err(Miss::Failed("it trapped".to_owned()))).await;
        assert!(lines[0].starts_with("FAILED   first              it trapped\n"), "{lines:?}");
        assert!(lines[0].ends_with("the contract, wit/plugin.wit: first things first"), "{lines:?}");
        assert_eq!(lines[1], "skipped  second             it needs first");
        assert!(!report.holds());
        assert_eq!(report.to_string(), "2 checks: 0 ok, 1 failed, 1 skipped");
    }
}
