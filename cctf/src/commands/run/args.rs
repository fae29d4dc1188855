//! [`RunArgs`]: the command line of `cctf run`, and the settings that all kinds of runs derive from it.

use std::path::{Path, PathBuf};

use anyhow::Context;
use cctf_load::otlp::identity::DriverIdentity;
use cctf_load::plan::target::Target;
use cctf_stack::config::{Services, StackConfig};
use cctf_stack::tiers::network::Network;
use clap::{ArgGroup, Args};

use super::stand_in_flags::StandInFlags;
use crate::commands::Format;
use crate::commands::flags::{
    DurationArg, LinkFlags, LoadFlags, parse_duration, parse_endpoint, parse_stage, parse_target,
};

const AFTER_HELP: &str = "\
Examples:
  The five default endpoints, one after the other, with 40 requests a second for 20 s each:
    cctf run
  One endpoint with more load:
    cctf run --endpoints hash --rate 500 --duration 1m --arrivals poisson
  A chain: each request passes three services, on the nodes ep0, edge0 and cloud0:
    cctf run --chain
  The chain, connected by links with delays of 5 and 20 ms and a rate of 50 Mbit/s. Requires root; `make toxiproxy` builds the proxy:
    cctf run --chain --netns --toxiproxy target/tools/bin/toxiproxy-server --endpoints json --rate 10 --size 1000-200000
  The chain again, with a Collector that forwards all telemetry to the normalizer (`make collector` builds one):
    cctf run --chain --collector target/tools/bin/otelcol
  Your own application:
    cctf run --application examples/start --endpoints /checkout
  A service that moves from edge0 to cloud0 during the load:
    cctf run --migrate --endpoints json
  Repeat a recorded run with stand-ins: services that do the recorded work in place of the application:
    cctf run --stand-in logs/latest
  The same, with stand-ins on the nodes that a file assigns to them:
    cctf run --stand-in logs/latest --placement placement.json
  Services and a normalizer that already run, for example after `make up`:
    cctf run --target http://127.0.0.1:8080 --otlp-endpoint http://127.0.0.1:4317

The program of --application gets the environment variables of OpenTelemetry SDKs, such as OTEL_EXPORTER_OTLP_ENDPOINT. The
command also starts a tunable-svc, which the program may call; SERVICE_URL is its URL. As soon as the program accepts requests, it
must print one line:
{\"listening\": \"http://HOST:PORT\"}. The program must exit on SIGTERM.

--stand-in starts one tunable-svc for each recorded instance. These services execute the plan of the run, which is the recorded
work with the order of the calls (docs/plan.md). So the application is not needed. docs/stand-ins.md describes stand-ins, their
limits, and the file of --placement.

All processes listen on free ports of 127.0.0.1 (with --netns, on addresses of the namespaces). The command stops all of them at
the end. Ctrl-C stops the run early and keeps its files.

Exit codes:
  0  the run is complete and its folder is valid
  1  a child process failed, spans were lost, all requests of an endpoint failed, the folder is invalid, the run was
     interrupted, or the result cannot be printed
  2  invalid flag, environment variable or placement, the recorded run does not exist, or the new run's folder has files
  130  stopped at once by a second Ctrl-C";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, group = ArgGroup::new("nodes").args(["chain", "stand_in"]), after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf run --help")]
