//! [`Placement`]: the user's file that moves and changes stand-ins.

use std::collections::BTreeMap;
use std::path::Path;

use cli::bounded;
use cli::document::{Document, Item};
use plan::work::Station;

use super::error::PlacementError;

/// Maximum size of the file: 4 KiB for each of 256 modules.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Maximum number of slots of a tunable-svc, unless its slots are unlimited.
pub const SLOTS_MAX: u32 = 1_024;
/// Maximum length of a tunable-svc's queue.
pub const QUEUE_LIMIT_MAX: u32 = 1 << 20;
/// A correct part of a file, shown in error messages.
const EXAMPLE: &str = r#"{"modules": {"cart": {"node": "edge0"}}}"#;

/// Changes to a recorded deployment. A setting that is absent stays as recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Placement {
    pub modules: BTreeMap<String, ModulePlace>,
    pub nodes: BTreeMap<String, NodePlace>,
    pub links: Vec<LinkPlace>,
    pub events: Vec<EventPlace>,
}

/// A change during the run: another node, another number of stand-ins, or both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventPlace {
    /// Seconds after the first request.
    pub at_s: f64,
    /// A module or a group.
    pub module: String,
    pub node: Option<String>,
    /// Number of stand-ins that take turns.
    pub replicas: Option<u32>,
    /// Slots of each stand-in on the new node. `None`: as many as the stand-ins started with.
    pub slots: Option<EventSlots>,
    /// The reason, for the record of the event.
    pub reason: Option<String>,
}

/// Changes to a module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModulePlace {
    /// Node of all stand-ins of the module.
    pub node: Option<String>,
    pub slots: Option<Slots>,
    pub slot_policy: Option<SlotPolicy>,
    pub queue_limit: Option<u32>,
    /// Stand-ins of the module. Requests of recorded instances that are not in this list go to all of these stand-ins in turn.
    pub instances: Option<Vec<String>>,
}

/// Changes to a node, or a new node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodePlace {
    pub stage: Option<Stage>,
    pub mips_per_core: Option<f64>,
}

/// A link between two nodes. It is used for both directions, unless the placement has a separate link for the other one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LinkPlace {
    /// Calling node.
    pub u: String,
    /// Called node.
    pub v: String,
    /// Delay in each direction, milliseconds.
    pub delay_ms: Option<u64>,
    /// Rate in each direction, bits per second.
    pub rate_bps: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    Count(u32),
    Unlimited,
}

impl Slots {
    /// `None`: unlimited, as in a [`Station`].
    pub fn count(self) -> Option<u32> {
        match self {
            Self::Count(count) => Some(count),
            Self::Unlimited => None,
        }
    }
}

/// Slots of stand-ins after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSlots {
    Recorded,
    Set(Slots),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotPolicy {
    Held,
    Released,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Endpoint,
    Edge,
    Cloud,
    Unknown,
}

/// Names of policies in the file.
pub(super) const SLOT_POLICIES: [(&str, SlotPolicy); 2] =
    [("held", SlotPolicy::Held), ("released", SlotPolicy::Released)];
/// Names of stages in the file.
pub const STAGES: [(&str, Stage); 4] = [
    ("endpoint", Stage::Endpoint),
    ("edge", Stage::Edge),
    ("cloud", Stage::Cloud),
    ("unknown", Stage::Unknown),
];
/// Maximum number of events. In a prediction, an event can happen at a utilisation instead of at a time. Each such event costs
/// one more simulation.
pub const EVENTS_MAX: usize = 16;
/// Maximum time of an event: a year.
pub const EVENT_AT_S_MAX: f64 = 366.0 * 86_400.0;
/// Maximum number of instances of a scaled group.
pub const REPLICAS_MAX: u32 = 64;
/// Maximum of numbers in the file that have no other maximum.
const NUMBER_MAX: u64 = u32::MAX as u64;

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Edge => "edge",
            Self::Cloud => "cloud",
            Self::Unknown => "unknown",
        }
    }
}

impl Placement {
    /// Reads a placement from a file.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is not a placement.
    pub fn read(path: &Path) -> Result<Self, PlacementError> {
        let failed = |cause: String| PlacementError::File {
            path: path.to_owned(),
            cause,
        };
        bounded::parse(path, FILE_BYTES_MAX, Self::parse).map_err(failed)
    }

