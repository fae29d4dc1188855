//! [`Placement`]: the user's file that moves and changes stand-ins.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use plan::work::Station;
use serde::Deserialize;

use super::error::PlacementError;

/// Maximum size of the file: 4 KiB for each of 256 modules.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most slots of a tunable-svc that are counted.
pub const SLOTS_MAX: u32 = 1_024;

/// Changes to a recorded deployment. Everything absent is as recorded.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Placement {
    pub modules: BTreeMap<String, ModulePlace>,
    pub nodes: BTreeMap<String, NodePlace>,
    pub links: Vec<LinkPlace>,
}

/// Changes to a module.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModulePlace {
    /// Node of all its stand-ins.
    pub node: Option<String>,
    pub slots: Option<Slots>,
    pub slot_policy: Option<SlotPolicy>,
    pub queue_limit: Option<u32>,
    /// Its stand-ins. The requests of recorded instances that are not here go to all of these, in turn.
    pub instances: Option<Vec<String>>,
}

/// Changes to a node, or a new node.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodePlace {
    pub stage: Option<Stage>,
    pub mips_per_core: Option<f64>,
}

/// A link between two nodes. It holds for both directions, unless the other one has a link of its own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkPlace {
    /// Calling node.
    pub u: String,
    /// Called node.
    pub v: String,
    /// In each direction, milliseconds.
    #[serde(default)]
    pub delay_ms: Option<u64>,
    /// In each direction, bits per second.
    #[serde(default)]
    pub rate_bps: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "slots must be a number or \"unlimited\"")]
pub enum Slots {
    Count(u32),
    Unlimited(Unlimited),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unlimited {
    Unlimited,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotPolicy {
    Held,
    Released,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    Endpoint,
    Edge,
    Cloud,
    Unknown,
}

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
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is not a placement.
    pub fn read(path: &Path) -> Result<Self, PlacementError> {
        let failed = |cause: String| PlacementError::File {
            path: path.to_owned(),
            cause,
        };
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let mut bytes = Vec::new();
        let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| failed(error.to_string()))?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(failed("it is larger than 1 MiB".to_owned()));
        }
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))
    }
}

impl ModulePlace {
    /// The recorded station with the changes.
    pub fn change(&self, mut station: Station) -> Station {
        match self.slots {
            Some(Slots::Count(slots)) => station.slots = Some(slots),
            Some(Slots::Unlimited(_)) => station.slots = None,
            None => {}
        }
        if let Some(policy) = self.slot_policy {
            station.is_released = policy == SlotPolicy::Released;
        }
        station.queue_limit = self.queue_limit.or(station.queue_limit);
        station
    }

    /// Refuses what no stand-in can have.
    pub fn check(&self, module: &str) -> Result<(), PlacementError> {
        let invalid = |what: String, remedy: &str| {
            Err(PlacementError::Value {
                place: format!("module {module:?}"),
                what,
                remedy: remedy.to_owned(),
            })
        };
        if let Some(Slots::Count(slots)) = self.slots
            && !(1..=SLOTS_MAX).contains(&slots)
        {
            return invalid(format!("{slots} slots"), "1 to 1024, or \"unlimited\"");
        }
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

impl NodePlace {
    /// Refuses what no node can have.
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
