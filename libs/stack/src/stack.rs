//! Which children a local run has and how they are wired: one service, or endpoint, edge and cloud in a chain.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use serde_json::Value;

use super::application;
use super::children::{Child, ChildError};
use super::collector::Collector;
use super::tiers::settings::Settings as Links;
use super::tiers::{self, Place, Tiers};
use cctf_load::target::Target;

const NORMALIZER: &str = "cctf-normalizer";
const SERVICE: &str = "tunable-svc";
/// Where a child of ours says that it is ready.
const READY: &str = "/readyz";

/// Variables of the caller's environment that would change what the children are told by flags, or mix them up.
const NOT_INHERITED: [&str; 12] = [
    "RUN_ID",
    "INSTANCE_ID",
    "LOG_PATH",
    "NORMALIZER",
    "LISTEN",
    "PORT",
    "ADMIN_LISTEN",
    "DEFAULT_NEXT_URL",
    "NEXT_URL_ALLOW",
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
];
/// What the variables begin with by which telemetry would go elsewhere, or in another way than the run's receiver takes it.
const EXPORTER_VARIABLES: &str = "OTEL_EXPORTER_OTLP_";

/// Where a service that moves ends up. It begins on the one service's node.
const MOVES_TO: (&str, &str) = ("cloud0", "cloud");

/// The chain of the runbook from its last node to its first: node, stage, and the path that its predecessor calls.
const CHAIN: [(&str, &str, &str); 3] = [
    ("cloud0", "cloud", "/kv/set/k1"),
    ("edge0", "edge", GZIP),
    ("ep0", "endpoint", ""),
];
const GZIP: &str = "/blob/gzip";
/// As many bytes come out as go in, so that over known links messages of known sizes travel.
const GZIP_STORED: &str = "/blob/gzip?level=0";

/// What the children are told.
#[derive(Debug, Clone)]
pub struct StackConfig {
    /// Folder of the binaries.
    pub bin_dir: PathBuf,
    /// Folder of all runs, absolute.
    pub logs_dir: PathBuf,
    /// The run.
    pub run_id: String,
    /// Three services in a chain instead of one.
    pub chain: bool,
    /// The chain's nodes in network namespaces, with such links between them.
    pub links: Option<Links>,
    /// Node and stage of the one service.
    pub node: (String, String),
    /// Worker slots of each service.
    pub workers: Option<u32>,
    /// Bound of each service's queue.
    pub queue_limit: Option<u32>,
    /// `held` or `released`.
    pub slot_policy: Option<String>,
    /// Application of the services.
    pub app_id: Option<String>,
    /// Program that starts an application of somebody else's, which then is driven and may call the service.
    pub application: Option<PathBuf>,
    /// Binary of the Collector that stands between services and normalizer, if one does.
    pub collector: Option<PathBuf>,
    /// Further flags of the normalizer, name and value.
    pub normalizer_flags: Vec<(&'static str, String)>,
}

/// The running children.
#[derive(Debug)]
pub struct Stack {
    /// Fields are dropped in order: who calls ends before whom it calls, and all before the normalizer that hears them.
    application: Option<Child>,
    services: Vec<Child>,
    collector: Option<Collector>,
    normalizer: Child,
    tiers: Option<Tiers>,
    /// Where the load goes.
    pub target: Target,
    /// Where spans go over OTLP/gRPC.
    pub otlp_endpoint: String,
}

impl Stack {
    /// Starts the normalizer, then the Collector, then the services, each when those before it are ready.
    pub fn start(config: &StackConfig, scratch: &Path, stop: &AtomicBool) -> Result<Self, ChildError> {
        // First, since this process is where its network is.
        let tiers = config.links.as_ref();
        let tiers = tiers
            .map(|links| Tiers::start(links, scratch, stop))
            .transpose()?;
        let host = match tiers {
            Some(_) => tiers::CONTROL,
            None => Ipv4Addr::LOCALHOST,
        };
        let (normalizer, receiver) = start_normalizer(config, host, scratch, stop)?;
        let collector = match &config.collector {
            Some(binary) => Some(Collector::start(
                binary,
                host,
                &receiver,
                host_of(config),
                scratch,
                stop,
            )?),
            None => None,
        };
        let otlp_endpoint = match &collector {
            Some(collector) => collector.otlp_endpoint.clone(),
            None => receiver.to_string(),
        };
        let mut services = Vec::new();
        let target = if config.chain {
            let mut next: Option<String> = None;
            let mut first = None;
            for (node, stage, called_as) in CHAIN {
                let place = tiers.as_ref().and_then(|tiers| tiers.place(node));
                let (child, at) = start_service(
                    config,
                    (node, stage),
                    place,
                    next.as_deref(),
                    &otlp_endpoint,
                    scratch,
                    stop,
                )?;
                services.insert(0, child);
                next = Some(match &tiers {
                    Some(tiers) => {
                        let at = tiers.by_link(node).unwrap_or_else(|| at.clone());
                        format!("{at}{}", if called_as == GZIP { GZIP_STORED } else { called_as })
                    }
                    None => format!("{at}{called_as}"),
                });
                first = Some(at);
            }
            first
        } else {
            let (node, stage) = (config.node.0.as_str(), config.node.1.as_str());
            let (child, at) =
                start_service(config, (node, stage), None, None, &otlp_endpoint, scratch, stop)?;
            services.push(child);
            Some(at)
        };
        let service = target.ok_or_else(|| normalizer.unresponsive("has no service"))?;
        let (application, target) = match &config.application {
            Some(program) => {
                let (child, at) = application::start(program, &service, &otlp_endpoint, scratch, stop)?;
                (Some(child), at)
            }
            None => (None, service),
        };
        Ok(Self {
            application,
            services,
            collector,
            normalizer,
            tiers,
            target,
            otlp_endpoint,
        })
    }

