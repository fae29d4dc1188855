//! `cctf run`: starts a normalizer and one service or a chain of three, sends load, and validates the files.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use cctf_load::clock;
use cctf_load::drive::check_sizes;
use cctf_load::otlp::export::Delivery;
use cctf_load::otlp::identity::DriverIdentity;
use cctf_load::otlp::run_facts::RunFacts;
use cctf_load::plan::target::{Endpoint, Target};
use cctf_load::record::summary::Summary;
use cctf_load::session::{LoadSession, SessionConfig};
use cctf_proto::log_line;
use cctf_stack::deployment::{Addresses, Deployment};
use cctf_stack::folder;
use cctf_stack::stack::StackConfig;
use clap::Args;
use cli::interrupt;
use otlp_send::{Destination, Signal};
use rundir::EVENTS_CLIENT;
use rundir::contents::contents;

use super::cells::printable;
use super::flags::{
    DurationArg, LinkFlags, LoadFlags, parse_duration, parse_endpoint, parse_stage, parse_target,
};
use super::run_report::{LinkReport, Report};
use super::{DONE, FAILED, Format, UsageError, otlp, print, print_json, validate};

mod drives;

use drives::{drive_one, plan};

/// Findings shown for each rule if the run's folder is invalid.
const FINDINGS_SHOWN: usize = 5;

const AFTER_HELP: &str = "\
Examples:
  The five default endpoints, one after the other, with 40 requests a second for 20 s each:
    cctf run
  One endpoint with more load:
    cctf run --endpoints hash --rate 500 --duration 1m --arrivals poisson
  A chain: each request passes three services, on the nodes ep0, edge0 and cloud0:
    cctf run --chain
  The same, over links with delays of 5 and 20 ms and a rate of 50 Mbit/s. Run it as root; `make toxiproxy` builds the proxy:
    cctf run --chain --netns --toxiproxy target/tools/bin/toxiproxy-server --endpoints json --rate 10 --size 1000-200000
  The chain again, with a Collector that forwards all telemetry to the normalizer (`make collector` builds one):
    cctf run --chain --collector target/tools/bin/otelcol
  Your own application:
    cctf run --application examples/start --endpoints /checkout
  A service that moves from edge0 to cloud0 during the load:
    cctf run --migrate --endpoints json
  Services and a normalizer that already run, for example after `make up`:
    cctf run --target http://127.0.0.1:8080 --otlp-endpoint http://127.0.0.1:4317

