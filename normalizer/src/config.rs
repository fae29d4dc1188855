//! The command line: every flag with its variable, read once into [`Config`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cctf_proto::cctf::Stage;
use cctf_proto::keys;
use clap::{Args, Parser, Subcommand};

use crate::connections::TlsFiles;
use crate::journal::{BODY_LEN_MAX, Durability, QueueLimits, StoreSettings};
use crate::mapping::MAPPING_VERSION;
use crate::pipeline::{Settings, queue_share};
use crate::receiver::{ReceiverLimits, parse_origin};
use cli::units::{parse_bytes, parse_duration};

/// Receives OpenTelemetry over OTLP and writes the CCTF file set on the fly.
///
/// Every flag but --repair and --remap, which are for one start, can be given as a variable, too; a flag goes over a variable.
#[derive(Debug, Parser)]
#[command(name = "cctf-normalizer", version, args_conflicts_with_subcommands = true)]
pub struct CommandLine {
    /// What to do instead of receiving.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// How to receive.
    #[command(flatten)]
    pub config: Config,
}

/// What the binary can do besides receiving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a running normalizer whether it is ready: exit code 0 if it is, else 1.
    Healthcheck {
        /// Where its admin listener is.
        #[arg(
            long,
            env = "ADMIN_URL",
            default_value = "http://127.0.0.1:9464",
            value_name = "URL"
        )]
        admin: String,
    },
    /// Make the files again from a journal that was kept with --keep-raw, into a new folder.
    ReplayJournal {
        /// Folder of the segments.
        #[arg(value_name = "DIR")]
        journal: PathBuf,
        /// Settings that are to be others than those that the journal tells; those that are about receiving say nothing.
        #[command(flatten)]
        config: Box<Config>,
    },
}

