//! Calls that block, on threads of their own: tokio's shared pool would fill up with them when a broker is
//! away, and stall everything else that uses it.

use std::thread;

use tokio::sync::oneshot;

use super::KafkaError;

/// Runs `call` on a new thread and waits for it.
pub(super) async fn on_thread<T: Send + 'static>(
    name: &str,
    call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    let (done, result) = oneshot::channel();
    let started = thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Who does not wait any more was dropped, and needs no answer.
        let _ = done.send(call());
    });
    match started {
        Ok(_) => result.await.unwrap_or_else(|_| Err(KafkaError::local(format!("{name} panicked")))),
        Err(error) => Err(KafkaError::local(format!("no thread for {name}: {error}"))),
    }
}
