//! [`ReplayArgs`]: the command line of `cctf replay`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use replay::targets::{TargetFlag, allowed_host};

use super::noise::PAIRS_MAX;
use super::selection::SelectionFlags;
use crate::commands::Format;
use crate::commands::driver::DriverFlags;
use crate::commands::flags::{RunFlags, SendFlags};

const AFTER_HELP: &str = "\
Examples:
  A preview: what would be sent, and to which module:
    cctf replay logs/latest --dry-run
  Send the newest run to one service. The normalizer at this address records the replay, for cctf compare:
    export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317
    cctf replay logs/latest --target http://127.0.0.1:8080
  Two modules that users call, at twice the speed, without the first 10 seconds:
    cctf replay logs/latest --target front=http://127.0.0.1:8080 --target api=http://127.0.0.1:8081 --speed 2 --from 10s
  Three times the load, made of three copies of the run that are shifted in time. bodies.toml has bodies for your application:
    cctf replay logs/latest --target http://127.0.0.1:8080 --scale 3 --by overlap --bodies bodies.toml
  Send the requests to stand-ins instead of the application. The file lists the stand-ins and their addresses:
    cctf replay logs/latest --stand-in stand-ins.json
  Measure how often two replays differ because of this machine's noise alone. This compares 40 pairs of replays:
    cctf replay before --target http://127.0.0.1:8080 --aa 40

A replay sends only requests that came from outside: the calls of load drivers and clients, and requests whose sender was not
recorded. Each request leaves at its recorded time, whether or not earlier ones were answered. Requests between services are not
sent, because the live services send them. docs/replay.md describes bodies, scaling and limits.

With --stand-in, no application is needed: stand-ins are services that do the recorded work. The command first computes the plan of
the run: the work and the calls that each request caused in the recording. It prints how accurate the plan is (the self-check of
cctf plan). Then it sends the requests, each with its part of the plan as the body. docs/stand-ins.md describes stand-ins and their
file.

cctf compare compares the recorded run with its replay. Without --otlp-endpoint or OTEL_EXPORTER_OTLP_ENDPOINT, the replay is not
recorded. With --speed or --scale, the replay's arrival rate differs from the recorded one. So compare such a replay with another
replay at the same speed and scale.

Exit codes:
  0  all requests were sent, all spans were exported, and all lines of --out were written. (Lateness, statuses that differ from the
     recorded ones, and pairs of --aa that differ are results, not errors.)
  1  the run cannot be read or replayed, a service is unreachable, spans or lines were lost, or the replay was interrupted
  2  a flag, an environment variable, or the file of bodies or stand-ins is invalid; a module has no target or stand-in; the run
     does not exist; or another load driver has already started the new run
  130  stopped at once by a second Ctrl-C";

/// The quantity that stays as recorded if a stand-in's node is faster or slower than the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keep {
    /// CPU times are as recorded.
    Time,
    /// CPU times are multiplied by the ratio of the recorded node's speed (mips_per_core) to that of the stand-in's node.
    Work,
}

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf replay --help")]
pub struct ReplayArgs {
    /// Run id, or path to the folder of the recorded run.
    #[arg(value_name = "DIR|RUN_ID")]
    pub recorded: String,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    pub logs_dir: PathBuf,
    /// URL of the service that gets the requests. MODULE=URL is for the requests that the module (service) MODULE received in the recording.
    /// A URL alone is for all modules that have no --target of their own. Repeatable.
    #[arg(long = "target", env = "CCTF_TARGET", value_name = "[MODULE=]URL", required_unless_present_any = ["dry_run", "stand_in"], action = clap::ArgAction::Append)]
    pub targets: Vec<TargetFlag>,
    /// Path to a file that lists stand-ins. These services get the requests instead of the application.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["targets", "allowed", "bodies"])]
    pub stand_in: Option<PathBuf>,
    /// With --stand-in: what stays as recorded if a stand-in's node is faster or slower than the recorded node.
    #[arg(long, value_enum, default_value = "time", requires = "stand_in")]
    pub keep: Keep,
    /// Host, other than this machine, to which load may be sent. Repeatable.
    #[arg(long = "allow-target", value_name = "HOST", value_parser = allowed_host, action = clap::ArgAction::Append)]
    pub allowed: Vec<String>,
    #[command(flatten)]
    pub selection: SelectionFlags,
    /// Path to a TOML file with bodies by route. Default: valid bodies for the endpoints of tunable-svc, text for others.
    #[arg(long, value_name = "FILE")]
    pub bodies: Option<PathBuf>,
    /// Seed of random bodies and of random choices of --scale. Default: the seed of the recorded run, or 1 if the run has none.
    #[arg(long, env = "CCTF_SEED")]
    pub seed: Option<u64>,
    /// Refuse the replay if it would leave out or replace anything of the run.
    ///
    /// The command refuses the replay if the run has any of these: damaged lines; missing parts or files; requests whose caller is
    /// missing, unless --orphans root is set; requests from outside that are not HTTP; bodies of unknown content or size, or above
    /// 64 MiB; paths above 6 KiB; bodies from --bodies that do not have the recorded size; a request for a stored value without an
    /// earlier request that stores this value (/kv/get, /kv/set).
    ///
    /// With --stand-in, the command refuses the replay if the run has any of these: damaged lines; missing parts or files; requests whose caller
    /// is missing; requests from outside that no recorded instance processed; anything above the limits of a plan or a stand-in.
    #[arg(long)]
    pub strict: bool,
    /// Replay a run that has not ended: only the requests recorded so far.
    #[arg(long)]
    pub unfinished: bool,
    /// Replay the run N + 1 times, compare each replay with the next one, and keep the verdicts in false-alarms.json in --logs-dir.
    ///
    /// The verdicts show in what share of comparisons noise alone makes two replays differ. Later, cctf compare prints this share
    /// beside its own verdict. --aa requires --otlp-endpoint, and a normalizer that writes to --logs-dir. Each replay waits for the
    /// complete files of the previous one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=PAIRS_MAX), conflicts_with = "dry_run")]
    pub aa: Option<u64>,
    /// Print the preview and send nothing: requests by endpoint, modules that need a target, and what is not sent.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub sending: SendFlags,
    #[command(flatten)]
    pub run: RunFlags,
    #[command(flatten)]
    pub driver: DriverFlags,
    /// Output format.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    pub format: Format,
}
