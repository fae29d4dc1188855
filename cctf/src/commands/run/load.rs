//! [`run`]: starts a normalizer and one service, a chain of three, or an application. Sends load to one endpoint after the
//! other.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use cctf_load::drive::check_sizes;
use cctf_load::otlp::export::Delivery;
use cctf_load::otlp::run_facts::RunFacts;
use cctf_load::plan::target::{Endpoint, Target};
use cctf_load::record::summary::Summary;
use cctf_load::session::{LoadSession, SessionConfig};
use cctf_proto::log_line;
use cctf_stack::config::Services;
use cctf_stack::deployment::{Addresses, Deployment};
use otlp_send::{Destination, Signal};
use rundir::EVENTS_CLIENT;

use super::args::RunArgs;
use super::drives::{drive_one, plan};
use super::whole::{Driven, whole};
use crate::commands::{UsageError, otlp};

pub(super) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    args.check_sizes()?;
    args.check_export()?;
    let driven = |run_id: &str, logs_dir: &Path, scratch: &Path, stop| {
        let (drives, delivery) = drive_all(args, run_id, logs_dir, scratch, stop)?;
        Ok(Driven {
            drives,
            delivery,
            links: args.links.settings().map_or_else(Vec::new, |links| links.links()),
            stand_ins: Vec::new(),
            notes: Vec::new(),
            void_because: None,
            compare_with: None,
        })
    };
    whole(args, driven)
}

/// Starts the child processes, sends load to each endpoint, and stops the child processes. Then the run's folder is complete.
fn drive_all(
    args: &RunArgs,
    run_id: &str,
    logs_dir: &Path,
    scratch: &Path,
    stop: &'static AtomicBool,
) -> anyhow::Result<(Vec<Summary>, Delivery)> {
    let mut deployment = match args.addresses() {
        Some(addresses) => Deployment::attach(addresses, logs_dir, run_id)?,
        None => {
            let network = args.links.settings().map(|links| links.network());
            let config = args.stack_config(run_id, logs_dir, args.services(), network)?;
            Deployment::start(config, scratch, stop)?
        }
    };
    if let Some(page) = deployment.live_page() {
        log_line!("live page: {page}");
    }
    let mut session = LoadSession::begin(SessionConfig {
        run: args.run_facts(run_id, deployment.target()),
        identity: args.identity(),
        otlp: args.otlp(&deployment)?,
        events_path: Some(logs_dir.join(run_id).join(EVENTS_CLIENT)),
        stop,
    })?;
    let mut drives = Vec::new();
    for step in plan(&args.endpoints, args.migrate) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        drives.push(drive_one(&args.load, step, &mut session, &mut deployment, stop)?);
    }
    // The services send their last telemetry before the end of the run is reported, so that none of it counts as late.
    session.flush()?;
    deployment.settle(stop)?;
    let delivery = session.end()?;
    deployment.finish(stop)?;
    Ok((drives, delivery))
}

impl RunArgs {
    /// Reports an invalid body size before any endpoint gets load.
    fn check_sizes(&self) -> anyhow::Result<()> {
        let sizes = self.load.size;
        for name in &self.endpoints {
            let endpoint = Endpoint::resolve(name, None, sizes.max())?;
            check_sizes(&endpoint, sizes).map_err(|error| UsageError(error.to_string()))?;
        }
        Ok(())
    }

    /// Refuses --otlp flags without --target. They would have no effect, because all exports then go to a normalizer that this command
    /// starts, without TLS and headers.
    fn check_export(&self) -> Result<(), UsageError> {
        match self.otlp.first_set() {
            Some(flag) if self.target.is_none() => Err(UsageError(format!(
                "cannot use {flag} without --target: the flag is for the export to a normalizer that already runs; add --target and \
                 --otlp-endpoint, or remove {flag}"
            ))),
            _ => Ok(()),
        }
    }

    fn addresses(&self) -> Option<Addresses> {
        Some(Addresses {
            target: self.target.clone()?,
            otlp_endpoint: self.otlp_endpoint.clone()?,
        })
    }

    /// The destination of the driver's spans. A stack that already runs may require TLS and a token; child processes do not.
    fn otlp(&self, deployment: &Deployment) -> anyhow::Result<Option<Destination>> {
        let endpoint = deployment.otlp_endpoint();
        if self.target.is_some() {
            return Ok(otlp::destination(Some(endpoint), &self.otlp)?);
        }
        Ok(Some(Destination::plain(Signal::Traces, endpoint)?))
    }

    fn services(&self) -> Services {
        let (node, stage) = match self.migrate {
            _ if self.chain => return Services::Chain,
            true => ("edge0", "edge"),
            false => (self.node_id.as_str(), self.stage.as_str()),
        };
        Services::Single {
            node: node.to_owned(),
            stage: stage.to_owned(),
        }
    }

    fn run_facts(&self, run_id: &str, target: &Target) -> RunFacts {
        let load = &self.load;
        RunFacts {
            run_id: run_id.to_owned(),
            rate: Some(load.rate),
            duration: Some(load.duration.text.clone()),
            scen: load
                .run
                .scen
                .clone()
                .or_else(|| self.chain.then(|| "real-chain".to_owned()))
                .or_else(|| self.migrate.then(|| "demo-migrate".to_owned())),
            img: load.run.img.clone(),
            git_sha: load.run.git_sha.clone(),
            workers: self.workers,
            endpoint: Some(self.endpoints.join(",")),
            target: target.to_string(),
            payload_bytes: load.size.single(),
            seed: load.seed,
            replay: None,
        }
    }
}
