//! [`EntityRegistry`]: the nodes, modules and instances that rows name, by id.

use std::collections::HashMap;

use cctf_proto::cctf::{Stage, Text, Value};
use foldhash::quality::RandomState;
use rundir::fields::text;

use crate::ids::{InstanceId, ModuleId, NodeId};
use crate::values::encoded;

/// Default maximum size of all different names and of the facts about them, bytes. It limits the memory, and is far above the size
/// of any real run.
pub const NAMES_BYTES_MAX: usize = 12 << 20;
/// Memory that a name needs in addition to its bytes.
const NAME_BYTES: usize = 160;
/// Name of the node for rows that name none.
pub const UNKNOWN_NODE: &str = "unknown";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the names of nodes, modules and instances have more than {0} bytes; use fewer folders or files at once"
)]
pub struct TooManyNames(usize);

/// Where a row is: the number of its file, its folder and its offset. Rows are read in this order.
pub type RowPlace = (u8, u32, u64);

#[derive(Debug)]
pub struct NodeFacts {
    pub name: String,
    /// The stages in the node's rows. Each stage has one bit.
    stages: u8,
    /// The first row that names it; `None` if an inventory did so before.
    pub first: Option<RowPlace>,
}

impl NodeFacts {
    /// The stage of the node's rows. [`Stage::Unknown`] if they contradict each other, `None` if no row states a stage.
    pub fn stage(&self) -> Option<Stage> {
        let is_stated = |stage: &&Stage| **stage != Stage::Unknown && self.stages & 1 << **stage as u8 != 0;
        let mut stages = Stage::ALL.iter().filter(is_stated);
        match (stages.next(), stages.next()) {
            (Some(&stage), None) => Some(stage),
            (Some(_), Some(_)) => Some(Stage::Unknown),
            (None, _) => None,
        }
    }

    /// The stages in its rows.
    pub fn stages(&self) -> impl Iterator<Item = Stage> {
        let stages = self.stages;
        let all = Stage::ALL.iter().copied();
        all.filter(move |&stage| stages & 1 << stage as u8 != 0)
    }