    /// Parses the file's content. The error message does not contain the path.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document = Document::parse(bytes)?;
        let fields = document
            .fields(EXAMPLE)?
            .only(&["modules", "nodes", "links", "events"])?;
        Ok(Self {
            modules: fields.named("modules", ModulePlace::parse)?,
            nodes: fields.named("nodes", NodePlace::parse)?,
            links: fields.each("links", LinkPlace::parse)?,
            events: fields.each("events", EventPlace::parse)?,
        })
    }

    /// Whether the placement has no change.
    pub fn changes_nothing(&self) -> bool {
        self.modules
            .values()
            .all(|place| *place == ModulePlace::default())
            && self.nodes.values().all(|place| *place == NodePlace::default())
            && self.links.is_empty()
            && self.events.is_empty()
    }
}

impl EventPlace {
    fn parse(item: &Item<'_>) -> Result<Self, String> {
        let fields = item
            .fields()?
            .only(&["at_s", "module", "node", "replicas", "slots", "reason"])?;
        let text = |name: &str| {
            fields
                .get(name)
                .map(|item| item.text().map(str::to_owned))
                .transpose()
        };
        let at = fields.required("at_s")?;
        let at_s = at.number()?;
        if !(0.0..=EVENT_AT_S_MAX).contains(&at_s) {
            return Err(at.must_be(&format!("a number of seconds from 0 to {EVENT_AT_S_MAX}")));
        }
        let replicas = fields
            .get("replicas")
            .map(|item| item.whole(1..=u64::from(REPLICAS_MAX)));
        let event = Self {
            at_s,
            module: fields.required("module")?.text()?.to_owned(),
            node: text("node")?,
            // The parser accepts only numbers that fit the type.
            replicas: replicas.transpose()?.map(|count| count as u32),
            slots: fields.get("slots").map(|item| event_slots(&item)).transpose()?,
            reason: text("reason")?,
        };
        match (&event.node, event.replicas, event.slots) {
            (None, None, _) => Err(item.must_be("an event with a node or replicas")),
            (None, _, Some(_)) => Err(item.must_be("an event with a node, because it has slots")),
            _ => Ok(event),
        }
    }
}

impl LinkPlace {
    fn parse(item: &Item<'_>) -> Result<Self, String> {
        let fields = item.fields()?.only(&["u", "v", "delay_ms", "rate_bps"])?;
        let node = |name: &str| fields.required(name)?.text().map(str::to_owned);
        let number = |name: &str| {
            fields
                .get(name)
                .map(|item| item.whole(0..=NUMBER_MAX))
                .transpose()
        };
        Ok(Self {
            u: node("u")?,
            v: node("v")?,
            delay_ms: number("delay_ms")?,
            rate_bps: number("rate_bps")?,
        })
    }
}

impl ModulePlace {
    fn parse(item: &Item<'_>) -> Result<Self, String> {
        let known = ["node", "slots", "slot_policy", "queue_limit", "instances"];
        let fields = item.fields()?.only(&known)?;
        let instances = fields.get("instances").map(|item| {
            let ids = item.list()?;
            ids.iter().map(|id| id.text().map(str::to_owned)).collect()
        });
        let queue_limit = fields.get("queue_limit");
        let queue_limit = queue_limit.map(|item| item.whole(0..=u64::from(QUEUE_LIMIT_MAX)));
        Ok(Self {
            node: fields
                .get("node")
                .map(|item| item.text().map(str::to_owned))
                .transpose()?,
            slots: fields.get("slots").map(|item| slots(&item)).transpose()?,
            slot_policy: fields
                .get("slot_policy")
                .map(|item| item.choice(&SLOT_POLICIES))
                .transpose()?,
            // The parser accepts only numbers that fit the type.
            queue_limit: queue_limit.transpose()?.map(|limit| limit as u32),
            instances: instances.transpose()?,
        })
    }

    /// Applies the changes to a recorded station.
    pub fn change(&self, mut station: Station) -> Station {
        if let Some(slots) = self.slots {
            station.slots = slots.count();
        }
        if let Some(policy) = self.slot_policy {
            station.is_released = policy == SlotPolicy::Released;
        }
        station.queue_limit = self.queue_limit.or(station.queue_limit);
        station
    }

