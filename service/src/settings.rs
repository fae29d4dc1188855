//! Every setting, read once: flag over environment over default.

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

/// A workload service that is measured while it works.
#[derive(Debug, Parser)]
#[command(name = "tunable-svc", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to serve.
    #[command(flatten)]
    pub settings: Settings,
}

/// What the binary can do besides serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a running service whether it is ready: exit 0 if so, 1 if not
    Healthcheck {
        /// Its admin listener
        #[arg(long, env = "ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
        admin_listen: SocketAddr,
    },
}

/// Whether a slot is kept while a downstream call is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SlotPolicy {
    /// The slot waits for the call or sleep, as a thread-per-request service does
    Held,
    /// The slot serves others meanwhile; the request queues again afterwards
    Released,
}

impl SlotPolicy {
    /// Its name in telemetry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
        }
    }
}

/// The service's settings.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Address to serve on; port 0 takes a free one [default: 0.0.0.0:PORT]
    #[arg(long, env = "LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Port to serve on when no address is given
    #[arg(long, env = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Address of /livez, /readyz and /metrics; port 0 takes a free one
    #[arg(long, env = "ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
    pub admin_listen: SocketAddr,
    /// Who and where this instance is
    #[command(flatten)]
    pub identity: Identity,

    /// Worker slots: requests worked on at once [default: the logical CPUs]
    #[arg(long, env = "WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// Requests that may wait for a slot before new ones are answered 503
    #[arg(long, env = "QUEUE_LIMIT", default_value_t = 1024, value_parser = parse_queue_limit)]
    pub queue_limit: usize,
    /// Whether a slot is kept during a downstream call or the sleep of /work
    #[arg(long, env = "SLOT_POLICY", value_enum, default_value = "held")]
    pub slot_policy: SlotPolicy,
    /// Threads for HTTP input and output, apart from the slots [default: half of the logical CPUs]
    #[arg(long, env = "IO_WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub io_workers: Option<u16>,
    /// Connections open at once, per I/O thread
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 10_000)]
    pub max_connections: usize,

    /// Next hop of every request that names none itself
    #[arg(long, env = "DEFAULT_NEXT_URL", value_parser = NextUrl::parse_setting)]
    pub default_next_url: Option<NextUrl>,
    /// Origins that X-Next-Url and call_url may name, comma-separated, such as http://10.0.0.2:8080
    #[arg(long, env = "NEXT_URL_ALLOW", value_parser = AllowList::parse_setting, default_value = "")]
    pub next_url_allow: AllowList,
    /// Deadline of a downstream call, milliseconds
    #[arg(long, env = "NEXT_TIMEOUT_MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub next_timeout_ms: u64,
    /// Hops after which a request is answered 508
    #[arg(long, env = "HOP_LIMIT", default_value_t = 8)]
    pub hop_limit: u32,

    /// Largest request body, bytes
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = 16 << 20)]
    pub max_body_bytes: usize,
    /// Most that /blob/gunzip makes of a body, bytes
    #[arg(long, env = "MAX_GUNZIP_BYTES", default_value_t = 64 << 20)]
    pub max_gunzip_bytes: usize,
    /// Largest size of the key-value file, MiB
    #[arg(long, env = "KV_MAX_MB", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub kv_max_mb: u32,
    /// Folder for this service's files [default: a temporary folder, removed at the end]. With no OTLP receiver given, a
    /// normalizer is started as a child and leaves the run's CCTF files in it
    #[arg(long, env = "LOG_PATH")]
    pub log_path: Option<PathBuf>,
    /// Binary of that normalizer [default: cctf-normalizer beside this binary]
    #[arg(long, env = "NORMALIZER")]
    pub normalizer: Option<PathBuf>,
    /// How long requests may take to finish after SIGTERM, milliseconds
    #[arg(long, env = "DRAIN_TIMEOUT_MS", default_value_t = 4000)]
    pub drain_timeout_ms: u64,
    /// Where and how telemetry goes
    #[command(flatten)]
    pub otel_flags: OtelFlags,
    /// The same, with the variables of OpenTelemetry.
    #[arg(skip)]
    pub otel: OtelSettings,
}

