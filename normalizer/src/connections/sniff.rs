//! Detects HTTP/1 or HTTP/2 by a connection's first bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The first bytes of an HTTP/2 connection (RFC 9113, section 3.4).
const HTTP2_PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A connection with its detected protocol.
pub(super) struct Sniffed<S> {
    pub(super) protocol: Protocol,
    pub(super) stream: Stream<S>,
}

/// Reads until the protocol is clear.
pub(super) async fn sniff<S: AsyncRead + Unpin>(mut inner: S) -> io::Result<Sniffed<S>> {
    let mut seen = [0; HTTP2_PREFACE.len()];
    let mut len = 0;
    let protocol = loop {
        let read = inner.read(&mut seen[len..]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        len += read;
        if seen[..len] != HTTP2_PREFACE[..len] {
            break Protocol::Http1;
        }
        if len == seen.len() {
            break Protocol::Http2;
        }
    };
    Ok(Sniffed {
        protocol,
        stream: Stream {
            inner,
            seen,
            taken: 0,
            len,
        },
    })
}

/// A connection that returns the bytes read by [`sniff`] again.
pub(super) struct Stream<S> {
    inner: S,
    seen: [u8; HTTP2_PREFACE.len()],
    taken: usize,
    len: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.taken < self.len {
            let end = self.len.min(self.taken + buffer.remaining());
            buffer.put_slice(&self.seen[self.taken..end]);
            self.taken = end;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
