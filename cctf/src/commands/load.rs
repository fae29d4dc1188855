//! `cctf load`: flags in, one driven endpoint, figures out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use cctf_proto::log_line;
use clap::Args;
use otlp_send::Destination;
use serde::Serialize;

use super::display::{ProgressLine, loss_sentence};
use super::flags::{LoadFlags, parse_endpoint, parse_stage, parse_target};
use super::{DONE, FAILED, Format, otlp, print, print_json};
use cctf_load::clock;
use cctf_load::export::Delivery;
use cctf_load::identity::Identity;
use cctf_load::run_facts::RunFacts;
use cctf_load::session::{Drive, Session, SessionConfig};
use cctf_load::summary::Summary;
use cctf_load::target::Target;
use cli::interrupt;

/// Help that stands below the flags.
pub const AFTER_HELP: &str = "\
Examples:
  40 requests a second for 20 s with 8 KiB of JSON:
    cctf load --target http://127.0.0.1:8080 --endpoint json
  2,000 a second, as independent users, told to a normalizer, one line a request for vegeta:
    cctf load --target http://127.0.0.1:8080 --endpoint hash --rate 2000 --duration 1m --arrivals poisson \\
      --otlp-endpoint http://127.0.0.1:4317 --out events_client.jsonl
    vegeta report < events_client.jsonl
  Any path, and a next hop for it:
    cctf load --target http://127.0.0.1:8080 --endpoint '/work?cpu_ms=20' --rate 50
    cctf load --target http://127.0.0.1:8080 --endpoint gzip --header 'X-Next-Url: http://127.0.0.1:8081/kv/set/k1'
  A service behind a proxy that goes by the host's name, and bodies of another type:
    cctf load --target http://127.0.0.1:8080 --endpoint hash --header 'Host: shop.example' --header 'Content-Type: text/csv'

Requests leave at their times whatever the answers do. Lateness is how much later than intended a request's bytes were
handed to the socket: if its p99 is not small against the latencies, the driver or its machine was the bottleneck.

Exit codes:
  0  the load was sent and told completely (requests that failed are a finding, not a failure)
  1  the service could not be reached, spans or lines of the driver were lost, the run was interrupted, or the
     result could not be printed
  2  a flag or variable is wrong";

/// Flags of `cctf load`.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "More, with examples and exit codes: cctf load --help")]
pub struct LoadArgs {
    /// Origin of the service.
    #[arg(long, env = "CCTF_TARGET", default_value = "http://127.0.0.1:8080", value_parser = parse_target)]
    target: Target,
    /// What to call: json, gzip, gunzip, hash, kvset, kvget, work, or a path. kvget sets its key first, untraced.
    #[arg(long, env = "CCTF_ENDPOINT", default_value = "json", value_parser = parse_endpoint)]
    endpoint: String,
    /// HTTP method, if not the endpoint's own (for a path: GET). POST, PUT and PATCH send a body.
    #[arg(long, env = "CCTF_METHOD", value_parser = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])]
    method: Option<String>,
    #[command(flatten)]
    load: LoadFlags,
    /// Where the driver's spans go over OTLP, such as http://127.0.0.1:4317 [env: OTEL_EXPORTER_OTLP_ENDPOINT].
    /// Default: nowhere.
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    #[command(flatten)]
    otlp: otlp_send::Flags,
    /// File that gets one line a request in vegeta's JSON encoding; appended to. Default: none.
    #[arg(long, env = "CCTF_OUT", value_name = "FILE")]
    out: Option<PathBuf>,
    /// Node that the driver runs on. Default: the host's name.
    #[arg(long, env = "NODE_ID")]
    node_id: Option<String>,
    /// Stage of that node: endpoint, edge, cloud or unknown.
    #[arg(long, env = "STAGE", value_parser = parse_stage)]
    stage: Option<String>,
    /// Application that the load belongs to.
    #[arg(long, env = "APP_ID")]
    app_id: Option<String>,
    /// Worker slots of the service under load, told in run_meta.json.
    #[arg(long, env = "WORKERS")]
    workers: Option<u32>,
    /// How the figures are printed.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Report<'a> {
    run_id: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
    /// None if they could not be told.
    spans: Option<SpanCounts>,
    interrupted: bool,
}

