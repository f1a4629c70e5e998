//! The listeners of a worker, from before it starts until it has ended.

use tokio::sync::oneshot;

use super::{Error, version_line};
use crate::config::WorkerConfig;
use crate::rest::Server;
use crate::worker::Worker;

/// Opens the listeners. Whoever asked for port 0 is reached at the port that it became.
pub(super) async fn bind(config: &mut WorkerConfig) -> Result<Server, Error> {
    let server = Server::bind(&config.rest).await?;
    if let (Some(host), Some(address)) = (config.advertised.strip_suffix(":0"), server.addresses().first()) {
        config.advertised = format!("{host}:{}", address.port());
    }
    Ok(server)
}

/// Serves a worker for as long as `life` takes, and ends both in good order.
pub(super) async fn serve<T>(server: Server, worker: &Worker, life: impl Future<Output = T>) -> T {
    tracing::info!(version = version_line(), listeners = ?server.addresses(), "the worker is ready");
    let (stop_serving, stopped) = oneshot::channel();
    let serving = tokio::spawn(server.serve(worker.clone(), async {
        // Dropped or sent: it is time.
        let _: Result<(), _> = stopped.await;
    }));
    let lived = life.await;
    worker.shutdown().await;
    let _ = stop_serving.send(());
    let _ = serving.await;
    tracing::info!("the worker has stopped");
    lived
}
