//! The command line: every flag with its environment variable, read once into [`Config`].

mod explicit_flags;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cctf_proto::cctf::Stage;
use cctf_proto::keys;
use clap::{Args, Parser, Subcommand};

use crate::connections::TlsFiles;
use crate::journal::{Durability, QueueLimits, StoreSettings};
use crate::mapping::MAPPING_VERSION;
use crate::pipeline::{Settings, queue_share};
use crate::receiver::{ReceiverLimits, parse_origin};
use cli::units::parse_duration;
use values::{parse_any_size, parse_number, parse_size, parse_stage, parse_stage_of};

pub use explicit_flags::ExplicitFlags;
pub use values::first_sentence;

// Headings of the help.
const SECURITY: &str = "Security";
const RUNS: &str = "Rows and runs";
const JOURNAL: &str = "Journal";
const LIMITS: &str = "Limits";

/// Receive OpenTelemetry data over OTLP and write it to the CCTF files of each run.
///
/// A run is one experiment. Its CCTF files contain one JSON row per request, call or measurement; docs/cctf.md describes them.
/// Before the normalizer acknowledges a request, it writes the request to a log on disk, the journal.
///
/// Every flag has an environment variable, except --repair and --remap, which apply to a single start. Flags override variables.
#[derive(Debug, Parser)]
#[command(name = "cctf-normalizer", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub config: Config,
}

/// Commands other than receiving telemetry.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check whether a running normalizer is ready. Exit code 0 means ready, 1 not ready.
    Healthcheck {
        /// URL of the normalizer's admin listener.
        #[arg(
            long,
            env = "ADMIN_URL",
            default_value = "http://127.0.0.1:9464",
            value_name = "URL"
        )]
        admin: String,
    },
    /// Recompute the files of all runs in a journal and write them to a new --out-dir.
    ///
    /// The replay starts with the oldest segment (file) in the journal. Without --keep-raw, a normalizer deletes segments that its own
    /// recovery no longer needs. So only a journal that was kept with --keep-raw from the start has all runs from their beginning.
    ///
    /// Options and variables set here override the settings stored in the journal. No receiver starts, so the options of receivers and
    /// listeners are ignored.
    ReplayJournal {
        /// Path to the folder with the journal's segments.
        #[arg(value_name = "DIR")]
        journal: PathBuf,
        #[command(flatten)]
        config: Box<Config>,
    },
}

