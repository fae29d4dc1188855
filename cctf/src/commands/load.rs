//! `cctf load`: sends load to one endpoint and reports the figures.

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use cctf_load::clock;
use cctf_load::drive::Drive;
use cctf_load::otlp::run_facts::RunFacts;
use cctf_load::plan::target::Target;
use cctf_load::record::summary::Summary;
use cctf_load::session::{LoadSession, SessionConfig};
use cctf_proto::log_line;
use clap::Args;
use cli::interrupt;
use serde::Serialize;

use super::cells::printable;
use super::display::{ProgressLine, loss_sentence};
use super::driver::{DriverFlags, SpanCounts};
use super::flags::{LoadFlags, parse_endpoint, parse_target};
use super::{DONE, FAILED, Format, print, print_json};

pub const AFTER_HELP: &str = "\
Examples:
  40 requests a second for 20 s with 8 KiB of JSON:
    cctf load --target http://127.0.0.1:8080 --endpoint json
  2,000 requests a second, as from independent users. The normalizer gets the spans; vegeta, a load tester, reads the file of --out:
    cctf load --target http://127.0.0.1:8080 --endpoint hash --rate 2000 --duration 1m --arrivals poisson \\
      --otlp-endpoint http://127.0.0.1:4317 --out events_client.jsonl
    vegeta report < events_client.jsonl
  Load on a path of your choice:
    cctf load --target http://127.0.0.1:8080 --endpoint '/work?cpu_ms=20' --rate 50
  Load on an endpoint that forwards its result to another service:
    cctf load --target http://127.0.0.1:8080 --endpoint gzip --header 'X-Next-Url: http://127.0.0.1:8081/kv/set/k1'
  A service behind a proxy that routes by host name, with a different content type:
    cctf load --target http://127.0.0.1:8080 --endpoint hash --header 'Host: shop.example' --header 'Content-Type: text/csv'

The load is open-loop: each request leaves at its scheduled time, whether or not earlier ones were answered. Lateness is the
time from the scheduled time of a request until this command passes the request's bytes to the socket. Compare the p99 of the
lateness with the p99 of the latency. If the lateness is not much smaller, requests left too late, and the service did not get the
intended load. There are two possible causes: this machine is too slow, or all connections were in use (--connections), for
example because the service is too slow.

Exit codes:
  0  all requests were sent, all spans were exported, and all lines of --out were written (failed requests are a result, not an error)
  1  the service is unreachable, spans or lines were lost, the run was interrupted, or the result cannot be printed
  2  invalid flag or environment variable, or another load driver has already started this run
  130  stopped at once by a second Ctrl-C";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf load --help")]
pub struct LoadArgs {
    /// URL of the service: scheme, host and port.
    #[arg(long, env = "CCTF_TARGET", default_value = "http://127.0.0.1:8080", value_parser = parse_target)]
    target: Target,
    /// Endpoint that gets load: json, gzip, gunzip, hash, kvset, kvget, work, or a path such as /checkout.
    ///
    /// Before kvget, the command stores the value that kvget reads. It does so by one request, which is not traced.
    #[arg(long, env = "CCTF_ENDPOINT", default_value = "json", value_parser = parse_endpoint)]
    endpoint: String,
    /// HTTP method. Default: the method of the named endpoint, or GET for a path. POST, PUT and PATCH send a body.
    #[arg(long, env = "CCTF_METHOD", value_parser = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])]
    method: Option<String>,
    #[command(flatten)]
    load: LoadFlags,
    #[command(flatten)]
    driver: DriverFlags,
    /// Output format.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

/// The output of `--format json`.
#[derive(Serialize)]
struct Report<'a> {
    run_id: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
    /// `None` if the spans could not be sent.
    spans: Option<SpanCounts>,
    interrupted: bool,
}

pub fn run(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let stop = interrupt::stop_flag();
    // If this fails, fewer connections are possible, and the summary reports this.
    let _ = clock::raise_file_limit();
    let run_id = args.load.run.run_id_or_now();
    let drive = args
        .load
        .drive(args.target.clone(), &args.endpoint, args.method.as_deref())?;
    let otlp = args.driver.otlp()?;
    let sends_spans = otlp.is_some();
    let mut session = LoadSession::begin(SessionConfig {
        run: args.run_facts(&run_id, &drive),
        identity: args.driver.identity(),
        otlp,
        events_path: args.driver.out.clone(),
        stop,
    })?;
    let line = ProgressLine::new(
        &drive.endpoint.name,
        drive.schedule.expected_count(),
        drive.schedule.duration,
    );
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
    let mut warnings: Vec<String> = loss_sentence(&delivery?).into_iter().collect();
    if interrupted {
        let expected = drive.schedule.expected_count();
        warnings.push(format!(
            "interrupted after {} of {expected} requests",
            summary.requests
        ));
    }
    warnings
        .iter()
        .for_each(|warning| log_line!("cctf: {}", printable(warning)));
    printed?;
    Ok(ExitCode::from(if warnings.is_empty() { DONE } else { FAILED }))
}

impl LoadArgs {
    fn run_facts(&self, run_id: &str, drive: &Drive) -> RunFacts {
        let load = &self.load;
        RunFacts {
            run_id: run_id.to_owned(),
            rate: Some(load.rate),
            duration: Some(load.duration.text.clone()),
            scen: load.run.scen.clone(),
            img: load.run.img.clone(),
            git_sha: load.run.git_sha.clone(),
            workers: self.driver.workers,
            endpoint: Some(self.endpoint.clone()),
            target: format!("{}{}", self.target, drive.endpoint.path),
            payload_bytes: load.size.single(),
            seed: load.seed,
            replay: None,
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
        if let Some(out) = &self.driver.out {
            text += &format!("  {:<10} {}\n", "lines", out.display());
        }
        print(&text)
    }
}
