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