/// How the driver's spans fared.
#[derive(Debug, Serialize)]
pub struct SpanCounts {
    made: u64,
    delivered: u64,
    rejected: u64,
    dropped: u64,
}

impl From<&Delivery> for SpanCounts {
    fn from(delivery: &Delivery) -> Self {
        let Delivery {
            made,
            delivered,
            rejected,
            dropped,
            ..
        } = *delivery;
        Self {
            made,
            delivered,
            rejected,
            dropped,
        }
    }
}

/// Runs the subcommand.
pub fn run(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let stop = interrupt::stop_flag();
    // Without it fewer connections fit; what then fails says so itself.
    let _ = clock::raise_file_limit();
    let run_id = args.load.run_id_or_now();
    let drive = args
        .load
        .drive(args.target.clone(), &args.endpoint, args.method.as_deref())?;
    let otlp = args.otlp()?;
    let sends_spans = otlp.is_some();
    let mut session = Session::begin(SessionConfig {
        run: args.run_facts(&run_id, &drive),
        identity: args.identity(),
        otlp,
        events_path: args.out.clone(),
        stop,
    })?;
    let line = ProgressLine::new(&drive.endpoint.name, drive.schedule.expected_count());
    let outcome = session.drive(&drive, |progress| line.show(progress));
    line.clear();
    let delivery = session.end();
    let summary = outcome?;
    let interrupted = stop.load(Ordering::Relaxed);
    let spans = delivery.as_ref().ok().map(SpanCounts::from);
    let report = Report {
        run_id: &run_id,
        summary: &summary,
        spans,
        interrupted,
    };
    let printed = args.print(&report, sends_spans);
    let mut complaints: Vec<String> = loss_sentence(&delivery?).into_iter().collect();
    if interrupted {
        let expected = drive.schedule.expected_count();
        complaints.push(format!(
            "interrupted after {} of {expected} requests",
            summary.requests
        ));
    }
    complaints
        .iter()
        .for_each(|complaint| log_line!("cctf: {complaint}"));
    printed?;
    Ok(ExitCode::from(if complaints.is_empty() { DONE } else { FAILED }))
}

impl LoadArgs {
    fn identity(&self) -> Identity {
        Identity {
            node_id: self.node_id.clone(),
            stage: self.stage.clone(),
            app_id: self.app_id.clone(),
        }
    }

    fn run_facts(&self, run_id: &str, drive: &Drive) -> RunFacts {
        let load = &self.load;
        RunFacts {
            run_id: run_id.to_owned(),
            rate: load.rate,
            duration: load.duration.text.clone(),
            scen: load.scen.clone(),
            img: load.img.clone(),
            git_sha: load.git_sha.clone(),
            workers: self.workers,
            endpoint: self.endpoint.clone(),
            target: format!("{}{}", self.target, drive.endpoint.path),
            payload_bytes: load.size.single(),
            seed: load.seed,
        }
    }

    /// An endpoint that is given as nothing sends nothing, whatever the variables say.
    fn otlp(&self) -> anyhow::Result<Option<Destination>> {
        match self.otlp_endpoint.as_deref() {
            Some("") => Ok(None),
            endpoint => Ok(otlp::destination(endpoint, &self.otlp)?),
        }
    }

    fn print(&self, report: &Report<'_>, sends_spans: bool) -> anyhow::Result<()> {
        if self.format == Format::Json {
            return print_json(report);
        }
        let mut text = format!("run {}\n{}", report.run_id, report.summary.table());
        if let (true, Some(spans)) = (sends_spans, &report.spans) {
            text += &format!(
                "  {:<10} {} of {} delivered\n",
                "spans", spans.delivered, spans.made
            );
        }
        if let Some(out) = &self.out {
            text += &format!("  {:<10} {}\n", "lines", out.display());
        }
        print(&text)
    }
}
