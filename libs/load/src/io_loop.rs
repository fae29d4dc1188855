//! The thread that owns the connections: it reads responses, completes writes, and sends the requests for which none was idle.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::time::Duration;

use mio::{Events, Poll, Token};

use crate::clock::monotonic_ns;
use crate::exchange::{DriveFacts, DriveProgress, Exchange, Failure, Request, Sent};
use crate::http::connection::{Connection, ConnectionState, Flight, ReadOutcome};
use crate::http::response::Answer;
use crate::http::template::RequestTemplate;
use crate::outbox::{FLUSH_NS, Outbox, Pending};
use crate::pacer::{FromPacer, ToPacer};
use crate::record::recorder::RecorderInput;

/// Token of the waker; tokens of connections count from 0.
const WAKER: Token = Token(usize::MAX);
/// Events per call of the kernel.
const EVENTS_MAX: usize = 256;
/// Bytes per read from a socket.
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// Interval of checks for timeouts.
const TICK_NS: u64 = 100_000_000;
/// Maximum number of requests that wait for a connection: the backlog of almost a minute at 20,000/s.
const PENDING_MAX: usize = 1 << 20;
/// Maximum time for requests in progress after an interrupt.
const INTERRUPT_GRACE_NS: u64 = 2_000_000_000;

/// Inputs and outputs of the loop.
pub struct IoConfig {
    pub address: SocketAddr,
    pub template: RequestTemplate,
    pub facts: Arc<DriveFacts>,
    /// Maximum number of connections.
    pub connections_max: usize,
    /// From the send to the complete response, and from the scheduled time to the send, nanoseconds.
    pub timeout_ns: u64,
    pub progress: Arc<DriveProgress>,
    pub from_pacer: Receiver<FromPacer>,
    /// Passes connections to the pacer.
    pub to_pacer: Sender<ToPacer>,
    /// Receives ended exchanges.
    pub recorder: SyncSender<RecorderInput>,
}

pub struct IoLoop {
    poll: Poll,
    /// Held so that the kernel keeps the pacer's last wake-up when the pacer drops its waker.
    _waker: Arc<mio::Waker>,
    config: IoConfig,
    connections: HashMap<usize, Connection>,
    next_token: usize,
    connecting: usize,
    carrying: usize,
    pending: VecDeque<Pending>,
    outbox: Outbox,
    ticked_ns: u64,
    pacer_finished: bool,
    cut_off_ns: Option<u64>,
    buffer: Vec<u8>,
}

