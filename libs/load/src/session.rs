//! [`LoadSession`]: one run of the driver. It reports the start, sends load to one endpoint after the other, and reports the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cctf_proto::keys;
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp_send::Destination;

use crate::clock;
use crate::exchange::{DriveFacts, DriveProgress};
use crate::http::request::{ExtraHeader, host_value};
use crate::http::template::RequestTemplate;
use crate::ids::Ids;
use crate::io_loop::{IoConfig, IoLoop};
use crate::otlp::attributes::text;
use crate::otlp::export::{Delivery, ExportError, Exporter};
use crate::otlp::identity::{DriverIdentity, SERVICE_NAME};
use crate::otlp::run_facts::RunFacts;
use crate::otlp::spans::control_request;
use crate::pacer::Pacer;
use crate::plan::payload::{self, PayloadError};
use crate::plan::schedule::Schedule;
use crate::plan::sizes::Sizes;
use crate::plan::target::{Endpoint, KV_SET_PATH, Target};
use crate::record::events::{EventsError, EventsWriter};
use crate::record::recorder::{RECORDER_BATCHES_MAX, Recorder, RecorderInput};
use crate::record::summary::{DriveContext, Summary};

/// Maximum number of connections opened before the first request.
const WARM_CONNECTIONS_MAX: usize = 64;
/// Requests per second for which the driver opens one connection before the first request.
const RATE_PER_WARM_CONNECTION: f64 = 100.0;
/// Time from the start of the threads to the first request, nanoseconds. It gives the threads time to start.
const LEAD_NS: u64 = 20_000_000;
/// Maximum time until the OTLP receiver accepts the span that reports the start or the end of the run.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time after the load to deliver the remaining spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);
/// Interval at which the caller's progress display is called.
const DISPLAY_INTERVAL: Duration = Duration::from_millis(200);

/// Failure of a run.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    #[error("cannot connect to {target}: {source}; check that the service runs there")]
    Unreachable { target: Target, source: std::io::Error },
    #[error("cannot store the value for kvget by POST {target}{KV_SET_PATH}: {error}")]
    SetKey { target: Target, error: String },
    #[error("cannot {operation}: {source}")]
    System {
        operation: &'static str,
        source: std::io::Error,
    },
    #[error("the driver's {0} thread has panicked: this is a bug in cctf")]
    Panicked(&'static str),
    #[error("invalid --size: a range varies the request body, but {0} sends no body; use a single size")]
    NoBody(String),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(transparent)]
    Events(#[from] EventsError),
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Configuration of a session.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    pub run: RunFacts,
    pub identity: DriverIdentity,
    /// Destination of the spans. `None`: the driver sends no spans.
    pub otlp: Option<Destination>,
    /// Path to the file with one line per request. `None`: the driver writes no file.
    pub events_path: Option<PathBuf>,
    /// Set to true to stop the load early, for example on SIGINT.
    pub stop: &'static AtomicBool,
}

/// The load for one endpoint.
#[derive(Debug, Clone)]
pub struct Drive {
    pub target: Target,
    pub endpoint: Endpoint,
    pub schedule: Schedule,
    pub sizes: Sizes,
    /// Maximum number of connections.
    pub connections_max: usize,
    /// Maximum time of each wait: for a free connection, then for the response.
    pub timeout: Duration,
    /// Extra headers that the user has set.
    pub headers: Vec<ExtraHeader>,
}

/// A run that has started.
pub struct LoadSession {
    config: SessionConfig,
    resource: Resource,
    ids: Ids,
    next_number: u64,
    exporter: Option<Exporter>,
    /// Channel to the recorder thread. `None` after the recorder has been stopped; the same is true of `recorder`.
    to_recorder: Option<SyncSender<RecorderInput>>,
    recorder: Option<JoinHandle<Result<(), EventsError>>>,
}

impl LoadSession {
    /// Opens the file, starts the recorder and the exporter, and reports the start of the run. Sends nothing to the service yet.
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
        let ids = Ids::new(config.run.seed);
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

    /// Sends the whole load to one endpoint, and returns its figures. Calls `display` a few times a second.
    pub fn drive(
        &mut self,
        drive: &Drive,
        mut display: impl FnMut(&DriveProgress),
    ) -> Result<Summary, DriveError> {
        check_sizes(&drive.endpoint, drive.sizes)?;
        let address = drive
            .target
            .reachable_address()
            .map_err(|source| DriveError::Unreachable {
                target: drive.target.clone(),
                source,
            })?;
        if drive.endpoint.needs_key {
            set_key(drive)?;
        }
        let template = self.template(drive)?;
        let facts = Arc::new(self.facts(drive, template.bodies_bytes()));
        let progress = Arc::new(DriveProgress::default());
        let (to_io, from_pacer) = channel();
        let (to_pacer, from_io) = channel();
        let (mut io_loop, io_waker) = IoLoop::new(IoConfig {
            address,
            template: template.clone(),
            facts: Arc::clone(&facts),
            connections_max: drive.connections_max,
            timeout_ns: u64::try_from(drive.timeout.as_nanos()).unwrap_or(u64::MAX),
            progress: Arc::clone(&progress),
            from_pacer,
            to_pacer,
            recorder: self.to_recorder()?,
        })
        .map_err(system("create an event loop"))?;
        let connections = (drive.schedule.rate / RATE_PER_WARM_CONNECTION).ceil() as usize + 1;
        io_loop
            .warm_up(connections.min(WARM_CONNECTIONS_MAX))
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
        let driver_cpu_cores = self.run_threads(&drive.schedule, io_loop, pacer, || display(&progress))?;
        self.summary(DriveContext {
            endpoint: facts.name.clone(),
            url: facts.url.clone(),
            rate: drive.schedule.rate,
            driver_cpu_cores,
            bounded_by: progress.bound().map(str::to_owned),
        })
    }

