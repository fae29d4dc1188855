//! Every setting, read once. Flags override environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cctf_proto::cctf::Stage;
use cctf_proto::keys;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use cli::ignore_empty_variables;
use otlp_send::Variables;

use crate::forward::allow::{AllowList, NextUrl};

mod otel;

pub use otel::{OtelFlags, OtelSettings};

/// Maximum of QUEUE_LIMIT. The entries of a queue of this length need little memory.
const QUEUE_LIMIT_MAX: usize = 1 << 20;

const AFTER_HELP: &str = "\
Flags override environment variables. The service also reads variables without a flag: OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME,
OTEL_TRACES_SAMPLER and others of OpenTelemetry, which docs/sending.md lists, and RUST_LOG (log level, such as debug).";

/// Workload service that reports its own queueing, CPU time and calls over OTLP
#[derive(Debug, Parser)]
#[command(name = "tunable-svc", version, args_conflicts_with_subcommands = true, after_help = AFTER_HELP)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub settings: Settings,
}

/// Commands of the binary, in addition to serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check whether a running service is ready. Exit code 0 means ready, 1 not ready
    Healthcheck {
        /// Address of the service's admin listener
        #[arg(long, env = "ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
        admin_listen: SocketAddr,
    },
}

/// Whether a request keeps its slot during a downstream call or sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SlotPolicy {
    /// The request keeps its slot, as in a thread-per-request service
    Held,
    /// The slot processes other requests during this time. After the call or sleep, the request waits in the queue for a slot
    /// again
    Released,
}

/// The number of worker slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    Limited(u16),
    /// One slot for each request, as in an application that reports no queue.
    Unlimited,
}

impl Workers {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count @ 1..=1024) => Ok(Self::Limited(count)),
            _ if text == "unlimited" => Ok(Self::Unlimited),
            _ => Err("use a number from 1 to 1024, or unlimited for a stand-in".to_owned()),
        }
    }
}

impl SlotPolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
        }
    }
}

#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Address to listen on; port 0 selects a free one [default: 0.0.0.0:PORT]
    #[arg(long, env = "LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Port to listen on if --listen is not set
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Address to listen on for /livez, /readyz and /metrics; port 0 selects a free one
    #[arg(long, env = "ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
    pub admin_listen: SocketAddr,
    /// Number of worker slots, each of which works on one request at a time. For a stand-in also `unlimited` [default: number of logical CPUs]
    #[arg(long, env = "WORKERS", value_parser = Workers::parse)]
    pub workers: Option<Workers>,
    /// Maximum number of requests that wait for a slot; further ones get status 503
    #[arg(long, env = "QUEUE_LIMIT", default_value_t = 1024, value_parser = parse_queue_limit)]
    pub queue_limit: usize,
    /// Whether a request keeps its slot during a downstream call or the sleep of /work
    #[arg(long, env = "SLOT_POLICY", value_enum, default_value = "held")]
    pub slot_policy: SlotPolicy,
    /// Number of threads that read requests and write responses, in addition to the slots' threads [default: half of the logical CPUs]
    #[arg(long, env = "IO_WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub io_workers: Option<u16>,
    /// Maximum number of open connections per I/O thread
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 10_000)]
    pub max_connections: usize,

    /// Path to the stand-ins file. The service then does the recorded work that the body of each request contains, instead of the work
    /// of its own endpoints (docs/stand-ins.md)
    ///
    /// The file lists the addresses of the stand-ins for other modules. It need not exist when this service starts, but must be complete
    /// before the first request.
    #[arg(long, env = "STAND_IN")]
    pub stand_in: Option<PathBuf>,

    /// URL of the next service to call, for requests that name none in X-Next-Url or call_url
    #[arg(long, env = "DEFAULT_NEXT_URL", value_parser = NextUrl::parse_setting)]
    pub default_next_url: Option<NextUrl>,
    /// Origins that the service may call if a request asks for it, comma-separated, such as http://10.0.0.2:8080 [default: none]
    ///
    /// A request names a URL to call in the header X-Next-Url, or in the parameter call_url of /work. The origin of --default-next-url is
    /// always allowed.
    #[arg(long, env = "NEXT_URL_ALLOW", value_parser = AllowList::parse_setting, default_value = "", hide_default_value = true)]
    pub next_url_allow: AllowList,
    /// Timeout of a downstream call, milliseconds
    #[arg(long, env = "NEXT_TIMEOUT_MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub next_timeout_ms: u64,
    /// Maximum number of services that a request may pass. The next service answers with status 508
    #[arg(long, env = "HOP_LIMIT", default_value_t = 8)]
    pub hop_limit: u32,

    /// Maximum size of a request body, bytes
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = 16 << 20)]
    pub max_body_bytes: usize,
    /// Maximum size of a body decompressed by /blob/gunzip, bytes
    #[arg(long, env = "MAX_GUNZIP_BYTES", default_value_t = 64 << 20)]
    pub max_gunzip_bytes: usize,
    /// Maximum size of the key-value file, MiB
    #[arg(long, env = "KV_MAX_MB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub kv_max_mb: u32,
    /// Path to the folder for this service's files [default: a temporary folder, removed on exit]
    ///
    /// If this folder is set and no OTLP receiver is configured, the service starts a normalizer, which writes the run's CCTF files to
    /// the folder.
    #[arg(long, env = "LOG_PATH")]
    pub log_path: Option<PathBuf>,
    /// Path to the program cctf-normalizer [default: in the folder of this program]
    #[arg(long, env = "NORMALIZER")]
    pub normalizer: Option<PathBuf>,
    /// Maximum time after SIGTERM for requests in progress to finish, milliseconds
    #[arg(long, env = "DRAIN_TIMEOUT_MS", default_value_t = 4000)]
    pub drain_timeout_ms: u64,
    // The heading of a flattened group applies to all flags after it, so groups come last.
    #[command(flatten)]
    pub identity: InstanceIdentity,
    #[command(flatten)]
    pub otel_flags: OtelFlags,
    /// The flags above, combined with the OTEL_ variables.
    #[arg(skip)]
    pub otel: OtelSettings,
}

