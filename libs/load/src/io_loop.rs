//! [`IoLoop`]: the thread that owns the connections. It reads responses, completes writes, and sends requests for which no
//! connection was idle.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token};

use crate::clock::monotonic_ns;
use crate::exchange::{Exchange, Failure, Sent};
use crate::http::connection::{ConnectionState, Flight, ReadOutcome};
use crate::http::request::traceparent;
use crate::http::response::Answer;
use crate::io_loop::lanes::{Lanes, Pending};
use crate::io_loop::pool::Pool;
use crate::outbox::{FLUSH_NS, Outbox};
use crate::pacer::{FromPacer, ToPacer};
use crate::stream::Prepared;

mod config;
mod lanes;
mod pool;

pub use config::IoConfig;

/// Token of the waker; tokens of connections count from 0.
const WAKER: Token = Token(usize::MAX);
/// Events per call of the kernel.
const EVENTS_MAX: usize = 256;
/// Maximum number of bytes read from one connection in its turn. So no single server can keep the loop from other connections,
/// timeouts and interrupts.
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// Interval of checks for timeouts.
const TICK_NS: u64 = 100_000_000;
/// Maximum time for requests in progress after an interrupt.
const INTERRUPT_GRACE_NS: u64 = 2_000_000_000;

pub struct IoLoop {
    poll: Poll,
    /// Kept, because the kernel forgets a wake-up when the last reference to the waker is dropped. The pacer drops its own
    /// reference.
    _waker: Arc<mio::Waker>,
    config: IoConfig,
    pool: Pool,
    outbox: Outbox,
    ticked_ns: u64,
    pacer_finished: bool,
    cut_off_ns: Option<u64>,
    buffer: Vec<u8>,
    /// Connections that may have further bytes although the kernel will report no new event. The flag states whether the server
    /// has closed its side.
    unread: BTreeMap<usize, bool>,
}

