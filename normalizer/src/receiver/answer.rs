//! The answer to a client: its body, the export response, and protection against panics.

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cctf_proto::otlp::admission::Admission;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use prost::Message;

use crate::journal::Signal;

/// The body of an answer: at most one frame, and trailers for gRPC.
#[derive(Debug, Default)]
pub struct AnswerBody {
    pub(super) data: Option<Bytes>,
    pub(super) trailers: Option<HeaderMap>,
}

impl From<Vec<u8>> for AnswerBody {
    fn from(data: Vec<u8>) -> Self {
        Self {
            data: (!data.is_empty()).then(|| data.into()),
            trailers: None,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.data.as_ref().map_or(0, |data| data.len() as u64))
    }
}

/// ExportTraceServiceResponse, ExportMetricsServiceResponse and ExportLogsServiceResponse, which are identical on the wire.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// Rejected rows and the reasons.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

impl ExportResponse {
    /// The response has a partial success only if rows were rejected.
    pub(super) fn new(admission: &Admission) -> Self {
        let partial_success = admission.message().map(|error_message| PartialSuccess {
            rejected: i64::try_from(admission.rejected_total()).unwrap_or(i64::MAX),
            error_message,
        });
        Self { partial_success }
    }

    /// OTLP/JSON, in which the field names depend on the signal.
    pub(super) fn to_json(&self, signal: Signal) -> Vec<u8> {
        let rejected = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Metrics => "rejectedDataPoints",
            Signal::Logs => "rejectedLogRecords",
        };
        let Some(partial_success) = &self.partial_success else {
            return b"{}".to_vec();
        };
        let (count, message) = (
            partial_success.rejected.to_string(),
            &partial_success.error_message,
        );
        serde_json::json!({"partialSuccess": {rejected: count, "errorMessage": message}})
            .to_string()
            .into_bytes()
    }
}

/// Resolves to the output of the future, or to `None` if it panics. So a single request cannot end its connection.
pub(super) async fn unless_it_panics<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        // After a panic, the future is never polled again, so nobody sees a partial state.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Some(output)),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_answer() {
        assert_eq!(unless_it_panics(async { 1 }).await, Some(1));
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("on purpose");
        };
        assert_eq!(unless_it_panics::<_>(panicking).await, None::<()>);
    }
}
