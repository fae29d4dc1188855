//! Stands in for the pipeline until it is there: one line a request.

use crate::journal::{Content, Record};
use crate::pipeline::{Output, Settings};
use cctf_proto::cctf::File;

/// Counters.
#[derive(Debug, Clone, Default)]
pub struct PipelineCounters {
    /// Requests.
    pub requests: u64,
}

/// The stand-in.
pub struct Pipeline {
    settings: Settings,
    counters: PipelineCounters,
}

impl Pipeline {
    /// New.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            counters: PipelineCounters::default(),
        }
    }
    /// Feed.
    pub fn feed(&mut self, record: &Record, output: &mut Output) {
        if let Content::Request { signal, body } = &record.content {
            let run = output.run(0, &self.settings.run_id);
            run.lines(File::Invocations).extend_from_slice(
                format!("{{\"signal\":\"{signal:?}\",\"bytes\":{}}}\n", body.len()).as_bytes(),
            );
            run.latest = self.counters.requests == 0;
            self.counters.requests += 1;
        }
    }
    /// Counters.
    pub fn counters(&self) -> PipelineCounters {
        self.counters.clone()
    }
}
