//! [`Platform`]: the slots of all instances, the CPUs of their nodes, and the links between them.

use foldhash::HashMap;

use super::model::{Arrival, Call, Load};
use crate::work::{NONE, Station};

/// A whole in millionths.
pub const WHOLE_PPM: u32 = 1_000_000;

/// What surrounds the work of a load.
#[derive(Debug, Clone, Default)]
pub struct Platform {
    /// Indexed by the number of the instance.
    pub hosts: Vec<Host>,
    /// What requests share: the CPUs of nodes, and the directions of links.
    pub servers: Vec<Server>,
    /// Links between a calling and a called instance. Other calls take their recorded network times.
    pub links: HashMap<(u32, u32), Way>,
    /// Links over which requests from outside reach an instance. Nobody shares them: each client has a network of its own.
    pub outside: HashMap<u32, Way>,
}

/// Where an instance runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Host {
    pub station: Station,
    /// Index of the node's CPUs in [`Platform::servers`]. [`NONE`]: CPUs are not simulated, and waits for CPUs stay as recorded.
    pub cpus: u32,
    /// Factor for CPU times: the speed of the node on which the instance was recorded, divided by the speed of this node.
    pub slowness: f64,
    /// The share of the recorded waits for CPUs that is not simulated but kept as recorded, in millionths. It is the part that
    /// [`kept_cpu_waits`](super::kept_cpu_waits) attributes to other processes. Without effect if `cpus` is [`NONE`].
    pub cpu_wait_kept_ppm: u32,
}

/// A server whose jobs share its capacity equally (egalitarian processor sharing). Each job gets at most one unit of it.
///
/// Sources: Kleinrock, Time-shared systems: a theoretical treatment, Journal of the ACM 14 (1967), for CPUs; Massoulié and
/// Roberts, Bandwidth sharing: objectives and algorithms, IEEE/ACM Transactions on Networking 10 (2002), for flows on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// Cores of a node; 1 for a direction of a link.
    pub capacity: u32,
}

/// A link, with its recorded and its current properties.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    pub before: Link,
    pub after: Link,
    /// The servers of the directions of request and answer, or [`NONE`] for a direction that nobody shares.
    pub servers: [u32; 2],
}

/// Times on a link. The default values, zeros, stand for a call within a node.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Link {
    /// Delay in one direction, nanoseconds.
    pub delay_ns: i64,
    /// Transfer time of a byte. 0: no limit.
    pub ns_per_byte: f64,
}

impl Link {
    /// Transfer time of a body.
    pub fn transfer_ns(self, bytes: u32) -> i64 {
        (self.ns_per_byte * f64::from(bytes)).round() as i64
    }

    /// Time on the link in both directions.
    fn time_ns(self, bytes: [u32; 2]) -> i64 {
        2 * self.delay_ns + self.transfer_ns(bytes[0]) + self.transfer_ns(bytes[1])
    }
}

impl Way {
    /// The part of a recorded network time, each way, that does not depend on the link, such as the work of HTTP libraries. At
    /// least 0.
    pub fn rest_ns(&self, recorded_ns: [i64; 2], bytes: [u32; 2]) -> [i64; 2] {
        let recorded_ns = recorded_ns[0].saturating_add(recorded_ns[1]);
        let rest_ns = recorded_ns.saturating_sub(self.before.time_ns(bytes)).max(0);
        [rest_ns / 2, rest_ns - rest_ns / 2]
    }

    /// Network times of request and answer, if nobody else uses the link.
    pub fn alone_ns(&self, recorded_ns: [i64; 2], bytes: [u32; 2]) -> [i64; 2] {
        let rest_ns = self.rest_ns(recorded_ns, bytes);
        [0, 1].map(|side: usize| rest_ns[side] + self.after.delay_ns + self.after.transfer_ns(bytes[side]))
    }
}

impl Platform {
    /// Slots and network times as recorded. Work waits for CPUs as recorded, too.
    pub fn recorded(load: &Load) -> Self {
        let hosts = load.names.instances.iter().map(|instance| Host {
            station: instance.station,
            cpus: NONE,
            slowness: 1.0,
            cpu_wait_kept_ppm: 0,
        });
        Self {
            hosts: hosts.collect(),
            ..Self::default()
        }
    }

    /// The link of a call, if the network times of this call are simulated. `None`: they stay as recorded.
    pub(super) fn way(&self, load: &Load, call: &Call) -> Option<&Way> {
        if self.links.is_empty() {
            return None;
        }
        let callee = load.visits.get(call.callee as usize)?;
        let caller = load.visits[call.visit as usize].instance;
        self.links.get(&(caller, callee.instance))
    }

    /// Network times of a root's request and answer.
    pub fn outside_ns(&self, load: &Load, arrival: &Arrival) -> [i64; 2] {
        let recorded_ns = [arrival.out_ns, arrival.back_ns];
        let instance = load.visits[arrival.visit as usize].instance;
        match self.outside.get(&instance) {
            Some(way) => way.alone_ns(recorded_ns, [arrival.bytes_in, arrival.bytes_out]),
            None => recorded_ns,
        }
    }
}
