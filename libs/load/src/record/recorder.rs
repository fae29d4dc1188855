//! The recorder's thread: it adds ended exchanges to the file, the figures and the exporter's queue.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crate::exchange::Exchange;
use crate::otlp::export::SpanQueue;
use crate::record::events::{EventsError, EventsWriter};
use crate::record::summary::SummaryBuilder;

/// Maximum number of batches that wait for the recorder; beyond that, the io loop waits.
pub const RECORDER_BATCHES_MAX: usize = 1024;
/// Maximum time for which lines are buffered. A driver that is killed loses at most the lines of this time.
const FLUSH_INTERVAL: Duration = Duration::from_millis(500);

/// Messages to the recorder.
#[derive(Debug)]
pub enum RecorderInput {
    /// Exchanges have ended, in this order.
    Batch(Vec<Exchange>),
    /// A stream has ended: the recorder returns its figures and starts new ones.
    EndStream(Sender<SummaryBuilder>),
}

pub struct Recorder {
    pub events: Option<EventsWriter>,
    pub spans: Option<SpanQueue>,
}

impl Recorder {
    /// Runs until all senders are gone. After the first failed write it writes nothing more, but continues to count.
    pub fn run(mut self, input: Receiver<RecorderInput>) -> Result<(), EventsError> {
        let mut summary = SummaryBuilder::default();
        let mut outcome = Ok(());
        let mut flushed = Instant::now();
        loop {
            let wait = FLUSH_INTERVAL.saturating_sub(flushed.elapsed());
            let written = match input.recv_timeout(wait) {
                Ok(RecorderInput::Batch(batch)) => self.record(batch, &mut summary),
                Ok(RecorderInput::EndStream(reply)) => {
                    let _ = reply.send(std::mem::take(&mut summary));
                    self.flush()
                }
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => {
                    return outcome.and(self.flush());
                }
            };
            let written = match flushed.elapsed() < FLUSH_INTERVAL {
                true => written,
                false => {
                    flushed = Instant::now();
                    written.and_then(|()| self.flush())
                }
            };
            if let (Err(error), true) = (written, outcome.is_ok()) {
                outcome = Err(error);
                self.events = None;
            }
        }
    }

    fn record(&mut self, batch: Vec<Exchange>, summary: &mut SummaryBuilder) -> Result<(), EventsError> {
        for exchange in &batch {
            summary.record(exchange);
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
