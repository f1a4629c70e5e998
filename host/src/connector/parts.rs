//! What a task is made of, from what the worker and the connector's configuration say.

use std::sync::Arc;
use std::time::Duration;

use super::Services;
use crate::config::{ConnectorConfig, Kind, Problem, Problems, Sandbox};
use crate::kafka::{ClientKind, ClientSettings, ClientSource, Subscription, resolve};

use crate::task::failure::Failure;
use crate::task::sink::{Members, RejectParts, SinkParts, group_of};
use crate::task::source::SourceParts;

/// What librdkafka and Java take for `session.timeout.ms` where nobody says.
const SESSION: Duration = Duration::from_secs(45);

/// A sink's consumer group.
#[derive(Debug)]
pub(crate) struct Sought {
    pub(crate) group: String,
    /// How long a member stays that has gone without a word.
    pub(crate) session: Duration,
}

impl Services {
    /// Whether the connector's clients can be configured as it wishes.
    pub(crate) fn check_clients(&self, config: &ConnectorConfig, kind: Kind) -> Result<(), Problems> {
        let client = match kind {
            Kind::Source => ClientKind::Producer,
            _ => ClientKind::Consumer,
        };
        self.client(config, client).map(drop)
    }

    /// The consumer group of a sink.
    pub(crate) fn group(&self, config: &ConnectorConfig) -> Result<Sought, Problems> {
        let settings = self.client(config, ClientKind::Consumer)?;
        let session = settings.get("session.timeout.ms").and_then(|text| text.parse().ok());
        Ok(Sought {
            group: group_of(&settings, &config.name),
            session: session.map_or(SESSION, Duration::from_millis),
        })
    }

    /// Whether a sink's consumers would be in the group of the cluster's workers. Kafka Connect's words.
    pub(crate) fn check_group(&self, config: &ConnectorConfig, kind: Kind) -> Result<(), Problems> {
        let (Kind::Sink, Some(cluster)) = (kind, &self.config.cluster) else { return Ok(()) };
        let settings = self.client(config, ClientKind::Consumer)?;
        if group_of(&settings, &config.name) != cluster.group {
            return Ok(());
        }
        let key = match config.consumer_overrides.contains_key("group.id") {
            true => "consumer.override.group.id",
            false => "name",
        };
        let message = format!(
            "Consumer group for sink connector named {} conflicts with Connect worker group {}",
            config.name, cluster.group
        );
        let value = config.raw.get(key).cloned();
        Err(Problems(vec![Problem { key: key.to_owned(), value, message }]))
    }

    pub(super) fn client(
        &self,
        config: &ConnectorConfig,
        kind: ClientKind,
    ) -> Result<ClientSettings, Problems> {
        let worker = &self.config;
        let (prefixed, written) = match kind {
            ClientKind::Producer => (&worker.producer, &config.producer_overrides),
            ClientKind::Consumer => (&worker.consumer, &config.consumer_overrides),
            ClientKind::Admin => (&worker.admin, &config.admin_overrides),
        };
        let policy = worker.override_policy;
        let overrides = &config.vault.resolve(written)?;
        resolve(kind, &ClientSource { common: &worker.client, prefixed, overrides, policy })
            .map_err(|problems| worker.vault.hide_problems(config.vault.hide_problems(problems)))
    }

    pub(super) fn source_parts(
        self: &Arc<Self>,
        config: &ConnectorConfig,
        sandbox: Arc<Sandbox>,
    ) -> Result<SourceParts, Failure> {
        Ok(SourceParts {
            producers: self.producers.clone(),
            settings: self.client(config, ClientKind::Producer).map_err(Failure::Clients)?,
            store: self.offsets.clone(),
            converters: config.converters,
            sandbox,
            in_flight: self.config.in_flight_bytes,
        })
    }

    pub(super) fn sink_parts(
        self: &Arc<Self>,
        config: &ConnectorConfig,
        sandbox: Arc<Sandbox>,
        task: u32,
    ) -> Result<SinkParts, Failure> {
        let subscription = match &config.topics_regex {
            Some(pattern) => Subscription::Pattern(pattern.clone()),
            None => Subscription::Topics(config.topics.clone()),
        };
        let members = Members {
            admin: self.admin.clone(),
            connector: config.name.clone(),
            task,
            tasks_max: config.tasks_max,
            worker: self.config.static_membership.then(|| self.identity.clone()),
            seat: self.roster.seat(),
        };
        Ok(SinkParts {
            settings: self.client(config, ClientKind::Consumer).map_err(Failure::Clients)?,
            subscription,
            members,
            prefetch: self.prefetch.share(),
            converters: config.converters,
            sandbox,
            commit_interval: self.config.offset_flush_interval,
            commit_timeout: self.config.offset_flush_timeout,
        })
    }

    pub(super) fn reject_parts(&self, config: &ConnectorConfig) -> Result<RejectParts, Failure> {
        Ok(RejectParts {
            errors: config.errors.clone(),
            admin: self.admin.clone(),
            producers: self.producers.clone(),
            settings: self.client(config, ClientKind::Producer).map_err(Failure::Clients)?,
        })
    }
}
