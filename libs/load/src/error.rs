//! [`DriveError`]: the failure of a run.

use crate::http::request::HeadError;
use crate::otlp::export::ExportError;
use crate::plan::payload::PayloadError;
use crate::plan::target::{KV_SET_PATH, Target};
use crate::record::events::EventsError;
use crate::stream::SourceError;

/// Failure of a run.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    #[error("cannot connect to {target}: {source}; check that the service runs there")]
    Unreachable { target: Target, source: std::io::Error },
    #[error("cannot store the value for kvget by POST {target}{KV_SET_PATH}: {error}")]
    SetKey { target: Target, error: String },
    #[error("cannot {operation}: {source}")]
    System {
        operation: &'static str,
        source: std::io::Error,
    },
    #[error("the driver's {0} thread has panicked: this is a bug in cctf")]
    Panicked(&'static str),
    #[error("invalid --size: a range varies the request body, but {0} sends no body; use a single size")]
    NoBody(String),
    /// The source of the requests has failed. The requests before the failure were sent.
    #[error("cannot prepare the next request: {0}")]
    Source(SourceError),
    /// The rows of both drivers would be in one folder.
    #[error(
        "cannot start run {0}: another load driver has started it, and has not reported its end; choose another --run-id, or wait a minute if \
         that driver was killed"
    )]
    RunHasDriver(String),
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(transparent)]
    Events(#[from] EventsError),
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Adds the operation to an error of the system.
pub fn system(operation: &'static str) -> impl Fn(std::io::Error) -> DriveError {
    move |source| DriveError::System { operation, source }
}