/// The operator's settings.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Path to the folder of all runs. Each run gets a subfolder.
    #[arg(long, env = "OUT_DIR", default_value = "logs", value_name = "FOLDER")]
    pub out_dir: PathBuf,

    /// Address to listen on for OTLP/gRPC. Port 0 selects a free port.
    #[arg(
        long,
        env = "GRPC_LISTEN",
        default_value = "127.0.0.1:4317",
        value_name = "IP:PORT"
    )]
    pub grpc_listen: SocketAddr,
    /// Address to listen on for OTLP/HTTP. Port 0 selects a free port.
    #[arg(
        long,
        env = "HTTP_LISTEN",
        default_value = "127.0.0.1:4318",
        value_name = "IP:PORT"
    )]
    pub http_listen: SocketAddr,
    /// Address to listen on for health checks, metrics and the live page.
    #[arg(
        long,
        env = "ADMIN_LISTEN",
        default_value = "127.0.0.1:9464",
        value_name = "IP:PORT"
    )]
    pub admin_listen: SocketAddr,

    /// Path to the certificate chain (PEM) of both OTLP listeners. Clients must then use TLS.
    ///
    /// SIGHUP reloads the certificate, the key, the client CAs and the tokens.
    #[arg(long, help_heading = SECURITY, env = "TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Path to the private key (PEM) of the certificate.
    #[arg(long, help_heading = SECURITY, env = "TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Path to CA certificates (PEM). Clients must present a certificate signed by one of them.
    #[arg(long, help_heading = SECURITY, env = "TLS_CLIENT_CA", value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
    /// Path to a file with bearer tokens, one per line. Every OTLP request must present one of them.
    #[arg(long, help_heading = SECURITY, env = "TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Origin of web pages that may send OTLP/HTTP from a browser, such as https://shop.example, or * for every origin.
    /// Repeatable. Default: none.
    #[arg(long, help_heading = SECURITY, env = "CORS_ALLOW_ORIGIN", value_name = "ORIGIN", value_parser = parse_origin, value_delimiter = ',')]
    pub cors_allow_origin: Vec<String>,

    /// Run id for telemetry that has none. Default: time of the first start with this --out-dir, and six random letters.
    #[arg(long, help_heading = RUNS, env = "RUN_ID", value_name = "ID", value_parser = keys::parse_run_id)]
    pub run_id: Option<String>,
    /// Time for which a row waits for its parent span. Then the normalizer writes the row without a parent, as an orphan.
    ///
    /// If an ancestor span has arrived, it can be uncertain whether that span is a request. Then the row waits until this is certain, but
    /// in total at most twice the time of this flag.
    #[arg(long, help_heading = RUNS, env = "JOIN_WINDOW", default_value = "15s", value_name = "DURATION", value_parser = parse_duration)]
    pub join_window: Duration,
    /// Time for which the normalizer remembers a span or data point, to detect its duplicates.
    #[arg(long, help_heading = RUNS, env = "DEDUP_WINDOW", default_value = "120s", value_name = "DURATION", value_parser = parse_duration)]
    pub dedup_window: Duration,
    /// Time without telemetry after which the normalizer considers an instance stopped.
    #[arg(long, help_heading = RUNS, env = "STALE_AFTER", default_value = "180s", value_name = "DURATION", value_parser = parse_duration)]
    pub stale_after: Duration,
    /// Time without telemetry after which the normalizer closes a run whose end was not reported.
    #[arg(long, help_heading = RUNS, env = "RUN_IDLE", default_value = "60s", value_name = "DURATION", value_parser = parse_duration)]
    pub run_idle: Duration,
    /// Stage (endpoint, edge or cloud) of a node, region or service whose telemetry reports none, such as edge0=edge. Repeatable.
    #[arg(long, help_heading = RUNS, env = "STAGE_OF", value_name = "KEY=STAGE", value_parser = parse_stage_of, value_delimiter = ',')]
    pub stage_of: Vec<(String, Stage)>,
    /// Stage of nodes whose stage is set neither by their telemetry nor by --stage-of. Default: unknown.
    #[arg(long, help_heading = RUNS, env = "DEFAULT_STAGE", value_name = "STAGE", value_parser = parse_stage)]
    pub default_stage: Option<Stage>,
    /// Name of a metric to write to system_stats.jsonl. Repeatable. The names replace the default list.
    #[arg(long, help_heading = RUNS, env = "KEEP_METRIC", value_name = "NAME", value_delimiter = ',')]
    pub keep_metric: Vec<String>,
    /// Keep the query string of every URL in invocations.jsonl. Queries can contain personal data and tokens.
    #[arg(long, help_heading = RUNS, env = "KEEP_QUERY")]
    pub keep_query: bool,
    /// Maximum number of runs that are open at once. Rows of further runs are rejected.
    #[arg(long, help_heading = LIMITS, env = "OPEN_RUNS_MAX", default_value = "256", value_name = "NUMBER", value_parser = parse_number)]
    pub open_runs_max: usize,

    /// Maximum memory for tables (waiting rows, remembered spans, inventories) and queued requests.
    ///
    /// Above it, the rows that have waited longest are written early. A row whose parent span has not arrived becomes an orphan.
    #[arg(long, help_heading = LIMITS, env = "MEMORY_LIMIT", default_value = "256MiB", value_name = "SIZE", value_parser = parse_any_size)]
    pub memory_limit: u64,
    /// Size of a run's folder at which the run continues in the next folder, <RUN_ID>-0002 and so on. 0 means unlimited.
    #[arg(long, help_heading = RUNS, env = "ROLL_BYTES", default_value = "8GiB", value_name = "SIZE", value_parser = parse_any_size)]
    pub roll_bytes: u64,
    /// Age of a run's folder at which the run continues in the next folder. 0s means unlimited.
    #[arg(long, help_heading = RUNS, env = "ROLL_AGE", default_value = "0s", value_name = "DURATION", value_parser = parse_duration)]
    pub roll_age: Duration,

    /// Point at which the normalizer acknowledges a request.
    #[arg(long, help_heading = JOURNAL, env = "DURABILITY", value_enum, default_value_t = Durability::Fsync)]
    pub durability: Durability,
    /// Path to the journal's folder. Default: OUT_DIR/.journal/RUN_ID, with the values of --out-dir and --run-id.
    #[arg(long, help_heading = JOURNAL, env = "JOURNAL_DIR", value_name = "FOLDER")]
    pub journal_dir: Option<PathBuf>,
    /// Size of a segment. A segment is one file of the journal.
    #[arg(long, help_heading = JOURNAL, env = "SEGMENT_BYTES", default_value = "64MiB", value_name = "SIZE", value_parser = parse_size)]
    pub segment_bytes: usize,
    /// Keep segments of the journal that recovery no longer needs, so that replay-journal can read them.
    #[arg(long, help_heading = JOURNAL, env = "KEEP_RAW")]
    pub keep_raw: bool,
    /// Skip damaged parts of the journal and report how many records were lost.
    #[arg(long, help_heading = JOURNAL)]
    pub repair: bool,

    /// After a crash, continue with the journal of a normalizer version that maps OpenTelemetry to CCTF differently.
    ///
    /// The normalizer truncates all files to the lengths that they had at the last checkpoint of the other version. Then it recomputes
    /// all later rows with its own mapping.
    #[arg(long, help_heading = JOURNAL)]
    pub remap: bool,

    /// Minimum free space on the disks with the runs and the journal. Below it, requests are refused. Default: 256MiB or 2% of
    /// the disk, whichever is smaller.
    ///
    /// With 0, requests are refused only when a write fails.
    #[arg(long, help_heading = LIMITS, env = "DISK_FREE_MIN", value_name = "SIZE", value_parser = parse_any_size)]
    pub disk_free_min: Option<u64>,

    /// Maximum size of one OTLP message, both before and after decompression.
    #[arg(long, help_heading = LIMITS, env = "MESSAGE_BYTES_MAX", default_value = "64MiB", value_name = "SIZE", value_parser = parse_size)]
    pub message_bytes_max: usize,
    /// Maximum total size of all requests that are being received.
    #[arg(long, help_heading = LIMITS, env = "IN_FLIGHT_BYTES_MAX", default_value = "256MiB", value_name = "SIZE", value_parser = parse_size)]
    pub in_flight_bytes_max: usize,
    /// Maximum total size of all requests that wait for processing. Default, and upper bound: an eighth of --memory-limit.
    #[arg(long, help_heading = LIMITS, env = "QUEUE_BYTES_MAX", value_name = "SIZE", value_parser = parse_size)]
    pub queue_bytes_max: Option<usize>,
    /// Maximum number of requests that wait for processing.
    #[arg(long, help_heading = LIMITS, env = "QUEUE_REQUESTS_MAX", default_value = "65536", value_name = "NUMBER", value_parser = parse_number)]
    pub queue_requests_max: usize,
    /// Maximum number of connections per listener.
    #[arg(long, help_heading = LIMITS, env = "CONNECTIONS_MAX", default_value = "16384", value_name = "NUMBER", value_parser = parse_number)]
    pub connections_max: usize,
    /// Shut down gracefully when stdin closes, for example because the parent process died.
    #[arg(long, env = "STOP_WITH_STDIN")]
    pub stop_with_stdin: bool,
    /// Number of receiver threads.
    ///
    /// One more thread writes the journal, and another one computes the rows. One receiver thread is fast enough to keep both busy. More
    /// receiver threads help only with TLS and compression.
    #[arg(long, env = "RECEIVER_THREADS", default_value = "1", value_name = "NUMBER", value_parser = parse_number)]
    pub receiver_threads: usize,
}

