//! [`Retry`]: whether a failed request may be sent again, according to OTLP's tables, as in the Collector.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Bounds for a pause that the receiver requests. They prevent a busy loop, and pauses of hours.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Whether and when the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Do not retry: the answer would be the same.
    Never,
    /// Retry after the sender's own backoff.
    Soon,
    /// Retry after this pause, which the receiver requested.
    After(Duration),
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub error: String,
    pub retry: Retry,
}

impl Failure {
    /// The pause before the next attempt; none if the failure is final. `backoff` is the sender's own pause.
    pub fn pause(&self, backoff: Duration) -> Option<Duration> {
        match self.retry {
            Retry::Never => None,
            Retry::Soon => Some(backoff),
            Retry::After(pause) => Some(pause),
        }
    }

    /// A connection that could not be established or was lost.
    pub(crate) fn from_transport(error: &dyn std::error::Error) -> Self {
        Self {
            error: chain(error),
            retry: Retry::Soon,
        }
    }

    pub(crate) fn from_status(status: &Status) -> Self {
        let source = std::error::Error::source(status);
        let cause = source.map_or_else(String::new, |source| format!(": {}", chain(source)));
        Self {
            error: format!("{:?}: {}{cause}", status.code(), status.message()),
            retry: retry_of(status),
        }
    }

    pub(crate) fn from_http(status: StatusCode, retry_after: Option<&str>, message: &str) -> Self {
        let colon = if message.is_empty() { "" } else { ": " };
        let error = format!("{status}{colon}{message}");
        let retry = match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => after(retry_after.and_then(parse_retry_after)),
            _ => Retry::Never,
        };
        Self { error, retry }
    }
}

/// INTERNAL and UNKNOWN from a receiver are final. tonic also uses them for lost connections, but then the status has a source.
fn retry_of(status: &Status) -> Retry {
    let requested = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match status.code() {
        Code::Unavailable
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::DataLoss => after(requested),
        Code::ResourceExhausted if requested.is_some() => after(requested),
        _ if std::error::Error::source(status).is_some() => Retry::Soon,
        _ => Retry::Never,
    }
}

fn after(requested: Option<Duration>) -> Retry {
    requested.map_or(Retry::Soon, |pause| {
        Retry::After(pause.clamp(PAUSE_MIN, PAUSE_MAX))
    })
}

/// Parses seconds or a date.
fn parse_retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn retry(code: Code) -> Retry {
        Failure::from_status(&Status::new(code, "x")).retry
    }

    #[test]
    fn only_failures_that_the_specification_allows_are_retried() {
        for code in [
            Code::Unavailable,
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::DataLoss,
        ] {
            assert_eq!(retry(code), Retry::Soon, "{code:?}");
        }
        for code in [
            Code::Internal,
            Code::Unknown,
            Code::InvalidArgument,
            Code::NotFound,
            Code::AlreadyExists,
            Code::PermissionDenied,
            Code::Unauthenticated,
            Code::FailedPrecondition,
            Code::Unimplemented,
            Code::ResourceExhausted,
        ] {
            assert_eq!(retry(code), Retry::Never, "{code:?}");
        }
    }

    #[test]
    fn a_lost_connection_is_retried_whatever_its_code() {
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let status = Status::from_error(Box::new(broken));
        assert_eq!(Failure::from_status(&status).retry, Retry::Soon, "{status:?}");
    }

    #[test]
    fn a_requested_pause_is_kept_within_bounds() {
        let pause_for = |code, pause| {
            let details = ErrorDetails::with_retry_info(Some(pause));
            let failure = Failure::from_status(&Status::with_error_details(code, "full", details));
            failure.pause(Duration::from_millis(7))
        };
        let pause = Duration::from_millis(300);
        assert_eq!(pause_for(Code::Unavailable, pause), Some(pause));
        assert_eq!(pause_for(Code::ResourceExhausted, pause), Some(pause));
        assert_eq!(pause_for(Code::Unavailable, Duration::ZERO), Some(PAUSE_MIN));
        let hours = Duration::from_secs(7200);
        assert_eq!(pause_for(Code::Unavailable, hours), Some(PAUSE_MAX));
        assert_eq!(pause_for(Code::Internal, pause), None);
    }

    #[test]
    fn over_http_four_statuses_are_retried() {
        let retry = |status: u16, after: Option<&str>| {
            let status = StatusCode::from_u16(status).unwrap();
            Failure::from_http(status, after, "").retry
        };
        for status in [429, 502, 503, 504] {
            assert_eq!(retry(status, None), Retry::Soon, "{status}");
            let two = Retry::After(Duration::from_secs(2));
            assert_eq!(retry(status, Some("2")), two, "{status}");
        }
        for status in [301, 400, 401, 403, 404, 413, 415, 500, 501] {
            assert_eq!(retry(status, Some("2")), Retry::Never, "{status}");
        }
        let past = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(retry(503, past), Retry::After(PAUSE_MIN));
        assert_eq!(retry(503, Some("soon")), Retry::Soon);
    }
}
