//! `/metrics`: what the tasks count, in Prometheus' text format. Nothing is computed before somebody asks.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::Worker;
use crate::connector::TaskView;
use crate::task::metrics::TaskMetrics;
use crate::task::status::State;

/// A figure of every task.
struct Figure {
    name: &'static str,
    help: &'static str,
    value: Value,
}

enum Value {
    Counter(fn(&TaskMetrics) -> u64),
    Seconds(fn(&TaskMetrics) -> Duration),
    Gauge(fn(&TaskMetrics) -> i64),
}

/// The names, in one table.
const FIGURES: &[Figure] = &[
    counter("transom_task_records_in", "Records polled from the plugin or consumed from Kafka", |m| {
        m.records_in.get()
    }),
    counter("transom_task_bytes_in", "Bytes of their keys and values", |m| m.bytes_in.get()),
    counter("transom_task_records_out", "Records acknowledged by Kafka or taken by the plugin", |m| {
        m.records_out.get()
    }),
    counter("transom_task_bytes_out", "Bytes of their keys and values, where counted", |m| m.bytes_out.get()),
    counter("transom_task_batches", "Batches that crossed the plugin's boundary", |m| m.batches.get()),
    counter("transom_task_commits", "Offsets made durable", |m| m.commits.get()),
    counter("transom_task_commit_failures", "Attempts to make offsets durable that failed", |m| {
        m.commit_failures.get()
    }),
    counter("transom_task_retries", "Calls of the plugin that ended with a retriable error", |m| {
        m.retries.get()
    }),
    counter("transom_task_dead_letters", "Failed records written to the dead letters", |m| {
        m.dead_letters.get()
    }),
    counter("transom_task_records_skipped", "Failed records left out", |m| m.records_skipped.get()),
    counter("transom_task_failures", "Failures of the task", |m| m.failures.get()),
    counter("transom_task_restarts", "Starts after a failure", |m| m.restarts.get()),
    counter("transom_task_swaps", "Replacements of the plugin", |m| m.swaps.get()),
    counter("transom_task_swap_failures", "Replacements of the plugin that failed", |m| {
        m.swap_failures.get()
    }),
    counter("transom_task_rollbacks", "Replacements of the plugin that were taken back", |m| {
        m.rollbacks.get()
    }),
    counter("transom_task_guest_calls", "Calls into the plugin", |m| m.guest.calls()),
    counter("transom_task_guest_refusals", "Requests of the plugin for what is not granted", |m| {
        m.guest.refusals()
    }),
    counter("transom_task_guest_connections", "Connections made for the plugin", |m| m.guest.connections()),
    counter("transom_task_guest_requests", "HTTP requests sent for the plugin", |m| m.guest.requests()),
    counter("transom_task_guest_sent_bytes", "Bytes the plugin sent over its connections", |m| {
        m.guest.traffic().0
    }),
    counter("transom_task_guest_received_bytes", "Bytes the plugin received over its connections", |m| {
        m.guest.traffic().1
    }),
    counter("transom_task_guest_log_dropped", "Log lines of the plugin beyond its rate", |m| {
        m.guest.lines_dropped()
    }),
    gauge("transom_task_in_flight_records", "Records sent to Kafka and not yet acknowledged", |m| {
        m.in_flight_records.get()
    }),
    gauge("transom_task_in_flight_bytes", "Bytes of those", |m| m.in_flight_bytes.get()),
    gauge(
        "transom_task_lag_records",
        "Records of the assigned partitions that the plugin has not taken",
        |m| m.lag.get(),
    ),
    gauge("transom_task_partitions", "Partitions assigned", |m| m.partitions.get()),
    gauge("transom_task_guest_memory_bytes", "Linear memory of the plugin's instance", |m| {
        m.guest.memory() as i64
    }),
    Figure {
        name: "transom_task_guest_seconds",
        help: "Time spent in calls of the plugin",
        value: Value::Seconds(|m| m.guest.busy()),
    },
    Figure {
        name: "transom_task_guest_held_seconds",
        help: "Time for which the plugin's share of the processor (cpu.max) held it back",
        value: Value::Seconds(|m| m.guest.held()),
    },
];

const fn counter(name: &'static str, help: &'static str, value: fn(&TaskMetrics) -> u64) -> Figure {
    Figure { name, help, value: Value::Counter(value) }
}

const fn gauge(name: &'static str, help: &'static str, value: fn(&TaskMetrics) -> i64) -> Figure {
    Figure { name, help, value: Value::Gauge(value) }
}

impl Worker {
    /// All metrics of the worker.
    pub(crate) fn metrics_text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Tasks(self.clone())));
        let mut text = String::new();
        match text::encode(&mut text, &registry) {
            Ok(()) => text,
            Err(fmt::Error) => unreachable!("a String takes everything"),
        }
    }
}

/// Reads the tasks when the registry is encoded.
#[derive(Debug)]
struct Tasks(Worker);

impl Collector for Tasks {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let connectors: Vec<(String, Vec<TaskView>)> =
            self.0.lock().iter().map(|(name, entry)| (name.clone(), entry.connector.shown.tasks())).collect();
        let each = || {
            connectors.iter().flat_map(|(name, tasks)| {
                tasks.iter().map(move |task| (labels(name, task.status.borrow().id), task))
            })
        };
        for figure in FIGURES {
            let kind = match figure.value {
                Value::Gauge(_) => MetricType::Gauge,
                _ => MetricType::Counter,
            };
            let mut family = encoder.encode_descriptor(figure.name, figure.help, None, kind)?;
            for (labels, task) in each() {
                let metrics = &task.metrics;
                let at = family.encode_family(&labels)?;
                match figure.value {
                    Value::Counter(read) => ConstCounter::new(read(metrics)).encode(at)?,
                    Value::Seconds(read) => ConstCounter::new(read(metrics).as_secs_f64()).encode(at)?,
                    Value::Gauge(read) => ConstGauge::new(read(metrics)).encode(at)?,
                }
            }
        }
        let help = "Whether the task is in this state";
        let mut family = encoder.encode_descriptor("transom_task_running", help, None, MetricType::Gauge)?;
        for (labels, task) in each() {
            let running = task.status.borrow().state == State::Running;
            ConstGauge::new(i64::from(running)).encode(family.encode_family(&labels)?)?;
        }
        let help = "Gauges that plugins set";
        let mut family = encoder.encode_descriptor("transom_plugin_metric", help, None, MetricType::Gauge)?;
        for ([connector, task], view) in each() {
            for (name, value) in view.metrics.guest.named() {
                let labels = [connector.clone(), task.clone(), ("name", name)];
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn labels(connector: &str, task: u32) -> [(&'static str, String); 2] {
    [("connector", connector.to_owned()), ("task", task.to_string())]
}
