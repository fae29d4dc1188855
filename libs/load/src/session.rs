//! One driven run: told to begin, any number of endpoints driven one after the other, told to end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cctf_proto::keys;
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp_send::Destination;

use super::clock;
use super::exchange::{DriveFacts, Progress};
use super::export::{Delivery, ExportError, Exporter};
use super::identity::{Identity, SERVICE_NAME};
use super::ids::Ids;
use super::io_loop::{IoConfig, IoLoop};
use super::pacer::Pacer;
use super::payload::{self, PayloadError};
use super::record::{EventsError, EventsWriter};
use super::recorder::{RECORDER_BATCHES_MAX, Recorder, RecorderInput};
use super::request::{ExtraHeader, RequestTemplate, host_value};
use super::run_facts::RunFacts;
use super::schedule::Schedule;
use super::sizes::Sizes;
use super::spans::{control_request, text};
use super::summary::{Asked, Summary};
use super::target::{Endpoint, KV_SET_PATH, Target};

/// Connections that are made before the first request, at most.
const WARM_CONNECTIONS_MAX: usize = 64;
/// Requests per second for which one connection more is made beforehand.
const RATE_PER_WARM_CONNECTION: f64 = 100.0;
/// Time between the order to start and the first request, so that all threads are ready.
const LEAD_NS: u64 = 20_000_000;
/// How long the collector may take to accept the start or the end of the run.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the rest of the spans may take once the load has ended.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the caller's display is called.
const DISPLAY_EVERY: Duration = Duration::from_millis(200);

/// Why a run cannot be driven.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// The server does not accept connections.
    #[error("cannot connect to {target}: {source}; is the service running there?")]
    Unreachable {
        /// The server.
        target: Target,
        /// Why.
        source: std::io::Error,
    },
    /// The key that `kvget` reads could not be set.
    #[error("cannot set the key that kvget reads by POST {target}{KV_SET_PATH}: {error}")]
    SetKey {
        /// The server.
        target: Target,
        /// Why.
        error: String,
    },
    /// A system call failed.
    #[error("cannot {operation}: {source}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A thread of the driver has panicked.
    #[error("the driver's {0} thread has panicked: this is a bug of cctf")]
    Panicked(&'static str),
    /// A range of sizes for what has no body.
    #[error("{0} sends no body, so --size cannot be a range: give one size")]
    NoBody(String),
    /// The body cannot be made.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// The file of events.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The exporter.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// What a session needs to know.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// What is told of the run.
    pub run: RunFacts,
    /// Who the driver is.
    pub identity: Identity,
    /// Where spans go; None sends none.
    pub otlp: Option<Destination>,
    /// Where lines go; None writes none.
    pub events_path: Option<PathBuf>,
    /// Set from outside to stop early.
    pub stop: &'static AtomicBool,
}

/// What one drive needs to know.
#[derive(Debug, Clone)]
pub struct Drive {
    /// The server.
    pub target: Target,
    /// How it is called.
    pub endpoint: Endpoint,
    /// When.
    pub schedule: Schedule,
    /// Sizes of the bodies.
    pub sizes: Sizes,
    /// Most connections at once.
    pub connections_max: usize,
    /// Longest wait for a response.
    pub timeout: Duration,
    /// Headers of the user.
    pub headers: Vec<ExtraHeader>,
}

/// A driven run that has begun.
pub struct Session {
    config: SessionConfig,
    resource: Resource,
    ids: Ids,
    next_number: u64,
    exporter: Option<Exporter>,
    /// Both are there until the session ends.
    to_recorder: Option<SyncSender<RecorderInput>>,
    recorder: Option<JoinHandle<Result<(), EventsError>>>,
}

