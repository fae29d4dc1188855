//! [`Registry`]: a bounded table of named things by number; and what it holds of modules and instances.

use aggregate::ids::{ModuleId, NodeId};
use aggregate::maps::Map;
use cctf_proto::cctf::Stage;
use serde::{Deserialize, Serialize};

/// Maximum number of nodes, modules and instances each. Rows of a further one are written, but no inventory contains it.
const NAMED_MAX: usize = 100_000;
/// Maximum size of the keys of nodes, modules and instances each, bytes; past it the same holds.
const KEY_BYTES_MAX: u64 = 8 << 20;

/// An instance of a module.
#[derive(Debug, Serialize, Deserialize)]
pub struct InstanceName {
    pub module: ModuleId,
    /// `None` if it is unknown.
    pub node: Option<NodeId>,
    pub instance_id: String,
    /// The run that its resource names.
    pub run_id: Option<String>,
    pub node_id: String,
    pub stage: Stage,
    /// What it reported at its start, kept beyond its life for the inventory.
    pub limits: Option<WorkerLimits>,
    /// Whether it reported its stop, and no start since.
    pub has_reported_stop: bool,
}

/// How an instance serves requests, as it reported.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct WorkerLimits {
    pub workers: Option<u64>,
    pub queue_limit: Option<u64>,
    /// `held` or `released`.
    pub slot_policy: Option<String>,
}

/// A module, with the latest reported version, language, image and limits.
#[derive(Debug, Serialize, Deserialize)]
pub struct ModuleName {
    /// service.namespace.
    pub app_id: Option<String>,
    /// service.name.
    pub module_id: String,
    pub version: Option<String>,
    /// telemetry.sdk.language.
    pub language: Option<String>,
    /// container.image.name.
    pub image: Option<String>,
    /// CPUs.
    pub cpu_limit: Option<f64>,
    /// MiB.
    pub mem_limit_mb: Option<f64>,
}

/// Items by key, each with a number.
#[derive(Debug, Serialize, Deserialize)]
pub struct Registry<T> {
    items: Vec<T>,
    numbers: Map<String, u32>,
    key_bytes: u64,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            numbers: Map::default(),
            key_bytes: 0,
        }
    }
}

impl<T> Registry<T> {
    /// The index of a key's item, which is made if it is new; `None` if it is new and the table is full.
    pub fn number(&mut self, key: &str, make: impl FnOnce() -> T) -> Option<usize> {
        if let Some(&number) = self.numbers.get(key) {
            return Some(number as usize);
        }
        if self.items.len() >= NAMED_MAX || self.key_bytes >= KEY_BYTES_MAX {
            return None;
        }
        let number = self.items.len();
        self.key_bytes += key.len() as u64;
        self.items.push(make());
        self.numbers.insert(key.to_owned(), number as u32);
        Some(number)
    }

    pub fn get(&self, number: usize) -> &T {
        &self.items[number]
    }

    pub fn get_mut(&mut self, number: usize) -> &mut T {
        &mut self.items[number]
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut()
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn key_bytes(&self) -> u64 {
        self.key_bytes
    }
}
