//! [`Directory`]: the nodes, modules and instances that rows name, by number.

use std::collections::HashMap;

use cctf_proto::cctf::Stage;
use foldhash::quality::RandomState;

use rundir::fields::text;

/// Bytes of distinct names kept, with what is known of each: far above any run, and what bounds the memory.
const NAMES_BYTES_MAX: usize = 12 << 20;
/// What a name takes besides its bytes.
const NAME_BYTES: usize = 160;
/// The node that nobody told.
pub const UNKNOWN_NODE: &str = "unknown";

/// More nodes, modules and instances than are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the nodes, modules and instances have more than {NAMES_BYTES_MAX} bytes of names: merge fewer folders"
)]
pub struct TooManyNames;

/// A node.
#[derive(Debug)]
pub struct NodeFacts {
    /// Its name.
    pub name: String,
    /// The stages that rows tell, a bit for each.
    stages: u8,
}

impl NodeFacts {
    /// The one stage that its rows tell; unknown where they contradict each other, `None` where no row tells one.
    pub fn stage(&self) -> Option<Stage> {
        let told = |stage: &&Stage| **stage != Stage::Unknown && self.stages & 1 << **stage as u8 != 0;
        let mut stages = Stage::ALL.iter().filter(told);
        match (stages.next(), stages.next()) {
            (Some(&stage), None) => Some(stage),
            (Some(_), Some(_)) => Some(Stage::Unknown),
            (None, _) => None,
        }
    }

    /// Whether rows told different stages.
    pub fn is_contradicted(&self) -> bool {
        self.stage() == Some(Stage::Unknown)
    }
}

/// A module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleName {
    /// Its name.
    pub module_id: String,
    /// The application.
    pub app_id: Option<String>,
}

/// An instance of a module.
#[derive(Debug)]
pub struct InstanceFacts {
    /// Its module, by number.
    pub module: u32,
    /// Its name.
    pub instance_id: String,
    /// Its node, by number, as the last row had it.
    pub node: u32,
    /// The end of its last row in each folder that has some, nanoseconds; by the folder's number.
    heard: Vec<(u32, i64)>,
}

impl InstanceFacts {
    /// The end of its last row in a folder.
    pub fn last_in(&self, folder: u32) -> Option<i64> {
        let at = self.heard.binary_search_by_key(&folder, |&(of, _)| of).ok()?;
        Some(self.heard[at].1)
    }

    /// Returns whether it is the first of that folder.
    fn hear(&mut self, folder: u32, last: i64) -> bool {
        match self.heard.binary_search_by_key(&folder, |&(of, _)| of) {
            Ok(at) => {
                self.heard[at].1 = self.heard[at].1.max(last);
                false
            }
            Err(at) => {
                self.heard.insert(at, (folder, last));
                true
            }
        }
    }
}

type Numbers<K> = HashMap<K, u32, RandomState>;

/// All of them.
#[derive(Debug, Default)]
pub struct Directory {
    /// Nodes by number.
    pub nodes: Vec<NodeFacts>,
    /// Modules by number.
    pub modules: Vec<ModuleName>,
    /// Instances by number.
    pub instances: Vec<InstanceFacts>,
    /// The number of the folder whose rows are read.
    pub reading: u32,
    node_numbers: Numbers<Box<[u8]>>,
    module_numbers: Numbers<ModuleName>,
    instance_numbers: Numbers<Box<[u8]>>,
    bytes: usize,
    scratch: Vec<u8>,
}

impl Directory {
    fn grow(&mut self, bytes: usize) -> Result<(), TooManyNames> {
        self.bytes += NAME_BYTES + 2 * bytes;
        if self.bytes > NAMES_BYTES_MAX {
            Err(TooManyNames)
        } else {
            Ok(())
        }
    }

    /// The number of a node, given as JSON, of which a row tells the stage.
    pub fn node(&mut self, raw: &[u8], stage: Stage) -> Result<u32, TooManyNames> {
        let number = match self.node_numbers.get(raw) {
            Some(&number) => number,
            None => {
                self.grow(raw.len())?;
                let name = text(raw)
                    .unwrap_or_else(|| String::from_utf8_lossy(raw))
                    .into_owned();
                let number = self.nodes.len() as u32;
                self.nodes.push(NodeFacts { name, stages: 0 });
                self.node_numbers.insert(raw.into(), number);
                number
            }
        };
        self.nodes[number as usize].stages |= 1 << stage as u8;
        Ok(number)
    }