The program of --application gets the environment variables of OpenTelemetry SDKs, such as OTEL_EXPORTER_OTLP_ENDPOINT. It also
gets SERVICE_URL, the URL of a tunable-svc that it may call. As soon as it accepts requests, it must print one line:
{\"listening\": \"http://HOST:PORT\"}. It must exit on SIGTERM.

All processes listen on free ports of 127.0.0.1 (with --netns, on addresses of the namespaces). The command stops all of them at
the end. Ctrl-C stops the run early and keeps its files.

Exit codes:
  0  the run is complete and its folder is valid
  1  a child process failed, spans were lost, all requests of an endpoint failed, the folder is invalid, the run was
     interrupted, or the result cannot be printed
  2  invalid flag or environment variable, or the run's folder already exists";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf run --help")]
pub struct RunArgs {
    /// Endpoints that get load, one after the other: json, gzip, gunzip, hash, kvset, kvget, work, or paths such as /checkout.
    #[arg(long, env = "CCTF_ENDPOINTS", value_delimiter = ',', default_value = "json,gzip,hash,kvset,kvget",
          value_parser = parse_endpoint)]
    endpoints: Vec<String>,
    #[command(flatten)]
    load: LoadFlags,
    /// Start three services instead of one. Each request passes the nodes ep0 (user's device), edge0 and cloud0.
    #[arg(long, env = "CCTF_CHAIN")]
    chain: bool,
    #[command(flatten)]
    links: LinkFlags,
    /// Move the service from node edge0 to node cloud0 during the load.
    ///
    /// All endpoints get load twice: first on edge0, then on cloud0. The service on cloud0 starts halfway through the load of
    /// the last endpoint on edge0. The service on edge0 stops halfway through the load of the first endpoint on cloud0.
    #[arg(long, env = "CCTF_MIGRATE", conflicts_with_all = ["chain", "target", "node_id", "stage"])]
    migrate: bool,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Path to the folder with the programs cctf-normalizer and tunable-svc. Default: the folder of cctf.
    #[arg(long, env = "CCTF_BIN_DIR", value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// URL of a service that already runs. The command sends load to it and starts no processes. Requires --otlp-endpoint.
    ///
    /// --logs-dir must be the folder to which the running normalizer writes.
    #[arg(long, env = "CCTF_TARGET", value_parser = parse_target, requires = "otlp_endpoint", conflicts_with_all = ["chain", "collector"])]
    target: Option<Target>,
    /// With --target: URL to which the load driver exports its spans over OTLP, such as http://127.0.0.1:4317.
    ///
    /// The load driver is the part of this command that sends the requests. The other --otlp flags configure this export.
    #[arg(long, env = "CCTF_OTLP_ENDPOINT", value_name = "URL", requires = "target")]
    otlp_endpoint: Option<String>,
    #[command(flatten)]
    otlp: otlp_send::Flags,
    /// Path to a program that starts your own application. It gets the load instead of a tunable-svc (see below).
    #[arg(long, env = "CCTF_APPLICATION", value_name = "PATH", conflicts_with_all = ["chain", "target"])]
    application: Option<PathBuf>,
    /// Path to an OpenTelemetry Collector. The services then send their telemetry through it to the normalizer.
    #[arg(long, env = "CCTF_COLLECTOR", value_name = "PATH")]
    collector: Option<PathBuf>,
    /// Name of the node (machine) of the service. With --chain, the names are fixed.
    #[arg(long, env = "NODE_ID", default_value = "cloud0")]
    node_id: String,
    /// Stage of this node: endpoint (user's device), edge, cloud or unknown.
    #[arg(long, env = "STAGE", default_value = "cloud", value_parser = parse_stage)]
    stage: String,
    /// Name of the node (machine) of the load driver.
    #[arg(long, env = "CCTF_DRIVER_NODE_ID", default_value = "driver0")]
    driver_node_id: String,
    /// Name of the application to which the driver and the services belong (service.namespace).
    #[arg(long, env = "APP_ID")]
    app_id: Option<String>,
    /// Number of worker slots (concurrent requests) of each service. Default: number of logical CPUs.
    #[arg(long, env = "WORKERS")]
    workers: Option<u32>,
    /// Maximum number of requests that wait for a slot, per service.
    #[arg(long, env = "QUEUE_LIMIT")]
    queue_limit: Option<u32>,
    /// Whether a request keeps its slot while it waits for a downstream call: held or released.
    #[arg(long, env = "SLOT_POLICY", value_parser = ["held", "released"])]
    slot_policy: Option<String>,
    /// Time to wait for a missing parent span. After it, the normalizer writes the request or call without a parent.
    #[arg(long, env = "CCTF_JOIN_WINDOW", value_parser = parse_duration)]
    join_window: Option<DurationArg>,
    /// Time without telemetry from an instance after which the normalizer considers it stopped.
    #[arg(long, env = "CCTF_STALE_AFTER", value_parser = parse_duration)]
    stale_after: Option<DurationArg>,
    /// Time without telemetry after which the normalizer closes a run whose end was not reported.
    #[arg(long, env = "CCTF_RUN_IDLE", value_parser = parse_duration)]
    run_idle: Option<DurationArg>,
    /// Output format.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let stop = interrupt::stop_flag();
    // If this fails, fewer connections can be open at once, and the summary shows the effect.
    let _ = clock::raise_file_limit();
    args.check_sizes()?;
    args.check_export()?;
    let run_id = args.load.run.run_id_or_now();
    let logs_dir = folder::prepare(&args.logs_dir, &run_id)?;
    let scratch = tempfile::Builder::new()
        .prefix("cctf-run-")
        .tempdir()
        .context("cannot create a temporary folder")?;
    let outcome = drive_all(args, &run_id, &logs_dir, scratch.path(), stop);
    let (drives, delivery) = match outcome {
        Ok(driven) => driven,
        Err(error) => {
            let kept = scratch.keep();
            return Err(error.context(format!(
                "run {run_id} failed (the logs of its child processes are in {})",
                kept.display()
            )));
        }
    };
    let run_dir = args.logs_dir.join(&run_id);
    let checked = validate::check(&run_dir, FINDINGS_SHOWN)?;
    let report = Report {
        files: contents(&run_dir)?,
        links: LinkReport::look_up(
            args.links.settings().map_or_else(Vec::new, |links| links.links()),
            &run_dir,
        )?,
        interrupted: stop.load(Ordering::Relaxed),
        spans_made: delivery.made,
        spans_delivered: delivery.delivered,
        broken_rules: checked.errors,
        run_id,
        drives,
        run_dir,
    };
    let printed = match args.format {
        Format::Json => print_json(&report),
        Format::Text => print(&format!(
            "{}{}{}",
            report.text(),
            validate::text(&report.run_dir, &checked),
            report.next_steps()
        )),
    };
    let problems = report.problems(&delivery);
    problems
        .iter()
        .for_each(|problem| log_line!("cctf: {}", printable(problem)));
    printed?;
    Ok(ExitCode::from(if problems.is_empty() { DONE } else { FAILED }))
}

