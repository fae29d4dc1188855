//! [`Offline`]: recorded requests become run folders, without a receiver and a journal. The times in the requests are the clock.

use std::path::Path;

use bytes::Bytes;
use cctf_proto::otlp::admission::Admission;
use cctf_proto::otlp::{WireError, WireErrorKind};

use crate::journal::{Content, Record, Signal};
use crate::pipeline::{Pipeline, Settings};
use crate::receiver::{examine, readable};
use crate::recovery::Feeding;
use crate::sink::{Sink, SinkError};

/// A request whose structure is valid.
#[derive(Debug)]
pub struct CheckedRequest {
    signal: Signal,
    message: Bytes,
    /// Its usable and unusable rows.
    pub admission: Admission,
}

impl CheckedRequest {
    /// Checks a request as the receiver does. Texts that are not UTF-8 are repaired.
    ///
    /// # Errors
    /// If the message is not a request of this signal.
    pub fn new(signal: Signal, message: Bytes) -> Result<Self, WireError> {
        let (message, admission) = match examine(signal, &message) {
            Err(error) if error.kind == WireErrorKind::InvalidUtf8 => {
                let repaired = readable(signal, &message)?;
                let admission = examine(signal, &repaired)?;
                (Bytes::from(repaired), admission)
            }
            examined => (message, examined?),
        };
        Ok(Self {
            signal,
            message,
            admission,
        })
    }

    pub fn signal(&self) -> Signal {
        self.signal
    }
}

/// A pipeline and the folders to which it writes.
///
/// Its clock is the latest time in the requests so far, so it never moves back. The pipeline connects two rows through spans
/// without rows if all these spans arrive within a join window of that clock. A row that waits longer becomes an orphan. A merge
/// of the folder connects such orphans.
pub struct Offline {
    pipeline: Pipeline,
    feeding: Feeding,
    latest_unix_ns: u64,
}

impl Offline {
    /// Writes one folder for each run to `out_dir`.
    pub fn new(out_dir: &Path, settings: Settings) -> Self {
        Self {
            pipeline: Pipeline::new(settings),
            feeding: Feeding::new(Sink::new(out_dir)),
            latest_unix_ns: 0,
        }
    }

    /// Feeds a request. After an error it feeds no more; [`Self::finish`] returns the error.
    pub fn take(&mut self, request: CheckedRequest) {
        self.latest_unix_ns = self.latest_unix_ns.max(request.admission.latest_unix_ns);
        self.feed(Content::Request {
            signal: request.signal,
            body: request.message,
        });
    }

    /// The error that has stopped the feeding.
    pub fn failure(&self) -> Option<&SinkError> {
        self.feeding.failure()
    }

    /// Writes the rows that wait, and closes all runs.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn finish(mut self) -> Result<(), SinkError> {
        self.feed(Content::Shutdown);
        self.feeding.finish().map(drop)
    }

    fn feed(&mut self, content: Content) {
        let record = Record {
            received_unix_ns: self.latest_unix_ns,
            content,
        };
        self.feeding.feed(&mut self.pipeline, &record);
    }
}