    /// An error if any child has ended.
    pub fn check_alive(&mut self) -> Result<(), ChildError> {
        if let Some(collector) = &mut self.collector {
            collector.check_alive()?;
        }
        if let Some(tiers) = &mut self.tiers {
            tiers.check_alive()?;
        }
        self.application
            .iter_mut()
            .chain(&mut self.services)
            .chain([&mut self.normalizer])
            .try_for_each(Child::check_alive)
    }

    /// Starts a second service on the node that the first one moves to, and has the load go there from the next drive on.
    pub fn start_elsewhere(
        &mut self,
        config: &StackConfig,
        scratch: &Path,
        stop: &AtomicBool,
    ) -> Result<(), ChildError> {
        let (child, at) = start_service(config, MOVES_TO, None, None, &self.otlp_endpoint, scratch, stop)?;
        self.services.push(child);
        self.target = at;
        Ok(())
    }

    /// Stops the service that the load no longer goes to.
    pub fn stop_first_service(&mut self) -> Result<(), ChildError> {
        self.services.remove(0).stop()
    }

    /// Stops application and services, first the one that others do not call.
    pub fn stop_services(&mut self) -> Result<(), ChildError> {
        self.application
            .iter_mut()
            .chain(&mut self.services)
            .try_for_each(Child::stop)?;
        self.application = None;
        self.services.clear();
        Ok(())
    }

    /// Waits until the normalizer has all that was sent to the Collector.
    pub fn drain(&mut self) -> Result<(), ChildError> {
        self.collector.as_mut().map_or(Ok(()), Collector::drain)
    }

