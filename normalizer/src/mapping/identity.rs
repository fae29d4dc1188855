//! [`Identity`]: the run, node, stage, module and instance of a resource, and the properties of its node.

use cctf_proto::cctf::{Stage, TEXT_BYTES_MAX, bounded};
use cctf_proto::keys;
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::common::{AnyValue, Attributes};
use serde::{Deserialize, Serialize};

use super::slots::integer;

/// Node name for telemetry that does not name a node.
pub const UNKNOWN_NODE: &str = "unknown";
/// Module name for a resource without service.name. OpenTelemetry's default is `unknown_service`.
pub const UNKNOWN_MODULE: &str = "unknown_service";

/// Stages by node, region or service, for telemetry that does not state its stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageTable {
    /// Stage by the name of a node, region or service.
    pub by_name: Vec<(String, Stage)>,
    /// Stage for all others.
    pub default: Option<Stage>,
}

impl StageTable {
    fn look_up(&self, names: [Option<&str>; 3]) -> Stage {
        let configured = names.into_iter().flatten().find_map(|name| {
            self.by_name
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, stage)| *stage)
        });
        configured.or(self.default).unwrap_or(Stage::Unknown)
    }
}

/// The sender of telemetry, from its resource's attributes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Identity {
    pub run_id: Option<String>,
    pub node: String,
    /// Whether the telemetry names a node. Otherwise the node is [`UNKNOWN_NODE`].
    pub node_known: bool,
    pub stage: Option<Stage>,
    pub app_id: Option<String>,
    pub module_id: String,
    /// Whether the resource names a service; a Collector's host metrics do not.
    pub is_service: bool,
    pub instance_id: String,
    pub pid: Option<u64>,
    pub version: Option<String>,
    pub language: Option<String>,
    pub image: Option<String>,
    pub cpu_limit: Option<f64>,
    pub mem_limit_mb: Option<f64>,
    pub cpu_cores: Option<u64>,
    pub mem_mb: Option<f64>,
    pub cpu_model: Option<String>,
    pub cpu_freq_mhz: Option<f64>,
    pub mips_per_core: Option<f64>,
    pub cpu_score: Option<f64>,
    pub arch: Option<String>,
    pub os: Option<String>,
    pub region: Option<String>,
    pub zone: Option<String>,
    pub provider: Option<String>,
    pub host_id: Option<String>,
    pub host_name: Option<String>,
    pub ips: Vec<String>,
    pub power_idle_w: Option<f64>,
    pub power_max_w: Option<f64>,
    /// Whether the source asks to keep the queries of its URLs.
    pub keep_query: bool,
    /// Whether a part of the resource is missing: the SDK dropped attributes, or a text was cut or invalid.
    pub is_truncated: bool,
}

/// Attributes from which node and instance are chosen when all of them have been read.
#[derive(Default)]
struct Candidates<'a> {
    node_id: Option<&'a str>,
    k8s_node: Option<&'a str>,
    instance: Option<&'a str>,
    faas_instance: Option<&'a str>,
    pod_uid: Option<&'a str>,
    pod_name: Option<&'a str>,
    container_id: Option<&'a str>,
    service_name: Option<&'a str>,
    stage: Option<&'a str>,
    /// Whether the resource has any Kubernetes attribute.
    is_on_kubernetes: bool,
}

impl Identity {
    /// Reads a resource.
    pub fn from_attributes(attributes: Attributes<'_>, stages: &StageTable) -> Result<Self, WireError> {
        let mut identity = Self::default();
        let mut candidates = Candidates::default();
        for attribute in attributes.iter() {
            let attribute = attribute?;
            let text = attribute.value.as_str().unwrap_or_default();
            identity.is_truncated |= text.len() > TEXT_BYTES_MAX;
            if !candidates.take(attribute.key, attribute.value) {
                identity.take(attribute.key, attribute.value);
            }
        }
        identity.decide(&candidates, stages);
        Ok(identity)
    }

    /// A sender of which only these names are known. An empty name is missing.
    pub fn from_names(module: &str, instance: &str, node: &str) -> Self {
        let known = |name: &str| !name.is_empty();
        let candidates = Candidates {
            service_name: Some(module).filter(|name| known(name)),
            instance: Some(instance).filter(|name| known(name)),
            node_id: Some(node).filter(|name| known(name)),
            ..Candidates::default()
        };
        let mut identity = Self::default();
        identity.decide(&candidates, &StageTable::default());
        identity
    }

    /// A node that is known only by its name.
    pub fn from_node_name(node: &str, stages: &StageTable) -> Self {
        Self {
            node: node.to_owned(),
            node_known: true,
            stage: Some(stages.look_up([Some(node), None, None])),
            ..Self::default()
        }
    }

