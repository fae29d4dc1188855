//! nodes.json, links.json and module_inventory.json: what the folders know united, what follows from rows made anew.

use std::collections::BTreeMap;

use aggregate::module_rows::{cpu_of, endpoint_rows, external_row, type_of};
use aggregate::modules::ModuleStats;
use anyhow::Context;
use cctf_proto::cctf::{
    File, Instance, Link, LinkSource, MeasureSource, Milliseconds, Module, Node, Row, Stage, Text,
    field_index,
};

use super::callees::Callees;
use super::clocks::Offset;
use super::directory::{Directory, ModuleName, UNKNOWN_NODE};
use super::inputs::Input;
use super::learned::Learned;
use super::union::{Conflicts, Object, items, number, write_array};
use super::values::encoded;

const NODE_ID: usize = field_index(Node::FIELDS, "node_id");
const NODE_STAGE: usize = field_index(Node::FIELDS, "stage");
const CLOCK_OFFSET: usize = field_index(Node::FIELDS, "clock_offset_ms");
const CLOCK_ERROR: usize = field_index(Node::FIELDS, "clock_error_ms");
const U: usize = field_index(Link::FIELDS, "u");
const V: usize = field_index(Link::FIELDS, "v");
const IFACE: usize = field_index(Link::FIELDS, "iface");
const SRC: usize = field_index(Link::FIELDS, "src");
const SAMPLES: usize = field_index(Link::FIELDS, "samples");
const APP_ID: usize = field_index(Module::FIELDS, "app_id");
const MODULE_ID: usize = field_index(Module::FIELDS, "module_id");
const MODULE_NAME: usize = field_index(Module::FIELDS, "name");
const MODULE_TYPE: usize = field_index(Module::FIELDS, "type");
const EXTERNAL: usize = field_index(Module::FIELDS, "external");
const INSTANCES: usize = field_index(Module::FIELDS, "instances");
const CPU_MEAN: usize = field_index(Module::FIELDS, "cpu_ms_mean");
const CPU_SRC: usize = field_index(Module::FIELDS, "cpu_src");
const ENDPOINTS: usize = field_index(Module::FIELDS, "endpoints");
const CALLS: usize = field_index(Module::FIELDS, "calls");
const INSTANCE_ID: usize = field_index(Instance::FIELDS, "instance_id");
const INSTANCE_NODE: usize = field_index(Instance::FIELDS, "node_id");
const WORKERS: usize = field_index(Instance::FIELDS, "workers");

/// A module's own fields, and its instances by name and node.
#[derive(Debug, Default)]
struct ModuleObject {
    own: Object,
    instances: BTreeMap<(String, String), Object>,
}

/// The three inventories on their way.
#[derive(Debug, Default)]
pub struct Inventories {
    nodes: BTreeMap<String, Object>,
    links: BTreeMap<(String, String, String), Object>,
    modules: BTreeMap<ModuleName, ModuleObject>,
    /// What differs.
    pub conflicts: Conflicts,
}

impl Inventories {
    /// Takes what one folder has.
    pub fn add(&mut self, input: &Input) -> anyhow::Result<()> {
        let each = |file: File, add: &mut dyn FnMut(&[u8]) -> anyhow::Result<()>| {
            let Some(bytes) = input.whole(file)? else {
                return Ok(());
            };
            let place = || format!("{}: {}", input.path.display(), file.name());
            for item in items(&bytes).with_context(place)? {
                add(item.get().as_bytes()).with_context(place)?;
            }
            anyhow::Ok(())
        };
        each(File::Nodes, &mut |raw| self.add_node(raw))?;
        each(File::Links, &mut |raw| self.add_link(raw))?;
        each(File::ModuleInventory, &mut |raw| self.add_module(raw))
    }

    fn add_node(&mut self, raw: &[u8]) -> anyhow::Result<()> {
        let mut node = Object::read(raw, Node::FIELDS)?;
        // Made anew, where rows tell.
        for index in [CLOCK_OFFSET, CLOCK_ERROR] {
            node.remove(index);
        }
        let id = node.text(NODE_ID).context("a node without node_id")?;
        // A stage that is not known contradicts none.
        if node.text(NODE_STAGE).as_deref() == Some(Stage::Unknown.as_str()) {
            node.remove(NODE_STAGE);
        }
        let conflicts = &mut self.conflicts;
        self.nodes
            .entry(id.clone())
            .or_default()
            .unite(&node, Node::FIELDS, |field, kept, dropped| {
                conflicts.add(File::Nodes.name(), &id, field, kept, dropped);
            });
        Ok(())
    }