    /// The number of a module.
    pub fn module(&mut self, name: &ModuleName) -> Result<u32, TooManyNames> {
        if let Some(&number) = self.module_numbers.get(name) {
            return Ok(number);
        }
        self.grow(name.module_id.len() + name.app_id.as_ref().map_or(0, String::len))?;
        let number = self.modules.len() as u32;
        self.modules.push(name.clone());
        self.module_numbers.insert(name.clone(), number);
        Ok(number)
    }

    /// The number of an instance, its parts given as JSON, of which a row tells that it lived at `last`, if it does. The
    /// application is that of the inventories, else that of the row which names it first.
    pub fn instance(
        &mut self,
        module: &[u8],
        instance: &[u8],
        app: Option<&[u8]>,
        node: u32,
        last: Option<i64>,
    ) -> Result<u32, TooManyNames> {
        self.scratch.clear();
        self.scratch.extend_from_slice(module);
        self.scratch.extend_from_slice(instance);
        if let Some(&number) = self.instance_numbers.get(&self.scratch[..]) {
            self.hear(number, last);
            return Ok(number);
        }
        let owned = |raw: &[u8]| {
            text(raw)
                .unwrap_or_else(|| String::from_utf8_lossy(raw))
                .into_owned()
        };
        self.grow(self.scratch.len())?;
        let module = self.module(&ModuleName {
            module_id: owned(module),
            app_id: app.map(owned),
        })?;
        let number = self.instances.len() as u32;
        self.instances.push(InstanceFacts {
            module,
            instance_id: owned(instance),
            node,
            heard: Vec::new(),
        });
        self.hear(number, last);
        self.instance_numbers
            .insert(self.scratch.as_slice().into(), number);
        Ok(number)
    }

    fn hear(&mut self, instance: u32, last: Option<i64>) {
        if let Some(last) = last
            && self.instances[instance as usize].hear(self.reading, last)
        {
            self.bytes += size_of::<(u32, i64)>();
        }
    }

    /// The number of a module of which only the name is known: the first of that name, else one without an application.
    pub fn module_named(&mut self, name: &str) -> Result<u32, TooManyNames> {
        let of_name = |module: &&ModuleName| module.module_id == name;
        match self.modules.iter().filter(of_name).min() {
            Some(module) => self.module(&module.clone()),
            None => self.module(&ModuleName {
                module_id: name.to_owned(),
                app_id: None,
            }),
        }
    }

    /// The node's name, unless nobody told it.
    pub fn known_node(&self, number: u32) -> Option<&str> {
        let name = self.nodes.get(number as usize)?.name.as_str();
        (name != UNKNOWN_NODE).then_some(name)
    }

    /// The module of an instance, by number.
    pub fn module_of(&self, instance: u32) -> u32 {
        self.instances[instance as usize].module
    }

    /// A module's name.
    pub fn module_name(&self, module: u32) -> &str {
        &self.modules[module as usize].module_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_the_stage_that_its_rows_agree_on() {
        let mut directory = Directory::default();
        let node = directory.node(b"\"n\"", Stage::Unknown).unwrap() as usize;
        assert_eq!(directory.nodes[node].stage(), None);
        directory.node(b"\"n\"", Stage::Edge).unwrap();
        assert_eq!(directory.nodes[node].stage(), Some(Stage::Edge));
        directory.node(b"\"n\"", Stage::Cloud).unwrap();
        assert!(directory.nodes[node].is_contradicted());
    }

    #[test]
    fn names_are_bounded() {
        let mut directory = Directory::default();
        let long = [b'x'; 1 << 20];
        let full = (0..20_u8).find_map(|number| {
            let raw = [b"\"", &[b'a' + number][..], &long, b"\""].concat();
            directory.node(&raw, Stage::Unknown).err()
        });
        assert_eq!(full, Some(TooManyNames));
    }
}