pub struct RunArgs {
    /// Endpoints that get load, one after the other: json, gzip, gunzip, hash, kvset, kvget, work, or paths such as /checkout.
    #[arg(long, env = "CCTF_ENDPOINTS", value_delimiter = ',', default_value = "json,gzip,hash,kvset,kvget",
          value_parser = parse_endpoint)]
    pub(super) endpoints: Vec<String>,
    #[command(flatten)]
    pub(super) load: LoadFlags,
    /// Start three services instead of one. Each request passes the nodes ep0 (user's device), edge0 and cloud0.
    #[arg(long, env = "CCTF_CHAIN")]
    pub(super) chain: bool,
    #[command(flatten)]
    pub(super) stand_ins: StandInFlags,
    // Ends the heading of the stand-ins, which would otherwise apply to all flags after it.
    #[command(flatten, next_help_heading = Option::<&'static str>::None)]
    pub(super) links: LinkFlags,
    /// Move the service from node edge0 to node cloud0 during the load.
    ///
    /// First, all endpoints get load on edge0, one after the other. Then all of them get load on cloud0. For a short time, two instances
    /// of the service run. The instance on cloud0 starts halfway through the last load on edge0. The instance on edge0 stops halfway
    /// through the first load on cloud0.
    #[arg(long, env = "CCTF_MIGRATE", conflicts_with_all = ["chain", "target", "node_id", "stage"])]
    pub(super) migrate: bool,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    pub(super) logs_dir: PathBuf,
    /// Path to the folder with the programs cctf-normalizer and tunable-svc. Default: the folder with the program cctf.
    #[arg(long, env = "CCTF_BIN_DIR", value_name = "DIR")]
    pub(super) bin_dir: Option<PathBuf>,
    /// URL of a service that already runs. The command sends load to it and starts no processes. Requires --otlp-endpoint.
    ///
    /// --logs-dir must be the folder to which the running normalizer writes.
    #[arg(long, env = "CCTF_TARGET", value_parser = parse_target, requires = "otlp_endpoint", conflicts_with_all = ["chain", "collector"])]
    pub(super) target: Option<Target>,
    /// With --target: URL to which the load driver exports its spans over OTLP, such as http://127.0.0.1:4317.
    ///
    /// The load driver is the part of this command that sends the requests. The other --otlp flags configure this export.
    #[arg(long, env = "CCTF_OTLP_ENDPOINT", value_name = "URL", requires = "target")]
    pub(super) otlp_endpoint: Option<String>,
    #[command(flatten)]
    pub(super) otlp: otlp_send::Flags,
    /// Path to a program that starts your own application. The load then goes to this application (see below).
    #[arg(long, env = "CCTF_APPLICATION", value_name = "PATH", conflicts_with_all = ["chain", "target"])]
    pub(super) application: Option<PathBuf>,
    /// Path to an OpenTelemetry Collector. The services then send their telemetry through the Collector to the normalizer.
    #[arg(long, env = "CCTF_COLLECTOR", value_name = "PATH")]
    pub(super) collector: Option<PathBuf>,
    /// Name of the node (machine) of the service. With --chain, the names are fixed.
    #[arg(long, env = "NODE_ID", default_value = "cloud0")]
    pub(super) node_id: String,
    /// Stage of this node: endpoint (user's device), edge, cloud or unknown.
    #[arg(long, env = "STAGE", default_value = "cloud", value_parser = parse_stage)]
    pub(super) stage: String,
    /// Name of the node (machine) of the load driver.
    #[arg(long, env = "CCTF_DRIVER_NODE_ID", default_value = "driver0")]
    pub(super) driver_node_id: String,
    /// Name of the application to which the load driver and the services belong (service.namespace).
    #[arg(long, env = "APP_ID")]
    pub(super) app_id: Option<String>,
    /// Number of worker slots (concurrent requests) of each service. Default: number of logical CPUs.
    #[arg(long, env = "WORKERS")]
    pub(super) workers: Option<u32>,
    /// Maximum number of requests that wait for a slot, per service.
    #[arg(long, env = "QUEUE_LIMIT")]
    pub(super) queue_limit: Option<u32>,
    /// Whether a request keeps its slot during a downstream call or the sleep of /work: held or released.
    #[arg(long, env = "SLOT_POLICY", value_parser = ["held", "released"])]
    pub(super) slot_policy: Option<String>,
    /// Time for which a row (a line of the files) waits for its parent span. Then the normalizer writes the row without a parent.
    ///
    /// If an ancestor span has arrived, it can be uncertain whether that span is a request. Then the row waits until this is certain, but
    /// in total at most twice the time of this flag.
    #[arg(long, env = "CCTF_JOIN_WINDOW", value_parser = parse_duration)]
    pub(super) join_window: Option<DurationArg>,
    /// Time without telemetry from an instance after which the normalizer considers the instance stopped.
    #[arg(long, env = "CCTF_STALE_AFTER", value_parser = parse_duration)]
    pub(super) stale_after: Option<DurationArg>,
    /// Time without telemetry after which the normalizer closes a run whose end was not reported.
    #[arg(long, env = "CCTF_RUN_IDLE", value_parser = parse_duration)]
    pub(super) run_idle: Option<DurationArg>,
    /// Output format.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    pub(super) format: Format,
}

impl RunArgs {
    /// The configuration of the child processes. If there is a network, the services run in it.
    pub(super) fn stack_config(
        &self,
        run_id: &str,
        logs_dir: &Path,
        services: Services,
        network: Option<Network>,
    ) -> anyhow::Result<StackConfig> {
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
            services,
            network,
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

    pub(super) fn identity(&self) -> DriverIdentity {
        DriverIdentity {
            node_id: Some(self.driver_node_id.clone()),
            stage: None,
            app_id: self.app_id.clone(),
        }
    }
}
