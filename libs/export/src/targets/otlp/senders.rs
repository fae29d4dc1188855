//! [`Senders`]: makes the OTLP resources of spans from their module, instance and node, and from the inventories of the run.

use std::rc::Rc;

use cctf_proto::cctf::{File, Module, Node, Part, PlacementEvent, Stage};
use cctf_proto::keys;
use foldhash::HashMap;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use plan::inventory;
use rundir::ReadError;
use rundir::parts::Run;

use super::attributes::Attributes;
use super::requests::{Origin, Sent};
use super::rows::Row;

/// Maximum number of instances whose application and process id are remembered, 100 MB. A call of a further instance gets the
/// application of its module and no process id.
const INSTANCES_MAX: usize = 1 << 20;
/// The name of a node that the telemetry did not state.
const UNKNOWN_NODE: &str = "unknown";

/// The sender of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender<'a> {
    pub app: Option<&'a str>,
    pub module: &'a str,
    /// `None` for an event that concerns a whole module.
    pub instance: Option<&'a str>,
    pub node: &'a str,
    pub stage: Stage,
    pub pid: Option<u64>,
}

impl Sender<'_> {
    /// Different senders have different keys.
    pub fn key(&self) -> String {
        let (app, instance) = (self.app.unwrap_or_default(), self.instance.unwrap_or_default());
        let pid = self.pid.map_or_else(String::new, |pid| pid.to_string());
        let stage = self.stage.as_str();
        [app, self.module, instance, self.node, stage, &pid].join("\0")
    }
}

/// Facts about an instance that its invocations state, and its calls do not.
#[derive(Debug, Clone, Default)]
struct Instance {
    app: Option<String>,
    pid: Option<u64>,
}

/// Facts about the modules, nodes and instances of a run.
#[derive(Debug, Default)]
pub struct Senders {
    /// Attributes by [`module_key`].
    modules: HashMap<String, Attributes>,
    nodes: HashMap<String, Attributes>,
    /// The application by the name of the module; `None` if the module has none, or if several applications have a module of this
    /// name.
    apps: HashMap<String, Option<String>>,
    instances: HashMap<String, Instance>,
    /// The first known stage of each node.
    stages: HashMap<String, Stage>,
    keeps_queries: bool,
}

fn module_key(app: Option<&str>, module: &str) -> String {
    [app.unwrap_or_default(), module].join("\0")
}

fn instance_key(module: &str, instance: &str, node: &str) -> String {
    [module, instance, node].join("\0")
}