impl IoLoop {
    /// Creates a loop without connections, and the waker for its pacer.
    pub fn new(config: IoConfig) -> io::Result<(Self, Arc<mio::Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKER)?);
        let outbox = Outbox::new(
            Arc::clone(&config.facts),
            Arc::clone(&config.progress),
            config.recorder.clone(),
        );
        let io_loop = Self {
            poll,
            _waker: Arc::clone(&waker),
            config,
            connections: HashMap::new(),
            next_token: 0,
            connecting: 0,
            carrying: 0,
            pending: VecDeque::new(),
            outbox,
            ticked_ns: monotonic_ns(),
            pacer_finished: false,
            cut_off_ns: None,
            buffer: vec![0; READ_BUFFER_BYTES],
        };
        Ok((io_loop, waker))
    }

    /// Opens `count` connections and waits until each handshake has ended.
    pub fn warm_up(&mut self, count: usize) -> io::Result<()> {
        for _ in 0..count.min(self.config.connections_max) {
            self.open_connection()?;
        }
        let mut events = Events::with_capacity(EVENTS_MAX);
        let deadline_ns = monotonic_ns().saturating_add(self.config.timeout_ns);
        while self.connecting > 0 && monotonic_ns() < deadline_ns {
            self.poll_once(&mut events)?;
        }
        Ok(())
    }

    /// Runs until the pacer has finished and every request has ended.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !(self.pacer_finished && self.carrying == 0 && self.pending.is_empty()) {
            self.poll_once(&mut events)?;
        }
        self.outbox.flush();
        Ok(())
    }

    fn poll_once(&mut self, events: &mut Events) -> io::Result<()> {
        let wait_ns = if self.outbox.is_empty() { TICK_NS } else { FLUSH_NS };
        match self.poll.poll(events, Some(Duration::from_nanos(wait_ns))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        // Before the events: the pacer has sent its message before any response can arrive.
        self.receive_from_pacer();
        for event in events.iter().filter(|event| event.token() != WAKER) {
            self.on_event(event.token().0, event.is_read_closed() || event.is_error());
        }
        self.serve_pending();
        let now_ns = monotonic_ns();
        if now_ns - self.ticked_ns >= TICK_NS {
            self.ticked_ns = now_ns;
            self.give_up_overdue(now_ns);
        }
        self.outbox.flush_when_due(now_ns);
        Ok(())
    }

    fn receive_from_pacer(&mut self) {
        while let Ok(message) = self.config.from_pacer.try_recv() {
            match message {
                FromPacer::Sent { token, sent } => self.on_sent(token, sent),
                FromPacer::Unfinished { token, written } => self.on_unfinished(token, written),
                FromPacer::HandOver(request) => self.wait_for_connection(request),
                FromPacer::Finished { interrupted } => {
                    self.pacer_finished = true;
                    self.cut_off_ns = interrupted.then(|| monotonic_ns() + INTERRUPT_GRACE_NS);
                }
            }
        }
    }

    fn on_sent(&mut self, token: usize, sent: Sent) {
        let Some(connection) = self.connections.get_mut(&token) else {
            // The server closed the connection just before, so the bytes were lost.
            self.pending.push_front(Pending {
                request: sent.request,
                first_sent: Some(sent),
            });
            return;
        };
        let written = self.config.template.len_bytes_of(sent.request.number);
        connection.state = ConnectionState::Carrying(Flight {
            sent,
            resends: 0,
            on_idle_connection: true,
            written,
        });
        self.carrying += 1;
    }

    fn on_unfinished(&mut self, token: usize, written: usize) {
        let Some(connection) = self.connections.get_mut(&token) else {
            return;
        };
        if let ConnectionState::Carrying(flight) = &mut connection.state {
            flight.written = written;
            self.write_rest(token);
        }
    }

    fn wait_for_connection(&mut self, request: Request) {
        let pending = Pending {
            request,
            first_sent: None,
        };
        if self.pending.len() < PENDING_MAX {
            self.pending.push_back(pending);
        } else {
            self.outbox.end_unsent(pending, Failure::QueueFull);
        }
    }

    /// Opens connections for waiting requests, up to the maximum.
    fn serve_pending(&mut self) {
        while self.connecting < self.pending.len() && self.connections.len() < self.config.connections_max {
            if let Err(error) = self.open_connection() {
                if self.connections.is_empty() {
                    self.fail_first_pending(Failure::Connect(error.raw_os_error().unwrap_or(0)));
                    continue;
                }
                self.config.progress.bound_by(self.connections.len(), &error);
                break;
            }
        }
    }

    fn open_connection(&mut self) -> io::Result<()> {
        let token = self.next_token;
        let method = &self.config.facts.method;
        let connection = Connection::open(
            self.config.address,
            method,
            token,
            self.poll.registry(),
            monotonic_ns(),
        )?;
        self.next_token += 1;
        self.connecting += 1;
        self.connections.insert(token, connection);
        Ok(())
    }

    fn on_event(&mut self, token: usize, closed: bool) {
        let Some(connection) = self.connections.get(&token) else {
            return;
        };
        match connection.state {
            ConnectionState::Connecting(_) => match connection.handshake() {
                Some(Ok(())) => {
                    self.connecting -= 1;
                    self.use_free(token, false);
                }
                Some(Err(failure)) => self.on_connect_failed(token, failure),
                None => {}
            },
            ConnectionState::Idle => self.read(token, closed),
            ConnectionState::Carrying(flight) => {
                if flight.written < self.config.template.len_bytes_of(flight.sent.request.number) {
                    self.write_rest(token);
                }
                self.read(token, closed);
            }
        }
    }

    fn on_connect_failed(&mut self, token: usize, failure: Failure) {
        self.connections.remove(&token);
        self.connecting -= 1;
        if self.pending.len() > self.connecting {
            self.fail_first_pending(failure);
        }
    }

    /// Gives a free connection to the longest waiting request, or to the pacer.
    fn use_free(&mut self, token: usize, was_idle: bool) {
        let Some(connection) = self.connections.get_mut(&token) else {
            return;
        };
        let Some(pending) = self.pending.pop_front() else {
            connection.state = ConnectionState::Idle;
            let stream = Arc::clone(&connection.stream);
            // A pacer that has finished needs none.
            let _ = self.config.to_pacer.send(ToPacer::Free { token, stream });
            return;
        };
        let sent = pending.first_sent.unwrap_or_else(|| Sent::now(pending.request));
        let resends = u8::from(pending.first_sent.is_some());
        connection.state = ConnectionState::Carrying(Flight {
            sent,
            resends,
            on_idle_connection: was_idle,
            written: 0,
        });
        self.carrying += 1;
        self.write_rest(token);
    }

    fn write_rest(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(&token) else {
            return;
        };
        let Some(flight) = connection.flight() else { return };
        let (number, ids) = (flight.sent.request.number, self.config.facts.ids);
        self.config.template.set_request(number, ids);
        if let Err(failure) = connection.write_rest(&self.config.template) {
            self.on_dead(token, failure);
        }
    }

    fn read(&mut self, token: usize, closed: bool) {
        let connection = self.connections.get_mut(&token);
        match connection.map(|connection| connection.read(&mut self.buffer, closed)) {
            Some(ReadOutcome::Whole(answer)) => self.on_answer(token, answer),
            Some(ReadOutcome::Dead(failure)) => self.on_dead(token, failure),
            Some(ReadOutcome::More) | None => {}
        }
    }

    fn on_answer(&mut self, token: usize, answer: Answer) {
        if self.flight(token).is_none() {
            // The response was read before the pacer's message about the request.
            self.receive_from_pacer();
        }
        let Some(flight) = self.flight(token) else {
            // A response without a request: the connection is in an undefined state.
            self.on_dead(token, Failure::Closed);
            return;
        };
        self.carrying -= 1;
        let latency_ns = monotonic_ns().saturating_sub(flight.sent.monotonic_ns);
        self.outbox.end(Exchange {
            sent: flight.sent,
            latency_ns,
            status: answer.status,
            body_bytes_in: answer.body_bytes,
            failure: None,
            resends: flight.resends,
        });
        let whole = flight.written == self.config.template.len_bytes_of(flight.sent.request.number);
        if answer.keep_alive && whole {
            self.use_free(token, true);
        } else {
            self.connections.remove(&token);
        }
    }

    fn flight(&self, token: usize) -> Option<Flight> {
        self.connections.get(&token)?.flight()
    }

    fn on_dead(&mut self, token: usize, failure: Failure) {
        let Some(connection) = self.connections.remove(&token) else {
            return;
        };
        match connection.state {
            ConnectionState::Connecting(_) => self.connecting -= 1,
            ConnectionState::Idle => {
                let _ = self.config.to_pacer.send(ToPacer::Gone { token });
                // The pacer may have used it just before. No event of this connection will read that message.
                self.receive_from_pacer();
            }
            ConnectionState::Carrying(flight) => {
                self.carrying -= 1;
                if connection.died_idle(&flight, failure) {
                    let request = flight.sent.request;
                    self.pending.push_front(Pending {
                        request,
                        first_sent: Some(flight.sent),
                    });
                } else {
                    self.outbox.end_failed(flight.sent, flight.resends, failure);
                }
            }
        }
    }

    /// Gives up requests that exceed their timeout, and after an interrupt all that remain at the end of the grace period.
    fn give_up_overdue(&mut self, now_ns: u64) {
        let cut_off = self.cut_off_ns.is_some_and(|cut_off_ns| now_ns >= cut_off_ns);
        let overdue = |since_ns: u64| cut_off || now_ns.saturating_sub(since_ns) > self.config.timeout_ns;
        let busy = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.busy_since_ns().is_some_and(overdue));
        let tokens: Vec<usize> = busy.map(|(token, _)| *token).collect();
        let waiting = self
            .pending
            .iter()
            .take_while(|pending| overdue(pending.request.intended_ns))
            .count();
        let failure = if cut_off {
            Failure::Interrupted
        } else {
            Failure::Timeout
        };
        for token in tokens {
            self.on_dead(token, failure);
        }
        for _ in 0..waiting {
            self.fail_first_pending(if cut_off {
                Failure::Interrupted
            } else {
                Failure::NoConnection
            });
        }
    }

    /// Gives up the request that has waited longest for a connection.
    fn fail_first_pending(&mut self, failure: Failure) {
        if let Some(pending) = self.pending.pop_front() {
            self.outbox.end_unsent(pending, failure);
        }
    }
}

#[cfg(test)]
mod tests;
