//! `cctf replay`: sends a recorded run again, to live services.
//!
//! [`selection`] has the flags that choose requests and times, [`checked`] everything before the first send, [`plan_report`] what is
//! printed then, and [`outcome`] what is printed at the end.

mod checked;
mod outcome;
mod plan_report;
mod selection;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cctf_load::clock;
use cctf_load::otlp::run_facts::{ReplayFacts, RunFacts};
use cctf_load::session::{LoadSession, SessionConfig};
use cctf_load::stream::Stream;
use cctf_proto::log_line;
use clap::Args;
use cli::interrupt;
use replay::bodies::Bodies;
use replay::compose::Composer;
use replay::store::store;
use replay::targets::TargetFlag;

use super::cells::printable;
use super::display::{ReplayLine, loss_sentence};
use super::driver::{DriverFlags, SpanCounts};
use super::flags::{RunFlags, SendFlags};
use super::{DONE, FAILED, Format, print, print_json};
use checked::Checked;
use outcome::{Outcome, void_because};
use selection::SelectionFlags;

pub const AFTER_HELP: &str = "\
Examples:
  The newest run again, to one service; the normalizer writes the files of the new run:
    cctf replay logs/latest --target http://127.0.0.1:8080 --otlp-endpoint http://127.0.0.1:4317
  What would be sent, and to which module:
    cctf replay logs/latest --dry-run
  Two modules that users call, at twice the speed, without the first 10 seconds:
    cctf replay logs/latest --target front=http://127.0.0.1:8080 --target api=http://127.0.0.1:8081 --speed 2 --from 10s
  Three times as many users; the same requests with bodies for the routes of the own application:
    cctf replay logs/latest --target http://127.0.0.1:8080 --scale 3 --by overlap --bodies bodies.toml

A replay sends what came from outside: the calls of load drivers and clients, and invocations that no recorded call caused. Each
request leaves at its recorded time, whether or not earlier ones were answered. Requests between services are not sent: the live
services make them. docs/replay.md describes bodies, scaling and limits. cctf compare compares both runs.

Exit codes:
  0  all requests were sent, and all spans and lines were delivered (lateness and statuses that differ are results, not errors)
  1  the run cannot be read or replayed, a service is unreachable, spans or lines were lost, or the replay was interrupted
  2  invalid flag or environment variable, a module without a target, or the run does not exist";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf replay --help")]
pub struct ReplayArgs {
    /// Run id, or path to the folder of the recorded run.
    #[arg(value_name = "DIR|RUN_ID")]
    recorded: String,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// URL of the service that stands for a module, or without a module for all others. Repeatable.
    #[arg(long = "target", env = "CCTF_TARGET", value_name = "[MODULE=]URL", required_unless_present = "dry_run", action = clap::ArgAction::Append)]
    targets: Vec<TargetFlag>,
    /// Host that may get load although it is not this machine. Repeatable.
    #[arg(long = "allow-target", value_name = "HOST", action = clap::ArgAction::Append)]
    allowed: Vec<String>,
    #[command(flatten)]
    selection: SelectionFlags,
    /// Path to a TOML file with bodies by route. Default: valid bodies for the endpoints of tunable-svc, text for others.
    #[arg(long, value_name = "FILE")]
    bodies: Option<PathBuf>,
    /// Seed of bodies and scaling. The same seed repeats both. Default: the seed of the recorded run, else 1.
    #[arg(long, env = "CCTF_SEED")]
    seed: Option<u64>,
    /// Refuse what the replay would leave out or replace: orphans, roots other than HTTP, damaged lines, bodies of unknown content.
    #[arg(long)]
    strict: bool,
    /// Replay a run that has not ended: only the requests recorded so far.
    #[arg(long)]
    unfinished: bool,
    /// Print the plan and send nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    sending: SendFlags,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    driver: DriverFlags,
    /// Output format.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let otlp = args.driver.otlp()?;
    let checked = Checked::new(args)?;
    match args.format {
        Format::Text => print(&checked.report.text())?,
        Format::Json if args.dry_run => print_json(&checked.report)?,
        // One object at the end has the plan and the result.
        Format::Json => {}
    }
    if args.dry_run {
        return Ok(ExitCode::from(DONE));
    }
    let stop = interrupt::stop_flag();
    // On failure fewer connections fit, and the summary reports it.
    let _ = clock::raise_file_limit();
    let sends_spans = otlp.is_some();
    let run_id = args.run.run_id_or_now();
    let stream = args.stream(&checked, &run_id)?;
    let mut session = LoadSession::begin(SessionConfig {
        run: args.run_facts(&run_id, &checked),
        identity: args.driver.identity(),
        otlp,
        events_path: args.driver.out.clone(),
        stop,
    })?;
    let line = ReplayLine::new(
        checked.report.requests,
        Duration::from_nanos(checked.plan.length_ns()),
    );
    let sent = session.send(stream, |progress| line.show(progress));
    line.clear();
    let delivery = session.end();
    let summary = sent?;
    let void_because = void_because(&summary);
    let outcome = Outcome {
        run_id: &run_id,
        plan: &checked.report,
        summary: &summary,
        is_void: void_because.is_some(),
        void_because,
        interrupted: stop.load(Ordering::Relaxed),
        spans: delivery.as_ref().ok().map(SpanCounts::from),
        folder: checked.folder_of(&run_id),
        next: checked.next_command(&args.recorded, &run_id),
    };
    match args.format {
        Format::Text => print(&outcome.text(sends_spans, args.driver.out.as_ref()))?,
        Format::Json => print_json(&outcome)?,
    }
    let mut warnings: Vec<String> = loss_sentence(&delivery?).into_iter().collect();
    warnings.extend(outcome.interruption());
    warnings
        .iter()
        .for_each(|warning| log_line!("cctf: {}", printable(warning)));
    Ok(ExitCode::from(if warnings.is_empty() { DONE } else { FAILED }))
}

impl ReplayArgs {
    /// The requests, after the values that they read are stored. Fails before a run is reported if a service is unreachable.
    fn stream(&self, checked: &Checked, run_id: &str) -> anyhow::Result<Stream> {
        let SendFlags {
            connections,
            timeout,
            headers,
        } = &self.sending;
        let targets = &checked.targets;
        let addresses = targets.addresses()?;
        let mut bodies = Bodies::new(checked.seed, Arc::clone(&checked.templates));
        let keys = checked.overview.keys.missing();
        store(keys, targets, &mut bodies, headers, timeout.value, checked.seed)?;
        let composer = Composer::new(
            checked.plan.arrivals(),
            targets.clone(),
            bodies,
            headers.clone(),
            run_id.to_owned(),
        );
        Ok(Stream {
            name: "replay".to_owned(),
            url: targets.urls(),
            targets: addresses,
            requests: Box::new(composer),
            connections_max: *connections,
            timeout: timeout.value,
            rate_hint: checked.report.rate,
            rate_asked: None,
        })
    }

    fn run_facts(&self, run_id: &str, checked: &Checked) -> RunFacts {
        let [from_ns, to_ns] = self.selection.window_ns();
        RunFacts {
            run_id: run_id.to_owned(),
            rate: None,
            duration: None,
            scen: self.run.scen.clone(),
            img: self.run.img.clone(),
            git_sha: self.run.git_sha.clone(),
            workers: self.driver.workers,
            endpoint: None,
            target: checked.targets.urls(),
            payload_bytes: None,
            seed: checked.seed,
            replay: Some(ReplayFacts {
                of: checked.report.replay_of.clone(),
                speed: self.selection.speed(),
                scale: self.selection.scale(),
                from_ns,
                to_ns,
            }),
        }
    }
}
