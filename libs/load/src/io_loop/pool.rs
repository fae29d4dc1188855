//! [`Pool`]: the connections to all targets. It decides which connection is closed for a target that has too few.

use std::collections::HashMap;
use std::io;

use mio::Registry;

use crate::clock::monotonic_ns;
use crate::http::connection::{Connection, ConnectionState, Flight};
use crate::io_loop::lanes::Lanes;

#[derive(Debug)]
pub struct Pool {
    registry: Registry,
    connections: HashMap<usize, Connection>,
    /// Maximum number of connections to all targets together.
    connections_max: usize,
    next_token: usize,
    carrying: usize,
    /// The requests that wait for connections.
    pub lanes: Lanes,
    /// Idle connections that may be closed in this turn of the io loop, because requests to other targets wait.
    spares: Vec<usize>,
}

impl Pool {
    pub fn new(registry: Registry, connections_max: usize, lanes: Lanes) -> Self {
        Self {
            registry,
            connections: HashMap::new(),
            connections_max,
            next_token: 0,
            carrying: 0,
            lanes,
            spares: Vec::new(),
        }
    }

    pub fn count(&self) -> usize {
        self.connections.len()
    }

    /// Number of requests in progress.
    pub fn carrying(&self) -> usize {
        self.carrying
    }

    pub fn get_mut(&mut self, token: usize) -> Option<&mut Connection> {
        self.connections.get_mut(&token)
    }

    /// The connections without a request.
    pub fn idle(&self) -> Vec<usize> {
        let is_idle = |connection: &Connection| matches!(connection.state, ConnectionState::Idle);
        let idle = self
            .connections
            .iter()
            .filter(|(_, connection)| is_idle(connection));
        idle.map(|(token, _)| *token).collect()
    }

    /// Starts a handshake with the target. The caller calls [`Pool::make_room`] first.
    pub fn open(&mut self, target: usize) -> io::Result<()> {
        let token = self.next_token;
        let server = (target, self.lanes.address(target));
        let connection = Connection::open(server, token, &self.registry, monotonic_ns())?;
        self.next_token += 1;
        self.lanes.count_opened(target);
        self.connections.insert(token, connection);
        Ok(())
    }

    /// Records that a handshake has succeeded.
    pub fn finish_handshake(&mut self, token: usize) {
        if let Some(connection) = self.connections.get_mut(&token) {
            connection.state = ConnectionState::Idle;
            self.lanes.count_handshake(connection.target);
        }
    }

    /// Starts a request on an idle connection.
    pub fn carry(&mut self, token: usize, flight: Flight) {
        if let Some(connection) = self.connections.get_mut(&token) {
            connection.carry(flight);
            self.carrying += 1;
        }
    }

    /// Removes the request in progress from a connection, which is idle afterwards.
    pub fn take_flight(&mut self, token: usize) -> Option<Flight> {
        let flight = self.connections.get_mut(&token)?.take_flight()?;
        self.carrying -= 1;
        Some(flight)
    }

    /// Removes a connection, which is closed when the caller drops it.
    pub fn remove(&mut self, token: usize) -> Option<Connection> {
        let connection = self.connections.remove(&token)?;
        match connection.state {
            ConnectionState::Connecting(_) => self.lanes.count_handshake(connection.target),
            ConnectionState::Carrying(_) => self.carrying -= 1,
            ConnectionState::Idle => {}
        }
        self.lanes.count_closed(connection.target);
        Some(connection)
    }

    /// The connections whose handshake or request in progress started at a time for which `overdue` returns true.
    pub fn overdue(&self, overdue: impl Fn(u64) -> bool) -> Vec<usize> {
        let busy = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.busy_since_ns().is_some_and(&overdue));
        busy.map(|(token, _)| *token).collect()
    }

    fn is_full(&self) -> bool {
        self.connections.len() >= self.connections_max
    }

    /// Whether a further connection can be opened. Closes a spare one for it if necessary.
    pub fn make_room(&mut self) -> bool {
        !self.is_full() || self.close_spare()
    }

    /// Closes a spare connection, if there is one.
    pub fn close_spare(&mut self) -> bool {
        while let Some(token) = self.spares.pop() {
            if self.remove(token).is_some() {
                return true;
            }
        }
        false
    }

    /// Marks an idle connection as spare if another target needs a connection more. Returns whether it was marked.
    pub fn spare(&mut self, token: usize) -> bool {
        let Some(target) = self.connections.get(&token).map(|connection| connection.target) else {
            return false;
        };
        let is_unneeded = self.lanes.first(target).is_none() && self.lanes.others_wait(target);
        let is_spare = self.is_full() && (is_unneeded || self.lanes.must_yield(target));
        if is_spare {
            self.spares.push(token);
        }
        is_spare
    }

    /// The spare connections that were not needed.
    pub fn take_spares(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.spares)
    }
}