impl IoLoop {
    /// Creates a loop without connections, and the waker for its pacer.
    pub fn new(config: IoConfig) -> io::Result<(Self, Arc<mio::Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKER)?);
        let lanes = Lanes::new(&config.targets, Arc::clone(&config.backlog));
        let io_loop = Self {
            pool: Pool::new(poll.registry().try_clone()?, config.connections_max, lanes),
            poll,
            _waker: Arc::clone(&waker),
            outbox: Outbox::new(Arc::clone(&config.progress), config.recorder.clone()),
            ticked_ns: monotonic_ns(),
            pacer_finished: false,
            cut_off_ns: None,
            buffer: vec![0; READ_BUFFER_BYTES],
            unread: BTreeMap::new(),
            config,
        };
        Ok((io_loop, waker))
    }

    /// Opens `count` connections, spread over the targets, and waits until each handshake has ended.
    pub fn warm_up(&mut self, count: usize) -> io::Result<()> {
        for index in 0..count.min(self.config.connections_max) {
            self.pool.open(index % self.pool.lanes.count())?;
        }
        let mut events = Events::with_capacity(EVENTS_MAX);
        let deadline_ns = monotonic_ns().saturating_add(self.config.timeout_ns);
        while self.pool.lanes.connecting() > 0 && monotonic_ns() < deadline_ns {
            self.poll_once(&mut events)?;
        }
        Ok(())
    }

    /// Runs until the pacer has finished and every request has ended.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !(self.pacer_finished && self.pool.carrying() == 0 && self.pool.lanes.is_empty()) {
            self.poll_once(&mut events)?;
        }
        self.outbox.flush();
        Ok(())
    }

    fn poll_once(&mut self, events: &mut Events) -> io::Result<()> {
        let wait_ns = match (self.unread.is_empty(), self.outbox.is_empty()) {
            (false, _) => 0,
            (true, true) => TICK_NS,
            (true, false) => FLUSH_NS,
        };
        match self.poll.poll(events, Some(Duration::from_nanos(wait_ns))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        // This comes before the events, because the pacer sends its message before a response can arrive.
        self.receive_from_pacer();
        for (token, closed) in std::mem::take(&mut self.unread) {
            self.read(token, closed);
        }
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
                FromPacer::Sent(token, sent, prepared) => self.on_sent(token, sent, prepared),
                FromPacer::Unfinished { token, written } => self.on_unfinished(token, written),
                FromPacer::HandOver(request, prepared, spare) => {
                    self.pool.lanes.push(request, prepared);
                    if let Some(token) = spare {
                        self.use_free(token, true);
                    }
                }
                FromPacer::Refused(exchange) => self.outbox.end(exchange),
                FromPacer::Finished { interrupted } => {
                    self.pacer_finished = true;
                    self.cut_off_ns = interrupted.then(|| monotonic_ns() + INTERRUPT_GRACE_NS);
                    // The pacer may have handed over its last requests before it noticed that a connection was free again.
                    for token in self.pool.idle() {
                        self.use_free(token, true);
                    }
                }
            }
        }
    }

    fn on_sent(&mut self, token: usize, sent: Sent, prepared: Arc<Prepared>) {
        if self.pool.get_mut(token).is_none() {
            // The server closed the connection just before, so the request did not reach it.
            self.pool.lanes.push_again(sent, prepared);
            return;
        }
        let flight = Flight {
            sent,
            resends: 0,
            on_idle_connection: true,
            written: prepared.len_bytes(),
            prepared,
        };
        self.pool.carry(token, flight);
    }

    fn on_unfinished(&mut self, token: usize, written: usize) {
        if let Some(connection) = self.pool.get_mut(token)
            && let ConnectionState::Carrying(flight) = &mut connection.state
        {
            flight.written = written;
            self.write_rest(token);
        }
    }

    /// Opens connections for waiting requests, up to the maximum, one for each target in turn.
    fn serve_pending(&mut self) {
        loop {
            let mut opened = false;
            for target in self.pool.lanes.in_need() {
                opened |= self.open_for_pending(target);
            }
            if !opened {
                break;
            }
        }
        for token in self.pool.take_spares() {
            self.assign(token, true);
        }
    }

    /// Opens one connection to the target. Returns whether it makes sense to try another one.
    fn open_for_pending(&mut self, target: usize) -> bool {
        if !self.pool.make_room() {
            return false;
        }
        let Err(error) = self.pool.open(target) else {
            return true;
        };
        if self.pool.close_spare() {
            return true;
        }
        if self.pool.lanes.connections(target) == 0 {
            self.fail_first_pending(target, Failure::Connect(error.raw_os_error().unwrap_or(0)));
            return true;
        }
        self.config.progress.bound_by(self.pool.count(), &error);
        false
    }

    fn on_event(&mut self, token: usize, closed: bool) {
        let Some(connection) = self.pool.get_mut(token) else {
            return;
        };
        match &connection.state {
            ConnectionState::Connecting(_) => match connection.handshake() {
                Some(Ok(())) => {
                    self.pool.finish_handshake(token);
                    self.use_free(token, false);
                }
                Some(Err(failure)) => self.on_connect_failed(token, failure),
                None => {}
            },
            ConnectionState::Idle => self.read(token, closed),
            ConnectionState::Carrying(flight) => {
                if !flight.is_written() {
                    self.write_rest(token);
                }
                self.read(token, closed);
            }
        }
    }

    fn on_connect_failed(&mut self, token: usize, failure: Failure) {
        let target = self.pool.remove(token).map(|connection| connection.target);
        if let Some(target) = target.filter(|target| self.pool.lanes.needs_connection(*target)) {
            self.fail_first_pending(target, failure);
        }
    }

    /// Uses an idle connection for its target, unless another target needs a connection more.
    fn use_free(&mut self, token: usize, was_idle: bool) {
        if !self.pool.spare(token) {
            self.assign(token, was_idle);
        }
    }

    /// Gives an idle connection to the request that has waited longest for its target, or to the pacer.
    fn assign(&mut self, token: usize, was_idle: bool) {
        let Some(connection) = self.pool.get_mut(token) else {
            return;
        };
        let (target, stream) = (connection.target, Arc::clone(&connection.stream));
        let Some(pending) = self.pool.lanes.pop(target) else {
            // If the pacer has finished, it needs no connection.
            let _ = self.config.to_pacer.send(ToPacer::Free {
                target,
                token,
                stream,
            });
            return;
        };
        let (sent, resends) = pending.send();
        if resends == 0 {
            self.config.progress.count_sent(&sent);
        }
        let flight = Flight {
            prepared: pending.prepared,
            sent,
            resends,
            on_idle_connection: was_idle,
            written: 0,
        };
        self.pool.carry(token, flight);
        self.write_rest(token);
    }

    fn write_rest(&mut self, token: usize) {
        let Some(connection) = self.pool.get_mut(token) else {
            return;
        };
        let Some(flight) = connection.flight() else { return };
        let traceparent = traceparent(self.config.ids, flight.sent.request.number);
        if let Err(failure) = connection.write_rest(&traceparent) {
            self.on_dead(token, failure);
        }
    }

    fn read(&mut self, token: usize, closed: bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let outcome = self.read_into(&mut buffer, token, closed);
        self.buffer = buffer;
        match outcome {
            ReadOutcome::Whole(answer) => self.on_answer(token, answer),
            ReadOutcome::Dead(failure) => self.on_dead(token, failure),
            ReadOutcome::More => {}
        }
    }

    /// Reads received bytes once. Further bytes are read in the connection's next turn.
    fn read_into(&mut self, buffer: &mut [u8], token: usize, closed: bool) -> ReadOutcome {
        let Some(connection) = self.pool.get_mut(token) else {
            return ReadOutcome::More;
        };
        let count = match connection.receive(buffer) {
            Ok(Some(count)) => count,
            Ok(None) => return ReadOutcome::More,
            Err(failure) => return ReadOutcome::Dead(failure),
        };
        if count > 0 && connection.flight().is_none() {
            // The pacer's message may still be unread. It states whether the response has a body.
            self.receive_from_pacer();
        }
        let Some(connection) = self.pool.get_mut(token) else {
            return ReadOutcome::More;
        };
        let outcome = connection.feed(&buffer[..count], closed);
        // A short read means that the socket is empty, so further bytes cause a new event.
        if matches!(outcome, ReadOutcome::More) && (count == buffer.len() || closed) {
            *self.unread.entry(token).or_default() |= closed;
        }
        outcome
    }

    fn on_answer(&mut self, token: usize, answer: Answer) {
        let Some(flight) = self.pool.take_flight(token) else {
            // A response without a request: the connection cannot be used any more.
            self.on_dead(token, Failure::Closed);
            return;
        };
        self.outbox.end(Exchange {
            latency_ns: monotonic_ns().saturating_sub(flight.sent.monotonic_ns),
            status: answer.status,
            body_bytes_in: answer.body_bytes,
            resends: flight.resends,
            ..Exchange::new(flight.sent, &flight.prepared)
        });
        if answer.keep_alive && flight.is_written() {
            self.use_free(token, true);
        } else {
            self.pool.remove(token);
        }
    }

    fn on_dead(&mut self, token: usize, failure: Failure) {
        let Some(connection) = self.pool.remove(token) else {
            return;
        };
        match &connection.state {
            ConnectionState::Connecting(_) => {}
            ConnectionState::Idle => {
                let target = connection.target;
                let _ = self.config.to_pacer.send(ToPacer::Gone { target, token });
                // The pacer may have used the connection just before. Its message must be read now, because no event of this
                // connection will make the loop read it.
                self.receive_from_pacer();
            }
            ConnectionState::Carrying(flight) if connection.died_idle(flight, failure) => {
                let prepared = Arc::clone(&flight.prepared);
                self.pool.lanes.push_again(flight.sent, prepared);
            }
            ConnectionState::Carrying(flight) => {
                self.outbox
                    .end_failed(flight.sent, &flight.prepared, flight.resends, failure);
            }
        }
    }

    /// Gives up requests that exceed their timeout. After an interrupt, gives up all requests at the end of the grace period.
    fn give_up_overdue(&mut self, now_ns: u64) {
        let cut_off = self.cut_off_ns.is_some_and(|cut_off_ns| now_ns >= cut_off_ns);
        let timeout_ns = self.config.timeout_ns;
        let overdue = |since_ns: u64| cut_off || now_ns.saturating_sub(since_ns) > timeout_ns;
        let (busy, waiting) = match cut_off {
            true => (Failure::Interrupted, Failure::Interrupted),
            false => (Failure::Timeout, Failure::NoConnection),
        };
        for token in self.pool.overdue(overdue) {
            self.on_dead(token, busy);
        }
        for target in 0..self.pool.lanes.count() {
            let is_overdue = |pending: &Pending| overdue(pending.request.intended_ns);
            while self.pool.lanes.first(target).is_some_and(is_overdue) {
                self.fail_first_pending(target, waiting);
            }
        }
    }

    /// Gives up the request to `target` that has waited longest for a connection.
    fn fail_first_pending(&mut self, target: usize, failure: Failure) {
        if let Some(pending) = self.pool.lanes.pop(target) {
            let (sent, resends) = pending.send();
            self.outbox.end_failed(sent, &pending.prepared, resends, failure);
        }
    }
}

#[cfg(test)]
mod tests;