impl Config {
    /// Settings of the pipeline. `run_id` is the id of the normalizer's own run.
    pub fn pipeline_settings(&self, run_id: String) -> Settings {
        let mut settings = Settings {
            run_id,
            join_window: self.join_window,
            dedup_window: self.dedup_window,
            stale_after: self.stale_after,
            run_idle: self.run_idle,
            stages: self.stage_of.clone(),
            default_stage: self.default_stage,
            keep_query: self.keep_query,
            open_runs_max: self.open_runs_max,
            memory_limit: self.memory_limit,
            roll_bytes: Some(self.roll_bytes).filter(|&bytes| bytes > 0),
            roll_age: Some(self.roll_age).filter(|age| !age.is_zero()),
            ..Settings::default()
        };
        if !self.keep_metric.is_empty() {
            settings.kept_metrics.clone_from(&self.keep_metric);
        }
        settings
    }

    /// Settings of the journal. `run_id` is the id of the normalizer's own run.
    pub fn store_settings(&self, run_id: &str) -> StoreSettings {
        let by_default = || self.out_dir.join(".journal").join(run_id);
        StoreSettings {
            folder: self.journal_dir.clone().unwrap_or_else(by_default),
            durability: self.durability,
            segment_bytes: self.segment_bytes as u64,
            keep_raw: self.keep_raw,
            mapping_version: MAPPING_VERSION,
        }
    }

