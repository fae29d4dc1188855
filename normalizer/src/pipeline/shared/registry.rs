//! [`Registry`]: a bounded table of named items, each with a number. Also the types for modules and instances in such tables.

use aggregate::ids::{ModuleId, NodeId};
use aggregate::maps::Map;
use cctf_proto::cctf::Stage;
use serde::{Deserialize, Serialize};

/// Maximum number of nodes, of modules and of instances. Rows of further ones are written, but no inventory contains them.
const NAMED_MAX: usize = 100_000;
/// Maximum total size of the keys of nodes, of modules and of instances, bytes. Beyond it, too, no inventory contains new ones.
const KEY_BYTES_MAX: u64 = 8 << 20;

/// An instance of a module.
#[derive(Debug, Serialize, Deserialize)]
pub struct InstanceName {
    pub module: ModuleId,
    /// `None` if it is unknown.
    pub node: Option<NodeId>,
    pub instance_id: String,
    /// The run that the resource of the instance names.
    pub run_id: Option<String>,
    pub node_id: String,
    pub stage: Stage,
    /// The limits that it reported at its start. They are kept after its stop, for the inventory.
    pub limits: Option<WorkerLimits>,
    /// Whether it has reported its stop, and no start since then.
    pub has_reported_stop: bool,
}

/// The slots, queue and slot policy that an instance reported.
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
    /// The index of the item with this key. A new item is made with `make`; `None` if it is new and the table is full.
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
