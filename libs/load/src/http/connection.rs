//! One nonblocking connection: its state, its reads and its writes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::exchange::{Failure, Sent};
use crate::http::request::Traceparent;
use crate::http::response::{Answer, ResponseReader};
use crate::stream::Prepared;

/// A request in progress on a connection.
#[derive(Debug, Clone)]
pub struct Flight {
    pub prepared: Arc<Prepared>,
    pub sent: Sent,
    pub resends: u8,
    /// Whether the connection was idle before this request. If the connection fails before the first byte of the response, the
    /// request is sent again.
    pub on_idle_connection: bool,
    /// Bytes that the socket has taken.
    pub written: usize,
}

#[derive(Debug)]
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
    /// Index of the server.
    pub target: usize,
    /// Shared with the pacer while idle.
    pub stream: Arc<TcpStream>,
    pub state: ConnectionState,
    reader: ResponseReader,
}

impl Connection {
    pub fn open(
        (target, address): (usize, SocketAddr),
        token: usize,
        registry: &Registry,
        now_ns: u64,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            target,
            stream: Arc::new(stream),
            state: ConnectionState::Connecting(now_ns),
            reader: ResponseReader::new(),
        })
    }

    /// Starts a request on this connection.
    pub fn carry(&mut self, flight: Flight) {
        self.reader.expect(flight.prepared.facts.is_head());
        self.state = ConnectionState::Carrying(flight);
    }

    /// The request in progress.
    pub fn flight(&self) -> Option<&Flight> {
        match &self.state {
            ConnectionState::Carrying(flight) => Some(flight),
            ConnectionState::Connecting(_) | ConnectionState::Idle => None,
        }
    }

    /// Removes the request in progress. The connection is idle afterwards.
    pub fn take_flight(&mut self) -> Option<Flight> {
        match std::mem::replace(&mut self.state, ConnectionState::Idle) {
            ConnectionState::Carrying(flight) => Some(flight),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// Start of the handshake or of the request in progress, nanoseconds of the monotonic clock.
    pub fn busy_since_ns(&self) -> Option<u64> {
        match &self.state {
            ConnectionState::Connecting(since_ns) => Some(*since_ns),
            ConnectionState::Carrying(flight) => Some(flight.sent.monotonic_ns),
            ConnectionState::Idle => None,
        }
    }

    /// The result of the handshake; `None` while it is in progress. A connection of the socket to itself counts as refused.
    pub fn handshake(&self) -> Option<Result<(), Failure>> {
        match (self.stream.take_error(), self.stream.peer_addr()) {
            (Ok(Some(error)), _) | (Err(error), _) => Some(Err(Failure::Connect(errno(&error)))),
            (_, Ok(peer)) => match http_once::is_to_itself(self.stream.local_addr(), Ok(peer)) {
                true => Some(Err(Failure::Connect(libc::ECONNREFUSED))),
                false => Some(Ok(())),
            },
            (_, Err(error)) if error.kind() == ErrorKind::NotConnected => None,
            (_, Err(error)) => Some(Err(Failure::Connect(errno(&error)))),
        }
    }

    /// Writes the rest of the request in progress, as far as the socket accepts it.
    pub fn write_rest(&mut self, traceparent: &Traceparent) -> Result<(), Failure> {
        let ConnectionState::Carrying(flight) = &mut self.state else {
            return Ok(());
        };
        while !flight.is_written() {
            let rest = flight.prepared.slices_from(traceparent, flight.written);
            match (&*self.stream).write_vectored(&rest) {
                Ok(written) => flight.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Io(errno(&error))),
            }
        }
        Ok(())
    }

    /// Reads received bytes into `buffer`. `None` means that there are none yet, and 0 bytes that the server has closed its
    /// side.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Failure> {
        loop {
            match (&*self.stream).read(buffer) {
                Ok(count) => return Ok(Some(count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Io(errno(&error))),
            }
        }
    }

    /// Processes received bytes; an empty slice marks the end of the stream. `closed` states whether the server has closed its
    /// side.
    pub fn feed(&mut self, received: &[u8], closed: bool) -> ReadOutcome {
        if received.is_empty() {
            return self.end_of_stream();
        }
        match self.reader.feed(received) {
            Ok(Some(answer)) => {
                self.reader.reset();
                ReadOutcome::Whole(Answer {
                    keep_alive: answer.keep_alive && !closed,
                    ..answer
                })
            }
            Ok(None) => ReadOutcome::More,
            Err(error) => ReadOutcome::Dead(Failure::BadResponse(error)),
        }
    }

    /// Whether a request can be sent again on another connection, because this connection was already dead before the request.
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

impl Flight {
    /// Whether the socket has taken the whole request.
    pub fn is_written(&self) -> bool {
        self.written >= self.prepared.len_bytes()
    }
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn a_connection_of_a_socket_to_itself_is_refused() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket
            .bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into())
            .unwrap();
        socket.connect(&socket.local_addr().unwrap()).unwrap();
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let other = std::net::TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let handshake = |stream: std::net::TcpStream| {
            let connection = Connection {
                target: 0,
                stream: Arc::new(TcpStream::from_std(stream)),
                state: ConnectionState::Connecting(0),
                reader: ResponseReader::new(),
            };
            connection.handshake()
        };
        assert!(matches!(handshake(other), Some(Ok(()))));
        let refused = Failure::Connect(libc::ECONNREFUSED);
        assert_eq!(handshake(socket.into()), Some(Err(refused)));
    }
}
