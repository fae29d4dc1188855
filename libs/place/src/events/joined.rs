//! [`Joined`]: the placements of a run, one after the other, as one platform. It has the instances of all placements.

use std::collections::{BTreeMap, BTreeSet};

use plan::stations::{Host, Load, Server, Way};
use plan::work::NONE;

use crate::site::Site;
use crate::surroundings::{Shared, Surroundings};
use crate::tiers::Tiers;

/// A placement, in force from `from_ns` until the next stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Nanoseconds after the first request.
    pub from_ns: i64,
    pub surroundings: Surroundings,
    /// By group: the number of instances that take turns. `None`: as recorded.
    pub replicas: Vec<Option<u32>>,
}

/// All stages as one.
#[derive(Debug)]
pub struct Joined {
    /// The load, with the instances of the platform.
    pub load: Load,
    pub surroundings: Surroundings,
    /// By the number of the instance: the time for which the instance gets requests.
    pub active_ns: Vec<i64>,
    /// By stage and group: the instances of the group.
    pub members: Vec<Vec<Vec<u32>>>,
}

/// Identity of an instance of the platform: the recorded instance, its node now, and 0 or the number of its copy.
type Key = (u32, String, u32);

/// Joins stages. There is at least one, and they are in the order of time.
pub fn join(site: &Site, tiers: &Tiers, load: &Load, span_ns: i64, stages: &[Stage]) -> Joined {
    let mut joiner = Joiner {
        site,
        tiers,
        numbers: BTreeMap::new(),
        cpus: BTreeMap::new(),
        places: places(site),
        joined: Joined {
            load: load.clone(),
            surroundings: Surroundings::default(),
            active_ns: Vec::new(),
            members: Vec::new(),
        },
    };
    let mut turns = Turns::default();
    for (number, stage) in stages.iter().enumerate() {
        let until_ns = stages.get(number + 1).map_or(span_ns, |next| next.from_ns);
        let members = joiner.stage(stage, (until_ns.min(span_ns) - stage.from_ns).max(0));
        joiner.joined.members.push(members);
    }
    let begins: Vec<i64> = stages.iter().map(|stage| stage.from_ns).collect();
    let first_ns = load.arrivals.first().map_or(0, |arrival| arrival.at_ns);
    for (number, arrival) in load.arrivals.iter().enumerate() {
        let after_ns = arrival.at_ns - first_ns;
        let stage = begins
            .partition_point(|begin| *begin <= after_ns)
            .saturating_sub(1);
        let end = load
            .arrivals
            .get(number + 1)
            .map_or(load.visits.len(), |next| next.visit as usize);
        for visit in &mut joiner.joined.load.visits[arrival.visit as usize..end] {
            let group = site.group_of[visit.instance as usize];
            let of_group = &joiner.joined.members[stage][group as usize];
            let place = match stages[stage].replicas[group as usize] {
                Some(_) => turns.next(stage, group) % of_group.len(),
                None => joiner.places[visit.instance as usize],
            };
            visit.instance = of_group[place];
        }
    }
    joiner.joined
}

/// Number of turns taken, by stage and group.
#[derive(Default)]
struct Turns(BTreeMap<(usize, u32), usize>);

impl Turns {
    fn next(&mut self, stage: usize, group: u32) -> usize {
        let turn = self.0.entry((stage, group)).or_default();
        *turn += 1;
        *turn - 1
    }
}

/// The place of each instance among the instances of its group.
fn places(site: &Site) -> Vec<usize> {
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    let each = site.group_of.iter().map(|group| {
        let count = counts.entry(*group).or_default();
        *count += 1;
        *count - 1
    });
    each.collect()
}

struct Joiner<'a> {
    site: &'a Site,
    tiers: &'a Tiers,
    numbers: BTreeMap<Key, u32>,
    /// Servers by the host whose CPUs they are.
    cpus: BTreeMap<String, u32>,
    /// The place of each recorded instance in its group.
    places: Vec<usize>,
    joined: Joined,
}

