//! [`Tally`]: counts what was read, by format and signal, what was left out, and what was assumed.

use std::collections::BTreeMap;

use cctf_normalizer::journal::Signal;
use cctf_proto::otlp::admission::{Admission, Rejection};
use serde::Serialize;

use crate::place::{Damages, Place};

/// A format of recorded telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// OpenTelemetry's protocol, as JSON or protobuf.
    Otlp,
    /// The JSON of Jaeger's UI and API.
    Jaeger,
    /// The JSON of Zipkin's API, version 2.
    Zipkin,
    /// Alibaba's microservice data set of 2021.
    Alibaba2021,
    /// Alibaba's microservice data set of 2022.
    Alibaba2022,
    /// The trace of invocations of Azure Functions of 2021.
    Azure2021,
}

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Self::Otlp => "otlp",
            Self::Jaeger => "jaeger",
            Self::Zipkin => "zipkin",
            Self::Alibaba2021 => "alibaba2021",
            Self::Alibaba2022 => "alibaba2022",
            Self::Azure2021 => "azure2021",
        }
    }

    /// Resolution of its timestamps, nanoseconds.
    pub fn resolution_ns(self) -> i64 {
        match self {
            Self::Otlp => 1,
            Self::Jaeger | Self::Zipkin => 1_000,
            Self::Alibaba2021 | Self::Alibaba2022 | Self::Azure2021 => 1_000_000,
        }
    }
}

/// Unusable spans or points of one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    pub count: u64,
    /// The first of them is in the record that begins there.
    pub first: Place,
    pub meaning: &'static str,
}

/// Something that a format does not state, or that a record lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assumption {
    pub count: u64,
    /// The first of them is in the record that begins there.
    pub first: Place,
    pub meaning: &'static str,
}

/// Counts of everything that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub files: u64,
    /// Size of the files as they are stored, which may be compressed, bytes.
    pub bytes: u64,
    /// Records by format: requests or resources of OTLP, traces of Jaeger, spans of Zipkin, rows of tables.
    pub records: BTreeMap<Format, u64>,
    pub spans: u64,
    pub points: u64,
    pub logs: u64,
    /// Spans and points that cannot be used, by reason.
    pub rejected: BTreeMap<&'static str, Rejected>,
    /// Assumptions by the name that they have in `run_meta.json`.
    pub assumed: BTreeMap<&'static str, Assumption>,
    pub damages: Damages,
}

impl Tally {
    /// Counts the rows of a request.
    pub fn count(&mut self, signal: Signal, admission: &Admission, place: impl Fn() -> Place) {
        let rows = match signal {
            Signal::Traces => &mut self.spans,
            Signal::Metrics => &mut self.points,
            Signal::Logs => &mut self.logs,
        };
        *rows += admission.rows;
        for (reason, count) in admission.reasons() {
            self.reject(reason, count, &place);
        }
    }

    fn reject(&mut self, reason: Rejection, count: u64, place: impl Fn() -> Place) {
        let rejected = self.rejected.entry(reason.as_str()).or_insert_with(|| Rejected {
            count: 0,
            first: place(),
            meaning: reason.explanation(),
        });
        rejected.count += count;
    }

    /// Counts an assumption.
    pub fn assume(
        &mut self,
        name: &'static str,
        meaning: &'static str,
        count: u64,
        place: impl Fn() -> Place,
    ) {
        if count > 0 {
            let assumed = self.assumed.entry(name).or_insert_with(|| Assumption {
                count: 0,
                first: place(),
                meaning,
            });
            assumed.count += count;
        }
    }

    /// Whether nothing was read from which a row can follow.
    pub fn is_empty(&self) -> bool {
        let rejected: u64 = self.rejected.values().map(|rejected| rejected.count).sum();
        self.spans + self.points <= rejected
    }
}
