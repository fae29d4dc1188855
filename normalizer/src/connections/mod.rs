//! [`Listener`]: accepts connections, with TLS if configured, detects HTTP/1 or HTTP/2, and serves them under limits until a
//! graceful shutdown.

mod credentials;
mod open_files;
mod sniff;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{HttpService, Service};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;

use sniff::{Protocol, Sniffed, sniff};

pub use credentials::{Credentials, CredentialsError};
pub use open_files::{connections_within, raise_open_files_limit};
pub use tls::{Tls, TlsError, TlsFiles};

/// Maximum time for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time until a client's first bytes show its protocol. Silent connections are then closed.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum time for an HTTP/1 client to send a request's header, and to be idle between requests.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval of HTTP/2 pings.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// Maximum time for a client to answer a ping.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a failed accept. It prevents a busy loop, for example when there are no free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Maximum number of concurrent requests on one HTTP/2 connection.
const CONCURRENT_STREAMS_MAX: u32 = 256;
/// Maximum size of a request's header.
const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Maximum number of header lines of an HTTP/1 request.
const HEADERS_MAX: usize = 64;
/// Maximum size of an HTTP/1 connection's read buffer, which holds the header.
const HTTP1_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Bytes that a client may send on one stream before the receiver reads them. A typical request fits, so the client need not
/// wait for a window update.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Like [`STREAM_WINDOW_BYTES`], for all streams of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Maximum size of a DATA frame. A large message in one frame is not copied.
const FRAME_BYTES_MAX: u32 = 1024 * 1024;
/// Maximum size of pending answers on one stream. Answers are small.
const SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// A bound listener that does not serve yet.
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
}

impl Listener {
    /// Binds the address. Port 0 selects a free port.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self {
            listener,
            address,
            tls: None,
        })
    }

    /// Requires TLS, if configured.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<Arc<Tls>>) -> Self {
        self.tls = tls;
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves at most `connections_max` connections until `stop` is true, then waits for requests in progress. Further
    /// connections are closed at once.
    pub async fn serve<S, B>(self, service: S, connections_max: usize, mut stop: watch::Receiver<bool>)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send + 'static,
        B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
    {
        let permits = Arc::new(Semaphore::new(connections_max));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            let Ok((stream, client)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
                let served = serve_client((stream, client), self.tls.clone(), service.clone(), stop.clone());
                connections.spawn(async move {
                    served.await;
                    drop(permit);
                });
            }
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }
}

async fn serve_client<S, B>(
    (stream, client): (TcpStream, SocketAddr),
    tls: Option<Arc<Tls>>,
    service: S,
    mut stop: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    // Disables Nagle's algorithm, because a client waits for each small answer. If this fails, answers are only late.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return serve_connection(stream, service, stop).await;
    };
    if let Some(stream) = handshake(&tls, stream, client, &mut stop).await {
        serve_connection(stream, service, stop).await;
    }
}

/// The decrypted stream; `None` if the handshake fails.
async fn handshake(
    tls: &Tls,
    stream: TcpStream,
    client: SocketAddr,
    stop: &mut watch::Receiver<bool>,
) -> Option<TlsStream<TcpStream>> {
    let handshake = tls.acceptor().accept(stream);
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake) => shaken,
        _ = stop.wait_for(|stop| *stop) => return None,
    };
    match shaken {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tls.log_failure(client, &error);
            None
        }
        Err(_) => None,
    }
}

async fn serve_connection<T, S, B>(stream: T, service: S, mut stop: watch::Receiver<bool>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let sniffed = tokio::select! {
        sniffed = tokio::time::timeout(OPENING_TIMEOUT, sniff(stream)) => sniffed,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    let Ok(Ok(Sniffed { protocol, stream })) = sniffed else {
        return;
    };
    let io = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => until_ended(http1_settings().serve_connection(io, service), stop).await,
        Protocol::Http2 => until_ended(http2_settings().serve_connection(io, service), stop).await,
    }
}

fn http1_settings() -> http1::Builder {
    let mut settings = http1::Builder::new();
    settings
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEADER_BYTES_MAX as usize)
        .max_buf_size(HTTP1_BUFFER_BYTES_MAX);
    settings
}

fn http2_settings() -> http2::Builder<TokioExecutor> {
    let mut settings = http2::Builder::new(TokioExecutor::new());
    settings
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .max_concurrent_streams(CONCURRENT_STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX);
    settings
}

/// A connection that supports a graceful shutdown.
trait Connection: Future {
    fn wind_down(self: Pin<&mut Self>);
}

impl<T, S, B> Connection for http1::Connection<TokioIo<sniff::Stream<T>>, S>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    S: HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn wind_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<T, S, B> Connection for http2::Connection<TokioIo<sniff::Stream<T>>, S, TokioExecutor>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    S: HttpService<Incoming, ResBody = B, Error = Infallible>,
    S::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn wind_down(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Serves a connection until it ends, and shuts it down gracefully at `stop`. Errors at its end are ignored: either a request was
/// answered, or its client knows that it was not.
async fn until_ended<C: Connection>(connection: C, mut stop: watch::Receiver<bool>) {
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().wind_down(),
    }
    let _ = connection.await;
}