/// Who and where an instance is.
#[derive(Debug, Clone, Args)]
pub struct Identity {
    /// Node this instance runs on [default: the host's name, as host.name]
    #[arg(long, env = "NODE_ID")]
    pub node_id: Option<String>,
    /// Where the node stands
    #[arg(long, env = "STAGE", value_parser = stage_parser())]
    pub stage: Option<Stage>,
    /// Application this module belongs to
    #[arg(long, env = "APP_ID")]
    pub app_id: Option<String>,
    /// Module of the application [default: OTEL_SERVICE_NAME, else tunable-svc]
    #[arg(long, env = "MODULE_ID")]
    pub module_id: Option<String>,
    /// This copy of the module [default: a random id]
    #[arg(long, env = "INSTANCE_ID")]
    pub instance_id: Option<String>,
    /// Run that everything this process does belongs to
    #[arg(long, env = "RUN_ID", value_parser = keys::parse_run_id)]
    pub run_id: Option<String>,
    /// Region of the node
    #[arg(long, env = "REGION")]
    pub region: Option<String>,
    /// Zone of the node
    #[arg(long, env = "ZONE")]
    pub zone: Option<String>,
    /// Million instructions per second and core of the node, if known
    #[arg(long, env = "MIPS_PER_CORE", value_parser = parse_positive)]
    pub mips_per_core: Option<f64>,
    /// Power of the idle node, watts, if known
    #[arg(long, env = "POWER_IDLE_W", value_parser = parse_positive)]
    pub power_idle_w: Option<f64>,
    /// Power of the fully loaded node, watts, if known
    #[arg(long, env = "POWER_MAX_W", value_parser = parse_positive)]
    pub power_max_w: Option<f64>,
}

impl CommandLine {
    /// Reads the command line and the environment. A variable that is set to nothing counts as not set.
    ///
    /// # Errors
    /// clap's, of which help and version are two.
    pub fn read(args: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Self, clap::Error> {
        let mut command = ignore_empty_variables(Self::command()).mut_subcommands(ignore_empty_variables);
        let mut line = Self::from_arg_matches(&command.try_get_matches_from_mut(args)?)?;
        if line.command.is_none() {
            let settings = &mut line.settings;
            settings.otel = OtelSettings::resolve(&settings.otel_flags, Variables::of_process())
                .map_err(|error| command.error(ErrorKind::ValueValidation, error))?;
        }
        Ok(line)
    }
}

impl Settings {
    /// Address to serve on.
    pub fn listen_address(&self) -> SocketAddr {
        self.listen
            .unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], self.port)))
    }

    /// Worker slots.
    pub fn worker_count(&self) -> usize {
        self.workers.map_or_else(logical_cpus, usize::from)
    }

    /// Threads for HTTP input and output.
    pub fn io_worker_count(&self) -> usize {
        self.io_workers
            .map_or_else(|| (logical_cpus() / 2).max(1), usize::from)
    }

    /// Deadline of a downstream call.
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
        _ => Err("use a positive number".to_owned()),
    }
}

fn parse_queue_limit(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(limit) if limit <= 1 << 20 => Ok(limit),
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
    fn the_defaults_are_the_runbooks() {
        let settings = read(&[]).unwrap().settings;
        assert_eq!(settings.listen_address().to_string(), "0.0.0.0:8080");
        assert_eq!(settings.queue_limit, 1024);
        assert_eq!(settings.slot_policy, SlotPolicy::Held);
        assert_eq!(settings.worker_count(), logical_cpus());
        assert!(settings.default_next_url.is_none());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for bad in [
            ["--workers", "0"],
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