/// All that the operator decides.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Folder below which each run gets its own.
    #[arg(long, env = "OUT_DIR", default_value = "logs", value_name = "FOLDER")]
    pub out_dir: PathBuf,

    /// Address of OTLP/gRPC; port 0 takes a free one.
    #[arg(
        long,
        env = "GRPC_LISTEN",
        default_value = "127.0.0.1:4317",
        value_name = "IP:PORT"
    )]
    pub grpc_listen: SocketAddr,
    /// Address of OTLP/HTTP.
    #[arg(
        long,
        env = "HTTP_LISTEN",
        default_value = "127.0.0.1:4318",
        value_name = "IP:PORT"
    )]
    pub http_listen: SocketAddr,
    /// Address of health, metrics and the status page.
    #[arg(
        long,
        env = "ADMIN_LISTEN",
        default_value = "127.0.0.1:9464",
        value_name = "IP:PORT"
    )]
    pub admin_listen: SocketAddr,

    /// Certificate of both OTLP listeners, in PEM, with those between it and its authority: clients have to speak TLS.
    /// SIGHUP reads it, the key, the authorities and the tokens again.
    #[arg(long, env = "TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM.
    #[arg(long, env = "TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Authorities, in PEM, of which clients have to show a certificate.
    #[arg(long, env = "TLS_CLIENT_CA", value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
    /// Bearer tokens, one a line: every OTLP request has to show one of them.
    #[arg(long, env = "TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Origin whose pages may send OTLP/HTTP from a browser, such as https://shop.example; repeatable. `*`: every origin.
    /// Default: none.
    #[arg(long, env = "CORS_ALLOW_ORIGIN", value_name = "ORIGIN", value_parser = parse_origin, value_delimiter = ',')]
    pub cors_allow_origin: Vec<String>,

    /// Run of telemetry that names none; by default the time of the first start in this folder and
    /// six letters of chance.
    #[arg(long, env = "RUN_ID", value_name = "ID", value_parser = keys::parse_run_id)]
    pub run_id: Option<String>,
    /// How long a row waits for the spans that it depends on.
    #[arg(long, env = "JOIN_WINDOW", default_value = "15s", value_name = "DURATION", value_parser = parse_duration)]
    pub join_window: Duration,
    /// How long copies of a span or data point are recognised.
    #[arg(long, env = "DEDUP_WINDOW", default_value = "120s", value_name = "DURATION", value_parser = parse_duration)]
    pub dedup_window: Duration,
    /// How long an instance is silent before it counts as stopped.
    #[arg(long, env = "STALE_AFTER", default_value = "180s", value_name = "DURATION", value_parser = parse_duration)]
    pub stale_after: Duration,
    /// How long a run without an end is silent before it is closed.
    #[arg(long, env = "RUN_IDLE", default_value = "60s", value_name = "DURATION", value_parser = parse_duration)]
    pub run_idle: Duration,
    /// Stage of a node, region or service whose telemetry tells none; repeatable.
    #[arg(long, env = "STAGE_OF", value_name = "KEY=STAGE", value_parser = parse_stage_of, value_delimiter = ',')]
    pub stage_of: Vec<(String, Stage)>,
    /// Stage of all others.
    #[arg(long, env = "DEFAULT_STAGE", value_name = "STAGE", value_parser = parse_stage)]
    pub default_stage: Option<Stage>,
    /// Metric to keep in system_stats.jsonl, instead of the usual ones; repeatable.
    #[arg(long, env = "KEEP_METRIC", value_name = "NAME", value_delimiter = ',')]
    pub keep_metric: Vec<String>,
    /// Keep the query of every URL in invocations.jsonl. Queries can hold personal data and tokens.
    #[arg(long, env = "KEEP_QUERY")]
    pub keep_query: bool,
    /// Most runs open at once; rows of any further one are rejected.
    #[arg(long, env = "OPEN_RUNS_MAX", default_value = "256", value_name = "NUMBER", value_parser = parse_number)]
    pub open_runs_max: usize,

    /// Most that tables and queue take. Past it the rows that have waited longest are written before their time, as orphans
    /// if their caller has not come.
    #[arg(long, env = "MEMORY_LIMIT", default_value = "256MiB", value_name = "SIZE", value_parser = parse_any_size)]
    pub memory_limit: u64,
    /// Bytes of lines after which a run goes on in <RUN_ID>-0002 and so on; 0: never.
    #[arg(long, env = "ROLL_BYTES", default_value = "8GiB", value_name = "SIZE", value_parser = parse_any_size)]
    pub roll_bytes: u64,
    /// Age of such a part after which the run goes on in the next one; 0s: never.
    #[arg(long, env = "ROLL_AGE", default_value = "0s", value_name = "DURATION", value_parser = parse_duration)]
    pub roll_age: Duration,

    /// When a request is acknowledged: fsync, when it survives a power loss; flush, when it survives the process; none,
    /// when it is in memory, without a journal.
    #[arg(long, env = "DURABILITY", value_enum, default_value_t = Durability::Fsync)]
    pub durability: Durability,
    /// Folder of the journal; by default .journal/<own run id> in the folder of the runs.
    #[arg(long, env = "JOURNAL_DIR", value_name = "FOLDER")]
    pub journal_dir: Option<PathBuf>,
    /// Size of a segment of the journal.
    #[arg(long, env = "SEGMENT_BYTES", default_value = "64MiB", value_name = "SIZE", value_parser = parse_size)]
    pub segment_bytes: usize,
    /// Keep segments when nothing needs them any more.
    #[arg(long, env = "KEEP_RAW")]
    pub keep_raw: bool,
    /// Go on behind damage in the journal, and count what is lost.
    #[arg(long)]
    pub repair: bool,

    /// After a crash, go on from a journal that another version of the mapping has made rows of: their files are cut back to
    /// the last checkpoint and made anew from there.
    #[arg(long)]
    pub remap: bool,

    /// Free space below which requests are refused, on the disks of files and journal; by default 256MiB, or a fiftieth of
    /// a disk where that is smaller. 0: only when nothing can be written any more.
    #[arg(long, env = "DISK_FREE_MIN", value_name = "SIZE", value_parser = parse_any_size)]
    pub disk_free_min: Option<u64>,

    /// Largest message, as it comes and decompressed.
    #[arg(long, env = "MESSAGE_BYTES_MAX", default_value = "64MiB", value_name = "SIZE", value_parser = parse_size)]
    pub message_bytes_max: usize,
    /// Most bytes of requests that are being received.
    #[arg(long, env = "IN_FLIGHT_BYTES_MAX", default_value = "256MiB", value_name = "SIZE", value_parser = parse_size)]
    pub in_flight_bytes_max: usize,
    /// Most bytes of requests between receiver and pipeline; at most an eighth of --memory-limit.
    #[arg(long, env = "QUEUE_BYTES_MAX", default_value = "64MiB", value_name = "SIZE", value_parser = parse_size)]
    pub queue_bytes_max: usize,
    /// Most requests between receiver and pipeline.
    #[arg(long, env = "QUEUE_REQUESTS_MAX", default_value = "65536", value_name = "NUMBER", value_parser = parse_number)]
    pub queue_requests_max: usize,
    /// Most connections of each listener.
    #[arg(long, env = "CONNECTIONS_MAX", default_value = "16384", value_name = "NUMBER", value_parser = parse_number)]
    pub connections_max: usize,
    /// Stop in order when standard input ends, as it does when the parent that holds its other end dies.
    #[arg(long, env = "STOP_WITH_STDIN")]
    pub stop_with_stdin: bool,
    /// Threads that receive, besides the one that writes the journal and the one that makes rows. One keeps up with both; more
    /// hand requests to each other, and are for TLS and compression
    #[arg(long, env = "RECEIVER_THREADS", default_value = "1", value_name = "NUMBER", value_parser = parse_number)]
    pub receiver_threads: usize,
}

