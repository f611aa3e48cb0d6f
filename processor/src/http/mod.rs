//! Metrics and health over HTTP, on a thread and a runtime of their own, so that a busy worker cannot keep a probe
//! waiting and a slow client cannot keep a worker waiting.
//!
//! | path | answer |
//! | --- | --- |
//! | `/` | what there is |
//! | `/metrics` | all metrics, in Prometheus' text format |
//! | `/healthz` | 200 while all workers are alive, else 503 and which is not: restart the process |
//! | `/readyz` | 200 while all assigned partitions run, else 503 and which do not: wait |
//!
//! It sees the rest of the program only through the [`Handles`] that it is given, and changes nothing.

mod health;
mod routes;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot;

use crate::telemetry::Metrics;

pub use health::{Health, WorkerHealth};

/// How long answers under way may take once the server is to stop.
const DRAIN: Duration = Duration::from_secs(1);

/// What the server reads.
#[derive(Clone, Debug)]
pub struct Handles {
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
}

/// A running server; stops when dropped.
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts to answer on `listen`. With port 0 the system chooses one; see [`Server::local_addr`].
///
/// # Errors
/// If the address cannot be listened on: taken by another program, not of this machine, not allowed.
pub fn serve(listen: SocketAddr, handles: Handles) -> anyhow::Result<Server> {
    let listener = TcpListener::bind(listen).map_err(|error| cannot_listen(listen, error))?;
    let local_addr = listener.local_addr().context("the address of the HTTP server")?;
    listener.set_nonblocking(true).context("the socket of the HTTP server")?;
    // `enable_all` would be more than is needed: sockets, and the clock for draining.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
    let runtime = runtime.context("the runtime of the HTTP server")?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("http".to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(run(listener, handles, stopped)) {
                tracing::error!(%error, "the HTTP server has ended");
            }
        })
        .context("the thread of the HTTP server")?;
    Ok(Server { local_addr, stop: Some(stop), thread: Some(thread) })
}

async fn run(listener: TcpListener, handles: Handles, stopped: oneshot::Receiver<()>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (drain, draining) = oneshot::channel::<()>();
    let server = axum::serve(listener, routes::router(handles)).with_graceful_shutdown(async {
        // An error here means that the sender is gone, which is to stop as well.
        _ = draining.await;
    });
    tokio::select! {
        ended = server.into_future() => ended,
        () = async {
            _ = stopped.await;
            drop(drain);
            tokio::time::sleep(DRAIN).await;
        } => Ok(()),
    }
}

impl Server {
    /// Where it listens, the port included.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops: answers under way are finished, if that takes less than a second.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Refused if the server has ended by itself.
            _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic in it has been logged; there is nothing left to stop.
            _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn cannot_listen(listen: SocketAddr, error: io::Error) -> anyhow::Error {
    let next = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there; end it, or set http.listen to another port",
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address; set http.listen to one it has",
        io::ErrorKind::PermissionDenied => "that port is not allowed to this user; set http.listen to one above 1023",
        _ => "set http.listen to another address",
    };
    anyhow::Error::new(error).context(format!("cannot listen on {listen}: {next}"))
}
