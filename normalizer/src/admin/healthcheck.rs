//! Asks a running normalizer whether it is ready, for containers without a shell.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Time for the whole check.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of the answer that are read.
const ANSWER_BYTES_MAX: usize = 4 * 1024;

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
    #[error("{url} is not ready: {status} {told}")]
    NotReady {
        /// Who was asked.
        url: String,
        /// HTTP status.
        status: StatusCode,
        /// What it said.
        told: String,
    },
}

/// Succeeds if the normalizer whose admin listener is at `url` is ready.
pub async fn healthcheck(url: &str) -> Result<(), HealthcheckError> {
    let uri: Uri = url.parse().map_err(|_| HealthcheckError::Url(url.to_owned()))?;
    let (Some("http"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(HealthcheckError::Url(url.to_owned()));
    };
    let port = authority.port_u16().unwrap_or(80);
    let no_answer = |reason: String| HealthcheckError::NoAnswer {
        url: url.to_owned(),
        reason,
    };
    let answer = tokio::time::timeout(TIMEOUT, ask(authority.host(), port))
        .await
        .map_err(|_| no_answer(format!("not within {} s", TIMEOUT.as_secs())))?;
    let (status, told) = answer.map_err(|error| no_answer(error.to_string()))?;
    if status == StatusCode::OK {
        return Ok(());
    }
    Err(HealthcheckError::NotReady {
        url: url.to_owned(),
        status,
        told,
    })
}

async fn ask(
    host: &str,
    port: u16,
) -> Result<(StatusCode, String), Box<dyn std::error::Error + Send + Sync>> {
    let address = host.trim_matches(['[', ']']);
    let stream = TcpStream::connect((address, port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // How the connection ends is told by the answer, or by its absence.
    tokio::spawn(connection);
    let request = Request::get("/readyz")
        .header(HOST, host)
        .body(Empty::<Bytes>::new())?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
    Ok((head.status, String::from_utf8_lossy(&body).trim_end().to_owned()))
}