    /// Stops the Collector once it is empty, then the normalizer, which writes what it still holds.
    pub fn stop_receivers(mut self) -> Result<(), ChildError> {
        self.drain()?;
        if let Some(collector) = self.collector.take() {
            collector.stop()?;
        }
        self.normalizer.stop()?;
        self.tiers.map_or(Ok(()), Tiers::stop)
    }
}

/// The node whose host metrics the Collector takes: that of the one service, or the end of the chain.
fn host_of(config: &StackConfig) -> (&str, &str) {
    if config.chain {
        (CHAIN[0].0, CHAIN[0].1)
    } else {
        (&config.node.0, &config.node.1)
    }
}

fn start_normalizer(
    config: &StackConfig,
    host: Ipv4Addr,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Child, Target), ChildError> {
    let mut command = command(NORMALIZER, config)?;
    command
        .arg("--out-dir")
        .arg(&config.logs_dir)
        .args(["--run-id", &config.run_id]);
    for listener in ["--grpc-listen", "--http-listen", "--admin-listen"] {
        command.args([listener, &format!("{host}:0")]);
    }
    for (flag, value) in &config.normalizer_flags {
        command.args([flag, value.as_str()]);
    }
    let mut child = Child::start(NORMALIZER, command, scratch)?;
    let announced = child.announcement(stop)?;
    let grpc = address(&child, &announced, "grpc")?;
    let admin = address(&child, &announced, "admin")?;
    child.ready(&admin, READY, stop)?;
    Ok((child, grpc))
}

fn start_service(
    config: &StackConfig,
    (node, stage): (&str, &str),
    place: Option<Place<'_>>,
    next_url: Option<&str>,
    otlp_endpoint: &str,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Child, Target), ChildError> {
    let mut command = command(SERVICE, config)?;
    let (listen, admin_listen) = match &place {
        Some(place) => {
            place.namespace.host(&mut command);
            // The one before it comes by another interface than the load.
            (
                format!("0.0.0.0:{}", tiers::PORT),
                format!("0.0.0.0:{}", tiers::ADMIN_PORT),
            )
        }
        None => ("127.0.0.1:0".to_owned(), "127.0.0.1:0".to_owned()),
    };
    command.args(["--listen", &listen, "--admin-listen", &admin_listen]);
    command.envs([
        ("NODE_ID", node),
        ("STAGE", stage),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp_endpoint),
    ]);
    if let Some(next_url) = next_url {
        let origin = next_url
            .match_indices('/')
            .nth(2)
            .map_or(next_url, |(at, _)| &next_url[..at]);
        command.envs([("DEFAULT_NEXT_URL", next_url), ("NEXT_URL_ALLOW", origin)]);
    }
    for (name, value) in [
        ("WORKERS", config.workers.map(|workers| workers.to_string())),
        ("QUEUE_LIMIT", config.queue_limit.map(|limit| limit.to_string())),
        ("SLOT_POLICY", config.slot_policy.clone()),
        ("APP_ID", config.app_id.clone()),
    ] {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    let mut child = Child::start(&format!("{SERVICE}-{node}"), command, scratch)?;
    let announced = child.announcement(stop)?;
    let reached = |field| -> Result<Target, ChildError> {
        let mut at = address(&child, &announced, field)?;
        if let Some(place) = &place {
            at.host = place.address.to_string();
        }
        Ok(at)
    };
    let (listening, admin) = (reached("listening")?, reached("admin")?);
    child.ready(&admin, READY, stop)?;
    Ok((child, listening))
}

fn command(name: &str, config: &StackConfig) -> Result<Command, ChildError> {
    let path = config.bin_dir.join(name);
    if !path.is_file() {
        return Err(ChildError::Missing {
            name: name.to_owned(),
            folder: config.bin_dir.clone(),
        });
    }
    let mut command = Command::new(path);
    for variable in NOT_INHERITED {
        command.env_remove(variable);
    }
    forget_exporter(&mut command);
    Ok(command)
}

/// Keeps a child from the caller's own receiver of telemetry, its headers and certificates.
pub(super) fn forget_exporter(command: &mut Command) {
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with(EXPORTER_VARIABLES) {
            command.env_remove(variable);
        }
    }
}

/// The URL that a child told in such a field.
pub(super) fn address(child: &Child, announced: &Value, field: &str) -> Result<Target, ChildError> {
    let told = announced.get(field).and_then(Value::as_str);
    told.and_then(|url| Target::parse(url).ok())
        .ok_or_else(|| child.unresponsive(format!("announced {announced} without a usable {field:?}")))
}
