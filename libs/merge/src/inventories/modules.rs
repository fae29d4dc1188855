//! [`Modules`]: `module_inventory.json`.

use std::collections::BTreeMap;

use aggregate::module_rows::{cpu_of, endpoint_rows, external_row, type_of};
use aggregate::modules::ModuleStats;
use anyhow::Context;
use cctf_proto::cctf::{File, Instance, MeasureSource, Module, Row, Stage, Text, field_index};

use crate::ids::ModuleId;
use crate::inventories::callees::Callees;
use crate::inventories::union::{Conflicts, Object, encode_array, items};
use crate::registry::{EntityRegistry, ModuleName};
use crate::requests::graph_stats::GraphStats;
use crate::values::encoded;

const APP_ID: usize = field_index(Module::FIELDS, "app_id");
const MODULE_ID: usize = field_index(Module::FIELDS, "module_id");
const NAME: usize = field_index(Module::FIELDS, "name");
const TYPE: usize = field_index(Module::FIELDS, "type");
const EXTERNAL: usize = field_index(Module::FIELDS, "external");
const INSTANCES: usize = field_index(Module::FIELDS, "instances");
const CPU_MEAN: usize = field_index(Module::FIELDS, "cpu_ms_mean");
const CPU_SRC: usize = field_index(Module::FIELDS, "cpu_src");
const ENDPOINTS: usize = field_index(Module::FIELDS, "endpoints");
const CALLS: usize = field_index(Module::FIELDS, "calls");
const INSTANCE_ID: usize = field_index(Instance::FIELDS, "instance_id");
const INSTANCE_NODE: usize = field_index(Instance::FIELDS, "node_id");
const WORKERS: usize = field_index(Instance::FIELDS, "workers");

#[derive(Debug, Default)]
pub struct Modules(BTreeMap<ModuleName, ModuleObject>);

#[derive(Debug, Default)]
struct ModuleObject {
    /// The module's fields without its instances.
    own: Object,
    /// Instances by name and node.
    instances: BTreeMap<(String, String), Object>,
}

impl Modules {
    pub fn add(&mut self, raw: &[u8], conflicts: &mut Conflicts) -> anyhow::Result<()> {
        const FILE: &str = File::ModuleInventory.name();
        let mut own = Object::read(raw, Module::FIELDS)?;
        // Peers without telemetry are recomputed, because another folder may have their telemetry.
        if own.get(EXTERNAL) == Some(b"true") {
            return Ok(());
        }
        let name = ModuleName {
            module_id: own.text(MODULE_ID).context("a module has no module_id")?,
            app_id: own.text(APP_ID),
        };
        let instances = own.remove(INSTANCES);
        for index in [TYPE, ENDPOINTS, CALLS] {
            own.remove(index);
        }
        // Measured means are recomputed from rows. Estimates are kept, because they come from counters that are not in the
        // rows.
        if own.text(CPU_SRC).as_deref() != Some(MeasureSource::Estimated.as_str()) {
            own.remove(CPU_MEAN);
            own.remove(CPU_SRC);
        }
        let module = self.0.entry(name.clone()).or_default();
        module.own.unite(&own, Module::FIELDS, |field, kept, dropped| {
            conflicts.add(FILE, &name.module_id, field, kept, dropped);
        });
        for item in instances.as_deref().map(items).transpose()?.unwrap_or_default() {
            let instance = Object::read(item.get().as_bytes(), Instance::FIELDS)?;
            let key = instance.text(INSTANCE_ID).zip(instance.text(INSTANCE_NODE));
            let key = key.context("an instance has no instance_id or no node_id")?;
            let of = format!("{} on {}", key.0, key.1);
            let known = module.instances.entry(key).or_default();
            known.unite(&instance, Instance::FIELDS, |field, kept, dropped| {
                conflicts.add(FILE, &of, field, kept, dropped);
            });
        }
        Ok(())
    }

