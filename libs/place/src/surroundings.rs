//! [`Surroundings`]: a placement as the platform of the simulator, and the properties of it that are unknown.

use std::collections::{BTreeMap, BTreeSet};

use cctf_stack::stand_ins::groups::copied;
use cctf_stack::stand_ins::{Placed, Placement, PlacementError};
use plan::stations::{Host, Link, Platform, Server, Way};
use plan::work::{NONE, Station};

use crate::groups::Group;
use crate::machines::{Cpus, share_cpus};
use crate::site::{Site, shown};
use crate::tiers::Tiers;

/// Delay of a link one way, seconds, and its rate, bits per second.
pub type Figures = (f64, Option<f64>);

/// Where the instances of a run are in a placement.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    pub platform: Platform,
    /// By the number of the server in the platform.
    pub servers: Vec<Shared>,
    /// By the number of the instance.
    pub nodes: Vec<String>,
    /// By the number of the instance: the recorded instance, and 0 or the number of its copy.
    pub instances: Vec<(u32, u32)>,
    /// Delay, seconds, and rate, bits per second, of the links that calls pass, where they are known. By calling and called node.
    pub links: BTreeMap<(String, String), Figures>,
    /// Reasons why the times of the placement cannot be predicted, as far as they are known without a simulation.
    pub unknown: BTreeSet<String>,
    /// Sentences about assumptions.
    pub notes: BTreeSet<String>,
}

/// What requests share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shared {
    /// The CPUs of these nodes.
    Cpus { nodes: Vec<String>, cores: u32 },
    /// A link from a calling to a called node: its direction of requests, or of answers.
    Link { u: String, v: String, is_answers: bool },
}

impl Surroundings {
    /// `has_other_load` states whether more or fewer requests arrive than recorded.
    ///
    /// # Errors
    /// If the placement does not fit the recording.
    pub fn new(
        site: &Site,
        tiers: &Tiers,
        placement: &Placement,
        has_other_load: bool,
    ) -> Result<Self, PlacementError> {
        let placed = Placed::of_any_size(&site.recording, placement)?;
        let mut builder = Builder {
            site,
            tiers,
            placed: &placed,
            found: Self {
                platform: Platform::recorded(&site.load),
                instances: (0..site.load.names.instances.len() as u32)
                    .map(|number| (number, 0))
                    .collect(),
                ..Self::default()
            },
        };
        builder.nodes();
        builder.cpus();
        for instance in 0..site.load.names.instances.len() as u32 {
            builder.host(instance);
        }
        builder.groups(placement, has_other_load);
        for pair in &site.pairs {
            builder.link(*pair);
        }
        for entry in &site.entries {
            builder.outside(*entry);
        }
        Ok(builder.found)
    }

    /// Module and id of an instance.
    pub fn instance<'a>(&self, site: &'a Site, number: u32) -> (&'a str, String) {
        let (recorded, copy) = self.instances[number as usize];
        let (module, id) = site.instance(recorded);
        (module, copied(id, copy as usize))
    }
}

struct Builder<'a> {
    site: &'a Site,
    tiers: &'a Tiers,
    placed: &'a Placed,
    found: Surroundings,
}

