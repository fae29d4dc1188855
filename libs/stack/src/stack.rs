//! The child processes of a local run: a normalizer, one service or a chain of three, and optional others.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use cctf_load::plan::target::Target;

use super::application;
use super::child::{Child, ChildError};
use super::collector::Collector;
use super::environment;
use super::tiers::settings::LinkSettings;
use super::tiers::{self, ServiceNetwork, Tiers};

const NORMALIZER: &str = "cctf-normalizer";
const SERVICE: &str = "tunable-svc";
/// Readiness page of this project's programs.
const READY: &str = "/readyz";

/// Node and stage to which a service moves.
const MOVES_TO: (&str, &str) = ("cloud0", "cloud");

/// The chain from its last node to its first: node, stage, and the path that its predecessor calls.
const CHAIN: [(&str, &str, &str); 3] = [
    ("cloud0", "cloud", "/kv/set/k1"),
    ("edge0", "edge", GZIP),
    ("ep0", "endpoint", ""),
];
const GZIP: &str = "/blob/gzip";
/// Without compression as many bytes come out as go in, so messages of known sizes pass the links.
const GZIP_STORED: &str = "/blob/gzip?level=0";

/// The configuration of all child processes.
#[derive(Debug, Clone)]
pub struct StackConfig {
    pub bin_dir: PathBuf,
    /// Absolute path to the folder of all runs.
    pub logs_dir: PathBuf,
    pub run_id: String,
    /// Three services in a chain instead of one.
    pub chain: bool,
    /// The links between the chain's nodes in network namespaces.
    pub links: Option<LinkSettings>,
    /// Node and stage of the single service.
    pub node: (String, String),
    /// Worker slots of each service.
    pub workers: Option<u32>,
    /// Maximum queue length of each service.
    pub queue_limit: Option<u32>,
    /// `held` or `released`.
    pub slot_policy: Option<String>,
    pub app_id: Option<String>,
    /// Program that starts a third-party application, which is loaded and may call the service.
    pub application: Option<PathBuf>,
    /// Path to a Collector between services and normalizer.
    pub collector: Option<PathBuf>,
    /// Further flags of the normalizer: name and value.
    pub normalizer_flags: Vec<(&'static str, String)>,
}

#[derive(Debug)]
pub struct Stack {
    /// Fields are dropped in order: a caller before its callee, and all before the normalizer that receives their telemetry.
    application: Option<Child>,
    services: Vec<Child>,
    collector: Option<Collector>,
    normalizer: Child,
    tiers: Option<Tiers>,
    /// The service or application under load.
    pub target: Target,
    /// The OTLP endpoint for spans.
    pub otlp_endpoint: String,
    /// The normalizer's page. `None` in a network namespace, which a browser outside cannot reach.
    pub live_page: Option<String>,
}

impl Stack {
    /// Starts the normalizer, then the Collector, then the services, each when those before it are ready.
    pub fn start(config: &StackConfig, scratch: &Path, stop: &AtomicBool) -> Result<Self, ChildError> {
        // First, because it moves this thread into the network.
        let tiers = config.links.as_ref();
        let tiers = tiers
            .map(|links| Tiers::start(links, scratch, stop))
            .transpose()?;
        let host = match tiers {
            Some(_) => tiers::CONTROL,
            None => Ipv4Addr::LOCALHOST,
        };
        let (normalizer, receiver, admin) = start_normalizer(config, host, scratch, stop)?;
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
        let (services, service) = match config.chain {
            true => start_chain(config, tiers.as_ref(), &otlp_endpoint, scratch, stop)?,
            false => {
                let (node, stage) = (config.node.0.as_str(), config.node.1.as_str());
                let (child, url) =
                    start_service(config, (node, stage), None, None, &otlp_endpoint, scratch, stop)?;
                (vec![child], url)
            }
        };
        let (application, target) = match &config.application {
            Some(program) => {
                let (child, url) = application::start(program, &service, &otlp_endpoint, scratch, stop)?;
                (Some(child), url)
            }
            None => (None, service),
        };
        Ok(Self {
            application,
            services,
            collector,
            normalizer,
            target,
            otlp_endpoint,
            live_page: tiers.is_none().then(|| format!("{admin}/")),
            tiers,
        })
    }

    /// Fails if any child has exited.
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

    /// Starts a second service on the node to which the first one moves. The next drive loads this one.
    pub fn start_elsewhere(
        &mut self,
        config: &StackConfig,
        scratch: &Path,
        stop: &AtomicBool,
    ) -> Result<(), ChildError> {
        let (child, url) = start_service(config, MOVES_TO, None, None, &self.otlp_endpoint, scratch, stop)?;
        self.services.push(child);
        self.target = url;
        Ok(())
    }

