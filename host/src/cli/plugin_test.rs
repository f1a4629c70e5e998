//! `transom plugin test`: from the command line to the acceptance kit, and its lines to standard output.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Error, engine, print, runtime};
use crate::config::{self, Problems};
use crate::kit;

pub(super) const EXAMPLE: &str = "\
Example:
  transom plugin test target/plugins/file-source.wasm --grant fs=/var/data/in \\
    --config file=/var/data/in/lines.txt --config topic=lines";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The component: `<name>.wasm` or `<name>@<version>.wasm`.
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// A setting of the connector, or a file of them (properties, or JSON); may be repeated.
    #[arg(long, value_name = "KEY=VALUE|FILE")]
    config: Vec<String>,
    /// The worker's settings, of which `sandbox.*` are the plugin's grants and limits; `config.providers*` and
    /// `secret.*` give what `${provider:path:key}` and the plugin itself ask for.
    #[arg(long, value_name = "WORKER.PROPERTIES")]
    worker: Option<PathBuf>,
    /// A grant or a limit beside them, such as `fs=/dir:rw` or `memory.max=33554432`; may be repeated.
    #[arg(long, value_name = "GRANT=VALUE")]
    grant: Vec<String>,
    /// How many records a check works with.
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(10..=100_000))]
    records: u32,
    /// Print JSON, all at once at the end.
    #[arg(long)]
    json: bool,
}

/// Tells on standard output what of the contract holds: 0 if all of it does.
pub(super) fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let Arguments { file, config, worker, grant, records, json } = arguments;
    let name = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let name = name.split('@').next().unwrap_or_default();
    let mut problems = Problems::default();
    let mut keep = |found: Problems| problems.0.extend(found.0);
    let settings = config::load_settings(&config).map_err(&mut keep).ok();
    let with = settings.clone().unwrap_or_default();
    let bench = config::load_bench(worker.as_deref(), name, &grant, &with).map_err(&mut keep).ok();
    let (Some(_), Some(bench)) = (settings, bench) else { return Err(problems.into()) };
    let vault = bench.vault.clone();
    let mut printed = Ok(());
    let mut tell = |outcome: &kit::Outcome| {
        if !json && printed.is_ok() {
            printed = print(&vault.hide(&outcome.to_string()));
        }
    };
    let options = kit::Options { file, bench, records };
    let report = runtime()?.block_on(kit::run(&engine()?, options, &mut tell));
    printed?;
    print(&vault.hide(&if json { report.to_json() } else { report.to_string() }))?;
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