impl Joiner<'_> {
    /// Adds a stage and its length. Returns the instances of the stage by group.
    fn stage(&mut self, stage: &Stage, length_ns: i64) -> Vec<Vec<u32>> {
        let servers: Vec<u32> = stage
            .surroundings
            .servers
            .iter()
            .map(|shared| self.server(shared))
            .collect();
        let server = |number: u32| servers.get(number as usize).copied().unwrap_or(NONE);
        let groups = 0..self.site.groups.len() as u32;
        let members: Vec<Vec<u32>> = groups.map(|group| self.members(stage, group, &server)).collect();
        for number in members.iter().flatten().copied().collect::<BTreeSet<u32>>() {
            self.joined.active_ns[number as usize] += length_ns;
        }
        let moved = |way: &Way| Way {
            servers: way.servers.map(&server),
            ..*way
        };
        let now = |instance: u32| now((self.site, &self.places), stage, &members, instance);
        let found = &mut self.joined.surroundings;
        for ((caller, callee), way) in &stage.surroundings.platform.links {
            for from in now(*caller) {
                for to in now(*callee) {
                    found.platform.links.insert((from, to), moved(way));
                }
            }
        }
        for (entry, way) in &stage.surroundings.platform.outside {
            for to in now(*entry) {
                found.platform.outside.insert(to, moved(way));
            }
        }
        let links = stage.surroundings.links.iter();
        found
            .links
            .extend(links.map(|(pair, figures)| (pair.clone(), *figures)));
        found.unknown.extend(stage.surroundings.unknown.iter().cloned());
        found.notes.extend(stage.surroundings.notes.iter().cloned());
        members
    }

    /// The number of a server in the joined platform. The CPUs of a host are the same in all stages.
    fn server(&mut self, shared: &Shared) -> u32 {
        let found = &mut self.joined.surroundings;
        let (known, capacity) = match shared {
            Shared::Cpus { nodes, cores } => {
                let host = self.tiers.host(&nodes[0]).to_owned();
                let known = self.cpus.get(&host).copied();
                if let Some(known) = known
                    && let Shared::Cpus { nodes: all, .. } = &mut found.servers[known as usize]
                {
                    let more: Vec<String> =
                        nodes.iter().filter(|node| !all.contains(node)).cloned().collect();
                    all.extend(more);
                }
                self.cpus.entry(host).or_insert(found.servers.len() as u32);
                (known, *cores)
            }
            Shared::Link { .. } => {
                let known = found.servers.iter().position(|server| server == shared);
                (known.map(|known| known as u32), 1)
            }
        };
        known.unwrap_or_else(|| {
            found.servers.push(shared.clone());
            found.platform.servers.push(Server { capacity });
            found.servers.len() as u32 - 1
        })
    }

    fn members(&mut self, stage: &Stage, group: u32, server: &dyn Fn(u32) -> u32) -> Vec<u32> {
        let numbers = (0..).zip(&self.site.group_of).filter(|(_, of)| **of == group);
        let recorded: Vec<u32> = numbers.map(|(number, _)| number).collect();
        let count = stage.replicas[group as usize].map_or(recorded.len(), |replicas| replicas as usize);
        let members = (0..count).map(|place| match recorded.get(place) {
            Some(instance) => (*instance, 0),
            None => (recorded[0], (place + 1 - recorded.len()) as u32),
        });
        let members: Vec<(u32, u32)> = members.collect();
        members
            .into_iter()
            .map(|(instance, copy)| self.instance(stage, (instance, copy), server))
            .collect()
    }

    fn instance(&mut self, stage: &Stage, (instance, copy): (u32, u32), server: &dyn Fn(u32) -> u32) -> u32 {
        let node = stage.surroundings.nodes[instance as usize].clone();
        let next = self.numbers.len() as u32;
        let number = *self.numbers.entry((instance, node.clone(), copy)).or_insert(next);
        if number == next {
            let host = stage.surroundings.platform.hosts[instance as usize];
            let found = &mut self.joined.surroundings;
            found.platform.hosts.push(Host {
                cpus: server(host.cpus),
                ..host
            });
            found.nodes.push(node);
            found.instances.push((instance, copy));
            self.joined.active_ns.push(0);
        }
        number
    }
}

/// The instances that take the place of a recorded one in a stage.
fn now((site, places): (&Site, &[usize]), stage: &Stage, members: &[Vec<u32>], instance: u32) -> Vec<u32> {
    let group = site.group_of[instance as usize];
    match stage.replicas.get(group as usize) {
        Some(Some(_)) => members[group as usize].clone(),
        Some(None) => vec![members[group as usize][places[instance as usize]]],
        // An instance that belongs to no group gets no requests, so nothing takes its place.
        None => Vec::new(),
    }
}
