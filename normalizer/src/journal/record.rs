//! [`Record`]: one entry of the journal, the pipeline's only input.

use bytes::Bytes;

/// Which OTLP service a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// ExportTraceServiceRequest.
    Traces,
    /// ExportMetricsServiceRequest.
    Metrics,
    /// ExportLogsServiceRequest: counted, not used.
    Logs,
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A request's protobuf bytes, decompressed and checked for structure.
    Request {
        /// The service it came to.
        signal: Signal,
        /// The message.
        body: Bytes,
    },
    /// Time went on. Windows close, instances go stale and runs end by it when no request comes.
    Tick,
    /// The normalizer came up; the time since the record before was not lived through.
    Restart,
    /// The pipeline's settings from here on, as JSON.
    Settings {
        /// The JSON.
        body: Bytes,
    },
    /// The normalizer goes down in order: what is held is written, runs are closed.
    Shutdown,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it came, nanoseconds since the Unix epoch. Never less than that of the record before it.
    pub received_unix_ns: u64,
    /// What came.
    pub content: Content,
}