    fn add_link(&mut self, raw: &[u8]) -> anyhow::Result<()> {
        let link = Object::read(raw, Link::FIELDS)?;
        let text = |index| link.text(index);
        let (u, v) = text(U).zip(text(V)).context("a link without u or v")?;
        let of = format!("{u}->{v}");
        let place = (u, v, text(IFACE).unwrap_or_default());
        let Some(known) = self.links.get_mut(&place) else {
            self.links.insert(place, link);
            return Ok(());
        };
        // What was told goes before what was measured, and that before an estimate. Of two estimates, whose figures belong
        // together, the one from more calls is kept.
        match rank(known).cmp(&rank(&link)) {
            std::cmp::Ordering::Greater => {}
            std::cmp::Ordering::Less => *known = link,
            std::cmp::Ordering::Equal if is_estimate(&link) => {
                let order = |link: &Object| {
                    (
                        number(link.get(SAMPLES).unwrap_or(b"0")).unwrap_or(0.0) as u64,
                        link.clone(),
                    )
                };
                if order(&link) > order(known) {
                    *known = link;
                }
            }
            std::cmp::Ordering::Equal => {
                let conflicts = &mut self.conflicts;
                known.unite(&link, Link::FIELDS, |field, kept, dropped| {
                    conflicts.add(File::Links.name(), &of, field, kept, dropped);
                });
            }
        }
        Ok(())
    }

    fn add_module(&mut self, raw: &[u8]) -> anyhow::Result<()> {
        let mut own = Object::read(raw, Module::FIELDS)?;
        // A peer without telemetry is found anew: another folder may have its telemetry.
        if own.get(EXTERNAL) == Some(b"true") {
            return Ok(());
        }
        let name = ModuleName {
            module_id: own.text(MODULE_ID).context("a module without module_id")?,
            app_id: own.text(APP_ID),
        };
        let instances = own.remove(INSTANCES);
        for index in [MODULE_TYPE, ENDPOINTS, CALLS] {
            own.remove(index);
        }
        // Measured means are made anew from the rows; estimates rest on counters that no row has.
        let is_estimate = own.text(CPU_SRC).as_deref() == Some(MeasureSource::Estimated.as_str());
        if !is_estimate {
            own.remove(CPU_MEAN);
            own.remove(CPU_SRC);
        }
        let conflicts = &mut self.conflicts;
        let module = self.modules.entry(name.clone()).or_default();
        module.own.unite(&own, Module::FIELDS, |field, kept, dropped| {
            conflicts.add(
                File::ModuleInventory.name(),
                &name.module_id,
                field,
                kept,
                dropped,
            );
        });
        for item in instances.as_deref().map(items).transpose()?.unwrap_or_default() {
            let instance = Object::read(item.get().as_bytes(), Instance::FIELDS)?;
            let text = |index| instance.text(index);
            let place = text(INSTANCE_ID)
                .zip(text(INSTANCE_NODE))
                .context("an instance without instance_id or node_id")?;
            let of = format!("{} on {}", place.0, place.1);
            module.instances.entry(place).or_default().unite(
                &instance,
                Instance::FIELDS,
                |field, kept, dropped| {
                    conflicts.add(File::ModuleInventory.name(), &of, field, kept, dropped);
                },
            );
        }
        Ok(())
    }

    /// Gives the directory the applications that instances belong to, before rows name them.
    pub fn tell(&self, directory: &mut Directory) -> anyhow::Result<()> {
        for (name, module) in &self.modules {
            directory.module(name)?;
            for (instance, node) in module.instances.keys() {
                let json = |text: &str| encoded(&Text::from(text));
                let node = directory.node(&json(node), Stage::Unknown)?;
                let app = name.app_id.as_deref().map(json);
                directory.instance(
                    &json(&name.module_id),
                    &json(instance),
                    app.as_deref(),
                    node,
                    None,
                )?;
            }
        }
        Ok(())
    }

    /// nodes.json. Nodes that only rows name are added.
    pub fn nodes(&mut self, directory: &Directory, offsets: &BTreeMap<String, Offset>) -> Vec<u8> {
        for node in directory.nodes.iter().filter(|node| node.name != UNKNOWN_NODE) {
            let object = self.nodes.entry(node.name.clone()).or_default();
            object.set(NODE_ID, encoded(&Text::from(node.name.as_str())));
            if node.is_contradicted() {
                let told = object.get(NODE_STAGE).unwrap_or(b"null").to_vec();
                self.conflicts
                    .add(File::Nodes.name(), &node.name, "stage", b"\"unknown\"", &told);
            }
            if let Some(stage) = node.stage() {
                object.set(NODE_STAGE, encoded(&stage));
            }
        }
        for (id, object) in &mut self.nodes {
            if object.get(NODE_STAGE).is_none() {
                object.set(NODE_STAGE, encoded(&Stage::Unknown));
            }
            if let Some(offset) = offsets.get(id) {
                object.set(CLOCK_OFFSET, encoded(&Milliseconds::from_ns(offset.ns)));
                object.set(CLOCK_ERROR, encoded(&Milliseconds::from_ns(offset.error_ns)));
            }
        }
        write_array(self.nodes.values(), Node::FIELDS)
    }

