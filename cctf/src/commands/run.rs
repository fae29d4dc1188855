//! `cctf run`: a normalizer, a service or a chain of three, the load, the checks, all in one command.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use cctf_proto::log_line;
use clap::Args;
use otlp_send::{Destination, Signal};
use rundir::EVENTS_CLIENT;
use rundir::contents::contents;

use super::flags::{
    GivenDuration, LinkFlags, LoadFlags, parse_duration, parse_endpoint, parse_stage, parse_target,
};
use super::run_report::{Link, Report};
use super::{DONE, FAILED, Format, UsageError, otlp, print, print_json, validate};
use cctf_load::clock;
use cctf_load::export::Delivery;
use cctf_load::identity::Identity;
use cctf_load::run_facts::RunFacts;
use cctf_load::session::{Session, SessionConfig, check_sizes};
use cctf_load::summary::Summary;
use cctf_load::target::{Endpoint, Target};
use cctf_stack::deployment::{Addresses, Deployment};
use cctf_stack::folder;
use cctf_stack::stack::StackConfig;
use cli::interrupt;

mod drives;

use drives::drive_one;

/// Findings of each rule that are shown when the run's folder is not valid.
const FINDINGS_SHOWN: usize = 5;

const AFTER_HELP: &str = "\
Examples:
  All real endpoints one after the other, 40 requests a second for 20 s each:
    cctf run
  One endpoint, faster, longer:
    cctf run --endpoints hash --rate 500 --duration 1m --arrivals poisson
  Endpoint, edge and cloud, each request through all three:
    cctf run --chain
  The same over links of 5 and 20 ms and 50 Mbit/s, as root (`make toxiproxy` builds what delays):
    cctf run --chain --netns --toxiproxy target/tools/bin/toxiproxy-server --endpoints json --rate 10 --size 1000-200000
  The chain, with all telemetry through a Collector (`make collector` builds one):
    cctf run --chain --collector target/tools/bin/otelcol

  An application of yours. The program gets the standard variables of OpenTelemetry's SDKs, and SERVICE_URL for a service of ours; it
  prints {\"listening\": \"http://HOST:PORT\"} in one line and ends on SIGTERM:
    cctf run --application examples/start --endpoints /checkout

  The service moves from edge0 to cloud0 while the load goes on:
    cctf run --migrate --endpoints json

  A stack that runs already, such as that of `make up`:
    cctf run --target http://127.0.0.1:8080 --otlp-endpoint http://127.0.0.1:4317

Everything listens on free ports of 127.0.0.1 and is stopped at the end. Ctrl-C stops early and keeps what there is.

Exit codes:
  0  the run is complete and its folder is valid
  1  a child failed, spans were lost, no request of an endpoint succeeded, a rule is broken, it was interrupted,
     or the result could not be printed
  2  a flag or variable is wrong, or the run's folder is taken";

/// Flags of `cctf run`.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "More, with examples and exit codes: cctf run --help")]
pub struct RunArgs {
    /// What to drive, one after the other: json, gzip, gunzip, hash, kvset, kvget, work, or paths.
    #[arg(long, env = "CCTF_ENDPOINTS", value_delimiter = ',', default_value = "json,gzip,hash,kvset,kvget",
          value_parser = parse_endpoint)]
    endpoints: Vec<String>,
    #[command(flatten)]
    load: LoadFlags,
    /// Three services, endpoint (ep0) to edge (edge0) to cloud (cloud0), instead of one.
    #[arg(long, env = "CCTF_CHAIN")]
    chain: bool,
    #[command(flatten)]
    links: LinkFlags,
    /// The service moves from edge (edge0) to cloud (cloud0): each endpoint is driven there, and again here. The second
    /// service starts in the middle of the first half's last endpoint, the first one stops in the middle of the next.
    #[arg(long, env = "CCTF_MIGRATE", conflicts_with_all = ["chain", "target", "node_id", "stage"])]
    migrate: bool,
    /// Folder of all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Folder of cctf-normalizer and tunable-svc. Default: where cctf itself is.
    #[arg(long, env = "CCTF_BIN_DIR", value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Service of a stack that runs already, which is then driven instead of children; --logs-dir has to be the folder that
    /// its normalizer writes to.
    #[arg(long, env = "CCTF_TARGET", value_parser = parse_target, requires = "otlp_endpoint", conflicts_with_all = ["chain", "collector"])]
    target: Option<Target>,
    /// Where the driver's spans go in that stack over OTLP, such as http://127.0.0.1:4317. The other flags of OTLP and their
    /// variables are for it, too.
    #[arg(long, env = "CCTF_OTLP_ENDPOINT", requires = "target")]
    otlp_endpoint: Option<String>,
    #[command(flatten)]
    otlp: otlp_send::Flags,
    /// Program that starts an application of yours, which is then driven in place of the service (see below).
    #[arg(long, env = "CCTF_APPLICATION", value_name = "PATH", conflicts_with_all = ["chain", "target"])]
    application: Option<PathBuf>,
    /// Binary of an OpenTelemetry Collector to put between services and normalizer.
    #[arg(long, env = "CCTF_COLLECTOR", value_name = "PATH")]
    collector: Option<PathBuf>,
    /// Node of the one service (a chain has its own).
    #[arg(long, env = "NODE_ID", default_value = "cloud0")]
    node_id: String,
    /// Stage of that node.
    #[arg(long, env = "STAGE", default_value = "cloud", value_parser = parse_stage)]
    stage: String,
    /// Node of the load driver.
    #[arg(long, env = "CCTF_DRIVER_NODE_ID", default_value = "driver0")]
    driver_node_id: String,
    /// Application of driver and services.
    #[arg(long, env = "APP_ID")]
    app_id: Option<String>,
    /// Worker slots of each service. Default: the logical CPUs.
    #[arg(long, env = "WORKERS")]
    workers: Option<u32>,
    /// Requests that may wait in front of the slots of each service.
    #[arg(long, env = "QUEUE_LIMIT")]
    queue_limit: Option<u32>,
    /// Whether a slot is kept while a downstream call is awaited: held or released.
    #[arg(long, env = "SLOT_POLICY", value_parser = ["held", "released"])]
    slot_policy: Option<String>,
    /// How long the normalizer holds a row for its caller.
    #[arg(long, env = "CCTF_JOIN_WINDOW", value_parser = parse_duration)]
    join_window: Option<GivenDuration>,
    /// How long a source may be silent before the normalizer takes it for stopped.
    #[arg(long, env = "CCTF_STALE_AFTER", value_parser = parse_duration)]
    stale_after: Option<GivenDuration>,
    /// How long the normalizer waits for a run that goes on without its end.
    #[arg(long, env = "CCTF_RUN_IDLE", value_parser = parse_duration)]
    run_idle: Option<GivenDuration>,
    /// How the result is printed.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