    /// The template for the requests to one endpoint, with one body for each size.
    fn template(&self, drive: &Drive) -> Result<RequestTemplate, DriveError> {
        let bodies = match drive.endpoint.payload {
            Some(kind) => {
                let steps = drive.sizes.steps().into_iter();
                let bodies = steps.map(|size_bytes| payload::body(kind, size_bytes, self.config.run.seed));
                bodies.collect::<Result<_, _>>()?
            }
            None => vec![Vec::new()],
        };
        Ok(RequestTemplate::new(
            &drive.target,
            &drive.endpoint,
            &self.config.run.run_id,
            &drive.headers,
            bodies,
        ))
    }

    /// Runs the pacer and the I/O loop until all requests have ended. Returns the driver's CPU time divided by the elapsed time.
    fn run_threads(
        &mut self,
        schedule: &Schedule,
        io_loop: IoLoop,
        pacer: Pacer,
        mut display: impl FnMut(),
    ) -> Result<f64, DriveError> {
        let cpu_before_ns = clock::process_cpu_ns();
        let start_ns = clock::monotonic_ns() + LEAD_NS;
        let (offsets_ns, gap_ns) = (schedule.offsets_ns(), (1e9 / schedule.rate) as u64);
        let io_thread = spawn("io", move || io_loop.run())?;
        let pacer_thread = spawn("pacer", move || pacer.run(offsets_ns, start_ns, gap_ns))?;
        while !io_thread.is_finished() {
            display();
            std::thread::park_timeout(DISPLAY_INTERVAL);
        }
        display();
        let io_outcome = io_thread.join().map_err(|_| DriveError::Panicked("io"))?;
        self.next_number += pacer_thread.join().map_err(|_| DriveError::Panicked("pacer"))?;
        io_outcome.map_err(system("wait for responses"))?;
        let elapsed_ns = clock::monotonic_ns() - start_ns.min(clock::monotonic_ns());
        Ok((clock::process_cpu_ns() - cpu_before_ns) as f64 / elapsed_ns.max(1) as f64)
    }

    /// Waits until all lines are written and all spans are delivered. Returns the counts of spans. Afterwards, the session cannot
    /// send load any more.
    pub fn flush(&mut self) -> Result<Delivery, DriveError> {
        self.end_recorder()?;
        let exporter = self.exporter.as_ref();
        Ok(exporter.map_or_else(Delivery::default, |exporter| exporter.flush(FLUSH_TIMEOUT)))
    }

    /// Does what [`LoadSession::flush`] does, then reports the end of the run.
    pub fn end(mut self) -> Result<Delivery, DriveError> {
        let ended_unix_ns = clock::unix_ns();
        // The last spans are delivered before the end is reported, so that none of them counts as late.
        let delivery = self.flush()?;
        let Some(exporter) = self.exporter.take() else {
            return Ok(delivery);
        };
        let attributes = vec![text(keys::RUN_ID, &self.config.run.run_id)];
        let request = control_request(&self.resource, keys::RUN_END_SPAN, ended_unix_ns, attributes);
        exporter.send_control(keys::RUN_END_SPAN, request, CONTROL_TIMEOUT)?;
        Ok(delivery)
    }

    /// Stops the recorder and waits until it has written its lines.
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

    fn summary(&self, context: DriveContext) -> Result<Summary, DriveError> {
        let (reply, answer) = channel();
        self.to_recorder()?
            .send(RecorderInput::EndDrive(reply))
            .map_err(|_| DriveError::Panicked("recorder"))?;
        let builder = answer.recv().map_err(|_| DriveError::Panicked("recorder"))?;
        Ok(builder.build(context))
    }

    fn to_recorder(&self) -> Result<SyncSender<RecorderInput>, DriveError> {
        self.to_recorder.clone().ok_or(DriveError::Panicked("recorder"))
    }
}

impl Drop for LoadSession {
    fn drop(&mut self) {
        // The file of a session that failed must also end with a whole line. The caller already has the session's error.
        let _ = self.end_recorder();
    }
}

/// Checks that the requests to an endpoint can have bodies of these sizes. Callers check this before they start anything.
pub fn check_sizes(endpoint: &Endpoint, sizes: Sizes) -> Result<(), DriveError> {
    match endpoint.payload {
        Some(kind) => Ok(payload::check(kind, sizes.min()).and(payload::check(kind, sizes.max()))?),
        None if sizes.single().is_none() => Err(DriveError::NoBody(endpoint.name.clone())),
        None => Ok(()),
    }
}

/// Stores the value that `kvget` reads. The request's trace is not sampled, so the run has no row for it.
fn set_key(drive: &Drive) -> Result<(), DriveError> {
    let failed = |error: String| DriveError::SetKey {
        target: drive.target.clone(),
        error,
    };
    let body = payload::body(payload::PayloadKind::Text, drive.sizes.max(), drive.schedule.seed)?;
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
        status => Err(failed(format!("the service answered with status {status}"))),
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