    /// Stops the service that is no longer under load.
    pub fn stop_first_service(&mut self) -> Result<(), ChildError> {
        self.services.remove(0).stop()
    }

    /// Stops application and services, each caller before its callee.
    pub fn stop_services(&mut self) -> Result<(), ChildError> {
        self.application
            .iter_mut()
            .chain(&mut self.services)
            .try_for_each(Child::stop)?;
        self.application = None;
        self.services.clear();
        Ok(())
    }

    /// Waits until the normalizer has everything that was sent to the Collector.
    pub fn drain(&mut self) -> Result<(), ChildError> {
        self.collector.as_mut().map_or(Ok(()), Collector::drain)
    }

    /// Stops the empty Collector, then the normalizer, which writes its remaining rows.
    pub fn stop_receivers(mut self) -> Result<(), ChildError> {
        self.drain()?;
        if let Some(collector) = self.collector.take() {
            collector.stop()?;
        }
        self.normalizer.stop()?;
        self.tiers.map_or(Ok(()), Tiers::stop)
    }
}

/// Node and stage of the Collector's host metrics: those of the single service, or of the chain's end.
fn host_of(config: &StackConfig) -> (&str, &str) {
    if config.chain {
        (CHAIN[0].0, CHAIN[0].1)
    } else {
        (&config.node.0, &config.node.1)
    }
}

/// Returns the normalizer, its OTLP/gRPC receiver and its admin listener.
fn start_normalizer(
    config: &StackConfig,
    host: Ipv4Addr,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Child, Target, Target), ChildError> {
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
    let grpc = child.announced_url(&announced, "grpc")?;
    let admin = child.announced_url(&announced, "admin")?;
    child.ready(&admin, READY, stop)?;
    Ok((child, grpc, admin))
}

/// Starts the chain's services from the last to the first. Returns them in the order of a request, and the first one's URL.
fn start_chain(
    config: &StackConfig,
    tiers: Option<&Tiers>,
    otlp_endpoint: &str,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Vec<Child>, Target), ChildError> {
    let start = |(node, stage), next_url: Option<&str>| {
        let network = tiers.and_then(|tiers| tiers.network_of(node));
        start_service(
            config,
            (node, stage),
            network,
            next_url,
            otlp_endpoint,
            scratch,
            stop,
        )
    };
    let [(node, stage, path), rest @ ..] = CHAIN;
    let (child, mut url) = start((node, stage), None)?;
    let mut services = vec![child];
    let mut next_url = next_url(tiers, node, &url, path);
    for (node, stage, path) in rest {
        let (child, service_url) = start((node, stage), Some(&next_url))?;
        services.insert(0, child);
        url = service_url;
        next_url = self::next_url(tiers, node, &url, path);
    }
    Ok((services, url))
}

/// The URL by which the preceding service calls `node`: over their link, if there are links.
fn next_url(tiers: Option<&Tiers>, node: &str, url: &Target, path: &str) -> String {
    match tiers {
        Some(tiers) => {
            let url = tiers.by_link(node).unwrap_or_else(|| url.clone());
            format!("{url}{}", if path == GZIP { GZIP_STORED } else { path })
        }
        None => format!("{url}{path}"),
    }
}

fn start_service(
    config: &StackConfig,
    (node, stage): (&str, &str),
    network: Option<ServiceNetwork<'_>>,
    next_url: Option<&str>,
    otlp_endpoint: &str,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Child, Target), ChildError> {
    let mut command = command(SERVICE, config)?;
    let (listen, admin_listen) = match &network {
        Some(network) => {
            network.namespace.host(&mut command);
            // Load and the preceding service arrive on different interfaces.
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
            .map_or(next_url, |(offset, _)| &next_url[..offset]);
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
        let mut url = child.announced_url(&announced, field)?;
        if let Some(network) = &network {
            url.host = network.address.to_string();
        }
        Ok(url)
    };
    let (listening, admin) = (reached("listening")?, reached("admin")?);
    child.ready(&admin, READY, stop)?;
    Ok((child, listening))
}

/// A command that runs one of this project's programs.
fn command(name: &str, config: &StackConfig) -> Result<Command, ChildError> {
    let path = config.bin_dir.join(name);
    if !path.is_file() {
        return Err(ChildError::Missing {
            name: name.to_owned(),
            folder: config.bin_dir.clone(),
        });
    }
    let mut command = Command::new(path);
    environment::remove_own(&mut command);
    Ok(command)
}
