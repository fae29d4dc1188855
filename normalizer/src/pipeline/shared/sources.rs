//! [`Sources`]: reads each resource once, and stores the nodes, modules and instances that resources name.

use std::sync::Arc;

use aggregate::ids::{InstanceId, ModuleId, NodeId};
use aggregate::maps::Map;
use cctf_proto::cctf::Stage;
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::common::Resource;
use serde::{Deserialize, Serialize};

use super::registry::{InstanceName, ModuleName, Registry};
use super::source::Source;
use crate::mapping::{Identity, StageTable};

/// Maximum number of resources that are kept with their bytes. Beyond it, all are forgotten, and are read again when they
/// arrive.
const RESOURCES_MAX: usize = 10_000;
/// Maximum total size of these resources, bytes. Beyond it, too, all are forgotten.
const RESOURCE_BYTES_MAX: u64 = 8 << 20;
/// Estimated bytes of a source, node, module or instance: about ten strings, most of them short. Their contents can be stored
/// up to this many times, in the bytes of the resource and in the key.
const SOURCE_BYTES: u64 = 1024;
const COPIES: u64 = 4;

/// All resources, and what they name.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sources {
    by_resource: Map<Box<[u8]>, Arc<Source>>,
    /// Resources of spans that name no service.
    nameless: Map<Box<[u8]>, Arc<Source>>,
    #[serde(skip)]
    last: Option<(Box<[u8]>, Arc<Source>)>,
    made: u64,
    /// Size of all resources kept, bytes.
    resource_bytes: u64,
    stages: StageTable,
    /// The latest identity of each node. Values that are missing in it are taken from earlier ones.
    nodes: Registry<Identity>,
    modules: Registry<ModuleName>,
    instances: Registry<InstanceName>,
}

impl Sources {
    pub fn new(stages: StageTable) -> Self {
        Self {
            by_resource: Map::default(),
            nameless: Map::default(),
            last: None,
            made: 0,
            resource_bytes: 0,
            stages,
            nodes: Registry::default(),
            modules: Registry::default(),
            instances: Registry::default(),
        }
    }

    /// Size in memory, bytes.
    pub fn bytes(&self) -> u64 {
        let resources = (self.by_resource.len() + self.nameless.len()) as u64;
        let named = self.nodes.len() + self.modules.len() + self.instances.len();
        let key_bytes = self.nodes.key_bytes() + self.modules.key_bytes() + self.instances.key_bytes();
        (resources + named as u64) * SOURCE_BYTES + (self.resource_bytes + key_bytes) * COPIES
    }

    /// Counts a resource before it is stored. If there are too many, forgets all others.
    fn count_resource(&mut self, bytes: &[u8]) {
        let is_full = self.by_resource.len() >= RESOURCES_MAX || self.nameless.len() >= RESOURCES_MAX;
        if is_full || self.resource_bytes >= RESOURCE_BYTES_MAX {
            self.forget_resources();
        }
        self.resource_bytes += bytes.len() as u64;
    }

    fn forget_resources(&mut self) {
        self.by_resource.clear();
        self.nameless.clear();
        self.resource_bytes = 0;
    }

    /// Changes the table of stages. All resources will be read again.
    pub fn set_stages(&mut self, stages: StageTable) {
        if self.stages == stages {
            return;
        }
        self.stages = stages;
        for node in self.nodes.iter_mut() {
            node.stage = None;
        }
        self.forget_resources();
        self.last = None;
    }

    /// The source for a resource.
    pub fn source(&mut self, resource: &Resource<'_>) -> Result<Arc<Source>, WireError> {
        let bytes = resource.bytes();
        if let Some((last, source)) = &self.last
            && **last == *bytes
        {
            return Ok(source.clone());
        }
        let source = match self.by_resource.get(&*bytes) {
            Some(source) => source.clone(),
            None => self.read(resource, &bytes)?,
        };
        self.last = Some((bytes.into_owned().into_boxed_slice(), source.clone()));
        Ok(source)
    }

    /// The source for a resource of spans. It is a service, even if it reports no name.
    pub fn service(&mut self, resource: &Resource<'_>) -> Result<Arc<Source>, WireError> {
        let source = self.source(resource)?;
        if source.identity.is_service {
            return Ok(source);
        }
        let bytes: Box<[u8]> = resource.bytes().into();
        if let Some(nameless) = self.nameless.get(&bytes) {
            return Ok(nameless.clone());
        }
        let instance = self.name_instance(&source.identity, source.node);
        let nameless = Arc::new(Source::new(
            source.identity.clone(),
            instance,
            source.node,
            source.number,
        ));
        self.count_resource(&bytes);
        self.nameless.insert(bytes, nameless.clone());
        Ok(nameless)
    }