    /// Paths to the certificates; `None` without TLS.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        Some(TlsFiles {
            cert: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
            client_ca: self.tls_client_ca.clone(),
        })
    }

    pub fn receiver_limits(&self) -> ReceiverLimits {
        ReceiverLimits {
            message_bytes_max: self.message_bytes_max,
            in_flight_bytes_max: self.in_flight_bytes_max,
        }
    }

    pub fn queue_limits(&self) -> QueueLimits {
        let share = queue_share(self.memory_limit) as usize;
        QueueLimits {
            requests_max: self.queue_requests_max,
            bytes_max: self.queue_bytes_max.map_or(share, |bytes| bytes.min(share)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<CommandLine, String> {
        CommandLine::try_parse_from([&["cctf-normalizer"], arguments].concat())
            .map_err(|error| first_sentence(&error))
    }

    #[test]
    fn settings_come_from_flags() {
        let flags = [
            "--join-window",
            "1s",
            "--stage-of",
            "n1=edge",
            "--stage-of",
            "eu-1=cloud",
            "--keep-metric",
            "m",
        ];
        let config = parse(&flags).unwrap().config;
        let settings = config.pipeline_settings("r".to_owned());
        assert_eq!(settings.join_window, Duration::from_secs(1));
        assert_eq!(
            settings.stages,
            [("n1".to_owned(), Stage::Edge), ("eu-1".to_owned(), Stage::Cloud)]
        );
        assert_eq!(settings.kept_metrics, ["m"]);
        assert!(!settings.keep_query);
        let keeping = parse(&["--keep-query"]).unwrap().config;
        assert!(keeping.pipeline_settings("r".to_owned()).keep_query);
        assert_eq!(settings.dedup_window, Settings::default().dedup_window);
        assert_eq!(
            parse(&[])
                .unwrap()
                .config
                .pipeline_settings("r".to_owned())
                .kept_metrics,
            Settings::KEPT_METRICS
        );
    }

    #[test]
    fn the_queue_has_an_eighth_of_the_memory_unless_less_is_set() {
        for (flags, mib) in [
            (&[][..], 32),
            (&["--memory-limit", "1GiB"], 128),
            (&["--queue-bytes-max", "8MiB"], 8),
            (&["--queue-bytes-max", "64MiB"], 32),
        ] {
            let limits = parse(flags).unwrap().config.queue_limits();
            assert_eq!(limits.bytes_max, mib << 20, "{flags:?}");
        }
    }

    #[test]
    fn an_invalid_flag_is_one_sentence() {
        for (flags, sentence) in [
            (&["--join-window", "15"][..], "write it as in 500ms"),
            (
                &["--stage-of", "n1=moon"],
                "invalid stage, use one of endpoint, edge, cloud, unknown",
            ),
            (&["--run-id", "../up"], "invalid run id"),
            (&["--run-id", "latest"], "invalid run id"),
            (&["--run-id=-x"], "invalid run id"),
            (
                &["--grpc-listen", "here"],
                "invalid value 'here' for '--grpc-listen <IP:PORT>'",
            ),
            (&["--queue-bytes-max", "0"], "the value must be greater than 0"),
            (&["--nonsense"], "unexpected argument '--nonsense' found"),
        ] {
            let error = parse(flags).unwrap_err();
            assert!(error.contains(sentence) && !error.contains('\n'), "{error}");
        }
    }
}
