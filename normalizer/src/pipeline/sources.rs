//! [`Sources`]: resources read once and kept, and the nodes, modules and instances that they name, each by a number.

use std::sync::{Arc, OnceLock};

use cctf_proto::cctf::{Field, Invocation, Row, Stage, Text, field_index, push_field};
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::common::Resource;
use serde::{Deserialize, Serialize};

use crate::mapping::{Identity, StageTable};

use aggregate::maps::Map;

/// Resources kept by their bytes; past it all are forgotten and read again when they come.
const RESOURCES_MAX: usize = 10_000;
/// Nodes, modules and instances known at once. Past it a newcomer's rows are written, but no inventory tells of it.
const NAMED_MAX: usize = 100_000;

/// A resource, read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Source {
    /// Who it is.
    pub identity: Identity,
    /// Its instance; `None` if it is no service or there are too many.
    pub instance: Option<u32>,
    /// Its node.
    pub node: Option<u32>,
    /// Distinguishes sources that report for the same node.
    pub number: u64,
    /// Its fields, encoded once for all its rows.
    #[serde(skip)]
    encoded: OnceLock<EncodedFields>,
}

/// The fields of a row that are the same for all rows of a source.
#[derive(Debug)]
pub struct EncodedFields {
    /// module_id and instance_id.
    pub module: Vec<u8>,
    /// node and stage.
    pub node: Vec<u8>,
}

impl Source {
    /// Its fields as they stand in a row: four texts less to look through for what is to be escaped.
    pub fn encoded(&self) -> &EncodedFields {
        self.encoded.get_or_init(|| {
            let (mut module, mut node) = (Vec::new(), Vec::new());
            let text = |text| Some(Text::from(text));
            let identity = &self.identity;
            push_field(
                &FIELDS[MODULE_ID],
                text(&*identity.module_id).as_ref(),
                &mut module,
            );
            push_field(
                &FIELDS[INSTANCE_ID],
                text(&*identity.instance_id).as_ref(),
                &mut module,
            );
            push_field(&FIELDS[NODE], text(&*identity.node).as_ref(), &mut node);
            push_field(&FIELDS[STAGE], Some(&identity.stage()), &mut node);
            EncodedFields { module, node }
        })
    }
}

/// Calls have the same four fields.
const FIELDS: &[Field] = Invocation::FIELDS;
const MODULE_ID: usize = field_index(FIELDS, "module_id");
const INSTANCE_ID: usize = field_index(FIELDS, "instance_id");
const NODE: usize = field_index(FIELDS, "node");
const STAGE: usize = field_index(FIELDS, "stage");

/// One running copy of a module.
#[derive(Debug, Serialize, Deserialize)]
pub struct InstanceName {
    /// Its module, by number.
    pub module: u32,
    /// Its node, by number; `None` where nobody told.
    pub node: Option<u32>,
    /// Its id.
    pub instance_id: String,
    /// The run that its resource names.
    pub run_id: Option<String>,
    /// The node's name.
    pub node_id: String,
    /// The node's stage.
    pub stage: Stage,
}

/// A module.
#[derive(Debug, Serialize, Deserialize)]
pub struct ModuleName {
    /// service.namespace.
    pub app_id: Option<String>,
    /// service.name.
    pub module_id: String,
    /// The latest told of version, language, image and limits.
    pub version: Option<String>,
    /// telemetry.sdk.language.
    pub language: Option<String>,
    /// container.image.name.
    pub image: Option<String>,
    /// CPU limit, CPUs.
    pub cpu_limit: Option<f64>,
    /// Memory limit, MiB.
    pub mem_limit_mb: Option<f64>,
}

/// Bytes of resources kept, and of the keys of nodes, modules and instances each; past it the same holds as past their number.
const RESOURCE_BYTES_MAX: u64 = 8 << 20;
const KEY_BYTES_MAX: u64 = 8 << 20;
/// What is made of a resource, or of a node, a module or an instance: some ten strings, most of them short. All that they
/// say is in the resource's bytes, or in the key, up to this many times.
const SOURCE_BYTES: u64 = 1024;
const COPIES: u64 = 4;