    fn read(&mut self, resource: &Resource<'_>, bytes: &[u8]) -> Result<Arc<Source>, WireError> {
        let mut identity = Identity::from_attributes(resource.attributes(), &self.stages)?;
        identity.is_truncated |= resource.dropped_attributes_count()? > 0;
        let node = self.name_node(&identity);
        if identity.stage() != Stage::Unknown
            && let Some(node) = node
        {
            // A node keeps its first stage, because rows and inventory must not contradict each other.
            identity.stage = self.node(node).stage;
        }
        let instance = if identity.is_service {
            self.name_instance(&identity, node)
        } else {
            None
        };
        self.made += 1;
        let source = Arc::new(Source::new(identity, instance, node, self.made));
        self.count_resource(bytes);
        self.by_resource.insert(bytes.into(), source.clone());
        Ok(source)
    }

    fn name_node(&mut self, identity: &Identity) -> Option<NodeId> {
        if !identity.node_known {
            return None;
        }
        let number = self.nodes.number(&identity.node, || identity.clone())?;
        merge_node(self.nodes.get_mut(number), identity);
        Some(NodeId::new(number))
    }

    fn name_instance(&mut self, identity: &Identity, node: Option<NodeId>) -> Option<InstanceId> {
        let app = identity.app_id.as_deref().unwrap_or_default();
        let module_key = format!("{app}\0{}", identity.module_id);
        let module = self.modules.number(&module_key, || ModuleName {
            app_id: identity.app_id.clone(),
            module_id: identity.module_id.clone(),
            version: None,
            language: None,
            image: None,
            cpu_limit: None,
            mem_limit_mb: None,
        })?;
        let name = self.modules.get_mut(module);
        update(&mut name.version, &identity.version);
        update(&mut name.language, &identity.language);
        update(&mut name.image, &identity.image);
        update(&mut name.cpu_limit, &identity.cpu_limit);
        update(&mut name.mem_limit_mb, &identity.mem_limit_mb);
        let key = format!("{module_key}\0{}\0{}", identity.instance_id, identity.node);
        let number = self.instances.number(&key, || InstanceName {
            module: ModuleId::new(module),
            node,
            instance_id: identity.instance_id.clone(),
            run_id: identity.run_id.clone(),
            node_id: identity.node.clone(),
            stage: identity.stage(),
            limits: None,
            has_reported_stop: false,
        })?;
        let name = self.instances.get_mut(number);
        // The first telemetry of an instance may not have stated its stage.
        if name.stage == Stage::Unknown {
            name.stage = identity.stage();
        }
        Some(InstanceId::new(number))
    }

    /// The node with this name. If the node itself has reported nothing, only its name is known.
    pub fn node_named(&mut self, node: &str) -> Option<NodeId> {
        let stages = &self.stages;
        let number = self.nodes.number(node, || Identity::from_node_name(node, stages));
        number.map(NodeId::new)
    }

    pub fn instance(&self, id: InstanceId) -> &InstanceName {
        self.instances.get(id.index())
    }

    pub fn instance_mut(&mut self, id: InstanceId) -> &mut InstanceName {
        self.instances.get_mut(id.index())
    }

    pub fn module(&self, id: ModuleId) -> &ModuleName {
        self.modules.get(id.index())
    }

    /// The module of an instance.
    pub fn module_of(&self, instance: InstanceId) -> &ModuleName {
        self.module(self.instance(instance).module)
    }

    pub fn node(&self, id: NodeId) -> &Identity {
        self.nodes.get(id.index())
    }

    pub fn node_mut(&mut self, id: NodeId) -> &mut Identity {
        self.nodes.get_mut(id.index())
    }
}

fn update<T: Clone>(known: &mut Option<T>, newer: &Option<T>) {
    if newer.is_some() {
        known.clone_from(newer);
    }
}

/// Updates a node with the values of a newer resource. Values that are missing in it stay.
fn merge_node(known: &mut Identity, newer: &Identity) {
    if known.stage() == Stage::Unknown {
        known.stage = newer.stage;
    }
    update(&mut known.cpu_cores, &newer.cpu_cores);
    update(&mut known.mem_mb, &newer.mem_mb);
    update(&mut known.cpu_model, &newer.cpu_model);
    update(&mut known.cpu_freq_mhz, &newer.cpu_freq_mhz);
    update(&mut known.mips_per_core, &newer.mips_per_core);
    update(&mut known.cpu_score, &newer.cpu_score);
    update(&mut known.arch, &newer.arch);
    update(&mut known.os, &newer.os);
    update(&mut known.region, &newer.region);
    update(&mut known.zone, &newer.zone);
    update(&mut known.provider, &newer.provider);
    update(&mut known.host_id, &newer.host_id);
    update(&mut known.host_name, &newer.host_name);
    update(&mut known.power_idle_w, &newer.power_idle_w);
    update(&mut known.power_max_w, &newer.power_max_w);
    if !newer.ips.is_empty() {
        known.ips.clone_from(&newer.ips);
    }
}
