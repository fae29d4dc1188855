//! [`Lanes`]: for each target, its address, its number of connections, and the requests that wait for a connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::backlog::Backlog;
use crate::exchange::{Request, Sent};
use crate::stream::Prepared;

/// A request that waits for a connection.
#[derive(Debug)]
pub struct Pending {
    pub request: Request,
    pub prepared: Arc<Prepared>,
    /// Time of the first send, if the request is sent again. Such a request does not count in the backlog.
    pub first_sent: Option<Sent>,
}

impl Pending {
    /// The time of the first send, and the number of further sends. For a new request, the time is now.
    pub fn send(&self) -> (Sent, u8) {
        match self.first_sent {
            Some(sent) => (sent, 1),
            None => (Sent::now(self.request), 0),
        }
    }
}

#[derive(Debug)]
struct Lane {
    address: SocketAddr,
    pending: VecDeque<Pending>,
    /// All connections, including those whose handshake has not ended.
    connections: usize,
    /// Connections whose handshake has not ended.
    connecting: usize,
}

impl Lane {
    /// Whether a waiting request needs another connection, because none is being opened for it.
    fn needs_connection(&self) -> bool {
        self.pending.len() > self.connecting
    }

    fn first_number(&self) -> u64 {
        self.pending
            .front()
            .map_or(u64::MAX, |pending| pending.request.number)
    }
}

#[derive(Debug)]
pub struct Lanes {
    lanes: Vec<Lane>,
    backlog: Arc<Backlog>,
    pending: usize,
}

impl Lanes {
    pub fn new(targets: &[SocketAddr], backlog: Arc<Backlog>) -> Self {
        let lane = |address: &SocketAddr| Lane {
            address: *address,
            pending: VecDeque::new(),
            connections: 0,
            connecting: 0,
        };
        Self {
            lanes: targets.iter().map(lane).collect(),
            backlog,
            pending: 0,
        }
    }

    pub fn count(&self) -> usize {
        self.lanes.len()
    }

    /// Whether no request waits.
    pub fn is_empty(&self) -> bool {
        self.pending == 0
    }

    pub fn address(&self, target: usize) -> SocketAddr {
        self.lanes[target].address
    }

    pub fn connections(&self, target: usize) -> usize {
        self.lanes[target].connections
    }

    pub fn connecting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.connecting).sum()
    }

    pub fn needs_connection(&self, target: usize) -> bool {
        self.lanes[target].needs_connection()
    }

    /// Counts a connection whose handshake has started.
    pub fn count_opened(&mut self, target: usize) {
        self.lanes[target].connections += 1;
        self.lanes[target].connecting += 1;
    }

    /// Counts the end of a handshake.
    pub fn count_handshake(&mut self, target: usize) {
        self.lanes[target].connecting -= 1;
    }

    /// Counts a connection that was closed after its handshake had been counted.
    pub fn count_closed(&mut self, target: usize) {
        self.lanes[target].connections -= 1;
    }

    /// Adds a request at the end. The pacer has added it to the backlog.
    pub fn push(&mut self, request: Request, prepared: Arc<Prepared>) {
        self.pending += 1;
        self.lanes[prepared.target].pending.push_back(Pending {
            request,
            prepared,
            first_sent: None,
        });
    }

    /// Adds a request at the front that is sent again, because the server had closed its connection.
    pub fn push_again(&mut self, first_sent: Sent, prepared: Arc<Prepared>) {
        self.pending += 1;
        self.lanes[prepared.target].pending.push_front(Pending {
            request: first_sent.request,
            prepared,
            first_sent: Some(first_sent),
        });
    }

    /// Of the requests to a target, takes the one that has waited longest.
    pub fn pop(&mut self, target: usize) -> Option<Pending> {
        let pending = self.lanes[target].pending.pop_front()?;
        self.pending -= 1;
        if pending.first_sent.is_none() {
            self.backlog.remove(pending.prepared.held_bytes());
        }
        Some(pending)
    }

    /// Of the requests to a target, the one that has waited longest.
    pub fn first(&self, target: usize) -> Option<&Pending> {
        self.lanes[target].pending.front()
    }

    /// Whether requests to other targets wait for a connection.
    pub fn others_wait(&self, target: usize) -> bool {
        self.pending > self.lanes[target].pending.len()
    }

    /// Whether a target without any connection has waited longer than this target. That other target gets the next free
    /// connection, so that no target waits forever while others keep all connections busy.
    pub fn must_yield(&self, target: usize) -> bool {
        let own = self.lanes[target].first_number();
        self.others_wait(target)
            && self
                .lanes
                .iter()
                .any(|lane| lane.connections == 0 && lane.first_number() < own)
    }

    /// The targets that need a connection. Targets without any connection come first, then those with the longest wait.
    pub fn in_need(&self) -> Vec<usize> {
        if self.pending == 0 {
            return Vec::new();
        }
        let mut targets: Vec<usize> = (0..self.lanes.len())
            .filter(|target| self.needs_connection(*target))
            .collect();
        targets.sort_by_key(|target| {
            let lane = &self.lanes[*target];
            (lane.connections > 0, lane.first_number())
        });
        targets
    }
}