/// Names by number and numbers by name, bounded.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Names<T> {
    items: Vec<T>,
    numbers: Map<String, u32>,
    key_bytes: u64,
}

impl<T> Names<T> {
    fn number(&mut self, key: &str, make: impl FnOnce() -> T) -> Option<u32> {
        if let Some(&number) = self.numbers.get(key) {
            return Some(number);
        }
        if self.items.len() >= NAMED_MAX || self.key_bytes >= KEY_BYTES_MAX {
            return None;
        }
        let number = self.items.len() as u32;
        self.key_bytes += key.len() as u64;
        self.items.push(make());
        self.numbers.insert(key.to_owned(), number);
        Some(number)
    }
}

/// All resources met, and what they name.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sources {
    by_resource: Map<Box<[u8]>, Arc<Source>>,
    /// Resources of spans that name no service.
    nameless: Map<Box<[u8]>, Arc<Source>>,
    #[serde(skip)]
    last: Option<(Box<[u8]>, Arc<Source>)>,
    made: u64,
    /// Bytes of all resources kept.
    resource_bytes: u64,
    stages: StageTable,
    /// Each node's latest identity, with what earlier ones told and it does not.
    nodes: Names<Identity>,
    modules: Names<ModuleName>,
    instances: Names<InstanceName>,
}

impl Sources {
    /// No resource yet.
    pub fn new(stages: StageTable) -> Self {
        Self {
            by_resource: Map::default(),
            nameless: Map::default(),
            last: None,
            made: 0,
            resource_bytes: 0,
            stages,
            nodes: Names {
                items: Vec::new(),
                numbers: Map::default(),
                key_bytes: 0,
            },
            modules: Names {
                items: Vec::new(),
                numbers: Map::default(),
                key_bytes: 0,
            },
            instances: Names {
                items: Vec::new(),
                numbers: Map::default(),
                key_bytes: 0,
            },
        }
    }

    /// What they take, in bytes.
    pub fn bytes(&self) -> u64 {
        let resources = (self.by_resource.len() + self.nameless.len()) as u64;
        let named = self.nodes.items.len() + self.modules.items.len() + self.instances.items.len();
        let key_bytes = self.nodes.key_bytes + self.modules.key_bytes + self.instances.key_bytes;
        (resources + named as u64) * SOURCE_BYTES + (self.resource_bytes + key_bytes) * COPIES
    }

    fn make_room_for(&mut self, bytes: &[u8]) {
        let is_full = self.by_resource.len() >= RESOURCES_MAX || self.nameless.len() >= RESOURCES_MAX;
        if is_full || self.resource_bytes >= RESOURCE_BYTES_MAX {
            self.by_resource.clear();
            self.nameless.clear();
            self.resource_bytes = 0;
        }
        self.resource_bytes += bytes.len() as u64;
    }

    /// Changes which stage a node is of; resources are read anew for it.
    pub fn set_stages(&mut self, stages: StageTable) {
        if self.stages == stages {
            return;
        }
        self.stages = stages;
        for node in &mut self.nodes.items {
            node.stage = None;
        }
        self.by_resource.clear();
        self.nameless.clear();
        self.resource_bytes = 0;
        self.last = None;
    }

    /// The source that a resource describes.
    pub fn of(&mut self, resource: &Resource<'_>) -> Result<Arc<Source>, WireError> {
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

    /// The source that a resource describes of which spans tell: it is a service, even if it has not said its name.
    pub fn of_service(&mut self, resource: &Resource<'_>) -> Result<Arc<Source>, WireError> {
        let source = self.of(resource)?;
        if source.identity.is_service {
            return Ok(source);
        }
        let bytes: Box<[u8]> = resource.bytes().into();
        if let Some(nameless) = self.nameless.get(&bytes) {
            return Ok(nameless.clone());
        }
        let nameless = Arc::new(Source {
            identity: source.identity.clone(),
            instance: self.name_instance(&source.identity, source.node),
            node: source.node,
            number: source.number,
            encoded: OnceLock::new(),
        });
        self.make_room_for(&bytes);
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
            // The first stage of a node holds: rows and inventory must not contradict each other.
            identity.stage = self.node(node).stage;
        }
        let instance = if identity.is_service {
            self.name_instance(&identity, node)
        } else {
            None
        };
        self.made += 1;
        let source = Arc::new(Source {
            identity,
            instance,
            node,
            number: self.made,
            encoded: OnceLock::new(),
        });
        self.make_room_for(bytes);
        self.by_resource.insert(bytes.into(), source.clone());
        Ok(source)
    }

