//! [`Record`]: one entry of the journal, the pipeline's only input.

use bytes::Bytes;

/// The OTLP service that received a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// ExportTraceServiceRequest.
    Traces,
    /// ExportMetricsServiceRequest.
    Metrics,
    /// ExportLogsServiceRequest: counted and not used.
    Logs,
}

/// Content of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A request's protobuf bytes, decompressed and checked for structure.
    Request { signal: Signal, body: Bytes },
    /// Time has passed. If no requests arrive, ticks make windows and runs close and instances become stale.
    Tick,
    /// The normalizer has started. It was not running since the previous record.
    Restart,
    /// The pipeline's settings for all later records, as JSON.
    Settings { body: Bytes },
    /// A graceful shutdown: pending rows are written and runs are closed.
    Shutdown,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Arrival time, nanoseconds since the Unix epoch. Never before that of the previous record.
    pub received_unix_ns: u64,
    pub content: Content,
}