    /// Registers all modules and instances before rows name them. This determines the applications of the instances.
    pub fn register(&self, registry: &mut EntityRegistry) -> anyhow::Result<()> {
        let json = |text: &str| encoded(&Text::from(text));
        for (name, module) in &self.0 {
            registry.module(name)?;
            let (module_id, app) = (json(&name.module_id), name.app_id.as_deref().map(json));
            for (instance, node) in module.instances.keys() {
                let node = registry.node(&json(node), Stage::Unknown)?;
                registry.instance(&module_id, &json(instance), app.as_deref(), node, None)?;
            }
        }
        Ok(())
    }

    /// Adds the modules and instances that only rows name, and all values that depend on rows. Returns the content of the file.
    pub fn finish(&mut self, registry: &EntityRegistry, graph: &GraphStats) -> Vec<u8> {
        self.add_of_rows(registry);
        let ids: BTreeMap<&ModuleName, ModuleId> = (0..)
            .map(ModuleId::new)
            .zip(&registry.modules)
            .map(|(id, name)| (name, id))
            .collect();
        let callees = Callees::new(registry, graph);
        let mut rows: BTreeMap<ModuleName, Object> = BTreeMap::new();
        for (name, module) in &self.0 {
            let row = row(name, module, ids.get(name).copied(), graph, &callees);
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
        encode_array(rows.values(), Module::FIELDS)
    }

    fn add_of_rows(&mut self, registry: &EntityRegistry) {
        for name in &registry.modules {
            self.0.entry(name.clone()).or_default();
        }
        for facts in &registry.instances {
            let name = &registry.modules[facts.module.index()];
            let Some(module) = self.0.get_mut(name) else {
                continue;
            };
            let is_it = |(instance, _): &(String, String)| *instance == facts.instance_id;
            if module.instances.keys().any(is_it) {
                continue;
            }
            let node = registry.node_name(facts.node);
            let mut instance = Object::default();
            instance.set(INSTANCE_ID, encoded(&Text::from(facts.instance_id.as_str())));
            instance.set(INSTANCE_NODE, encoded(&Text::from(node)));
            instance.set(WORKERS, b"null".to_vec());
            let key = (facts.instance_id.clone(), node.to_owned());
            module.instances.insert(key, instance);
        }
    }
}

/// A module with all values that depend on rows.
fn row(
    name: &ModuleName,
    module: &ModuleObject,
    id: Option<ModuleId>,
    graph: &GraphStats,
    callees: &Callees<'_>,
) -> Object {
    let none = ModuleStats::default();
    let stats = id.and_then(|id| graph.modules.get(&id)).unwrap_or(&none);
    let mut row = module.own.clone();
    let app_id = name.app_id.as_deref();
    row.set(
        APP_ID,
        app_id.map_or(b"null".to_vec(), |app| encoded(&Text::from(app))),
    );
    row.set(MODULE_ID, encoded(&Text::from(name.module_id.as_str())));
    if row.get(NAME).is_none() {
        row.set(NAME, encoded(&Text::from(name.module_id.as_str())));
    }
    let is_peer = id.is_some_and(|id| callees.reached.contains(&id));
    row.set(TYPE, encoded(&type_of(stats, is_peer)));
    if let (Some(mean), Some(source)) = cpu_of(stats) {
        row.set(CPU_MEAN, encoded(&mean));
        row.set(CPU_SRC, encoded(&source));
    }
    let endpoints = endpoint_rows(stats, |number| graph.endpoint_names.text(number));
    if !endpoints.is_empty() {
        row.set(ENDPOINTS, encoded(&endpoints));
    }
    let calls = callees.calls_of(id, stats);
    if !calls.is_empty() {
        row.set(CALLS, encoded(&calls));
    }
    if !module.instances.is_empty() {
        row.set(INSTANCES, encode_instances(module));
    }
    row
}

fn encode_instances(module: &ModuleObject) -> Vec<u8> {
    let mut out = vec![b'['];
    for (index, instance) in module.instances.values().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        instance.encode(Instance::FIELDS, &mut out);
    }
    out.push(b']');
    out
}
