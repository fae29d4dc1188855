//! [`Intake`]: the part of the receiver that gRPC and HTTP share. It checks the structure of a message, finds its usable spans and
//! data points (which the code calls rows), and appends the message to the journal.

use std::sync::Arc;

use bytes::Bytes;
use cctf_proto::otlp::admission::{Admission, Rejection, admit_metrics_request, admit_trace_request};
use cctf_proto::otlp::check::check_logs_request;
use cctf_proto::otlp::logs::LogsRequest;
use cctf_proto::otlp::repair::{self, repair};
use cctf_proto::otlp::{WireError, WireErrorKind};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::budget::{Budget, Reservation};
use super::counters::Counters;
use super::drivers::{Control, Drivers, alive};
use super::known_layouts::KnownLayouts;
use super::refusal::Refusal;
use crate::journal::{Journal, Signal};

/// Work on a message of at least this size would delay the other requests of its thread. So, before such work, the runtime moves the
/// other requests to another thread.
const LONG_WORK_BYTES: usize = 1024 * 1024;

#[derive(Clone)]
pub(super) struct Intake {
    pub(super) journal: Journal,
    pub(super) counters: Arc<Counters>,
    pub(super) budget: Budget,
    pub(super) message_bytes_max: usize,
    pub(super) drivers: Arc<Drivers>,
    pub(super) layouts: Arc<KnownLayouts>,
}

impl Intake {
    /// Appends a message to the journal. The result counts the rejected rows. All other rows are accepted.
    pub(super) async fn take(&self, signal: Signal, message: Bytes) -> Result<Admission, Refusal> {
        // Some messages have text that is not UTF-8 and must be repaired. The reservation counts the bytes of the repaired copy until
        // the journal has this copy.
        let mut reservation = self.reservation();
        let (mut admission, message) =
            off_the_loop(message.len(), || self.admit(signal, message, &mut reservation))?;
        let len = message.len();
        if signal == Signal::Traces
            && admission.rows == 0
            && let Some(driver) = alive(&message)
        {
            // The pipeline does not need the report that a driver is alive, because the report has no rows.
            self.drivers.lock().hear(driver, self.journal.now());
            return Ok(admission);
        }
        let control = match signal {
            Signal::Traces if admission.rows == 1 && admission.rejected_total() == 0 => Control::of(&message),
            _ => None,
        };
        match control {
            Some(control) => self.take_control(control, message, &mut admission).await?,
            None if len > 0 => self.journal.append(signal, message)?.await?,
            None => {}
        }
        self.counters.count_accepted(signal, len, &admission);
        Ok(admission)
    }

    /// Appends a message whose only span starts or ends a run. If another driver has already started the run, the span is
    /// rejected instead.
    async fn take_control(
        &self,
        control: Control,
        message: Bytes,
        admission: &mut Admission,
    ) -> Result<(), Refusal> {
        let accepted = {
            // The lock is held, so that starts are appended in the order in which they are checked.
            let mut known = self.drivers.lock();
            if known.is_taken(&control, self.journal.now()) {
                admission.reject_first(Rejection::RunHasDriver);
                return Ok(());
            }
            let accepted = self.journal.append(Signal::Traces, message)?;
            known.note(control);
            accepted
        };
        Ok(accepted.await?)
    }

    /// Finds the valid rows. Returns the message as well, repaired if some of its texts are not UTF-8.
    fn admit(
        &self,
        signal: Signal,
        message: Bytes,
        reservation: &mut Reservation,
    ) -> Result<(Admission, Bytes), Refusal> {
        match self.examine(signal, &message) {
            Ok(admission) => return Ok((admission, message)),
            Err(error) if error.kind == WireErrorKind::InvalidUtf8 => {}
            Err(error) => return Err(malformed(error)),
        }
        let repaired = readable(signal, &message).map_err(malformed)?;
        if repaired.len() > self.message_bytes_max {
            return Err(Refusal::TooLarge {
                limit: self.message_bytes_max,
            });
        }
        reservation.grow(repaired.len())?;
        let admission = examine(signal, &repaired).map_err(malformed)?;
        Ok((admission, Bytes::from(repaired)))
    }

    fn examine(&self, signal: Signal, message: &[u8]) -> Result<Admission, WireError> {
        match signal {
            Signal::Traces => self.layouts.admit(message),
            Signal::Metrics | Signal::Logs => examine(signal, message),
        }
    }

    pub(super) fn reservation(&self) -> Reservation {
        self.budget.reservation()
    }
}

/// Does work that takes time in proportion to `bytes`. Long work does not delay other requests, except on a runtime with one thread.
pub(super) fn off_the_loop<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LONG_WORK_BYTES || Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work();
    }
    tokio::task::block_in_place(work)
}

fn malformed(error: WireError) -> Refusal {
    Refusal::Malformed(error.to_string())
}

/// The message, with U+FFFD in place of bytes that are not valid UTF-8.
///
/// # Errors
/// If the structure of the message is also invalid.
pub fn readable(signal: Signal, message: &[u8]) -> Result<Vec<u8>, WireError> {
    let request = match signal {
        Signal::Traces => repair::Request::Traces,
        Signal::Metrics => repair::Request::Metrics,
        Signal::Logs => repair::Request::Logs,
    };
    repair(request, message)
}

/// Checks the structure of a message, and finds its usable rows.
///
/// # Errors
/// If the structure is invalid.
pub fn examine(signal: Signal, message: &[u8]) -> Result<Admission, WireError> {
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
