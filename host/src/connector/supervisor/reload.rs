//! Values that change where they stand: a connector whose configuration refers to them is started anew.
//!
//! Where a provider says how long its values count (`config.providers.<name>.param.ttl.ms`), they are read again after
//! that time. What they came to is remembered as a keyed hash alone, so that nothing secret is kept; only what differs
//! leads to a restart of the connector and its tasks (Kafka Connect restarts after each such time), and with
//! `config.action.reload=none` nothing does. What cannot be read is said and tried again: what runs goes on.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::ConnectorConfig;
use crate::plugin;

/// When to read again, and what was read last.
#[derive(Debug)]
pub(super) struct Reload {
    ttl: Duration,
    due: Instant,
    keys: RandomState,
    /// None: it could not be read.
    seen: Option<u64>,
}

impl Reload {
    /// None: nothing that it refers to ever has to be read again.
    pub(super) async fn of(config: &ConnectorConfig) -> Option<Self> {
        let ttl = config.vault.ttl(&config.raw).filter(|_| config.reload)?;
        let mut reload = Self { ttl, due: Instant::now() + ttl, keys: RandomState::new(), seen: None };
        reload.seen = reload.read(config).await;
        Some(reload)
    }

    /// Whether it was time to read again, and something has changed.
    pub(super) async fn is_news(this: Option<&mut Self>, config: &ConnectorConfig) -> bool {
        let Some(reload) = this.filter(|reload| reload.due <= Instant::now()) else { return false };
        let read = reload.read(config).await;
        reload.due = Instant::now() + reload.ttl;
        if read.is_none() || read == reload.seen {
            return false;
        }
        reload.seen = read;
        info!(
            connector = config.name,
            "what the configuration refers to has changed: restarting with the new values"
        );
        true
    }

    async fn read(&self, config: &ConnectorConfig) -> Option<u64> {
        match plugin::resolve(&config.vault, &config.raw).await {
            Ok(resolved) => Some(self.keys.hash_one(&resolved)),
            Err(problems) => {
                warn!(
                    connector = config.name,
                    "what the configuration refers to cannot be read again; the connector goes on with what it has: \
                     {problems}"
                );
                None
            }
        }
    }
}
