//! The whole normalizer in one process: [`Server::bind`] takes the ports and the folder, [`Server::run`] serves until
//! it is told to stop and then ends in order.

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cctf_proto::log_line;
use tokio::signal::unix::Signal;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::Admin;
use crate::config::Config;
use crate::connections::{Listener, connections_within, raise_open_files_limit};
use crate::credentials::{Credentials, CredentialsError};
use crate::disk_guard::DiskGuard;
use crate::journal::{self, Committer, Durability, Journal, StoreError, TICK_INTERVAL};
use crate::out_dir::{self, OutDir};
use crate::pipeline::{Pipeline, Settings};
use crate::receiver::{Cors, Receiver};
use crate::resume::{ResumeError, resume};
use crate::run_id::{RunIdError, own_run_id};
use crate::sink::{OPEN_FILES_MAX, Sink};
use crate::worker::{Checkpoints, Progress, Worker, WorkerError};

mod threads;

use threads::{ended, spawn};

/// OTLP/gRPC, OTLP/HTTP and admin.
const LISTENERS: u64 = 3;
/// Files that the process needs besides connections, the sink's files and one lock a run.
const OTHER_OPEN_FILES: usize = 64;
/// Time for requests under way to end at shutdown.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the normalizer cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is taken or not ours to take.
    #[error(
        "cannot listen on {address} for {purpose}: {source}, stop what listens there or choose another {flag}"
    )]
    Listen {
        /// What would have been served.
        purpose: &'static str,
        /// Where.
        address: SocketAddr,
        /// The flag that says where.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The folder cannot be written.
    #[error("cannot write to {}: {source}, make it writable or choose another --out-dir", path.display())]
    OutDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Certificates or tokens cannot be used.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// There is no own run id.
    #[error(transparent)]
    RunId(#[from] RunIdError),
    /// It can't go on where it ended.
    #[error(transparent)]
    Resume(#[from] ResumeError),
}

/// Why the normalizer had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The pipeline's thread cannot be started.
    #[error("cannot start the pipeline's thread: {0}")]
    Thread(io::Error),
    /// Files cannot be written.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The journal cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of our own.
    #[error("the pipeline's thread panicked, what it had not written is lost")]
    PipelinePanicked,
}

/// Where a server listens, port 0 resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// OTLP/gRPC.
    pub grpc: SocketAddr,
    /// OTLP/HTTP.
    pub http: SocketAddr,
    /// Health, metrics, status.
    pub admin: SocketAddr,
    /// Whether both OTLP listeners speak TLS.
    pub otlp_over_tls: bool,
}

/// A normalizer whose ports and folder are taken.
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

/// What stands behind the receiver.
struct Engine {
    journal: Journal,
    worker: Worker,
    committer: Option<(Committer, KeptJournal)>,
}

/// The journal's folder, which is ours as long as this lives.
struct KeptJournal {
    folder: PathBuf,
    keep_raw: bool,
    _lock: File,
}

impl KeptJournal {
    /// After the last checkpoint no record is needed any more.
    fn seal(&self) {
        if self.keep_raw {
            return;
        }
        if let Err(error) = journal::delete_segments(&self.folder) {
            log_line!(
                "warning: could not delete the journal's segments in {}: {error}",
                self.folder.display()
            );
        }
    }
}

