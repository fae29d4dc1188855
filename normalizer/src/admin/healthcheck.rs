//! [`healthcheck`]: checks whether a running normalizer is ready, for containers without a shell.

use std::time::Duration;

use http::Uri;

/// Maximum time for the whole check.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The reason why a normalizer does not count as ready.
#[derive(Debug, thiserror::Error)]
pub enum HealthcheckError {
    #[error("invalid URL {0:?}: write the admin listener's URL, such as http://127.0.0.1:9464")]
    Url(String),
    #[error("no answer from {url}: {reason}")]
    NoAnswer { url: String, reason: String },
    #[error("{url} is not ready: {status} {body}")]
    NotReady { url: String, status: u16, body: String },
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
