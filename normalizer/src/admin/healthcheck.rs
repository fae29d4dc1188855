//! Asks a running normalizer whether it is ready, for containers without a shell.

use std::time::Duration;

use http::Uri;

/// Time for the whole check.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a normalizer does not count as ready.
#[derive(Debug, thiserror::Error)]
pub enum HealthcheckError {
    /// The URL is not one.
    #[error("{0:?} is no URL of an admin listener, write it as in http://127.0.0.1:9464")]
    Url(String),
    /// Nobody answers there.
    #[error("no answer from {url}: {reason}")]
    NoAnswer {
        /// Who was asked.
        url: String,
        /// What happened instead.
        reason: String,
    },
    /// It says that it is not.
    #[error("{url} is not ready: {status} {body}")]
    NotReady {
        /// Who was asked.
        url: String,
        /// HTTP status.
        status: u16,
        /// The answer's text.
        body: String,
    },
}

/// Succeeds if the normalizer whose admin listener is at `url` is ready.
pub fn healthcheck(url: &str) -> Result<(), HealthcheckError> {
    let uri: Uri = url.parse().map_err(|_| HealthcheckError::Url(url.to_owned()))?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(HealthcheckError::Url(url.to_owned()));
    };
    let (host, port) = (
        authority.host().trim_matches(['[', ']']),
        authority.port_u16().unwrap_or(80),
    );
    let answer =
        http_once::get(host, port, "/readyz", TIMEOUT).map_err(|error| HealthcheckError::NoAnswer {
            url: url.to_owned(),
            reason: error.to_string(),
        })?;
    if answer.status == 200 {
        return Ok(());
    }
    Err(HealthcheckError::NotReady {
        url: url.to_owned(),
        status: answer.status,
        body: answer.text().trim_end().to_owned(),
    })
}
