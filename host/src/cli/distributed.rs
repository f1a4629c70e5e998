//! `transom distributed`: a worker of a cluster.
//!
//! Its listeners are open before it touches anything, and are served once it has read the cluster's state: who asks
//! earlier waits. It may wait long for Kafka, and a signal ends that, too.

use std::path::PathBuf;

use clap::Args;

use super::serving::{bind, serve};
use super::{Error, on_signal, program};
use crate::config::{self, Mode, WorkerConfig};
use crate::telemetry::Loggers;
use crate::worker::{Start, Worker};

pub(super) const EXAMPLE: &str = "\
Example:
  transom distributed worker.properties

worker.properties:
  bootstrap.servers=localhost:9092
  group.id=transom
  config.storage.topic=transom-configs
  offset.storage.topic=transom-offsets
  status.storage.topic=transom-status
  plugin.path=/opt/transom/plugins
  key.converter=org.apache.kafka.connect.storage.StringConverter
  value.converter=org.apache.kafka.connect.storage.StringConverter

Connectors are created by the REST API and kept in Kafka, in Kafka Connect's own formats: a cluster of Java workers is
taken over by the same group.id and topics, once its workers have ended, and given back in the same way. Workers with
the same group.id stand by for each other.";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The worker's settings, under Kafka Connect's names.
    #[arg(value_name = "WORKER.PROPERTIES")]
    worker: PathBuf,
}

pub(super) fn help() -> String {
    format!("{EXAMPLE}\n\nSettings in WORKER.PROPERTIES:\n\n{}", config::help(Mode::Distributed))
}

/// Runs a worker until a signal.
pub(super) async fn run(arguments: Arguments, loggers: Loggers) -> Result<(), Error> {
    let mut config = config::load_worker(Mode::Distributed, &arguments.worker)?;
    let mut stop = on_signal()?;
    let server = bind(&mut config).await?;
    let worker = tokio::select! {
        started = start(config, loggers) => started?,
        _ = &mut stop => return Ok(()),
    };
    // The sender lives until the process ends.
    let _ = serve(server, &worker, stop).await;
    Ok(())
}

async fn start(config: WorkerConfig, loggers: Loggers) -> Result<Worker, Error> {
    let cluster = config.cluster.clone().expect("read for a worker of a cluster");
    Ok(Worker::join(Start { config, program: program()?, loggers }, cluster).await?)
}