    fn name_node(&mut self, identity: &Identity) -> Option<u32> {
        if !identity.node_known {
            return None;
        }
        let number = self.nodes.number(&identity.node, || identity.clone())?;
        merge_node(&mut self.nodes.items[number as usize], identity);
        Some(number)
    }

    fn name_instance(&mut self, identity: &Identity, node: Option<u32>) -> Option<u32> {
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
        let name = &mut self.modules.items[module as usize];
        take(&mut name.version, &identity.version);
        take(&mut name.language, &identity.language);
        take(&mut name.image, &identity.image);
        take(&mut name.cpu_limit, &identity.cpu_limit);
        take(&mut name.mem_limit_mb, &identity.mem_limit_mb);
        let key = format!("{module_key}\0{}\0{}", identity.instance_id, identity.node);
        let number = self.instances.number(&key, || InstanceName {
            module,
            node,
            instance_id: identity.instance_id.clone(),
            run_id: identity.run_id.clone(),
            node_id: identity.node.clone(),
            stage: identity.stage(),
        })?;
        let name = &mut self.instances.items[number as usize];
        // Who told of it first need not have known.
        if name.stage == Stage::Unknown {
            name.stage = identity.stage();
        }
        Some(number)
    }

    /// A node that others tell of; if it has told nothing itself, only its name is known.
    pub fn node_named(&mut self, node: &str) -> Option<u32> {
        let stages = &self.stages;
        self.nodes.number(node, || Identity::from_node_name(node, stages))
    }

    /// An instance.
    pub fn instance(&self, number: u32) -> &InstanceName {
        &self.instances.items[number as usize]
    }

    /// A module.
    pub fn module(&self, number: u32) -> &ModuleName {
        &self.modules.items[number as usize]
    }

    /// The module of an instance.
    pub fn module_of(&self, instance: u32) -> &ModuleName {
        self.module(self.instance(instance).module)
    }

    /// What is known of a node.
    pub fn node(&self, number: u32) -> &Identity {
        &self.nodes.items[number as usize]
    }

    /// What metrics tell of a node, to be added to.
    pub fn node_mut(&mut self, number: u32) -> &mut Identity {
        &mut self.nodes.items[number as usize]
    }
}

fn take<T: Clone>(known: &mut Option<T>, told: &Option<T>) {
    if told.is_some() {
        known.clone_from(told);
    }
}

/// What a newer resource tells of a node replaces what was known; what it leaves out stays.
fn merge_node(known: &mut Identity, told: &Identity) {
    if known.stage() == Stage::Unknown {
        known.stage = told.stage;
    }
    take(&mut known.cpu_cores, &told.cpu_cores);
    take(&mut known.mem_mb, &told.mem_mb);
    take(&mut known.cpu_model, &told.cpu_model);
    take(&mut known.cpu_freq_mhz, &told.cpu_freq_mhz);
    take(&mut known.mips_per_core, &told.mips_per_core);
    take(&mut known.cpu_score, &told.cpu_score);
    take(&mut known.arch, &told.arch);
    take(&mut known.os, &told.os);
    take(&mut known.region, &told.region);
    take(&mut known.zone, &told.zone);
    take(&mut known.provider, &told.provider);
    take(&mut known.host_id, &told.host_id);
    take(&mut known.host_name, &told.host_name);
    take(&mut known.power_idle_w, &told.power_idle_w);
    take(&mut known.power_max_w, &told.power_max_w);
    if !told.ips.is_empty() {
        known.ips.clone_from(&told.ips);
    }
}
