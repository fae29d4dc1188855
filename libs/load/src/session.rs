//! [`LoadSession`]: one run of the driver. It reports the start of the run, sends streams of requests one after the other, and
//! reports the end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cctf_proto::keys;
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp_send::Destination;

use crate::clock;
use crate::drive::Drive;
use crate::error::DriveError;
use crate::ids::Ids;
use crate::otlp::attributes::{integer, text};
use crate::otlp::export::{Delivery, ExportError, Exporter};
use crate::otlp::identity::{DriverIdentity, SERVICE_NAME};
use crate::otlp::run_facts::RunFacts;
use crate::otlp::spans::control_request;
use crate::progress::DriveProgress;
use crate::record::events::{EventsError, EventsWriter};
use crate::record::recorder::{RECORDER_BATCHES_MAX, Recorder, RecorderInput};
use crate::record::summary::{StreamContext, Summary};
use crate::stream::Stream;
use crate::threads::{Context, Threads, spawn};

/// Maximum time until the OTLP receiver accepts the span that reports the start or the end of the run.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time after the load to deliver the remaining spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(30);

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

/// A run that has started.
pub struct LoadSession {
    config: SessionConfig,
    resource: Resource,
    ids: Ids,
    next_number: u64,
    /// Time from the start of the last stream to its last request, nanoseconds. `None` if no request was due.
    last_offset_ns: Option<u64>,
    /// End of the recorded part that was replayed, if the replay was interrupted.
    replayed_to_ns: Option<u64>,
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
        let ids = Ids::new(config.run.seed);
        let events_path = config.events_path.as_deref();
        let events = events_path
            .map(|path| EventsWriter::open(path, ids))
            .transpose()?;
        let destination = config.otlp.as_ref();
        let exporter = destination
            .map(|destination| Exporter::start(destination, &resource, ids))
            .transpose()?;
        if let Some(exporter) = &exporter {
            let request = control_request(
                &resource,
                keys::RUN_START_SPAN,
                clock::unix_ns(),
                config.run.attributes(),
            );
            let started = exporter.send_control(keys::RUN_START_SPAN, request, CONTROL_TIMEOUT);
            started.map_err(|error| match error {
                ExportError::Control { error, .. } if error.contains(keys::RUN_HAS_DRIVER) => {
                    DriveError::RunHasDriver(config.run.run_id.clone())
                }
                error => error.into(),
            })?;
        }
        let recorder = Recorder {
            events,
            spans: exporter.as_ref().and_then(Exporter::queue),
        };
        let (to_recorder, input) = sync_channel(RECORDER_BATCHES_MAX);
        let recorder = spawn("recorder", move || recorder.run(input))?;
        Ok(Self {
            config,
            resource,
            ids,
            next_number: 0,
            last_offset_ns: None,
            replayed_to_ns: None,
            exporter,
            to_recorder: Some(to_recorder),
            recorder: Some(recorder),
        })
    }

    /// Sends the whole load to one endpoint, and returns its figures. Calls `display` a few times a second.
    pub fn drive(
        &mut self,
        drive: &Drive,
        display: impl FnMut(&DriveProgress),
    ) -> Result<Summary, DriveError> {
        let stream = drive.stream(&self.config.run.run_id)?;
        self.send(stream, display)
    }

    /// Sends each request of the stream at its time, and returns the figures. Calls `display` a few times a second.
    ///
    /// Memory does not grow with the length of the stream. These are bounded in number and bytes: requests that are prepared
    /// ahead, requests that wait for a connection, and lines and spans that wait for the recorder and the exporter. If the source
    /// fails, the requests before the failure are sent and recorded.
    pub fn send(
        &mut self,
        stream: Stream,
        mut display: impl FnMut(&DriveProgress),
    ) -> Result<Summary, DriveError> {
        let progress = Arc::new(DriveProgress::default());
        let (endpoint, url, rate) = (stream.name.clone(), stream.url.clone(), stream.rate_asked);
        let threads = Threads::start(
            stream,
            Context {
                ids: self.ids,
                first_number: self.next_number,
                stop: self.config.stop,
                progress: Arc::clone(&progress),
                recorder: self.to_recorder()?,
            },
        )?;
        let ended = threads.wait(|| display(&progress))?;
        self.next_number += ended.due;
        let last_offset_ns = progress.last_offset_ns.load(Ordering::Relaxed);
        self.last_offset_ns = (ended.due > 0).then_some(last_offset_ns);
        let context = StreamContext {
            endpoint,
            url,
            rate,
            driver_cpu_cores: ended.driver_cpu_cores,
            bounded_by: progress.bound().map(str::to_owned),
        };
        let summary = self.summary(context, progress.undescribed.load(Ordering::Relaxed))?;
        ended.composed.map_err(DriveError::Source)?;
        Ok(summary)
    }

    /// Time from the start of the last stream to its last request, nanoseconds. `None` if no request was due.
    pub fn last_offset_ns(&self) -> Option<u64> {
        self.last_offset_ns
    }

    /// Sets the end of the recorded part that was replayed, nanoseconds after its first root. It is reported with the end of
    /// the run.
    pub fn set_replayed_to(&mut self, to_ns: Option<u64>) {
        self.replayed_to_ns = to_ns;
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
        let to_ns = self
            .replayed_to_ns
            .map(|to_ns| i64::try_from(to_ns).unwrap_or(i64::MAX));
        let to_ns = to_ns.map(|to_ns| integer(keys::RUN_REPLAY_TO_NS, to_ns));
        let run_id = text(keys::RUN_ID, &self.config.run.run_id);
        let attributes = [run_id].into_iter().chain(to_ns).collect();
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

    fn summary(&self, context: StreamContext, refused: u64) -> Result<Summary, DriveError> {
        let (reply, answer) = channel();
        self.to_recorder()?
            .send(RecorderInput::EndStream(reply))
            .map_err(|_| DriveError::Panicked("recorder"))?;
        let mut builder = answer.recv().map_err(|_| DriveError::Panicked("recorder"))?;
        builder.record_refused(refused);
        Ok(builder.build(context))
    }

    fn to_recorder(&self) -> Result<SyncSender<RecorderInput>, DriveError> {
        self.to_recorder.clone().ok_or(DriveError::Panicked("recorder"))
    }
}

impl Drop for LoadSession {
    fn drop(&mut self) {
        // Even if the session failed, the file must end with a complete line. The caller already has the error of the session.
        let _ = self.end_recorder();
    }
}
