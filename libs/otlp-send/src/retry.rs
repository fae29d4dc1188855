//! [`Retry`]: what a failed attempt means for the next one, by OTLP's tables. The Collector goes by the same ones.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Bounds of a pause that the receiver asks for: no busy loop, and no receiver that stops a sender for hours.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Whether and when the same request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Never: the answer would be the same.
    Never,
    /// After the sender's own pause.
    Soon,
    /// After this pause, for which the receiver asked.
    After(Duration),
}

/// An attempt without success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub error: String,
    /// Whether the request may be sent again.
    pub retry: Retry,
}

impl Failure {
    /// The pause before the next attempt; none if there is to be none. `backoff` is the sender's own.
    pub fn pause(&self, backoff: Duration) -> Option<Duration> {
        match self.retry {
            Retry::Never => None,
            Retry::Soon => Some(backoff),
            Retry::After(pause) => Some(pause),
        }
    }

    /// A connection that was not made or broke.
    pub(crate) fn of_transport(error: &dyn std::error::Error) -> Self {
        Self {
            error: chain(error),
            retry: Retry::Soon,
        }
    }

    pub(crate) fn of_status(status: &Status) -> Self {
        let source = std::error::Error::source(status);
        let cause = source.map_or_else(String::new, |source| format!(": {}", chain(source)));
        Self {
            error: format!("{:?}: {}{cause}", status.code(), status.message()),
            retry: of_code(status),
        }
    }

    pub(crate) fn of_http(status: StatusCode, retry_after: Option<&str>, message: &str) -> Self {
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

/// INTERNAL and UNKNOWN of a receiver are final. Of a connection that broke tonic reports them, too, but with a source.
fn of_code(status: &Status) -> Retry {
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    match status.code() {
        Code::Unavailable
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::DataLoss => after(asked),
        Code::ResourceExhausted if asked.is_some() => after(asked),
        _ if std::error::Error::source(status).is_some() => Retry::Soon,
        _ => Retry::Never,
    }
}

fn after(asked: Option<Duration>) -> Retry {
    asked.map_or(Retry::Soon, |pause| {
        Retry::After(pause.clamp(PAUSE_MIN, PAUSE_MAX))
    })
}

/// Seconds, or a date.
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
        Failure::of_status(&Status::new(code, "x")).retry
    }

    #[test]
    fn only_what_the_specification_calls_retryable_is_sent_again() {
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
    fn a_connection_that_broke_is_tried_again_whatever_its_code() {
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        let status = Status::from_error(Box::new(broken));
        assert_eq!(Failure::of_status(&status).retry, Retry::Soon, "{status:?}");
    }

    #[test]
    fn the_pause_that_a_receiver_asks_for_is_kept_within_bounds() {
        let asked = |code, pause| {
            let details = ErrorDetails::with_retry_info(Some(pause));
            let failure = Failure::of_status(&Status::with_error_details(code, "full", details));
            failure.pause(Duration::from_millis(7))
        };
        let pause = Duration::from_millis(300);
        assert_eq!(asked(Code::Unavailable, pause), Some(pause));
        assert_eq!(asked(Code::ResourceExhausted, pause), Some(pause));
        assert_eq!(asked(Code::Unavailable, Duration::ZERO), Some(PAUSE_MIN));
        let hours = Duration::from_secs(7200);
        assert_eq!(asked(Code::Unavailable, hours), Some(PAUSE_MAX));
        assert_eq!(asked(Code::Internal, pause), None);
    }

    #[test]
    fn over_http_four_statuses_are_tried_again() {
        let retry = |status: u16, after: Option<&str>| {
            let status = StatusCode::from_u16(status).unwrap();
            Failure::of_http(status, after, "").retry
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