/// An instance's identity and place.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Identity and node")]
pub struct InstanceIdentity {
    /// Name of the node that this instance runs on [default: the host name]
    #[arg(long, env = "NODE_ID")]
    pub node_id: Option<String>,
    /// Stage of the node; endpoint means the user's device
    #[arg(long, env = "STAGE", value_parser = stage_parser())]
    pub stage: Option<Stage>,
    /// Name of the application to which this service belongs
    #[arg(long, env = "APP_ID")]
    pub app_id: Option<String>,
    /// Name of the module (component of the application) that this service represents [default: OTEL_SERVICE_NAME, else tunable-svc]
    #[arg(long, env = "MODULE_ID")]
    pub module_id: Option<String>,
    /// Id of this instance (process) of the module [default: a random id]
    #[arg(long, env = "INSTANCE_ID")]
    pub instance_id: Option<String>,
    /// Id of the run (experiment) to which all telemetry of this process belongs
    #[arg(long, env = "RUN_ID", value_parser = keys::parse_run_id)]
    pub run_id: Option<String>,
    /// Region of the node
    #[arg(long, env = "REGION")]
    pub region: Option<String>,
    /// Zone of the node
    #[arg(long, env = "ZONE")]
    pub zone: Option<String>,
    /// Million instructions per second of one core of the node
    #[arg(long, env = "MIPS_PER_CORE", value_parser = parse_positive)]
    pub mips_per_core: Option<f64>,
    /// Power of the idle node, watts
    #[arg(long, env = "POWER_IDLE_W", value_parser = parse_positive)]
    pub power_idle_w: Option<f64>,
    /// Power of the fully loaded node, watts
    #[arg(long, env = "POWER_MAX_W", value_parser = parse_positive)]
    pub power_max_w: Option<f64>,
}

impl CommandLine {
    /// Reads the command line and the environment. An empty variable counts as unset.
    ///
    /// # Errors
    /// clap's, which include help and version.
    pub fn read(args: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, clap::Error> {
        let mut command = ignore_empty_variables(Self::command()).mut_subcommands(ignore_empty_variables);
        let mut line = Self::from_arg_matches(&command.try_get_matches_from_mut(args)?)?;
        if line.command.is_none() {
            let settings = &mut line.settings;
            settings
                .adapt_to_stand_in()
                .map_err(|error| command.error(ErrorKind::ArgumentConflict, error))?;
            settings.otel = OtelSettings::resolve(&settings.otel_flags, Variables::from_process())
                .map_err(|error| command.error(ErrorKind::ValueValidation, error))?;
        }
        Ok(line)
    }
}

impl Settings {
    pub fn listen_address(&self) -> SocketAddr {
        self.listen
            .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], self.port)))
    }

    /// Number of worker slots; `None` means unlimited.
    pub fn slots(&self) -> Option<usize> {
        match self.workers {
            Some(Workers::Limited(count)) => Some(usize::from(count)),
            Some(Workers::Unlimited) => None,
            None => Some(logical_cpus()),
        }
    }

    /// Number of worker slots to start with.
    pub fn first_slots(&self) -> usize {
        self.slots().unwrap_or_else(logical_cpus)
    }

    /// For a stand-in, sets the limits of bodies and hops to those of plans. Unlimited slots stand for a service without a queue:
    /// a request keeps its slot during calls, and the limit of the queue is its maximum. Without a stand-in, unlimited slots are
    /// an error.
    fn adapt_to_stand_in(&mut self) -> Result<(), &'static str> {
        if self.stand_in.is_some() {
            self.max_body_bytes = self.max_body_bytes.max(standin::BODY_BYTES_MAX as usize);
            self.hop_limit = standin::DEPTH_MAX + 1;
            if self.workers == Some(Workers::Unlimited) {
                self.slot_policy = SlotPolicy::Held;
                self.queue_limit = QUEUE_LIMIT_MAX;
            }
        } else if self.workers == Some(Workers::Unlimited) {
            return Err("unlimited workers require --stand-in");
        }
        Ok(())
    }

    pub fn io_worker_count(&self) -> usize {
        self.io_workers
            .map_or_else(|| (logical_cpus() / 2).max(1), usize::from)
    }

    pub fn next_timeout(&self) -> Duration {
        Duration::from_millis(self.next_timeout_ms)
    }
}