impl Senders {
    /// Reads the inventories of modules and nodes.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(run: &Run, parts: &[Part]) -> Result<Self, ReadError> {
        let mut senders = Self::default();
        inventory::read(run, parts, |modules| {
            for module in modules {
                senders.add_module(module);
            }
        })?;
        inventory::last_valid(run, parts, File::Nodes, |bytes| {
            for node in &serde_json::from_slice::<Vec<Node<'_>>>(bytes).ok()? {
                senders.nodes.insert(node.node_id.to_string(), of_node(node));
            }
            Some(())
        })?;
        Ok(senders)
    }

    fn add_module(&mut self, module: &Module<'_>) {
        let (app, id) = (module.app_id.as_deref(), &*module.module_id);
        self.modules.insert(module_key(app, id), of_module(module));
        let app = app.map(str::to_owned);
        let known = self.apps.entry(id.to_owned()).or_insert_with(|| app.clone());
        if *known != app {
            *known = None;
        }
    }

    /// Remembers the application and process id of a row's instance, and whether any row has a query.
    pub fn learn(&mut self, row: &Row<'_>) {
        let Row::Invocation(row) = row else { return };
        self.keeps_queries |= row.query.is_some();
        let key = instance_key(&row.module_id, &row.instance_id, &row.node);
        if self.instances.len() < INSTANCES_MAX || self.instances.contains_key(&key) {
            let instance = self.instances.entry(key).or_default();
            instance.app = row.app_id.as_deref().map(str::to_owned);
            instance.pid = row.pid;
        }
    }

    /// The sender of a row. A call does not state its application and process id, so those of its instance are used.
    pub fn of_row<'a>(&'a self, row: &'a Row<'_>) -> Sender<'a> {
        let (app, pid) = match row {
            Row::Invocation(row) => (row.app_id.as_deref(), row.pid),
            Row::Call(row) => {
                let key = instance_key(&row.module_id, &row.instance_id, &row.node);
                match self.instances.get(&key) {
                    Some(instance) => (instance.app.as_deref(), instance.pid),
                    None => (self.apps.get(&*row.module_id).and_then(Option::as_deref), None),
                }
            }
        };
        Sender {
            app,
            module: row.module(),
            instance: Some(row.instance()),
            node: row.node(),
            stage: row.stage(),
            pid,
        }
    }

    /// Whether an earlier row has given the node another stage. Receivers keep the first stage of a node.
    pub fn is_stage_other(&mut self, node: &str, stage: Stage) -> bool {
        if stage == Stage::Unknown || node == UNKNOWN_NODE {
            return false;
        }
        match self.stages.get(node) {
            Some(known) => *known != stage,
            None => {
                self.stages.insert(node.to_owned(), stage);
                false
            }
        }
    }

    /// The resource of a row's span.
    pub fn resource(&self, sender: &Sender<'_>) -> Resource {
        let mut out = self.common(sender);
        out.unsigned("process.pid", sender.pid);
        out.boolean(keys::KEEP_QUERY, Some(true).filter(|_| self.keeps_queries));
        let module = self.modules.get(&module_key(sender.app, sender.module));
        out.0
            .extend(module.into_iter().flat_map(|module| module.0.clone()));
        finished(out.0)
    }

    /// The span of a placement event, with its resource. Image and limits are those of the event, not those of the inventory.
    pub fn event(&self, event: &PlacementEvent<'_>, span: Span) -> Sent {
        let sender = Sender {
            app: event.app_id.as_deref(),
            module: &event.module_id,
            instance: event.instance_id.as_deref(),
            node: &event.node_id,
            stage: event.stage,
            pid: None,
        };
        let limits = format!("{:?} {:?} {:?}", event.image, event.cpu_limit, event.mem_limit_mb);
        Sent {
            origin: Rc::new(Origin {
                key: [sender.key(), limits].join("\0"),
                resource: self.resource_of_event(&sender, event),
            }),
            scope: keys::CONTROL_SCOPE,
            span,
        }
    }

    fn resource_of_event(&self, sender: &Sender<'_>, event: &PlacementEvent<'_>) -> Resource {
        let mut out = self.common(sender);
        out.text("container.image.name", event.image.as_deref());
        out.double(keys::CPU_LIMIT, event.cpu_limit);
        out.double(keys::MEM_LIMIT_MB, event.mem_limit_mb);
        finished(out.0)
    }

    fn common(&self, sender: &Sender<'_>) -> Attributes {
        let mut out = Attributes::default();
        out.text("service.name", Some(sender.module));
        out.text("service.namespace", sender.app);
        out.text("service.instance.id", sender.instance);
        let node = Some(sender.node).filter(|node| *node != UNKNOWN_NODE);
        out.text(keys::NODE_ID, node);
        let stage = Some(sender.stage).filter(|stage| *stage != Stage::Unknown);
        out.text(keys::STAGE, stage.map(Stage::as_str));
        let facts = self.nodes.get(sender.node);
        out.0.extend(facts.into_iter().flat_map(|facts| facts.0.clone()));
        out
    }
}

fn finished(attributes: Vec<KeyValue>) -> Resource {
    Resource {
        attributes,
        ..Resource::default()
    }
}

fn of_module(module: &Module<'_>) -> Attributes {
    let mut out = Attributes::default();
    out.text("service.version", module.version.as_deref());
    out.text("telemetry.sdk.language", module.language.as_deref());
    out.text("container.image.name", module.image.as_deref());
    let limits = module.resources.as_ref();
    out.double(keys::CPU_LIMIT, limits.and_then(|limits| limits.cpu));
    out.double(keys::MEM_LIMIT_MB, limits.and_then(|limits| limits.mem_mb));
    out
}

fn of_node(node: &Node<'_>) -> Attributes {
    let mut out = Attributes::default();
    out.unsigned(keys::NODE_CPU_CORES, node.cpu_cores);
    out.double(keys::NODE_MEM_MB, node.mem_mb);
    out.text("host.cpu.model.name", node.cpu_model.as_deref());
    out.double(keys::NODE_CPU_FREQ_MHZ, node.cpu_freq_mhz);
    out.double(keys::NODE_MIPS_PER_CORE, node.mips_per_core);
    out.double(keys::NODE_CPU_SCORE, node.cpu_score);
    out.text("host.arch", node.arch.as_deref());
    out.text("os.type", node.os.as_deref());
    out.text("cloud.region", node.region.as_deref());
    out.text("cloud.availability_zone", node.zone.as_deref());
    out.text("cloud.provider", node.provider.as_deref());
    out.text("host.id", node.host_id.as_deref());
    out.text("host.name", node.host_name.as_deref());
    if let Some(ips) = &node.ips {
        out.texts("host.ip", ips.iter().map(|ip| &**ip));
    }
    out.double(keys::NODE_POWER_IDLE_W, node.power_idle_w);
    out.double(keys::NODE_POWER_MAX_W, node.power_max_w);
    out
}