/// Runs the subcommand.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let stop = interrupt::stop_flag();
    // Without it fewer connections fit; what then fails says so itself.
    let _ = clock::raise_file_limit();
    args.check_sizes()?;
    let run_id = args.load.run_id_or_now();
    let logs_dir = folder::prepare(&args.logs_dir, &run_id)?;
    let scratch = tempfile::Builder::new()
        .prefix("cctf-run-")
        .tempdir()
        .context("cannot make a temporary folder")?;
    let outcome = drive_all(args, &run_id, &logs_dir, scratch.path(), stop);
    let (drives, delivery) = match outcome {
        Ok(driven) => driven,
        Err(error) => {
            let kept = scratch.keep();
            return Err(error.context(format!(
                "run {run_id} failed (the children's logs are in {})",
                kept.display()
            )));
        }
    };
    let run_dir = args.logs_dir.join(&run_id);
    let checked = validate::check(&run_dir, FINDINGS_SHOWN)?;
    let report = Report {
        files: contents(&run_dir)?,
        links: Link::look_up(
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
    let complaints = report.complaints(&delivery);
    complaints
        .iter()
        .for_each(|complaint| log_line!("cctf: {complaint}"));
    printed?;
    Ok(ExitCode::from(if complaints.is_empty() { DONE } else { FAILED }))
}

/// Starts the children, drives every endpoint, stops the children: everything that the run's folder is made by.
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
    let mut session = Session::begin(SessionConfig {
        run: args.run_facts(run_id, deployment.target()),
        identity: Identity {
            node_id: Some(args.driver_node_id.clone()),
            stage: None,
            app_id: args.app_id.clone(),
        },
        otlp: args.otlp(&deployment)?,
        events_path: Some(logs_dir.join(run_id).join(EVENTS_CLIENT)),
        stop,
    })?;
    let mut drives = Vec::new();
    for (endpoint, during) in args.plan() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        drives.push(drive_one(
            args,
            endpoint,
            during,
            &mut session,
            &mut deployment,
            stop,
        )?);
    }
    // The services' last telemetry goes before the run's end, so that none of it counts as late.
    session.flush()?;
    deployment.settle(stop)?;
    let delivery = session.end()?;
    deployment.finish(stop)?;
    Ok((drives, delivery))
}

impl RunArgs {
    /// What the last endpoint of a run would meet is told before the first one is driven.
    fn check_sizes(&self) -> anyhow::Result<()> {
        let sizes = self.load.size;
        for name in &self.endpoints {
            let endpoint = Endpoint::resolve(name, None, sizes.most())?;
            check_sizes(&endpoint, sizes).map_err(|error| UsageError(error.to_string()))?;
        }
        Ok(())
    }

    fn addresses(&self) -> Option<Addresses> {
        Some(Addresses {
            target: self.target.clone()?,
            otlp_endpoint: self.otlp_endpoint.clone()?,
        })
    }

    /// A stack that runs already may want TLS and a token; children of ours want none.
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
                let own =
                    std::env::current_exe().context("cannot find out where cctf itself is; use --bin-dir")?;
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
            rate: load.rate,
            duration: load.duration.text.clone(),
            scen: load
                .scen
                .clone()
                .or_else(|| self.chain.then(|| "real-chain".to_owned()))
                .or_else(|| self.migrate.then(|| "demo-migrate".to_owned())),
            img: load.img.clone(),
            git_sha: load.git_sha.clone(),
            workers: self.workers,
            endpoint: self.endpoints.join(","),
            target: target.to_string(),
            payload_bytes: load.size.single(),
            seed: load.seed,
        }
    }
}