    /// Returns an error for values that no stand-in can have.
    pub fn check(&self, module: &str) -> Result<(), PlacementError> {
        let invalid = |what: String, remedy: &str| {
            Err(PlacementError::Value {
                place: format!("module {module:?}"),
                what,
                remedy: remedy.to_owned(),
            })
        };
        if let Some(instances) = &self.instances {
            let mut sorted = instances.clone();
            sorted.sort();
            sorted.dedup();
            if instances.is_empty() || sorted.len() < instances.len() {
                return invalid(
                    "no instances, or one twice".to_owned(),
                    "different names, at least one",
                );
            }
        }
        Ok(())
    }
}

/// A number of slots, or `"unlimited"`.
fn slots(item: &Item<'_>) -> Result<Slots, String> {
    if item.as_text() == Some("unlimited") {
        return Ok(Slots::Unlimited);
    }
    match item.whole(1..=u64::from(SLOTS_MAX)) {
        // The parser accepts only numbers that fit the type.
        Ok(count) => Ok(Slots::Count(count as u32)),
        Err(_) => Err(item.must_be(&format!("a whole number from 1 to {SLOTS_MAX}, or \"unlimited\""))),
    }
}

/// A number of slots, `"unlimited"` or `"recorded"`.
fn event_slots(item: &Item<'_>) -> Result<EventSlots, String> {
    if item.as_text() == Some("recorded") {
        return Ok(EventSlots::Recorded);
    }
    let expected = || format!("a whole number from 1 to {SLOTS_MAX}, \"unlimited\" or \"recorded\"");
    slots(item)
        .map(EventSlots::Set)
        .map_err(|_| item.must_be(&expected()))
}

impl NodePlace {
    fn parse(item: &Item<'_>) -> Result<Self, String> {
        let fields = item.fields()?.only(&["stage", "mips_per_core"])?;
        Ok(Self {
            stage: fields.get("stage").map(|item| item.choice(&STAGES)).transpose()?,
            mips_per_core: fields
                .get("mips_per_core")
                .map(|item| item.number())
                .transpose()?,
        })
    }

    /// Returns an error for values that no node can have.
    pub fn check(&self, node: &str) -> Result<(), PlacementError> {
        match self.mips_per_core {
            Some(mips) if !mips.is_finite() || mips <= 0.0 => Err(PlacementError::Value {
                place: format!("node {node:?}"),
                what: format!("a speed of {mips}"),
                remedy: "a number above 0".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_placement_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.json");
        for (text, cause) in [
            ("", "it is empty"),
            ("{", "EOF"),
            ("[]", "it must be an object such as"),
            (
                r#"{"module": {}}"#,
                "the field module is unknown; use modules, nodes, links, events",
            ),
            (r#"{"modules": {"a": {}, "a": {}}}"#, "modules.a is there twice"),
            (
                r#"{"modules": {"a": []}}"#,
                "modules.a must be an object in braces",
            ),
            (
                r#"{"modules": {"a": {"slots": -3}}}"#,
                r#"modules.a.slots must be a whole number from 1 to 1024, or "unlimited", not -3"#,
            ),
            (
                r#"{"modules": {"a": {"queue_limit": "x"}}}"#,
                "modules.a.queue_limit must be a whole number from 0 to 1048576",
            ),
            (
                r#"{"nodes": {"a": {"stage": "moon"}}}"#,
                r#"nodes.a.stage must be "endpoint" or "edge" or "cloud" or "unknown", not "moon""#,
            ),
            (r#"{"links": [{"u": "a"}]}"#, "the field links[0].v is missing"),
            (
                r#"{"links": [{"u": "a", "v": "b", "delay_ms": 0.5}]}"#,
                "links[0].delay_ms must be a whole number",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Placement::read(&path).unwrap_err().to_string();
            let begin = format!("cannot read placement {}: ", path.display());
            assert!(error.starts_with(&begin) && error.contains(cause), "{error}");
        }
        std::fs::write(&path, " ".repeat((1 << 20) + 1)).unwrap();
        let error = Placement::read(&path).unwrap_err().to_string();
        assert!(error.contains("larger than 1 MiB"), "{error}");
    }
}