    /// Stores an attribute that becomes a field unchanged.
    fn take(&mut self, key: &str, value: AnyValue<'_>) {
        let text = || {
            let text = value.as_str().filter(|text| !text.is_empty());
            text.map(|text| bounded(text).to_owned())
        };
        match key {
            // An invalid run id is not stored: rows with it are rejected, and other resources of the instance must not use it.
            keys::RUN_ID => self.run_id = text().filter(|run_id| keys::is_valid_run_id(run_id)),
            "service.namespace" => self.app_id = text(),
            "service.version" => self.version = text(),
            "telemetry.sdk.language" => self.language = text(),
            "container.image.name" => self.image = text(),
            "process.pid" => self.pid = integer(value).and_then(|pid| u64::try_from(pid).ok()),
            "host.name" => self.host_name = text(),
            "host.id" => self.host_id = text(),
            "host.arch" => self.arch = text(),
            "host.cpu.model.name" => self.cpu_model = text(),
            "host.ip" => self.ips = texts(value),
            "os.type" => self.os = text(),
            "cloud.region" => self.region = text(),
            "cloud.availability_zone" => self.zone = text(),
            "cloud.provider" => self.provider = text(),
            keys::KEEP_QUERY => self.keep_query = is_true(value),
            keys::CPU_LIMIT => self.cpu_limit = number(value),
            keys::MEM_LIMIT_MB => self.mem_limit_mb = number(value),
            keys::NODE_CPU_CORES => {
                self.cpu_cores = integer(value).and_then(|cores| u64::try_from(cores).ok())
            }
            keys::NODE_MEM_MB => self.mem_mb = number(value),
            keys::NODE_CPU_FREQ_MHZ => self.cpu_freq_mhz = number(value),
            keys::NODE_MIPS_PER_CORE => self.mips_per_core = number(value),
            keys::NODE_CPU_SCORE => self.cpu_score = number(value),
            keys::NODE_POWER_IDLE_W => self.power_idle_w = number(value),
            keys::NODE_POWER_MAX_W => self.power_max_w = number(value),
            _ => {}
        }
    }

    fn decide(&mut self, candidates: &Candidates<'_>, stages: &StageTable) {
        self.is_service = candidates.service_name.is_some();
        self.module_id = candidates.service_name.unwrap_or(UNKNOWN_MODULE).to_owned();
        let host = self.host_name.take();
        self.host_name = host.clone().filter(|host| candidates.is_machine(host));
        let node = candidates
            .node_id
            .or(candidates.k8s_node)
            .or(self.host_name.as_deref())
            .or(self.host_id.as_deref());
        self.node_known = node.is_some_and(|node| node != UNKNOWN_NODE);
        self.node = node.unwrap_or(UNKNOWN_NODE).to_owned();
        let pid_on_host = || {
            // A process id identifies an instance only together with its host, which may be a container.
            let host = host
                .as_deref()
                .or(self.node_known.then_some(self.node.as_str()))?;
            self.pid.map(|pid| format!("{host}:{pid}"))
        };
        let reported = [
            candidates.instance,
            candidates.faas_instance,
            candidates.pod_uid,
            candidates.pod_name,
            candidates.container_id,
        ];
        let instance = reported
            .into_iter()
            .flatten()
            .next()
            .map(str::to_owned)
            .or_else(pid_on_host);
        self.instance_id = instance.unwrap_or_else(|| self.placeholder_instance_id());
        let reported = candidates.stage.and_then(Stage::parse);
        self.stage = Some(
            reported
                .filter(|stage| *stage != Stage::Unknown)
                .unwrap_or_else(|| {
                    stages.look_up([
                        Some(self.node.as_str()),
                        self.region.as_deref(),
                        Some(self.module_id.as_str()),
                    ])
                }),
        );
    }

    /// The id of an instance that did not report one.
    fn placeholder_instance_id(&self) -> String {
        format!("{}@{}", self.module_id, self.node)
    }

    /// Whether the resource names an instance.
    pub fn has_reported_instance(&self) -> bool {
        self.instance_id != self.placeholder_instance_id()
    }

    pub fn stage(&self) -> Stage {
        self.stage.unwrap_or(Stage::Unknown)
    }
}

impl<'a> Candidates<'a> {
    fn take(&mut self, key: &str, value: AnyValue<'a>) -> bool {
        self.is_on_kubernetes |= key.starts_with("k8s.");
        let field = match key {
            keys::NODE_ID => &mut self.node_id,
            keys::STAGE => &mut self.stage,
            "k8s.node.name" => &mut self.k8s_node,
            "service.name" => &mut self.service_name,
            "service.instance.id" => &mut self.instance,
            "faas.instance" => &mut self.faas_instance,
            "k8s.pod.uid" => &mut self.pod_uid,
            "k8s.pod.name" => &mut self.pod_name,
            "container.id" => &mut self.container_id,
            _ => return false,
        };
        *field = value.as_str().filter(|text| !text.is_empty()).map(bounded);
        true
    }

    /// Whether a host name is the name of a machine. In a pod, it is the name of the pod, unless the pod has the node's name;
    /// only k8s.node.name shows this. In a container, the default host name is the container's id; in Docker, the first 12
    /// digits of the id.
    fn is_machine(&self, host: &str) -> bool {
        const ID_LENS: [usize; 2] = [12, 64];
        let is_pod = self.pod_name == Some(host) || (self.is_on_kubernetes && self.k8s_node.is_none());
        let is_hex = host
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let is_begin_of_id = self
            .container_id
            .is_some_and(|id| host.len() >= ID_LENS[0] && id.starts_with(host));
        !(is_pod || is_begin_of_id || (is_hex && ID_LENS.contains(&host.len())))
    }
}

/// Text is accepted, too, because OTEL_RESOURCE_ATTRIBUTES can contain the value only as text.
fn is_true(value: AnyValue<'_>) -> bool {
    match value {
        AnyValue::Bool(value) => value,
        AnyValue::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

fn number(value: AnyValue<'_>) -> Option<f64> {
    let number = match value {
        AnyValue::Double(number) => number,
        AnyValue::Int(number) => number as f64,
        AnyValue::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// Maximum number of texts kept from a list.
const LISTED_MAX: usize = 64;

fn texts(value: AnyValue<'_>) -> Vec<String> {
    match value {
        AnyValue::String(text) => vec![bounded(text).to_owned()],
        AnyValue::Array(values) => values
            .iter()
            .map_while(Result::ok)
            .filter_map(|value| value.as_str().map(|text| bounded(text).to_owned()))
            .take(LISTED_MAX)
            .collect(),
        _ => Vec::new(),
    }
}