    pub fn is_contradicted(&self) -> bool {
        self.stage() == Some(Stage::Unknown)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleName {
    pub module_id: String,
    pub app_id: Option<String>,
}

#[derive(Debug)]
pub struct InstanceFacts {
    pub module: ModuleId,
    pub instance_id: String,
    /// The node in the first row that names the instance.
    pub node: NodeId,
    /// That row; `None` if an inventory named it before.
    pub first: Option<RowPlace>,
    /// For each folder with rows of the instance, the end of the last one, nanoseconds. Sorted by the folder's index.
    last_seen: Vec<(u32, i64)>,
}

impl InstanceFacts {
    /// For each folder with rows of the instance, the end of the last row, nanoseconds.
    pub fn last_seen(&self) -> &[(u32, i64)] {
        &self.last_seen
    }

    /// The end of the instance's last row in a folder, nanoseconds.
    pub fn last_seen_in(&self, folder: u32) -> Option<i64> {
        let found = self
            .last_seen
            .binary_search_by_key(&folder, |&(folder, _)| folder);
        found.ok().map(|index| self.last_seen[index].1)
    }

    /// Returns whether this is the instance's first row in the folder.
    fn touch(&mut self, folder: u32, end: i64) -> bool {
        match self
            .last_seen
            .binary_search_by_key(&folder, |&(folder, _)| folder)
        {
            Ok(index) => {
                self.last_seen[index].1 = self.last_seen[index].1.max(end);
                false
            }
            Err(index) => {
                self.last_seen.insert(index, (folder, end));
                true
            }
        }
    }
}

type Ids<K> = HashMap<K, u32, RandomState>;

#[derive(Debug)]
pub struct EntityRegistry {
    /// Facts by [`NodeId`].
    pub nodes: Vec<NodeFacts>,
    /// Names by [`ModuleId`].
    pub modules: Vec<ModuleName>,
    /// Facts by [`InstanceId`].
    pub instances: Vec<InstanceFacts>,
    /// Index of the folder whose rows are being read now.
    pub reading: u32,
    /// The row that is being read; `None` while inventories are read.
    pub row: Option<RowPlace>,
    node_ids: Ids<Box<[u8]>>,
    module_ids: Ids<ModuleName>,
    instance_ids: Ids<Box<[u8]>>,
    bytes: usize,
    bytes_max: usize,
    scratch: Vec<u8>,
}

impl Default for EntityRegistry {
    fn default() -> Self {
        Self::with_limit(NAMES_BYTES_MAX)
    }
}

impl EntityRegistry {
    /// `bytes_max` is the maximum size of all names and of the facts about them.
    pub fn with_limit(bytes_max: usize) -> Self {
        Self {
            nodes: Vec::new(),
            modules: Vec::new(),
            instances: Vec::new(),
            reading: 0,
            row: None,
            node_ids: Ids::default(),
            module_ids: Ids::default(),
            instance_ids: Ids::default(),
            bytes: 0,
            bytes_max,
            scratch: Vec::new(),
        }
    }

    fn grow(&mut self, bytes: usize) -> Result<(), TooManyNames> {
        self.bytes += NAME_BYTES + 2 * bytes;
        if self.bytes > self.bytes_max {
            Err(TooManyNames(self.bytes_max))
        } else {
            Ok(())
        }
    }

    /// The id of a node. `raw` is its name as JSON, and `stage` is the stage in the same row.
    pub fn node(&mut self, raw: &[u8], stage: Stage) -> Result<NodeId, TooManyNames> {
        let id = match self.node_ids.get(raw) {
            Some(&id) => id,
            None => self.new_node(raw)?,
        };
        self.nodes[id as usize].stages |= 1 << stage as u8;
        Ok(NodeId(id))
    }

    /// The id of a node that is not known, at least not in this spelling.
    #[cold]
    fn new_node(&mut self, raw: &[u8]) -> Result<u32, TooManyNames> {
        self.grow(raw.len())?;
        let name = owned_text(raw);
        let canonical = encoded(&Text::from(name.as_str()));
        let id = match self.node_ids.get(&canonical[..]) {
            Some(&id) => id,
            None => {
                self.nodes.push(NodeFacts {
                    name,
                    stages: 0,
                    first: self.row,
                });
                self.nodes.len() as u32 - 1
            }
        };
        self.node_ids.insert(canonical.into(), id);
        self.node_ids.insert(raw.into(), id);
        Ok(id)
    }

    pub fn module(&mut self, name: &ModuleName) -> Result<ModuleId, TooManyNames> {
        if let Some(&id) = self.module_ids.get(name) {
            return Ok(ModuleId::new(id as usize));
        }
        self.grow(name.module_id.len() + name.app_id.as_ref().map_or(0, String::len))?;
        let id = self.modules.len() as u32;
        self.modules.push(name.clone());
        self.module_ids.insert(name.clone(), id);
        Ok(ModuleId::new(id as usize))
    }

    /// The id of an instance, whose parts are given as JSON. `last_seen` is the end of the row that names it, nanoseconds, or
    /// `None` if the row does not show that the instance was alive. The application of the instance is the one in an inventory,
    /// or else the one in its first row.
    pub fn instance(
        &mut self,
        module: &[u8],
        instance: &[u8],
        app: Option<&[u8]>,
        node: NodeId,
        last_seen: Option<i64>,
    ) -> Result<InstanceId, TooManyNames> {
        self.scratch.clear();
        self.scratch.extend_from_slice(module);
        self.scratch.extend_from_slice(instance);
        if let Some(&id) = self.instance_ids.get(&self.scratch[..]) {
            self.touch(InstanceId(id), last_seen);
            return Ok(InstanceId(id));
        }
        let id = self.new_instance(
            owned_text(module),
            owned_text(instance),
            app.map(owned_text),
            node,
        )?;
        self.touch(id, last_seen);
        Ok(id)
    }

    /// The id of an instance that is not known, at least not in this spelling, which is in the scratch buffer.
    #[cold]
    fn new_instance(
        &mut self,
        module_id: String,
        instance_id: String,
        app_id: Option<String>,
        node: NodeId,
    ) -> Result<InstanceId, TooManyNames> {
        self.grow(self.scratch.len())?;
        let mut canonical = encoded(&Text::from(module_id.as_str()));
        Text::from(instance_id.as_str()).encode(&mut canonical);
        let id = match self.instance_ids.get(&canonical[..]) {
            Some(&id) => id,
            None => {
                let module = self.module(&ModuleName { module_id, app_id })?;
                self.instances.push(InstanceFacts {
                    module,
                    instance_id,
                    node,
                    first: self.row,
                    last_seen: Vec::new(),
                });
                self.instances.len() as u32 - 1
            }
        };
        self.instance_ids.insert(canonical.into(), id);
        self.instance_ids.insert(self.scratch.as_slice().into(), id);
        Ok(InstanceId(id))
    }

    /// Notes the end of a row of an instance, nanoseconds.
    pub fn touch(&mut self, instance: InstanceId, last_seen: Option<i64>) {
        if let Some(end) = last_seen
            && self.instances[instance.index()].touch(self.reading, end)
        {
            self.bytes += size_of::<(u32, i64)>();
        }
    }

    /// The id of a module whose application is unknown: the first module with this name, or else a new module without an
    /// application.
    pub fn module_by_name(&mut self, name: &str) -> Result<ModuleId, TooManyNames> {
        let has_name = |module: &&ModuleName| module.module_id == name;
        match self.modules.iter().filter(has_name).min() {
            Some(module) => self.module(&module.clone()),
            None => self.module(&ModuleName {
                module_id: name.to_owned(),
                app_id: None,
            }),
        }
    }

    pub fn node_name(&self, node: NodeId) -> &str {
        &self.nodes[node.index()].name
    }

    pub fn is_known(&self, node: NodeId) -> bool {
        self.node_name(node) != UNKNOWN_NODE
    }

    pub fn module_of(&self, instance: InstanceId) -> ModuleId {
        self.instances[instance.index()].module
    }

    pub fn module_name(&self, module: ModuleId) -> &str {
        &self.modules[module.index()].module_id
    }
}

/// The text of a JSON string. If the bytes are not a JSON string, they are the text.
fn owned_text(raw: &[u8]) -> String {
    text(raw)
        .unwrap_or_else(|| String::from_utf8_lossy(raw))
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_the_stage_that_its_rows_agree_on() {
        let mut registry = EntityRegistry::default();
        let node = registry.node(b"\"n\"", Stage::Unknown).unwrap().index();
        assert_eq!(registry.nodes[node].stage(), None);
        registry.node(b"\"n\"", Stage::Edge).unwrap();
        assert_eq!(registry.nodes[node].stage(), Some(Stage::Edge));
        registry.node(b"\"n\"", Stage::Cloud).unwrap();
        assert!(registry.nodes[node].is_contradicted());
    }

    #[test]
    fn a_name_in_two_spellings_is_one() {
        let mut registry = EntityRegistry::default();
        let nodes = [&b"\"edge\""[..], b"\"e\\u0064ge\"", b"\"edge\""];
        let nodes = nodes.map(|raw| registry.node(raw, Stage::Edge).unwrap());
        assert_eq!(nodes, [nodes[0]; 3]);
        let mut named = |module: &[u8]| {
            registry
                .instance(module, b"\"i\"", None, nodes[0], Some(1))
                .unwrap()
        };
        assert_eq!(named(b"\"\\u006d\""), named(b"\"m\""));
        assert_eq!(
            (
                registry.nodes.len(),
                registry.instances.len(),
                registry.modules.len()
            ),
            (1, 1, 1)
        );
    }

    #[test]
    fn names_are_bounded() {
        let mut registry = EntityRegistry::default();
        let long = [b'x'; 1 << 20];
        let full = (0..20_u8).find_map(|number| {
            let raw = [b"\"", &[b'a' + number][..], &long, b"\""].concat();
            registry.node(&raw, Stage::Unknown).err()
        });
        assert_eq!(full, Some(TooManyNames(NAMES_BYTES_MAX)));
    }
}
