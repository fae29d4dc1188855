//! [`Tracks`]: groups of tracks. Each node has a group for each of its instances, and each instance has tracks for its slots,
//! queue and calls.

use cctf_proto::cctf::Stage;
use foldhash::HashMap;

use super::lanes::Lanes;
use super::packets::Packets;
use crate::source::Source;

/// Number of ranks of each kind of tracks. The tracks of an instance are sorted by kind: slots, queue, calls.
const RANKS_OF_KIND: u32 = 1 << 24;

/// The kind of slices on a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Slot,
    Queue,
    Call,
}

/// The owner of tracks: an instance by its number, or a caller without invocations, such as a load driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    Instance(u32),
    Outside(u32),
}

/// The tracks of a trace. Each is declared when it is first needed.
#[derive(Debug)]
pub struct Tracks<'a> {
    source: &'a Source<'a>,
    nodes: HashMap<String, u64>,
    /// Callers from outside, by node and name.
    outside: HashMap<(String, String), u32>,
    groups: HashMap<Owner, u64>,
    lanes: HashMap<(Owner, Kind), Lanes>,
    uuids: HashMap<(Owner, Kind, u32), u64>,
    /// Number of invocations that started when all slots of their instance had a slice.
    pub beyond_slots: u64,
}

impl<'a> Tracks<'a> {
    pub fn new(source: &'a Source<'a>) -> Self {
        Self {
            source,
            nodes: HashMap::default(),
            outside: HashMap::default(),
            groups: HashMap::default(),
            lanes: HashMap::default(),
            uuids: HashMap::default(),
            beyond_slots: 0,
        }
    }

    /// Returns the group of a node.
    pub fn node(&mut self, packets: &mut Packets, node: &str) -> anyhow::Result<u64> {
        if let Some(&uuid) = self.nodes.get(node) {
            return Ok(uuid);
        }
        let names = &self.source.plan.recorded.names.nodes;
        let number = names.iter().position(|name| name == node);
        let stage = number.map_or(Stage::Unknown, |number| self.source.nodes[number].stage);
        let name = match stage {
            Stage::Unknown => node.to_owned(),
            stage => format!("{node} ({})", stage.as_str()),
        };
        let uuid = packets.process(&name)?;
        self.nodes.insert(node.to_owned(), uuid);
        Ok(uuid)
    }

    /// Returns the group of an instance that has invocations.
    pub fn instance(&mut self, packets: &mut Packets, instance: u32) -> anyhow::Result<u64> {
        let owner = Owner::Instance(instance);
        if let Some(&uuid) = self.groups.get(&owner) {
            return Ok(uuid);
        }
        let names = &self.source.plan.recorded.names;
        let node = &names.nodes[names.instances[instance as usize].node as usize];
        let parent = self.node(packets, node)?;
        let uuid = packets.track(parent, self.source.instance_name(instance), instance)?;
        self.groups.insert(owner, uuid);
        Ok(uuid)
    }

    /// Returns the owner for a caller without invocations.
    pub fn outside(&mut self, packets: &mut Packets, node: &str, name: &str) -> anyhow::Result<Owner> {
        let key = (node.to_owned(), name.to_owned());
        if let Some(&number) = self.outside.get(&key) {
            return Ok(Owner::Outside(number));
        }
        let number = self.outside.len() as u32;
        let parent = self.node(packets, node)?;
        let uuid = packets.track(parent, name.to_owned(), number)?;
        self.outside.insert(key, number);
        self.groups.insert(Owner::Outside(number), uuid);
        Ok(Owner::Outside(number))
    }

    /// Returns a track on which a slice from `start_ns` to `end_ns` does not overlap others. The slices of one owner and kind
    /// must come in the order of their start.
    pub fn lane(
        &mut self,
        packets: &mut Packets,
        owner: Owner,
        kind: Kind,
        (start_ns, end_ns): (i64, i64),
    ) -> anyhow::Result<u64> {
        let lane = self
            .lanes
            .entry((owner, kind))
            .or_default()
            .assign(start_ns, end_ns);
        let slots = self.slots(owner);
        self.beyond_slots += u64::from(kind == Kind::Slot && slots.is_some_and(|slots| lane >= slots));
        if let Some(&uuid) = self.uuids.get(&(owner, kind, lane)) {
            return Ok(uuid);
        }
        let group = match owner {
            Owner::Instance(instance) => self.instance(packets, instance)?,
            Owner::Outside(_) => self.groups[&owner],
        };
        let (first_rank, name) = match kind {
            Kind::Slot if slots.is_some_and(|slots| lane < slots) => (0, "slot"),
            Kind::Slot => (0, "work"),
            Kind::Queue => (1, "queue"),
            Kind::Call => (2, "calls"),
        };
        let rank = first_rank * RANKS_OF_KIND + lane.min(RANKS_OF_KIND - 1);
        let uuid = packets.track(group, format!("{name} {}", lane + 1), rank)?;
        self.uuids.insert((owner, kind, lane), uuid);
        Ok(uuid)
    }

    fn slots(&self, owner: Owner) -> Option<u32> {
        match owner {
            Owner::Instance(instance) => {
                let instances = &self.source.plan.recorded.names.instances;
                instances[instance as usize].station.slots
            }
            Owner::Outside(_) => None,
        }
    }
}
