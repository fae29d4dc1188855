//! One nonblocking connection: its state, its reads and its writes.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::exchange::{Failure, Sent};
use crate::http::response::{Answer, ResponseReader};
use crate::http::template::RequestTemplate;

/// A request in progress on a connection.
#[derive(Debug, Clone, Copy)]
pub struct Flight {
    pub sent: Sent,
    pub resends: u8,
    /// Whether the connection was idle before. If it then dies before the first byte of the response, the request is sent again.
    pub on_idle_connection: bool,
    /// Bytes that the socket has taken.
    pub written: usize,
}

#[derive(Debug, Clone, Copy)]
pub enum ConnectionState {
    /// Connecting since this time of the monotonic clock, nanoseconds.
    Connecting(u64),
    /// The pacer may use it at any time.
    Idle,
    Carrying(Flight),
}

/// The result of a read.
#[derive(Debug)]
pub enum ReadOutcome {
    /// The response is incomplete.
    More,
    /// A complete response; its flag states whether the connection can be used again.
    Whole(Answer),
    Dead(Failure),
}

#[derive(Debug)]
pub struct Connection {
    /// Shared with the pacer while idle.
    pub stream: Arc<TcpStream>,
    pub state: ConnectionState,
    reader: ResponseReader,
}

impl Connection {
    pub fn open(
        address: SocketAddr,
        method: &str,
        token: usize,
        registry: &Registry,
        now_ns: u64,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream: Arc::new(stream),
            state: ConnectionState::Connecting(now_ns),
            reader: ResponseReader::new(method),
        })
    }

    /// The request in progress.
    pub fn flight(&self) -> Option<Flight> {
        match self.state {
            ConnectionState::Carrying(flight) => Some(flight),
            ConnectionState::Connecting(_) | ConnectionState::Idle => None,
        }
    }

    /// Start of the handshake or of the request in progress, nanoseconds of the monotonic clock.
    pub fn busy_since_ns(&self) -> Option<u64> {
        match self.state {
            ConnectionState::Connecting(since_ns) => Some(since_ns),
            ConnectionState::Carrying(flight) => Some(flight.sent.monotonic_ns),
            ConnectionState::Idle => None,
        }
    }

    /// The result of the handshake; none while it is in progress.
    pub fn handshake(&self) -> Option<Result<(), Failure>> {
        match (self.stream.take_error(), self.stream.peer_addr()) {
            (Ok(Some(error)), _) | (Err(error), _) => Some(Err(Failure::Connect(errno(&error)))),
            (_, Ok(_)) => Some(Ok(())),
            (_, Err(error)) if error.kind() == ErrorKind::NotConnected => None,
            (_, Err(error)) => Some(Err(Failure::Connect(errno(&error)))),
        }
    }

    /// Writes the rest of the request, as far as the socket takes it. `template` must contain this request.
    pub fn write_rest(&mut self, template: &RequestTemplate) -> Result<(), Failure> {
        let ConnectionState::Carrying(flight) = &mut self.state else {
            return Ok(());
        };
        while flight.written < template.len_bytes() {
            let (head, body) = template.parts_from(flight.written);
            match (&*self.stream).write_vectored(&[IoSlice::new(head), IoSlice::new(body)]) {
                Ok(written) => flight.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Io(errno(&error))),
            }
        }
        Ok(())
    }

    /// Reads the received bytes; all of them if the server has `closed` its side.
    pub fn read(&mut self, buffer: &mut [u8], closed: bool) -> ReadOutcome {
        loop {
            match (&*self.stream).read(buffer) {
                Ok(0) => return self.end_of_stream(),
                Ok(count) => match self.reader.feed(&buffer[..count]) {
                    Ok(Some(answer)) => {
                        self.reader.reset();
                        return ReadOutcome::Whole(Answer {
                            keep_alive: answer.keep_alive && !closed,
                            ..answer
                        });
                    }
                    // A short read means that the socket is empty, so further bytes cause a new event.
                    Ok(None) if count < buffer.len() && !closed => return ReadOutcome::More,
                    Ok(None) => {}
                    Err(error) => return ReadOutcome::Dead(Failure::BadResponse(error)),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => return ReadOutcome::More,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return ReadOutcome::Dead(Failure::Io(errno(&error))),
            }
        }
    }

    /// Whether a request can be sent again on another connection, because this one had died before it was used.
    pub fn died_idle(&self, flight: &Flight, failure: Failure) -> bool {
        flight.on_idle_connection
            && flight.resends == 0
            && !self.reader.has_started()
            && matches!(failure, Failure::Io(_) | Failure::Closed)
    }

    fn end_of_stream(&self) -> ReadOutcome {
        match self.reader.end_of_stream() {
            Some(answer) => ReadOutcome::Whole(answer),
            None => ReadOutcome::Dead(Failure::Closed),
        }
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}
