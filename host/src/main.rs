//! The program `transom`: reads the command line, sets up the log, does what was asked, and is the
//! one place that prints an error and decides on the exit code.

use std::error::Error as _;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use transom::cli::{self, Cli, Error};
use transom::telemetry::{Loggers, Telemetry};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match log(&cli).and_then(|loggers| cli::run(cli, loggers)) {
        Ok(exit_code) => exit_code,
        Err(error) => {
            report(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn log(cli: &Cli) -> Result<Loggers, Error> {
    let filter = ["TRANSOM_LOG", "RUST_LOG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|filter| !filter.is_empty()));
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    Ok(Telemetry { filter, format: cli.log_format, color }.install()?)
}

/// The error and everything that caused it, each on a line of its own.
fn report(error: &Error) {
    eprintln!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  caused by: {cause}");
        source = cause.source();
    }
}