impl Builder<'_> {
    fn nodes(&mut self) {
        let instances = 0..self.site.load.names.instances.len() as u32;
        let nodes = instances.map(|instance| {
            let (module, id) = self.site.instance(instance);
            let node = self.placed.node_of(module, id);
            node.unwrap_or(self.site.recorded_node(instance)).to_owned()
        });
        self.found.nodes = nodes.collect();
    }

    fn cpus(&mut self) {
        let found = &mut self.found;
        let cpus = share_cpus(self.tiers, &found.nodes, &mut found.platform).into_iter();
        let shared = cpus.map(|Cpus { nodes, cores }| Shared::Cpus { nodes, cores });
        found.servers.extend(shared);
    }

    fn host(&mut self, instance: u32) {
        let (module, id) = self.site.instance(instance);
        let recorded = self.site.load.names.instances[instance as usize].station;
        let station = self.station(module, id).unwrap_or(recorded);
        let slowness = self.slowness(instance);
        let host = &mut self.found.platform.hosts[instance as usize];
        *host = Host {
            station,
            slowness: slowness.unwrap_or(1.0),
            cpus: host.cpus,
            cpu_wait_kept_ppm: self.site.cpu_wait_kept_ppm[instance as usize],
        };
        if slowness.is_none() {
            let (from, to) = (
                self.site.recorded_node(instance),
                &self.found.nodes[instance as usize],
            );
            self.found.unknown.insert(format!(
                "the speed of {from} or of {to} is unknown, so nobody knows how long {module} takes there; add mips_per_core of both to the tiers"
            ));
        }
    }

    /// The station of a placed instance. If the instance has none, the station of another instance of its module.
    fn station(&self, module: &str, id: &str) -> Option<Station> {
        let of_module = || self.placed.stand_ins.iter().filter(|one| one.module == module);
        let own = of_module().find(|one| one.instance == id);
        own.or(of_module().next()).map(|one| one.station)
    }

    /// Recorded speed divided by the current speed. `None` if one of the two is unknown and the instance is on another node than
    /// recorded.
    fn slowness(&self, instance: u32) -> Option<f64> {
        let (from, to) = (
            self.site.recorded_node(instance),
            self.found.nodes[instance as usize].as_str(),
        );
        let recorded = self.site.recording.nodes.get(from);
        let (before, now) = (self.tiers.nodes.get(from), self.tiers.nodes.get(to));
        let factor = now.and_then(|node| node.speed_factor).unwrap_or(1.0);
        let ratio = |before: Option<f64>, now: Option<f64>| Some(before? / now?);
        // The tiers describe the recorded node where the recording does not.
        let mips_before = recorded.and_then(|node| node.mips_per_core);
        let mips_before = mips_before.or(before.and_then(|node| node.mips_per_core));
        let score_before = recorded.and_then(|node| node.cpu_score);
        let score_before = score_before.or(before.and_then(|node| node.cpu_score));
        let by_mips = ratio(mips_before, now.and_then(|node| node.mips_per_core));
        let by_score = || ratio(score_before, now.and_then(|node| node.cpu_score));
        let known = by_mips.or_else(by_score).or((from == to).then_some(1.0));
        known
            .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
            .map(|ratio| ratio / factor)
    }

    /// The unknown properties of groups that are not as recorded.
    fn groups(&mut self, placement: &Placement, has_other_load: bool) {
        let place = |group: &Group| placement.of(&group.module, &group.node);
        let is_moved = |group: &Group| place(group).node.is_some_and(|node| node != group.node);
        let has_other_slots = |group: &Group| place(group).slots.is_some();
        let of = |lacks: &dyn Fn(&Group) -> bool| {
            let groups = self.site.groups.iter().filter(|group| lacks(group));
            shown(groups.map(|group| group.name.as_str()))
        };
        let without_cpu = of(&|group| group.cpu_unknown > 0 && (has_other_load || is_moved(group)));
        let without_queue =
            of(&|group| group.queue_unknown > 0 && (has_other_load || has_other_slots(group)));
        let unknown = &mut self.found.unknown;
        unknown.extend(without_cpu.map(|modules| format!("invocations of {modules} have no CPU time")));
        unknown.extend(without_queue.map(|modules| {
            format!("invocations of {modules} report no queue time, so nobody knows how their waits change")
        }));
        let instances = self
            .found
            .platform
            .hosts
            .iter()
            .zip(&self.found.nodes)
            .enumerate();
        for (instance, (host, node)) in instances {
            let is_moved = self.site.recorded_node(instance as u32) != node;
            if host.cpus == NONE && (is_moved || has_other_load) {
                self.found.unknown.insert(format!(
                    "{node} has no cores, so nobody knows how requests wait for a CPU there; add its cores to the tiers"
                ));
            }
        }
    }

    fn link(&mut self, (caller, callee): (u32, u32)) {
        let [from, to] = [caller, callee].map(|instance| self.site.recorded_node(instance).to_owned());
        let [u, v] = [caller, callee].map(|instance| self.found.nodes[instance as usize].clone());
        let before = within(&from, &to).or_else(|| self.recorded_link(&from, &to));
        let now = within(&u, &v).or_else(|| self.placed.way(&u, &v));
        let is_same_pair = (&from, &to) == (&u, &v);
        if let Some(now) = now.filter(|_| u != v) {
            self.found.links.insert((u.clone(), v.clone()), now);
        }
        if before == now && (before.is_some() || is_same_pair) {
            return;
        }
        let Some(now) = now else {
            self.found.unknown.insert(format!(
                "the link from {u} to {v} is unknown; add it to the tiers"
            ));
            return;
        };
        if before.is_none() {
            self.found.unknown.insert(unknown_before(&from, &to));
        }
        let servers = match now.1 {
            Some(_) => [false, true].map(|is_answers| self.direction(&u, &v, is_answers)),
            None => [NONE; 2],
        };
        let way = Way {
            before: link(before.unwrap_or_default()),
            after: link(now),
            servers,
        };
        self.found.platform.links.insert((caller, callee), way);
    }

    /// The recorded link, else the one that the file of the tiers states.
    fn recorded_link(&self, u: &str, v: &str) -> Option<Figures> {
        let stated = || {
            let link = self.tiers.stated_link(u, v)?;
            Some((link.delay_ms? as f64 / 1e3, link.rate_bps.map(|rate| rate as f64)))
        };
        self.placed.recorded_way(u, v).or_else(stated)
    }

    /// The server of one direction of a link. All calls over the link share it.
    fn direction(&mut self, u: &str, v: &str, is_answers: bool) -> u32 {
        let wanted = Shared::Link {
            u: u.to_owned(),
            v: v.to_owned(),
            is_answers,
        };
        let known = self.found.servers.iter().position(|server| *server == wanted);
        let server = known.unwrap_or_else(|| {
            self.found.servers.push(wanted);
            self.found.platform.servers.push(Server { capacity: 1 });
            self.found.servers.len() - 1
        });
        server as u32
    }

    /// Sets the link of requests from outside to an instance, if the current link from their node is known and differs from the
    /// recorded one.
    fn outside(&mut self, entry: u32) {
        let driver = self.tiers.outside();
        let (from, to) = (self.site.recorded_node(entry), &self.found.nodes[entry as usize]);
        let before = within(driver, from).or_else(|| self.recorded_link(driver, from));
        let now = within(driver, to).or_else(|| self.placed.way(driver, to));
        match (before, now) {
            (before, Some(now)) if before != Some(now) => {
                if before.is_none() {
                    self.found.unknown.insert(unknown_before(driver, from));
                }
                let way = Way {
                    before: link(before.unwrap_or_default()),
                    after: link(now),
                    servers: [NONE; 2],
                };
                self.found.platform.outside.insert(entry, way);
            }
            (_, None) if from != to => {
                self.found.notes.insert(format!(
                    "the link from {driver} to {to} is unknown: requests from outside take their recorded network time"
                ));
            }
            _ => {}
        }
    }
}

fn unknown_before(from: &str, to: &str) -> String {
    format!(
        "the recorded link from {from} to {to} is unknown, so nobody knows which part of its network times goes away; add it to the tiers"
    )
}

/// Calls inside a node need no link.
fn within(u: &str, v: &str) -> Option<Figures> {
    (u == v).then_some((0.0, None))
}

fn link((delay_s, rate_bps): Figures) -> Link {
    Link {
        // A float becomes an integer by saturation.
        delay_ns: (delay_s * 1e9).round() as i64,
        ns_per_byte: rate_bps.map_or(0.0, |rate| 8e9 / rate),
    }
}
