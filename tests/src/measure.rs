//! Figures of a plugin beside a native client: what a run takes, and the medians of several.

use std::time::Duration;

/// What a run took.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// From its beginning on.
    pub whole: Duration,
    /// Records a second from the first ones that were seen on.
    pub rate: f64,
    /// CPU time in milliseconds.
    pub cpu_ms: f64,
}

/// Measures both sides, in turn the first, since a server gets faster all the time. Of so many runs the `warm` first are
/// not among the pairs that are returned.
pub fn in_turn<S>(
    sides: &mut S,
    warm: usize,
    runs: usize,
    native: impl Fn(&mut S) -> Run,
    plugin: impl Fn(&mut S, usize) -> Run,
) -> Vec<(Run, Run)> {
    let both = |run: usize| {
        let pair = if run.is_multiple_of(2) {
            let native = native(sides);
            (native, plugin(sides, run))
        } else {
            let plugin = plugin(sides, run);
            (native(sides), plugin)
        };
        eprintln!("  run {run}: native {:?}\n         plugin {:?}", pair.0, pair.1);
        pair
    };
    (0..warm + runs).map(both).collect::<Vec<_>>().split_off(warm)
}

/// Prints the medians of runs of `total` records, first of each pair the native client's, and how they compare.
pub fn compare(what: &str, runs: &[(Run, Run)], total: usize) {
    let median = |of: &dyn Fn(&(Run, Run)) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let report = |who: &str, of: fn(&(Run, Run)) -> Run| {
        let rate = median(&|pair| of(pair).rate);
        let whole = median(&|pair| total as f64 / of(pair).whole.as_secs_f64());
        let cpu = median(&|pair| of(pair).cpu_ms * 1_000.0 / total as f64);
        eprintln!("{who}, {what}: {rate:.0} records/s ({whole:.0} with the start), {cpu:.2} us CPU a record");
        (rate, whole)
    };
    let native = report("native (its CPU with the test's)", |pair| pair.0);
    let plugin = report("plugin", |pair| pair.1);
    let (rate, whole) = (plugin.0 / native.0, plugin.1 / native.1);
    eprintln!("{what}: the plugin has {rate:.2} of the native rate ({whole:.2} with the start)");
}
