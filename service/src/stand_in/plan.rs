//! [`Plan`]: the received work of one invocation, in owned form. It has the texts for spans and requests, and the work of
//! callees.

use std::sync::Arc;

use bytes::Bytes;
use standin::{Ends, What, Work};

use crate::telemetry::planned_span::{CallSpan, Endpoint, Outcome};

/// Minimum status with which a call has failed, unless the recorded call had the same status and succeeded.
const FAILURE_MIN: u16 = 400;

/// The work of an invocation, except the order of calls, which is in the engine.
#[derive(Debug)]
pub struct Plan {
    pub calls: Vec<PlannedCall>,
    /// Size of the answer's body.
    pub bytes_out: u32,
    /// Recorded result.
    pub outcome: Outcome,
}

/// A call of the invocation.
#[derive(Debug)]
pub struct PlannedCall {
    pub what: What,
    pub span: CallSpan,
    /// Whether the caller timed out in the recording. The recorded result is then not the result of an answer.
    pub gave_up: bool,
    /// Recorded result.
    pub outcome: Outcome,
    /// Status of the callee's recorded answer.
    pub answer_status: u16,
    /// Recorded size of the answer.
    pub bytes_in: u32,
    pub is_after_answer: bool,
    pub callees: Vec<Receiver>,
}

impl PlannedCall {
    /// Whether an answer with this status is the recorded one. If so, the call gets its recorded result.
    pub fn is_as_recorded(&self, status: u16) -> bool {
        !self.gave_up && status == self.answer_status
    }

    /// Whether an answer with this status makes the call fail.
    pub fn fails_with(&self, status: u16) -> bool {
        match self.is_as_recorded(status) {
            true => self.outcome.is_failed,
            false => status >= FAILURE_MIN,
        }
    }
}

/// An invocation that a call causes.
#[derive(Debug)]
pub struct Receiver {
    pub module: Arc<str>,
    pub instance: Arc<str>,
    /// Recorded size of the request.
    pub body_bytes: u32,
    /// The encoded work: a slice of the received body, or a copy.
    pub work: Bytes,
}

impl Plan {
    /// `body` is the received body from which `work` was decoded.
    pub fn new(work: &Work<'_>, body: &Bytes) -> Self {
        let nested = work.calls.iter().flat_map(|call| &call.callees);
        let nested_bytes: usize = nested.map(|callee| callee.work.len()).sum();
        // If most of the body is padding, the parts are copied, so that the body itself can be freed.
        let is_padded = nested_bytes < body.len() / 2;
        let calls = work.calls.iter().map(|call| {
            let callees = call.callees.iter().map(|callee| Receiver {
                module: callee.module.into(),
                instance: callee.instance.into(),
                body_bytes: callee.body_bytes,
                work: match is_padded {
                    true => Bytes::copy_from_slice(callee.work),
                    false => body.slice_ref(callee.work),
                },
            });
            let callees: Vec<Receiver> = callees.collect();
            let peer = callees.first().map(|callee| callee.module.clone());
            PlannedCall {
                what: call.what,
                span: CallSpan {
                    is_message: call.what == What::Message,
                    is_retry: call.retry_of.is_some(),
                    is_rpc: is_rpc(call.status),
                    // The module's name identifies the receiver even if it does not answer.
                    peer: peer.or_else(|| call.peer.map(Into::into)),
                    method: call.method.map(Into::into),
                    path: call.path.map(Into::into),
                    bytes_out: call.bytes_out,
                },
                gave_up: matches!(call.ends, Ends::Timeout(_)) && call.is_failed,
                outcome: Outcome {
                    status: call.status,
                    error: call.error.map(Into::into),
                    is_failed: call.is_failed,
                },
                answer_status: call.answer_status,
                bytes_in: call.bytes_in,
                is_after_answer: call.is_after_answer,
                callees,
            }
        });
        Self {
            calls: calls.collect(),
            bytes_out: work.bytes_out,
            outcome: Outcome {
                status: work.status,
                error: work.error.map(Into::into),
                is_failed: work.is_failed,
            },
        }
    }
}

impl PlannedCall {
    /// Total size of the requests and the answer of a call.
    pub fn bytes(&self) -> u64 {
        let requests = self
            .callees
            .iter()
            .map(|callee| callee.work.len().max(callee.body_bytes as usize) as u64);
        requests.sum::<u64>() + u64::from(self.bytes_in)
    }
}

/// The endpoint that the span of an invocation reports.
pub fn endpoint(work: &Work<'_>) -> Endpoint {
    Endpoint {
        kind: work.kind,
        is_rpc: is_rpc(work.status),
        method: work.method.map(Into::into),
        route: work.route.map(Into::into),
    }
}

/// Whether a recorded status belongs to a remote procedure call. HTTP statuses are at least 100, gRPC codes at most 16.
fn is_rpc(status: Option<u16>) -> bool {
    status.is_some_and(|status| status < 100)
}