impl Engine {
    fn start(config: &Config, out_dir: &OutDir, run_id: String) -> Result<Self, StartError> {
        let store = config.store_settings(&run_id);
        let settings = Settings {
            runs_ignore_case: out_dir.ignores_case,
            ..config.pipeline_settings(run_id)
        };
        let settings = settings.to_json().into();
        let sink = Sink::new(&config.out_dir);
        if store.durability == Durability::None {
            let (journal, reader) = journal::open(config.queue_limits(), journal::wall_clock(0));
            journal.append_settings(settings);
            let worker = Worker::new(
                (journal.clone(), reader),
                Pipeline::new(Settings::default()),
                sink,
            );
            return Ok(Self {
                journal,
                worker,
                committer: None,
            });
        }
        let folder = store.folder.clone();
        let resumed = resume(store, config.repair, config.remap, sink)?;
        if resumed.records > 0 {
            log_line!(
                "the journal was fed again from its checkpoint: {} records",
                resumed.records
            );
        }
        let last_unix_ns = resumed.pipeline.last_unix_ns();
        let (journal, commit_end, reader) = journal::open_durable(
            config.queue_limits(),
            journal::wall_clock(last_unix_ns),
            last_unix_ns,
        );
        journal.append_settings(settings);
        let checkpoints = Checkpoints::new(folder.clone(), resumed.store.next_sequence());
        let worker = Worker::new((journal.clone(), reader), resumed.pipeline, resumed.sink)
            .with_checkpoints(checkpoints);
        let kept = KeptJournal {
            folder,
            keep_raw: config.keep_raw,
            _lock: resumed.lock,
        };
        Ok(Self {
            journal,
            worker,
            committer: Some((Committer::new(commit_end, resumed.store), kept)),
        })
    }

    fn disk_guard(&self, config: &Config) -> DiskGuard {
        let journal_folder = self.committer.as_ref().map(|(_, kept)| &kept.folder);
        let folders = std::iter::once(&config.out_dir).chain(journal_folder);
        DiskGuard::new(self.journal.clone(), folders, config.disk_free_min)
    }
}

impl Server {
    /// Takes the ports and makes sure of the folder.
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

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            grpc: self.grpc.address(),
            http: self.http.address(),
            admin: self.admin.address(),
            otlp_over_tls: self.credentials.tls.is_some(),
        }
    }

    /// What the pipeline does, to be looked at while and after it runs.
    pub fn progress(&self) -> Arc<Progress> {
        self.engine.worker.progress()
    }

    /// Serves until `shutdown` resolves or files cannot be written. Then nothing new is accepted, requests under way are
    /// answered, the pipeline is fed what is queued and writes all it holds.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let Self {
            config,
            grpc,
            http,
            admin,
            receiver,
            credentials,
            hangups,
            disk_guard,
            engine:
                Engine {
                    journal,
                    worker,
                    committer,
                },
        } = self;
        let progress = worker.progress();
        let pipeline =
            spawn("pipeline", move || worker.run().map_err(RunError::from)).map_err(RunError::Thread)?;
        let (committer, kept) = match committer {
            Some((committer, kept)) => {
                let run = move || committer.run().map_err(RunError::from);
                (Some(spawn("journal", run).map_err(RunError::Thread)?), Some(kept))
            }
            None => (None, None),
        };
        let mut threads = pin!(ended(pipeline, committer));
        let (stop, stopped) = watch::channel(false);
        let (stop_admin, admin_stopped) = watch::channel(false);
        let connections_max = connections_max(&config);

        let admin_service = Admin::new(receiver.counters(), journal.clone(), progress);
        tokio::spawn(admin.serve(admin_service, connections_max, admin_stopped));
        let mut receivers = JoinSet::new();
        receivers.spawn(grpc.serve(receiver.clone(), connections_max, stopped.clone()));
        receivers.spawn(http.serve(receiver, connections_max, stopped));
        let ticker = tokio::spawn(tick(journal.clone()));
        let watcher = tokio::spawn(disk_guard.watch());
        let reloader = tokio::spawn(credentials.reload_at(hangups));

        let ended_early = tokio::select! {
            () = shutdown => None,
            result = &mut threads => Some(result),
        };
        stop.send_replace(true);
        if ended_early.is_none() {
            let drained = async { while receivers.join_next().await.is_some() {} };
            if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
                log_line!(
                    "warning: requests were still under way {} s after the shutdown began",
                    DRAIN_TIMEOUT.as_secs()
                );
            }
        }
        ticker.abort();
        watcher.abort();
        reloader.abort();
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

/// Clients must not take the file descriptors that the files are written with.
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
            "warning: {purpose} listens on {address} without TLS or token: whoever reaches it can use it"
        );
    }
}
