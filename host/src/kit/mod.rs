//! The acceptance kit: `transom plugin test` drives a plugin through the contract, black box and without Kafka,
//! and tells what holds and what does not.
//!
//! A check stands for a sentence of the contract ([`contract`]). Each is made on instances of its own, by the code
//! that the worker itself calls plugins with, so what holds here holds there. A check that says nothing without
//! another (a source that cannot be polled cannot resume) is skipped when that one fails: one mistake is told once.
//!
//! What bounds it: a call by `sandbox.<plugin>.call.timeout.ms`, waiting for what should come by a few seconds,
//! a check by the number of records. What it cannot see is the outside system: that a sink's records are there, and
//! that a source's were all of them, is for the plugin's own tests.
//!
//! ```text
//! load ─▶ describe ─▶ validate ─▶ connector ─▶ task ─┬─▶ source ─┬─▶ limits ─▶ Report
//!                                                    └─▶ sink ───┘
//! ```

mod connector;
mod contract;
mod describe;
mod limits;
mod report;
mod rig;
mod sink;
mod source;

use std::path::PathBuf;

use self::report::Recorder;
pub(crate) use self::report::{Outcome, Report};
use self::rig::Rig;
use crate::config::{Bench, Kind};
use crate::plugin::Engine;

/// What is tested, and with what.
#[derive(Debug)]
pub(crate) struct Options {
    /// The component.
    pub(crate) file: PathBuf,
    pub(crate) bench: Bench,
    /// How many records a check works with.
    pub(crate) records: u32,
}

/// Makes all checks, and tells of each as soon as it is made.
pub(crate) async fn run(engine: &Engine, options: Options, tell: &mut dyn FnMut(&Outcome)) -> Report {
    let Options { file, bench, records } = options;
    let Bench { sandboxes, settings, vault } = bench;
    let mut recorder = Recorder::new(tell);
    let Some(plugin) = describe::load(&mut recorder, engine, &file, &sandboxes).await else {
        return recorder.finish();
    };
    let sandbox = sandboxes.of(plugin.name());
    describe::look(&mut recorder, &plugin, &sandbox).await;
    let mut rig = Rig::new(plugin, (sandbox, vault), settings, records as usize);
    if rig.plugin.kind() == Kind::Transform {
        return recorder.finish();
    }
    connector::check(&mut recorder, &mut rig).await;
    limits::check_life(&mut recorder, &rig).await;
    match rig.plugin.kind() {
        Kind::Source => source::check(&mut recorder, &rig).await,
        _ => sink::check(&mut recorder, &rig).await,
    }
    limits::check(&mut recorder, &rig).await;
    recorder.finish()
}
