//! [`Intake`]: what both transports do with a message: check its structure, see which rows can be used, append it.

use std::sync::Arc;

use bytes::Bytes;
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::admission::{Admission, admit_metrics_request, admit_trace_request};
use cctf_proto::otlp::check::check_logs_request;
use cctf_proto::otlp::logs::LogsRequest;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::budget::{Budget, Reservation};
use super::counters::Counters;
use super::refusal::Refusal;
use crate::journal::{Journal, Signal};

/// Work on more bytes than this would hold up the other requests of its thread: they go to another thread.
const LONG_WORK_BYTES: usize = 1024 * 1024;

/// Where messages go, and how large they may be.
#[derive(Clone)]
pub(super) struct Intake {
    pub(super) journal: Journal,
    pub(super) counters: Arc<Counters>,
    pub(super) budget: Budget,
    pub(super) message_bytes_max: usize,
}

impl Intake {
    /// Takes a message in. Rows that cannot be used are in what is returned; they never refuse the others.
    pub(super) async fn take(&self, signal: Signal, message: Bytes) -> Result<Admission, Refusal> {
        let admission = off_the_loop(message.len(), || examine(signal, &message))
            .map_err(|error| Refusal::Malformed(error.to_string()))?;
        let len = message.len();
        if len > 0 {
            self.journal.append(signal, message)?.await?;
        }
        self.counters.count_accepted(signal, len, &admission);
        Ok(admission)
    }

    /// A share of the budget for one request.
    pub(super) fn reservation(&self) -> Reservation {
        self.budget.reservation()
    }
}

/// Does work that is long in proportion to `bytes` where it holds up nobody.
pub(super) fn off_the_loop<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LONG_WORK_BYTES || Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work();
    }
    tokio::task::block_in_place(work)
}

fn examine(signal: Signal, message: &[u8]) -> Result<Admission, WireError> {
    match signal {
        Signal::Traces => admit_trace_request(message),
        Signal::Metrics => admit_metrics_request(message),
        Signal::Logs => {
            check_logs_request(message)?;
            let rows = LogsRequest::new(message).log_record_count()?;
            Ok(Admission {
                rows,
                ..Admission::default()
            })
        }
    }
}
