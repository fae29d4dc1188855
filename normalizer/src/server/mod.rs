//! [`Server`]: the whole normalizer in one process, from its start to its graceful shutdown.

mod engine;
mod error;
mod threads;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cctf_proto::log_line;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::config::Config;
use crate::connections::{Credentials, Listener, connections_within, raise_open_files_limit};
use crate::disk_guard::DiskGuard;
use crate::journal::{Journal, TICK_INTERVAL};
use crate::out_dir;
use crate::receiver::{Cors, Receiver};
use crate::run_id::own_run_id;
use crate::sink::OPEN_FILES_MAX;
use crate::worker::Progress;
use engine::Engine;

pub use error::{RunError, StartError};

/// Number of listeners: OTLP/gRPC, OTLP/HTTP and admin.
const LISTENERS: u64 = 3;
/// Number of file descriptors for everything other than connections, the sink's files and one lock per run.
const OTHER_OPEN_FILES: usize = 64;
/// Maximum time for which a shutdown waits for requests in progress.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Addresses of the listeners, with port 0 replaced by the port in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
    pub admin: SocketAddr,
    /// Whether both OTLP listeners use TLS.
    pub otlp_over_tls: bool,
}

/// A normalizer that has bound its ports and restored its state. If it has a journal, it has locked the journal's folder.
pub struct Server {
    config: Config,
    grpc: Listener,
    http: Listener,
    admin: Listener,
    receiver: Receiver,
    credentials: Credentials,
    hangups: Option<Signal>,
    disk_guard: DiskGuard,
    engine: Engine,
}

impl Server {
    /// Binds the ports, prepares the folder of all runs, and restores the state from the journal.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let out_dir = out_dir::prepare(&config.out_dir).map_err(|source| StartError::OutDir {
            path: config.out_dir.clone(),
            source,
        })?;
        let credentials = Credentials::load(&config)?;
        let hangups = credentials.hangups()?;
        let grpc = listen("OTLP/gRPC", config.grpc_listen, "--grpc-listen").await?;
        let http = listen("OTLP/HTTP", config.http_listen, "--http-listen").await?;
        let admin = listen("health and metrics", config.admin_listen, "--admin-listen").await?;
        if !credentials.are_needed() {
            warn_if_reachable("OTLP/gRPC", &grpc);
            warn_if_reachable("OTLP/HTTP", &http);
        }
        warn_if_reachable("health and metrics", &admin);
        let run_id = match &config.run_id {
            Some(run_id) => run_id.clone(),
            None => own_run_id(&config.out_dir)?,
        };
        let engine = Engine::start(&config, &out_dir, run_id)?;
        let disk_guard = engine.disk_guard(&config);
        let receiver = Receiver::new(engine.journal.clone(), config.receiver_limits())
            .with_tokens(credentials.tokens.clone())
            .with_cors(Cors::new(&config.cors_allow_origin));
        Ok(Self {
            config,
            grpc: grpc.with_tls(credentials.tls.clone()),
            http: http.with_tls(credentials.tls.clone()),
            admin,
            receiver,
            credentials,
            hangups,
            disk_guard,
            engine,
        })
    }

    pub fn addresses(&self) -> Addresses {
        Addresses {
            grpc: self.grpc.address(),
            http: self.http.address(),
            admin: self.admin.address(),
            otlp_over_tls: self.credentials.tls.is_some(),
        }
    }

    /// The pipeline's progress, readable while it runs and afterwards.
    pub fn progress(&self) -> Arc<Progress> {
        self.engine.worker.progress()
    }

    /// Serves until `shutdown` resolves or files cannot be written. Then it accepts no more requests and answers those in
    /// progress. It feeds the queued records to the pipeline, and writes all pending rows.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let connections_max = connections_max(&self.config);
        let (journal, progress) = (self.engine.journal.clone(), self.engine.worker.progress());
        let (threads, kept) = self.engine.start_threads()?;
        let mut threads = pin!(threads);
        let (stop, stopped) = watch::channel(false);
        let (stop_admin, admin_stopped) = watch::channel(false);

        let counters = self.receiver.counters();
        let admin = Admin::new(counters, journal.clone(), progress, self.config.out_dir.clone());
        tokio::spawn(admin.clone().watch(admin_stopped.clone()));
        tokio::spawn(self.admin.serve(admin, connections_max, admin_stopped));
        let mut receivers = JoinSet::new();
        for listener in [self.grpc, self.http] {
            receivers.spawn(listener.serve(self.receiver.clone(), connections_max, stopped.clone()));
        }
        let mut background = JoinSet::new();
        background.spawn(tick(journal.clone()));
        background.spawn(self.disk_guard.watch());
        background.spawn(self.credentials.reload_at(self.hangups));

        let ended_early = tokio::select! {
            () = shutdown => None,
            result = &mut threads => Some(result),
        };
        stop.send_replace(true);
        if ended_early.is_none() {
            drain(&mut receivers).await;
        }
        background.abort_all();
        journal.close();
        let result = match ended_early {
            Some(result) => result,
            None => threads.await,
        };
        stop_admin.send_replace(true);
        result?;
        if let Some(kept) = kept {
            kept.seal();
        }
        Ok(())
    }
}

/// Waits until all requests in progress are answered, for a limited time.
async fn drain(receivers: &mut JoinSet<()>) {
    let drained = async { while receivers.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
        log_line!(
            "warning: some requests were still in progress {} s after the shutdown began",
            DRAIN_TIMEOUT.as_secs()
        );
    }
}

/// Maximum number of connections. It leaves enough file descriptors for the files of the runs.
fn connections_max(config: &Config) -> usize {
    let reserved = OPEN_FILES_MAX + config.open_runs_max + OTHER_OPEN_FILES;
    let limit = raise_open_files_limit();
    connections_within(limit, LISTENERS, reserved as u64, config.connections_max)
}

async fn tick(journal: Journal) {
    let mut interval = tokio::time::interval(TICK_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        journal.tick();
    }
}

async fn listen(
    purpose: &'static str,
    address: SocketAddr,
    flag: &'static str,
) -> Result<Listener, StartError> {
    Listener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            purpose,
            address,
            flag,
            source,
        })
}

fn warn_if_reachable(purpose: &str, listener: &Listener) {
    let address = listener.address();
    if !address.ip().is_loopback() {
        log_line!(
            "warning: {purpose} listens on {address} without TLS and tokens: everyone who reaches this address can use it"
        );
    }
}
