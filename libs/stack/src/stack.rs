//! [`Stack`]: the child processes of a local run: a normalizer, its services, and optional others.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cctf_load::plan::target::Target;

use super::application;
use super::chain::{self, start_chain, start_single};
use super::child::{Child, ChildError};
use super::collector::Collector;
use super::config::{Services, StackConfig};
use super::service::READY;
use super::stand_ins::launch::launch;
use super::tiers::{self, Tiers};

const NORMALIZER: &str = "cctf-normalizer";
/// Node and stage of the second service, to which the load moves.
const MOVES_TO: (&str, &str) = ("cloud0", "cloud");

#[derive(Debug)]
pub struct Stack {
    /// Fields are dropped in order: a caller before its callee, and all before the normalizer that receives their telemetry.
    application: Option<Child>,
    services: Vec<Child>,
    collector: Option<Collector>,
    normalizer: Child,
    tiers: Option<Tiers>,
    /// The service or application under load. If there are stand-ins, the first one.
    pub target: Target,
    /// The file with the addresses of the stand-ins.
    pub stand_ins: Option<PathBuf>,
    /// The OTLP endpoint for spans.
    pub otlp_endpoint: String,
    /// The normalizer's page. `None` in a network namespace, which a browser outside cannot reach.
    pub live_page: Option<String>,
}

impl Stack {
    /// Starts the normalizer, then the Collector, then the services. Each one is started when the previous one is ready.
    pub fn start(config: &StackConfig, scratch: &Path, stop: &AtomicBool) -> Result<Self, ChildError> {
        // The network comes first, because its start moves this thread into a namespace of the network.
        let network = config.network.as_ref();
        let tiers = network
            .map(|network| Tiers::start(network, scratch, stop))
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
        let (services, service, stand_ins) =
            start_services(config, tiers.as_ref(), &otlp_endpoint, scratch, stop)?;
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
            stand_ins,
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

    /// Starts a second service on the other node. The next load of the driver goes to this service.
    pub fn start_elsewhere(
        &mut self,
        config: &StackConfig,
        scratch: &Path,
        stop: &AtomicBool,
    ) -> Result<(), ChildError> {
        let (child, url) = start_single(config, MOVES_TO, None, None, &self.otlp_endpoint, scratch, stop)?;
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

/// Starts the services. Returns them, the URL of the service under load, and the path of the file with the addresses of
/// stand-ins.
fn start_services(
    config: &StackConfig,
    tiers: Option<&Tiers>,
    otlp_endpoint: &str,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Vec<Child>, Target, Option<PathBuf>), ChildError> {
    match &config.services {
        Services::Single { node, stage } => {
            let (child, url) = start_single(config, (node, stage), None, None, otlp_endpoint, scratch, stop)?;
            Ok((vec![child], url, None))
        }
        Services::Chain => {
            let (services, url) = start_chain(config, tiers, otlp_endpoint, scratch, stop)?;
            Ok((services, url, None))
        }
        Services::StandIns { placed, driver } => {
            let launched = launch(config, placed, driver, tiers, otlp_endpoint, scratch, stop)?;
            Ok((launched.children, launched.first, Some(launched.file)))
        }
    }
}

/// Node and stage for the Collector's host metrics: those of the single service, of the last service of the chain, or of the
/// first stand-in.
fn host_of(config: &StackConfig) -> (&str, &str) {
    match &config.services {
        Services::Single { node, stage } => (node, stage),
        Services::Chain => chain::END,
        Services::StandIns { placed, .. } => placed.stand_ins.first().map_or(chain::END, |stand_in| {
            (stand_in.node.as_str(), stand_in.stage.as_str())
        }),
    }
}

/// Starts the normalizer. Returns its process, its OTLP/gRPC receiver and its admin listener.
fn start_normalizer(
    config: &StackConfig,
    host: Ipv4Addr,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Child, Target, Target), ChildError> {
    let mut command = config.program(NORMALIZER)?;
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
