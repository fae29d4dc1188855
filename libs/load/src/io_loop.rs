//! The thread that owns the connections: it reads responses, finishes writes, and sends what the pacer could not.

mod giving_up;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::clock::monotonic_ns;
use super::connection::{Connection, Doing, Flight, ReadOutcome};
use super::exchange::{DriveFacts, Exchange, Failure, Progress, Request, Sent};
use super::outbox::{FLUSH_NS, Outbox, Pending};
use super::pacer::{FromPacer, ToPacer};
use super::recorder::RecorderInput;
use super::request::RequestTemplate;
use super::response::Answer;

/// Token of the waker; connections count from 0 and never get there.
const WAKER: Token = Token(usize::MAX);
/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 256;
/// Bytes read from a socket at once.
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// How often timeouts are looked for.
const TICK_NS: u64 = 100_000_000;
/// Requests that may wait for a connection: at 20,000/s the backlog of almost a minute.
const PENDING_MAX: usize = 1 << 20;
/// How long requests under way may still take after an interrupt.
const INTERRUPT_GRACE_NS: u64 = 2_000_000_000;

/// What the loop needs to know.
pub struct IoConfig {
    /// Where to connect.
    pub address: SocketAddr,
    /// What is sent.
    pub template: RequestTemplate,
    /// What the exchanges share.
    pub facts: Arc<DriveFacts>,
    /// Most connections at once.
    pub connections_max: usize,
    /// From the send to the whole response, and from the due time to the send, nanoseconds.
    pub timeout_ns: u64,
    /// Counts what has ended.
    pub progress: Arc<Progress>,
    /// Hears the pacer.
    pub from_pacer: Receiver<FromPacer>,
    /// Tells the pacer of connections.
    pub to_pacer: Sender<ToPacer>,
    /// Takes what has ended.
    pub recorder: SyncSender<RecorderInput>,
}

/// The loop's state.
pub struct IoLoop {
    poll: Poll,
    /// Held, not used: what the pacer has woken us for would be lost with the last of its wakers.
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
    /// A loop without connections, and the waker for its pacer.
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
            self.turn(&mut events)?;
        }
        Ok(())
    }

    /// Runs until the pacer has finished and every request has ended.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !(self.pacer_finished && self.carrying == 0 && self.pending.is_empty()) {
            self.turn(&mut events)?;
        }
        self.outbox.flush();
        Ok(())
    }

    fn turn(&mut self, events: &mut Events) -> io::Result<()> {
        let wait_ns = if self.outbox.is_empty() { TICK_NS } else { FLUSH_NS };
        match self.poll.poll(events, Some(Duration::from_nanos(wait_ns))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        // Before the events: whatever a response answers has been told by now.
        self.hear_pacer();
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

    fn hear_pacer(&mut self) {
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
            // The server closed the connection just before: those bytes went nowhere.
            self.pending.push_front(Pending {
                request: sent.request,
                first_sent: Some(sent),
            });
            return;
        };
        let written = self.config.template.len_bytes_of(sent.request.number);
        connection.doing = Doing::Carrying(Flight {
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
        if let Doing::Carrying(flight) = &mut connection.doing {
            flight.written = written;
            self.write_rest(token);
        }
    }

    fn wait_for_connection(&mut self, request: Request) {
        if self.pending.len() < PENDING_MAX {
            self.pending.push_back(Pending {
                request,
                first_sent: None,
            });
        } else {
            self.outbox.end_unsent(
                Pending {
                    request,
                    first_sent: None,
                },
                Failure::QueueFull,
            );
        }
    }

    /// Opens connections for requests that wait, as far as the bound allows.
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
        match connection.doing {
            Doing::Connecting(_) => match connection.handshake() {
                Some(Ok(())) => {
                    self.connecting -= 1;
                    self.use_free(token, false);
                }
                Some(Err(failure)) => self.on_connect_failed(token, failure),
                None => {}
            },
            Doing::Idle => self.read(token, closed),
            Doing::Carrying(flight) => {
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

    /// A connection has nothing to do: the longest waiting request gets it, else the pacer.
    fn use_free(&mut self, token: usize, was_idle: bool) {
        let Some(connection) = self.connections.get_mut(&token) else {
            return;
        };
        let Some(pending) = self.pending.pop_front() else {
            connection.doing = Doing::Idle;
            let stream = Arc::clone(&connection.stream);
            // The pacer may have finished; then nobody needs it.
            let _ = self.config.to_pacer.send(ToPacer::Free { token, stream });
            return;
        };
        let sent = pending.first_sent.unwrap_or_else(|| Sent::now(pending.request));
        let resends = u8::from(pending.first_sent.is_some());
        connection.doing = Doing::Carrying(Flight {
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
            // Read in the moment between the pacer's word and our hearing it.
            self.hear_pacer();
        }
        let Some(flight) = self.flight(token) else {
            // An answer that nobody asked for: the connection cannot be trusted.
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
        match connection.doing {
            Doing::Connecting(_) => self.connecting -= 1,
            Doing::Idle => {
                let _ = self.config.to_pacer.send(ToPacer::Gone { token });
                // It may have been used just before; its events, which would have us hear of that, have ended.
                self.hear_pacer();
            }
            Doing::Carrying(flight) => {
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
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{channel, sync_channel};

    use super::*;
    use crate::ids::Ids;
    use crate::target::{Endpoint, Target};

    fn io_loop(address: SocketAddr) -> (IoLoop, Arc<mio::Waker>) {
        let target = Target::parse(&format!("http://{address}")).unwrap();
        let endpoint = Endpoint::resolve("/x", None, 0).unwrap();
        let facts = DriveFacts {
            name: "x".to_owned(),
            method: "GET".to_owned(),
            url: "http://h/x".to_owned(),
            host: "h".to_owned(),
            port: 1,
            bodies_bytes: vec![0],
            run_id: "r".to_owned(),
            ids: Ids::of_this_process(1),
        };
        let config = IoConfig {
            address,
            template: RequestTemplate::new(&target, &endpoint, "r", &[], vec![Vec::new()]),
            facts: Arc::new(facts),
            connections_max: 1,
            timeout_ns: TICK_NS,
            progress: Arc::default(),
            from_pacer: channel().1,
            to_pacer: channel().0,
            recorder: sync_channel(1).0,
        };
        IoLoop::new(config).unwrap()
    }

    /// Seen to fail with the pacer's waker as the only one: its closed descriptor is no event, and the loop sleeps on.
    #[test]
    fn the_last_word_of_a_pacer_that_has_ended_is_heard() {
        let (mut io_loop, waker) = io_loop(SocketAddr::from(([127, 0, 0, 1], 1)));
        waker.wake().unwrap();
        drop(waker);
        let mut events = Events::with_capacity(EVENTS_MAX);
        io_loop.turn(&mut events).unwrap();
        assert!(events.iter().any(|event| event.token() == WAKER));
    }
}