impl Session {
    /// Opens the file, starts recorder and exporter, and tells that the run begins. Nothing has been sent to the service yet.
    pub fn begin(config: SessionConfig) -> Result<Self, DriveError> {
        let instance_id = format!(
            "{SERVICE_NAME}-{}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        );
        let resource = config.identity.resource(&instance_id);
        let events = config
            .events_path
            .as_deref()
            .map(EventsWriter::open)
            .transpose()?;
        let destination = config.otlp.as_ref();
        let exporter = destination
            .map(|destination| Exporter::start(destination, &resource))
            .transpose()?;
        if let Some(exporter) = &exporter {
            let request = control_request(
                &resource,
                keys::RUN_START_SPAN,
                clock::unix_ns(),
                config.run.attributes(),
            );
            exporter.send_control(keys::RUN_START_SPAN, request, CONTROL_TIMEOUT)?;
        }
        let recorder = Recorder {
            events,
            spans: exporter.as_ref().and_then(Exporter::queue),
        };
        let (to_recorder, input) = sync_channel(RECORDER_BATCHES_MAX);
        let recorder = spawn("recorder", move || recorder.run(input))?;
        let ids = Ids::of_this_process(config.run.seed);
        Ok(Self {
            config,
            resource,
            ids,
            next_number: 0,
            exporter,
            to_recorder: Some(to_recorder),
            recorder: Some(recorder),
        })
    }

    /// Drives one endpoint to its end and returns its figures. `display` is called a few times a second.
    pub fn drive(
        &mut self,
        drive: &Drive,
        mut display: impl FnMut(&Progress),
    ) -> Result<Summary, DriveError> {
        check_sizes(&drive.endpoint, drive.sizes)?;
        let target = &drive.target;
        let address = target
            .reachable_address()
            .map_err(|source| DriveError::Unreachable {
                target: target.clone(),
                source,
            })?;
        if drive.endpoint.needs_key {
            set_key(drive)?;
        }
        let bodies = match drive.endpoint.payload {
            Some(kind) => {
                let steps = drive.sizes.steps().into_iter();
                let made = steps.map(|size_bytes| payload::body(kind, size_bytes, self.config.run.seed));
                made.collect::<Result<_, _>>()?
            }
            None => vec![Vec::new()],
        };
        let template = RequestTemplate::new(
            target,
            &drive.endpoint,
            &self.config.run.run_id,
            &drive.headers,
            bodies,
        );
        let facts = Arc::new(self.facts(drive, template.bodies_bytes()));
        let progress = Arc::new(Progress::default());
        let (to_io, from_pacer) = channel();
        let (to_pacer, from_io) = channel();
        let config = IoConfig {
            address,
            template: template.clone(),
            facts: Arc::clone(&facts),
            connections_max: drive.connections_max,
            timeout_ns: u64::try_from(drive.timeout.as_nanos()).unwrap_or(u64::MAX),
            progress: Arc::clone(&progress),
            from_pacer,
            to_pacer,
            recorder: self.to_recorder()?,
        };
        let (mut io_loop, io_waker) = IoLoop::new(config).map_err(system("make an event loop"))?;
        let warm = (drive.schedule.rate / RATE_PER_WARM_CONNECTION).ceil() as usize + 1;
        io_loop
            .warm_up(warm.min(WARM_CONNECTIONS_MAX))
            .map_err(system("open connections"))?;
        let pacer = Pacer {
            to_io,
            io_waker,
            from_io,
            template,
            ids: self.ids,
            first_number: self.next_number,
            stop: self.config.stop,
            progress: Arc::clone(&progress),
        };

        let cpu_before_ns = clock::process_cpu_ns();
        let start_ns = clock::monotonic_ns() + LEAD_NS;
        let (offsets_ns, gap_ns) = (drive.schedule.offsets_ns(), (1e9 / drive.schedule.rate) as u64);
        let io_thread = spawn("io", move || io_loop.run())?;
        let pacer_thread = spawn("pacer", move || pacer.run(offsets_ns, start_ns, gap_ns))?;
        while !io_thread.is_finished() {
            display(&progress);
            std::thread::park_timeout(DISPLAY_EVERY);
        }
        display(&progress);
        let io_outcome = io_thread.join().map_err(|_| DriveError::Panicked("io"))?;
        self.next_number += pacer_thread.join().map_err(|_| DriveError::Panicked("pacer"))?;
        io_outcome.map_err(system("wait for responses"))?;

        let elapsed_ns = clock::monotonic_ns() - start_ns.min(clock::monotonic_ns());
        let driver_cpu_cores = (clock::process_cpu_ns() - cpu_before_ns) as f64 / elapsed_ns.max(1) as f64;
        self.summary(Asked {
            endpoint: facts.name.clone(),
            url: facts.url.clone(),
            rate: drive.schedule.rate,
            driver_cpu_cores,
            bounded_by: progress.bound().map(str::to_owned),
        })
    }

    /// Waits until file and receiver have everything that was driven, and returns how the spans fared. Nothing can be driven
    /// after it.
    pub fn flush(&mut self) -> Result<Delivery, DriveError> {
        self.end_recorder()?;
        let exporter = self.exporter.as_ref();
        Ok(exporter.map_or_else(Delivery::default, |exporter| exporter.flush(FLUSH_TIMEOUT)))
    }

    /// As [`Session::flush`], then tells that the run has ended.
    pub fn end(mut self) -> Result<Delivery, DriveError> {
        let ended_unix_ns = clock::unix_ns();
        // The run's last spans go before its end, so that none of them counts as late.
        let delivery = self.flush()?;
        let Some(exporter) = self.exporter.take() else {
            return Ok(delivery);
        };
        let attributes = vec![text(keys::RUN_ID, &self.config.run.run_id)];
        let request = control_request(&self.resource, keys::RUN_END_SPAN, ended_unix_ns, attributes);
        exporter.send_control(keys::RUN_END_SPAN, request, CONTROL_TIMEOUT)?;
        Ok(delivery)
    }

    /// Has the recorder write what it holds, and waits for it.
    fn end_recorder(&mut self) -> Result<(), DriveError> {
        self.to_recorder = None;
        match self.recorder.take().map(JoinHandle::join) {
            Some(Ok(written)) => Ok(written?),
            Some(Err(_)) => Err(DriveError::Panicked("recorder")),
            None => Ok(()),
        }
    }

    fn facts(&self, drive: &Drive, bodies_bytes: Vec<u64>) -> DriveFacts {
        DriveFacts {
            name: drive.endpoint.name.clone(),
            method: drive.endpoint.method.clone(),
            url: format!("{}{}", drive.target, drive.endpoint.path),
            host: drive.target.host.clone(),
            port: drive.target.port,
            bodies_bytes,
            run_id: self.config.run.run_id.clone(),
            ids: self.ids,
        }
    }

    fn summary(&self, asked: Asked) -> Result<Summary, DriveError> {
        let (reply, answer) = channel();
        self.to_recorder()?
            .send(RecorderInput::EndDrive(reply))
            .map_err(|_| DriveError::Panicked("recorder"))?;
        let builder = answer.recv().map_err(|_| DriveError::Panicked("recorder"))?;
        Ok(builder.build(asked))
    }

    fn to_recorder(&self) -> Result<SyncSender<RecorderInput>, DriveError> {
        self.to_recorder.clone().ok_or(DriveError::Panicked("recorder"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A session that is given up still leaves whole lines of what was sent; its error has been told already.
        let _ = self.end_recorder();
    }
}

/// Whether an endpoint can be sent bodies of such sizes: to be asked before anything is started.
pub fn check_sizes(endpoint: &Endpoint, sizes: Sizes) -> Result<(), DriveError> {
    match endpoint.payload {
        Some(kind) => Ok(payload::check(kind, sizes.least()).and(payload::check(kind, sizes.most()))?),
        None if sizes.single().is_none() => Err(DriveError::NoBody(endpoint.name.clone())),
        None => Ok(()),
    }
}

/// Sets the key that `kvget` reads, unsampled, so that no row tells of it.
fn set_key(drive: &Drive) -> Result<(), DriveError> {
    let failed = |error: String| DriveError::SetKey {
        target: drive.target.clone(),
        error,
    };
    let body = payload::body(
        payload::PayloadKind::Text,
        drive.sizes.most(),
        drive.schedule.seed,
    )?;
    let (trace_id, span_id) = (rand::random::<u128>() | 1, rand::random::<u64>() | 1);
    let request = http_once::Request {
        method: "POST",
        path: KV_SET_PATH,
        headers: &[
            ("host", &host_value(&drive.target, &drive.headers)),
            ("content-type", "application/octet-stream"),
            ("traceparent", &format!("00-{trace_id:032x}-{span_id:016x}-00")),
        ],
        body: &body,
    };
    let answer = http_once::send(&drive.target.host, drive.target.port, &request, drive.timeout)
        .map_err(|error| failed(error.to_string()))?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(failed(format!("the service answered {status}"))),
    }
}

fn system(operation: &'static str) -> impl Fn(std::io::Error) -> DriveError {
    move |source| DriveError::System { operation, source }
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, DriveError> {
    std::thread::Builder::new()
        .name(format!("cctf-{name}"))
        .spawn(run)
        .map_err(system("start a thread"))
}