/// Logical CPUs that this process may use.
pub fn logical_cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn stage_parser() -> impl TypedValueParser<Value = Stage> {
    PossibleValuesParser::new(Stage::ALL.iter().map(|stage| stage.as_str()))
        .try_map(|text| Stage::parse(&text).ok_or("not a stage"))
}

fn parse_positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("use a number above 0".to_owned()),
    }
}

fn parse_queue_limit(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(limit) if limit <= QUEUE_LIMIT_MAX => Ok(limit),
        _ => Err("use a number from 0 to 1048576".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<CommandLine, clap::Error> {
        CommandLine::read(
            std::iter::once("tunable-svc")
                .chain(args.iter().copied())
                .map(Into::into),
        )
    }

    #[test]
    fn the_defaults_are_those_of_the_runbook() {
        let settings = read(&[]).unwrap().settings;
        assert_eq!(settings.listen_address().to_string(), "0.0.0.0:8080");
        assert_eq!(settings.queue_limit, 1024);
        assert_eq!(settings.slot_policy, SlotPolicy::Held);
        assert_eq!(settings.slots(), Some(logical_cpus()));
        assert!(settings.default_next_url.is_none());
    }

    #[test]
    fn invalid_settings_are_refused() {
        for bad in [
            ["--workers", "0"],
            ["--workers", "1025"],
            ["--workers", "unlimited"],
            ["--queue-limit", "-1"],
            ["--slot-policy", "maybe"],
            ["--stage", "moon"],
            ["--run-id", "../../etc"],
            ["--default-next-url", "https://127.0.0.1/"],
            ["--next-url-allow", "not a url"],
            ["--otlp-endpoint", "gopher://collector:4317"],
            ["--span-batch-size", "0"],
            ["--otlp-protocol", "http/json"],
            ["--no-such-flag", "1"],
        ] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_stand_in_has_the_bounds_of_plans_and_may_have_unlimited_slots() {
        let settings = read(&["--stand-in", "s.json", "--workers", "unlimited"])
            .unwrap()
            .settings;
        assert_eq!((settings.slots(), settings.first_slots()), (None, logical_cpus()));
        assert_eq!(settings.max_body_bytes, 64 << 20);
        assert_eq!(settings.hop_limit, 65);
        let more = [
            "--stand-in",
            "s.json",
            "--workers",
            "unlimited",
            "--hop-limit",
            "200",
        ];
        let more = [&more[..], &["--slot-policy", "released", "--queue-limit", "5"]].concat();
        let settings = read(&more).unwrap().settings;
        assert_eq!(settings.hop_limit, 65);
        assert_eq!(
            (settings.slot_policy, settings.queue_limit),
            (SlotPolicy::Held, QUEUE_LIMIT_MAX)
        );
        assert_eq!(read(&[]).unwrap().settings.hop_limit, 8);
    }

    #[test]
    fn a_disabled_sdk_exports_nothing() {
        let endpoint = ["--otlp-endpoint", "https://collector:4317"];
        let traces = |more: &[&str]| {
            let line = read(&[&endpoint, more].concat()).unwrap();
            line.settings.otel.traces.map(|traces| traces.to_string())
        };
        assert_eq!(traces(&[]).as_deref(), Some(endpoint[1]));
        assert_eq!(
            traces(&["--otel-sdk-disabled", "false"]).as_deref(),
            Some(endpoint[1])
        );
        assert_eq!(traces(&["--otel-sdk-disabled"]), None);
        assert_eq!(traces(&["--otel-sdk-disabled", "true"]), None);
    }
}