impl Config {
    /// What the pipeline is to know. `run_id` is the normalizer's own.
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

    /// Where and how the journal is kept. `run_id` is the normalizer's own.
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

    /// Where certificates are, if clients are to speak TLS.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        Some(TlsFiles {
            cert: self.tls_cert.clone()?,
            key: self.tls_key.clone()?,
            client_ca: self.tls_client_ca.clone(),
        })
    }

    /// Bounds of the receiver.
    pub fn receiver_limits(&self) -> ReceiverLimits {
        ReceiverLimits {
            message_bytes_max: self.message_bytes_max,
            in_flight_bytes_max: self.in_flight_bytes_max,
        }
    }

    /// Bounds of the queue.
    pub fn queue_limits(&self) -> QueueLimits {
        QueueLimits {
            requests_max: self.queue_requests_max,
            bytes_max: self.queue_bytes_max.min(queue_share(self.memory_limit) as usize),
        }
    }
}

/// What clap has to say about a wrong command line, in one sentence.
pub fn first_sentence(error: &clap::Error) -> String {
    let text = error.to_string();
    let paragraph: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let sentence = paragraph.join(" ");
    let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
    format!("{sentence} (see --help)")
}

fn parse_stage(text: &str) -> Result<Stage, String> {
    Stage::parse(text).ok_or_else(|| {
        let stages: Vec<&str> = Stage::ALL.iter().map(|stage| stage.as_str()).collect();
        format!("a stage is one of {}", stages.join(", "))
    })
}

fn parse_stage_of(text: &str) -> Result<(String, Stage), String> {
    match text.split_once('=') {
        Some((key, stage)) if !key.is_empty() => Ok((key.to_owned(), parse_stage(stage)?)),
        _ => Err("write it as in edge0=edge".to_owned()),
    }
}

fn parse_number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("it has to be a whole number above 0".to_owned()),
    }
}

fn parse_size(text: &str) -> Result<usize, String> {
    match parse_bytes(text)? {
        0 => Err("it has to be above 0".to_owned()),
        // A message has to fit a frame of the journal.
        bytes if bytes > BODY_LEN_MAX => Err("it has to be at most 256MiB".to_owned()),
        bytes => Ok(bytes),
    }
}

fn parse_any_size(text: &str) -> Result<u64, String> {
    parse_bytes(text).map(|bytes| bytes as u64)
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
    fn an_invalid_flag_is_one_sentence() {
        for (flags, sentence) in [
            (&["--join-window", "15"][..], "write it as in 500ms"),
            (
                &["--stage-of", "n1=moon"],
                "a stage is one of endpoint, edge, cloud, unknown",
            ),
            (&["--run-id", "../up"], "invalid run id"),
            (&["--run-id", "latest"], "invalid run id"),
            (&["--run-id=-x"], "invalid run id"),
            (
                &["--grpc-listen", "here"],
                "invalid value 'here' for '--grpc-listen <IP:PORT>'",
            ),
            (&["--queue-bytes-max", "0"], "it has to be above 0"),
            (&["--nonsense"], "unexpected argument '--nonsense' found"),
        ] {
            let told = parse(flags).unwrap_err();
            assert!(told.contains(sentence) && !told.contains('\n'), "{told}");
        }
    }
}
