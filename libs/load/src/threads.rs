//! [`Threads`]: composer, pacer and io loop of one stream, from their start to their end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{SyncSender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::backlog::Backlog;
use crate::clock;
use crate::composer::composer;
use crate::error::{DriveError, system};
use crate::ids::Ids;
use crate::io_loop::{IoConfig, IoLoop};
use crate::memory::merge_free_blocks_at_once;
use crate::pacer::Pacer;
use crate::progress::DriveProgress;
use crate::record::recorder::RecorderInput;
use crate::stream::{SourceError, Stream};

/// Maximum number of connections opened before the first request.
const WARM_CONNECTIONS_MAX: usize = 64;
/// Requests per second for which the driver opens one connection before the first request.
const RATE_PER_WARM_CONNECTION: f64 = 100.0;
/// Interval at which the caller's progress display is called.
const DISPLAY_INTERVAL: Duration = Duration::from_millis(200);

/// Parts of a session that a stream needs.
pub struct Context {
    pub ids: Ids,
    /// Number of the first request.
    pub first_number: u64,
    pub stop: &'static AtomicBool,
    pub progress: Arc<DriveProgress>,
    pub recorder: SyncSender<RecorderInput>,
}

/// The threads of a stream.
pub struct Threads {
    started_ns: u64,
    cpu_before_ns: u64,
    composer: JoinHandle<Result<(), SourceError>>,
    pacer: JoinHandle<u64>,
    io: JoinHandle<std::io::Result<()>>,
}

/// The end of a stream.
pub struct Ended {
    /// Requests that were due.
    pub due: u64,
    /// CPU time of the driver divided by the elapsed time.
    pub driver_cpu_cores: f64,
    /// The error of the source, if it has failed.
    pub composed: Result<(), SourceError>,
}

impl Threads {
    /// Opens the first connections and starts the threads.
    pub fn start(stream: Stream, context: Context) -> Result<Self, DriveError> {
        merge_free_blocks_at_once();
        let (started_ns, cpu_before_ns) = (clock::monotonic_ns(), clock::process_cpu_ns());
        let targets = stream.targets.len();
        let (to_io, from_pacer) = channel();
        let (to_pacer, from_io) = channel();
        let backlog = Arc::<Backlog>::default();
        let (mut io_loop, io_waker) = IoLoop::new(IoConfig {
            targets: stream.targets,
            ids: context.ids,
            connections_max: stream.connections_max,
            timeout_ns: u64::try_from(stream.timeout.as_nanos()).unwrap_or(u64::MAX),
            progress: Arc::clone(&context.progress),
            backlog: Arc::clone(&backlog),
            from_pacer,
            to_pacer,
            recorder: context.recorder,
        })
        .map_err(system("create an event loop"))?;
        let connections = (stream.rate_hint / RATE_PER_WARM_CONNECTION).ceil() as usize + 1;
        io_loop
            .warm_up(connections.max(targets).min(WARM_CONNECTIONS_MAX))
            .map_err(system("open connections"))?;
        let (composer, feed) = composer(stream.requests, targets);
        let pacer = Pacer {
            feed,
            to_io,
            io_waker,
            from_io,
            backlog,
            ids: context.ids,
            first_number: context.first_number,
            stop: context.stop,
            progress: context.progress,
            idle: vec![Vec::new(); targets],
            io_ended: false,
        };
        let gap_ns = (1e9 / stream.rate_hint) as u64;
        Ok(Self {
            started_ns,
            cpu_before_ns,
            composer: spawn("composer", move || composer.run())?,
            io: spawn("io", move || io_loop.run())?,
            pacer: spawn("pacer", move || pacer.run(gap_ns))?,
        })
    }

    /// Waits until all requests have ended. Calls `display` a few times a second.
    pub fn wait(self, mut display: impl FnMut()) -> Result<Ended, DriveError> {
        while !self.io.is_finished() {
            display();
            std::thread::park_timeout(DISPLAY_INTERVAL);
        }
        display();
        let io_outcome = self.io.join().map_err(|_| DriveError::Panicked("io"))?;
        let due = self.pacer.join().map_err(|_| DriveError::Panicked("pacer"))?;
        let composed = self
            .composer
            .join()
            .map_err(|_| DriveError::Panicked("composer"))?;
        io_outcome.map_err(system("wait for responses"))?;
        let elapsed_ns = clock::monotonic_ns() - self.started_ns;
        Ok(Ended {
            due,
            driver_cpu_cores: (clock::process_cpu_ns() - self.cpu_before_ns) as f64
                / elapsed_ns.max(1) as f64,
            composed,
        })
    }
}

/// Starts a thread of the driver.
pub fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, DriveError> {
    std::thread::Builder::new()
        .name(format!("cctf-{name}"))
        .spawn(run)
        .map_err(system("start a thread"))
}
