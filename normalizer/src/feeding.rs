//! [`Feeding`]: records that were kept go through the pipeline to the files, on one thread.

use crate::journal::Record;
use crate::pipeline::{Output, Pipeline};
use crate::sink::{Sink, SinkError};

/// Output is written after this many records.
const RECORDS_A_WRITE: u64 = 64;

/// A sink that is given what kept records make.
pub struct Feeding {
    sink: Sink,
    output: Output,
    records: u64,
    failed: Option<SinkError>,
}

impl Feeding {
    /// Nothing has been fed yet.
    pub fn new(sink: Sink) -> Self {
        Self {
            sink,
            output: Output::default(),
            records: 0,
            failed: None,
        }
    }

    /// Feeds a record. After an error nothing is fed any more; [`Self::finish`] tells it.
    pub fn feed(&mut self, pipeline: &mut Pipeline, record: &Record) {
        if self.failed.is_some() {
            return;
        }
        pipeline.feed(record, &mut self.output);
        self.records += 1;
        if self.records.is_multiple_of(RECORDS_A_WRITE) {
            self.write();
        }
    }

    /// Writes what is left. Returns the sink, and how many records were fed.
    pub fn finish(mut self) -> Result<(Sink, u64), SinkError> {
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
