//! The facts of a run that its start span reports.

use cctf_proto::keys;
use opentelemetry_proto::tonic::common::v1::KeyValue;

use crate::otlp::spans::{double, integer, text};

/// The facts of a run that its start span reports.
#[derive(Debug, Clone, Default)]
pub struct RunFacts {
    pub run_id: String,
    pub rate: f64,
    pub duration: String,
    pub scen: Option<String>,
    pub img: Option<String>,
    pub git_sha: Option<String>,
    pub workers: Option<u32>,
    pub endpoint: String,
    pub target: String,
    pub payload_bytes: Option<usize>,
    pub seed: u64,
}

impl RunFacts {
    /// The attributes of `cctf.run.start`.
    pub fn attributes(&self) -> Vec<KeyValue> {
        let mut attributes = vec![
            text(keys::RUN_ID, &self.run_id),
            double(keys::RUN_RATE, self.rate),
            text(keys::RUN_DURATION, &self.duration),
            text(keys::RUN_ENDPOINT, &self.endpoint),
            text(keys::RUN_TARGET, &self.target),
            integer(keys::RUN_SEED, self.seed as i64),
        ];
        let optional = [
            (keys::RUN_SCEN, &self.scen),
            (keys::RUN_IMG, &self.img),
            (keys::RUN_GIT_SHA, &self.git_sha),
        ];
        attributes.extend(
            optional
                .into_iter()
                .filter_map(|(key, value)| value.as_ref().map(|value| text(key, value))),
        );
        attributes.extend(
            self.payload_bytes
                .map(|bytes| integer(keys::RUN_PAYLOAD_BYTES, bytes as i64)),
        );
        attributes.extend(
            self.workers
                .map(|workers| integer(keys::WORKERS, i64::from(workers))),
        );
        attributes
    }
}
