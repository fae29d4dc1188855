//! One nonblocking connection: what it is doing, and its reads and writes.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::exchange::{Failure, Sent};
use super::request::RequestTemplate;
use super::response::{Answer, ResponseReader};

/// A request on its way over a connection.
#[derive(Debug, Clone, Copy)]
pub struct Flight {
    /// The request and when it was first sent.
    pub sent: Sent,
    /// How often it was sent before.
    pub resends: u8,
    /// Whether the connection lay idle before: then its death before the first byte of the response is no answer.
    pub on_idle_connection: bool,
    /// Bytes of it that the socket has taken.
    pub written: usize,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy)]
pub enum Doing {
    /// The handshake is under way since this moment of the monotonic clock, nanoseconds.
    Connecting(u64),
    /// Nothing: the pacer may use it at any time.
    Idle,
    /// Carrying a request.
    Carrying(Flight),
}

/// What reading has brought.
#[derive(Debug)]
pub enum ReadOutcome {
    /// Not whole yet.
    More,
    /// A whole response; the flag tells whether the connection can go on.
    Whole(Answer),
    /// The connection is dead.
    Dead(Failure),
}

/// A connection to the server.
#[derive(Debug)]
pub struct Connection {
    /// The socket, shared with the pacer while idle.
    pub stream: Arc<TcpStream>,
    /// What it is doing.
    pub doing: Doing,
    reader: ResponseReader,
}

impl Connection {
    /// Starts to connect.
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
            doing: Doing::Connecting(now_ns),
            reader: ResponseReader::new(method),
        })
    }

    /// The request that it carries.
    pub fn flight(&self) -> Option<Flight> {
        match self.doing {
            Doing::Carrying(flight) => Some(flight),
            Doing::Connecting(_) | Doing::Idle => None,
        }
    }

    /// Since when it is connecting or carrying, nanoseconds of the monotonic clock.
    pub fn busy_since_ns(&self) -> Option<u64> {
        match self.doing {
            Doing::Connecting(since_ns) => Some(since_ns),
            Doing::Carrying(flight) => Some(flight.sent.monotonic_ns),
            Doing::Idle => None,
        }
    }

    /// Whether the handshake has ended: Some(Ok) when it has succeeded.
    pub fn handshake(&self) -> Option<Result<(), Failure>> {
        match (self.stream.take_error(), self.stream.peer_addr()) {
            (Ok(Some(error)), _) | (Err(error), _) => Some(Err(Failure::Connect(errno(&error)))),
            (_, Ok(_)) => Some(Ok(())),
            (_, Err(error)) if error.kind() == ErrorKind::NotConnected => None,
            (_, Err(error)) => Some(Err(Failure::Connect(errno(&error)))),
        }
    }

    /// Writes what is left of the flight's request, as far as the socket takes it. `template` must be this request.
    pub fn write_rest(&mut self, template: &RequestTemplate) -> Result<(), Failure> {
        let Doing::Carrying(flight) = &mut self.doing else {
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

    /// Reads what has arrived. `closed` tells that the server has closed its side: then everything is read.
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
                    // The socket is empty when it gives less than there was room for, and its next bytes are a new event.
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

    /// Whether a flight can be sent again on another connection: this one had died before it was used.
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