/// Starts the children, loads every endpoint and stops the children. Afterwards the run's folder is complete.
fn drive_all(
    args: &RunArgs,
    run_id: &str,
    logs_dir: &Path,
    scratch: &Path,
    stop: &'static AtomicBool,
) -> anyhow::Result<(Vec<Summary>, Delivery)> {
    let mut deployment = match args.addresses() {
        Some(addresses) => Deployment::attach(addresses, logs_dir, run_id)?,
        None => Deployment::start(args.stack_config(run_id, logs_dir)?, scratch, stop)?,
    };
    if let Some(page) = deployment.live_page() {
        log_line!("live page: {page}");
    }
    let mut session = LoadSession::begin(SessionConfig {
        run: args.run_facts(run_id, deployment.target()),
        identity: DriverIdentity {
            node_id: Some(args.driver_node_id.clone()),
            stage: None,
            app_id: args.app_id.clone(),
        },
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
    // The services send their last telemetry before the run's end, so that none of it counts as late.
    session.flush()?;
    deployment.settle(stop)?;
    let delivery = session.end()?;
    deployment.finish(stop)?;
    Ok((drives, delivery))
}

impl RunArgs {
    /// Reports an impossible size before the first endpoint is loaded.
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

    /// A stack that already runs may require TLS and a token; child processes do not.
    fn otlp(&self, deployment: &Deployment) -> anyhow::Result<Option<Destination>> {
        let endpoint = deployment.otlp_endpoint();
        if self.target.is_some() {
            return Ok(otlp::destination(Some(endpoint), &self.otlp)?);
        }
        Ok(Some(Destination::plain(Signal::Traces, endpoint)?))
    }

    fn stack_config(&self, run_id: &str, logs_dir: &Path) -> anyhow::Result<StackConfig> {
        let bin_dir = match &self.bin_dir {
            Some(bin_dir) => bin_dir.clone(),
            None => {
                let own = std::env::current_exe().context("cannot find the folder of cctf; set --bin-dir")?;
                own.parent().unwrap_or(Path::new(".")).to_owned()
            }
        };
        let flags = [
            ("--join-window", &self.join_window),
            ("--stale-after", &self.stale_after),
            ("--run-idle", &self.run_idle),
        ];
        Ok(StackConfig {
            bin_dir: std::path::absolute(bin_dir)?,
            logs_dir: logs_dir.to_owned(),
            run_id: run_id.to_owned(),
            chain: self.chain,
            links: self.links.settings(),
            node: if self.migrate {
                ("edge0".to_owned(), "edge".to_owned())
            } else {
                (self.node_id.clone(), self.stage.clone())
            },
            workers: self.workers,
            queue_limit: self.queue_limit,
            slot_policy: self.slot_policy.clone(),
            app_id: self.app_id.clone(),
            application: self.application.clone(),
            collector: self.collector.clone(),
            normalizer_flags: flags
                .into_iter()
                .filter_map(|(flag, value)| value.as_ref().map(|value| (flag, value.text.clone())))
                .collect(),
        })
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
