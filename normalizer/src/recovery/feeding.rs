//! [`Feeding`]: feeds stored records to the pipeline and writes the output to the files, on one thread.

use crate::journal::Record;
use crate::pipeline::{Output, Pipeline};
use crate::sink::{Sink, SinkError};

/// Output is written after this many records, or when its lines have this many bytes. This many bytes are still in the
/// processor's cache when they are written, and are enough that system calls cost little. The limit on bytes is needed for
/// conversions, whose records have thousands of rows each.
const RECORDS_A_WRITE: u64 = 64;
const BYTES_A_WRITE: usize = 512 << 10;

/// A sink that writes the rows of stored records.
pub(crate) struct Feeding {
    sink: Sink,
    output: Output,
    records: u64,
    failed: Option<SinkError>,
}

impl Feeding {
    pub(crate) fn new(sink: Sink) -> Self {
        Self {
            sink,
            output: Output::default(),
            records: 0,
            failed: None,
        }
    }

    /// Feeds a record. After an error, it does nothing; [`Self::finish`] returns the error.
    pub(crate) fn feed(&mut self, pipeline: &mut Pipeline, record: &Record) {
        if self.failed.is_some() {
            return;
        }
        pipeline.feed(record, &mut self.output);
        self.records += 1;
        if self.records.is_multiple_of(RECORDS_A_WRITE) || self.output.line_bytes() >= BYTES_A_WRITE {
            self.write();
        }
    }

    /// The error that has stopped the feeding.
    pub(crate) fn failure(&self) -> Option<&SinkError> {
        self.failed.as_ref()
    }

    /// Writes the pending output. Returns the sink and the number of records fed.
    pub(crate) fn finish(mut self) -> Result<(Sink, u64), SinkError> {
        self.write();
        match self.failed {
            Some(error) => Err(error),
            None => Ok((self.sink, self.records)),
        }
    }

    fn write(&mut self) {
        if self.failed.is_none() {
            self.failed = self.sink.write(&mut self.output).err();
        }
    }
}