    /// The stage of a node, once [`Self::nodes`] was made.
    pub fn stage_of(&self, node: &str) -> Stage {
        let told = self.nodes.get(node).and_then(|node| node.text(NODE_STAGE));
        told.and_then(|stage| Stage::parse(&stage))
            .unwrap_or(Stage::Unknown)
    }

    /// Takes a link that was estimated anew. One that the operator told stays.
    pub fn set_link(&mut self, row: &Link<'_>) -> anyhow::Result<()> {
        let place = (row.u.to_string(), row.v.to_string(), String::new());
        let estimate = Object::read(&encoded(row), Link::FIELDS)?;
        let is_told = self
            .links
            .get(&place)
            .is_some_and(|known| rank(known) > rank(&estimate));
        if !is_told {
            self.links.insert(place, estimate);
        }
        Ok(())
    }

    /// links.json.
    pub fn links(&self) -> Vec<u8> {
        write_array(self.links.values(), Link::FIELDS)
    }

    /// Adds the modules and instances that only rows name.
    fn add_of_rows(&mut self, directory: &Directory) {
        for name in &directory.modules {
            self.modules.entry(name.clone()).or_default();
        }
        for facts in &directory.instances {
            let name = &directory.modules[facts.module as usize];
            let node = directory.nodes[facts.node as usize].name.clone();
            let Some(module) = self.modules.get_mut(name) else {
                continue;
            };
            let is_listed = module
                .instances
                .keys()
                .any(|(instance, _)| *instance == facts.instance_id);
            if !is_listed {
                let mut instance = Object::default();
                instance.set(INSTANCE_ID, encoded(&Text::from(facts.instance_id.as_str())));
                instance.set(INSTANCE_NODE, encoded(&Text::from(node.as_str())));
                instance.set(WORKERS, b"null".to_vec());
                module
                    .instances
                    .insert((facts.instance_id.clone(), node), instance);
            }
        }
    }

    /// module_inventory.json. Modules and instances that only rows name are added.
    pub fn modules(&mut self, directory: &Directory, learned: &Learned) -> Vec<u8> {
        self.add_of_rows(directory);
        let numbers: BTreeMap<&ModuleName, u32> = (0..)
            .zip(&directory.modules)
            .map(|(number, name)| (name, number))
            .collect();
        let callees = Callees::of(directory, learned);
        let mut rows: BTreeMap<ModuleName, Object> = BTreeMap::new();
        let nothing = ModuleStats::default();
        for (name, module) in &self.modules {
            let number = numbers.get(name).copied();
            let stats = number
                .and_then(|number| learned.modules.get(&number))
                .unwrap_or(&nothing);
            let mut row = module.own.clone();
            row.set(
                APP_ID,
                name.app_id
                    .as_deref()
                    .map_or(b"null".to_vec(), |app| encoded(&Text::from(app))),
            );
            row.set(MODULE_ID, encoded(&Text::from(name.module_id.as_str())));
            if row.get(MODULE_NAME).is_none() {
                row.set(MODULE_NAME, encoded(&Text::from(name.module_id.as_str())));
            }
            let is_peer = number.is_some_and(|number| callees.reached.contains(&number));
            row.set(MODULE_TYPE, encoded(&type_of(stats, is_peer)));
            set_figures(&mut row, stats, learned);
            let calls = callees.calls_of(number, stats);
            if !calls.is_empty() {
                row.set(CALLS, encoded(&calls));
            }
            if !module.instances.is_empty() {
                let instances = module.instances.values().map(|instance| {
                    let mut out = Vec::new();
                    instance.write(Instance::FIELDS, &mut out);
                    out
                });
                row.set(
                    INSTANCES,
                    [
                        b"[",
                        instances.collect::<Vec<_>>().join(&b","[..]).as_slice(),
                        b"]",
                    ]
                    .concat(),
                );
            }
            rows.insert(name.clone(), row);
        }
        for peer in callees.external {
            let name = ModuleName {
                module_id: peer.to_owned(),
                app_id: None,
            };
            if let Ok(row) = Object::read(&encoded(&external_row(peer)), Module::FIELDS) {
                rows.entry(name).or_insert(row);
            }
        }
        write_array(rows.values(), Module::FIELDS)
    }
}

fn set_figures(row: &mut Object, stats: &ModuleStats, learned: &Learned) {
    if let (Some(mean), Some(source)) = cpu_of(stats) {
        row.set(CPU_MEAN, encoded(&mean));
        row.set(CPU_SRC, encoded(&source));
    }
    let endpoints = endpoint_rows(stats, |number| learned.endpoints.text(number));
    if !endpoints.is_empty() {
        row.set(ENDPOINTS, encoded(&endpoints));
    }
}

fn is_estimate(link: &Object) -> bool {
    rank(link) == 0
}

fn rank(link: &Object) -> u8 {
    match link.text(SRC).as_deref().and_then(LinkSource::parse) {
        Some(LinkSource::Configured) => 2,
        Some(LinkSource::Measured) => 1,
        Some(LinkSource::Estimated) | None => 0,
    }
}
