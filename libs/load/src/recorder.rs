//! The recorder's thread: it takes ended exchanges from the io loop into the file, the figures and the exporter's queue.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::exchange::Batch;
use super::export::SpanQueue;
use super::record::{EventsError, EventsWriter};
use super::summary::SummaryBuilder;

/// Batches that may wait for the recorder; then the io loop waits for it.
pub const RECORDER_BATCHES_MAX: usize = 1024;
/// How often collected lines are written when few requests come.
const FLUSH_EVERY: Duration = Duration::from_millis(500);

/// What the recorder is told.
#[derive(Debug)]
pub enum RecorderInput {
    /// Exchanges have ended.
    Batch(Batch),
    /// A drive has ended: its figures are wanted, and the next one starts with new ones.
    EndDrive(Sender<SummaryBuilder>),
}

/// The recorder's state.
pub struct Recorder {
    /// Where lines go.
    pub events: Option<EventsWriter>,
    /// Where spans go.
    pub spans: Option<SpanQueue>,
}

impl Recorder {
    /// Runs until nobody can send any more. The first failure to write ends the writing, never the recording.
    pub fn run(mut self, input: Receiver<RecorderInput>) -> Result<(), EventsError> {
        let mut summary = SummaryBuilder::default();
        let mut outcome = Ok(());
        loop {
            let written = match input.recv_timeout(FLUSH_EVERY) {
                Ok(RecorderInput::Batch(batch)) => self.record(batch, &mut summary),
                Ok(RecorderInput::EndDrive(reply)) => {
                    let _ = reply.send(std::mem::take(&mut summary));
                    self.flush()
                }
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => {
                    let flushed = self.flush();
                    return outcome.and(flushed);
                }
            };
            if let (Err(error), true) = (written, outcome.is_ok()) {
                outcome = Err(error);
                self.events = None;
            }
        }
    }

    fn record(&mut self, batch: Batch, summary: &mut SummaryBuilder) -> Result<(), EventsError> {
        for exchange in &batch.exchanges {
            summary.record(exchange, batch.facts.body_bytes_out(exchange.sent.request.number));
        }
        let written = self
            .events
            .as_mut()
            .map_or(Ok(()), |events| events.append(&batch));
        if let Some(spans) = &self.spans {
            spans.push(batch);
        }
        written
    }

    fn flush(&mut self) -> Result<(), EventsError> {
        self.events.as_mut().map_or(Ok(()), EventsWriter::flush)
    }
}
