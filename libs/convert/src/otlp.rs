//! Converts records of OTLP in JSON to requests, and finds out the signal of a protobuf message, which does not state its signal.

use bytes::Bytes;
use cctf_normalizer::journal::Signal;
use cctf_normalizer::offline::CheckedRequest;
use cctf_normalizer::receiver::message_of_json;

use crate::keys::{Container, Keys};

const SIGNALS: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

/// The keys of a request and of its elements, by signal.
static KEYS: [(Signal, Keys, Keys, Container); 3] = [
    (
        Signal::Traces,
        Keys::RESOURCE_SPANS,
        Keys::SCOPE_SPANS,
        Container::ResourceSpans,
    ),
    (
        Signal::Metrics,
        Keys::RESOURCE_METRICS,
        Keys::SCOPE_METRICS,
        Container::ResourceMetrics,
    ),
    (
        Signal::Logs,
        Keys::RESOURCE_LOGS,
        Keys::SCOPE_LOGS,
        Container::ResourceLogs,
    ),
];

/// A record of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A whole request.
    Request(Signal),
    /// The data of one resource.
    Resource(Signal),
}

/// The shapes of a record. A record with the arrays of two signals is two requests.
pub fn shapes(keys: Keys, container: Option<Container>) -> impl Iterator<Item = Shape> {
    let is_request = KEYS.iter().any(|(_, request, ..)| keys.has(&[*request]));
    KEYS.iter()
        .filter_map(move |&(signal, request, resource, array)| {
            if is_request {
                return keys.has(&[request]).then_some(Shape::Request(signal));
            }
            let is_resource = match container {
                Some(Container::Data) | None => keys.has(&[resource]),
                Some(container) => container == array,
            };
            is_resource.then_some(Shape::Resource(signal))
        })
}

/// Converts a record to a request. `buffer` is reused.
///
/// # Errors
/// The reason why the record is not a valid request.
pub fn request_of_json(shape: Shape, json: &[u8], buffer: &mut Vec<u8>) -> Result<CheckedRequest, String> {
    let (signal, message) = match shape {
        Shape::Request(signal) => (signal, message_of_json(signal, json)),
        Shape::Resource(signal) => {
            buffer.clear();
            buffer.extend_from_slice(match signal {
                Signal::Traces => b"{\"resourceSpans\":[",
                Signal::Metrics => b"{\"resourceMetrics\":[",
                Signal::Logs => b"{\"resourceLogs\":[",
            });
            buffer.extend_from_slice(json);
            buffer.extend_from_slice(b"]}");
            (signal, message_of_json(signal, buffer))
        }
    };
    let message = message.map_err(|error| error.to_string())?;
    CheckedRequest::new(signal, message).map_err(|error| format!("malformed request: {error}"))
}

/// The signal of a line that is one request, by its first key; `None` if the line may be something else.
pub fn signal_of_line(line: &[u8]) -> Option<Signal> {
    const STARTS: [(&[u8], Signal); 3] = [
        (b"{\"resourceSpans\":", Signal::Traces),
        (b"{\"resourceMetrics\":", Signal::Metrics),
        (b"{\"resourceLogs\":", Signal::Logs),
    ];
    let start = STARTS.iter().find(|(start, _)| line.starts_with(start));
    start.map(|(_, signal)| *signal)
}

/// Whether a line with a request of one signal has no key of another signal.
pub fn has_one_signal(line: &[u8], signal: Signal) -> bool {
    const OTHERS: [(&[u8], Signal); 3] = [
        (b"\"resourceSpans\"", Signal::Traces),
        (b"\"resourceMetrics\"", Signal::Metrics),
        (b"\"resourceLogs\"", Signal::Logs),
    ];
    let others = OTHERS.iter().filter(|(_, other)| *other != signal);
    others
        .map(|(key, _)| key)
        .all(|key| memchr::memmem::find(line, key).is_none())
}

/// The request in a protobuf message, whose signal is unknown. The three requests have the same outer structure, so the signal is
/// the one in which the message has the most usable rows. `likely` is checked first, and alone if all its rows are usable.
///
/// # Errors
/// The reason, if the message is not a request of any signal.
pub fn request_of_message(message: &Bytes, likely: Signal) -> Result<CheckedRequest, String> {
    let mut best: Option<CheckedRequest> = None;
    let mut reason = None;
    let others = SIGNALS.into_iter().filter(|&signal| signal != likely);
    for signal in [likely].into_iter().chain(others) {
        match CheckedRequest::new(signal, message.clone()) {
            Ok(request) => {
                if request.admission.rows > 0 && request.admission.rejected_total() == 0 {
                    return Ok(request);
                }
                if best.as_ref().is_none_or(|best| usable(&request) > usable(best)) {
                    best = Some(request);
                }
            }
            Err(error) if signal == Signal::Traces => reason = Some(error.to_string()),
            Err(_) => {}
        }
    }
    best.ok_or_else(|| {
        format!(
            "neither traces, metrics nor logs of OTLP (as traces: {})",
            reason.unwrap_or_default()
        )
    })
}

fn usable(request: &CheckedRequest) -> u64 {
    let admission = &request.admission;
    admission.rows - admission.rejected_total()
}
