//! [`Connector`]: connections to one receiver, over TLS if its URL is https.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;
use url::{Host, Url};

use crate::destination::TlsFiles;
use crate::tls::{self, TlsError};

/// Maximum time to open a connection; less than the default timeout of an attempt.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection with or without TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl Stream for TcpStream {}
impl Stream for TlsStream<TcpStream> {}

impl Connection for Box<dyn Stream> {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

/// Connects to the host of a URI. The URI's scheme does not select TLS; `tls` does.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    /// A connector for `url` that negotiates the protocol `alpn`.
    pub(crate) fn new(url: &Url, files: &TlsFiles, alpn: &[u8]) -> Result<Self, TlsError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let tls = match (url.scheme(), server_name(url)) {
            ("https", Some(name)) => Some((Arc::new(tls::config(files, alpn)?).into(), name)),
            _ => None,
        };
        Ok(Self { tcp, tls })
    }
}

fn server_name(url: &Url) -> Option<ServerName<'static>> {
    match url.host()? {
        Host::Domain(name) => ServerName::try_from(name.to_owned()).ok(),
        Host::Ipv4(address) => Some(ServerName::IpAddress(address.into())),
        Host::Ipv6(address) => Some(ServerName::IpAddress(address.into())),
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp.poll_ready(context).map_err(io::Error::other)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, tls) = (self.tcp.call(uri), self.tls.clone());
        Box::pin(async move {
            let tcp = connecting.await.map_err(io::Error::other)?.into_inner();
            let Some((tls, name)) = tls else {
                return Ok(TokioIo::new(Box::new(tcp) as Box<dyn Stream>));
            };
            let handshake = tokio::time::timeout(CONNECT_TIMEOUT, tls.connect(name, tcp)).await;
            let stream = handshake.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
            Ok(TokioIo::new(Box::new(stream) as Box<dyn Stream>))
        })
    }
}
