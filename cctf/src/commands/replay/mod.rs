//! `cctf replay`: sends the requests of a recorded run again, to live services or to stand-ins.
//!
//! - [`args`]: the flags; [`selection`]: the flags that select requests and scale their times.
//! - [`recording`]: the recorded run. [`checked`]: all checks before the first request; [`stand_in`] and [`checks`]: the same
//!   for stand-ins.
//! - [`preview`]: printed before the first request; [`outcome`]: printed at the end. [`noise`]: sends the run several times
//!   (`--aa`).

mod args;
mod checked;
mod checks;
mod noise;
mod outcome;
mod preview;
mod recording;
mod selection;
mod stand_in;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cctf_load::clock;
use cctf_load::error::DriveError;
use cctf_load::otlp::run_facts::{ReplayFacts, RunFacts};
use cctf_load::record::summary::Summary;
use cctf_load::session::{LoadSession, SessionConfig};
use cctf_proto::log_line;
use cli::interrupt;
use otlp_send::Destination;

use super::cells::printable;
use super::compare::alarms;
use super::display::{ProgressLine, loss_sentence};
use super::driver::SpanCounts;
use super::{DONE, FAILED, Format, UsageError, print, print_json};
pub use args::{Keep, ReplayArgs};
pub use checked::Checked;
use noise::{Repeats, measure};
use outcome::Outcome;
pub use outcome::void_because;
pub use selection::SelectionFlags;
pub use stand_in::Planned;

pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let otlp = args.driver.otlp()?;
    let checked = Checked::new(args)?;
    match args.format {
        Format::Text => print(&(checked.self_check().to_owned() + &checked.preview.text()))?,
        Format::Json if args.dry_run => print_json(&checked.preview)?,
        // Prints nothing now: one object at the end contains the preview and the result.
        Format::Json => {}
    }
    if args.dry_run {
        return Ok(ExitCode::from(DONE));
    }
    let stop = interrupt::stop_flag();
    // If this fails, fewer connections are possible, and the summary reports this.
    let _ = clock::raise_file_limit();
    let run_id = args.run.run_id_or_now();
    let is_complete = match args.aa {
        Some(pairs) => repeat(args, &checked, otlp.as_ref(), (&run_id, pairs), stop)?,
        None => send(args, &checked, otlp, &run_id, stop)?,
    };
    Ok(ExitCode::from(if is_complete { DONE } else { FAILED }))
}

/// Sends the run several times, and prints how often two consecutive replays differed.
fn repeat(
    args: &ReplayArgs,
    checked: &Checked,
    otlp: Option<&Destination>,
    (run_id, pairs): (&str, u64),
    stop: &'static AtomicBool,
) -> anyhow::Result<bool> {
    let Some(otlp) = otlp else {
        let message = "--aa compares the files of the replays: set --otlp-endpoint to the normalizer's URL";
        return Err(UsageError(message.to_owned()).into());
    };
    let repeats = Repeats {
        logs_dir: &args.logs_dir,
        replay_of: &checked.preview.replay_of,
        run_id,
        pairs,
    };
    let found =
        measure(
            repeats,
            stop,
            &mut |run_id| match send(args, checked, Some(otlp.clone()), run_id, stop)? {
                true => Ok(()),
                false => anyhow::bail!("cannot compare {run_id}: it is incomplete; repeat the command"),
            },
        )?;
    match (args.format, &found) {
        (Format::Json, found) => print_json(&serde_json::json!({ "false_alarms": found }))?,
        (Format::Text, Some(noise)) => print(&(alarms::sentence(noise) + "\n"))?,
        (Format::Text, None) => print(
            "Every pair is void: lateness was above its margin. Give the driver an idle CPU, and repeat.\n",
        )?,
    }
    Ok(true)
}

/// Sends the run once, and prints the result. Returns true if nothing was lost and the replay was not interrupted.
fn send(
    args: &ReplayArgs,
    checked: &Checked,
    otlp: Option<Destination>,
    run_id: &str,
    stop: &'static AtomicBool,
) -> anyhow::Result<bool> {
    let sends_spans = otlp.is_some();
    let stream = checked.stream(args, run_id, stop)?;
    let mut session = LoadSession::begin(SessionConfig {
        run: args.run_facts(run_id, checked),
        identity: args.driver.identity(),
        otlp,
        events_path: args.driver.out.clone(),
        stop,
    })?;
    let line = ProgressLine::new(
        "replay",
        checked.preview.requests,
        Duration::from_secs_f64(checked.preview.length_s),
    );
    let sent = session.send(stream, |progress| line.show(progress));
    line.clear();
    let cut_at = cut_at(&session, &sent, checked, stop);
    session.set_replayed_to(cut_at);
    let delivery = session.end();
    let summary = sent?;
    let void_because = void_because(&summary);
    let outcome = Outcome {
        run_id,
        preview: &checked.preview,
        summary: &summary,
        is_void: void_because.is_some(),
        void_because,
        interrupted: stop.load(Ordering::Relaxed),
        spans: delivery.as_ref().ok().map(SpanCounts::from),
        folder: checked.recording.folder_of(run_id),
        next: checked.recording.next_command(&args.recorded, run_id),
    };
    match args.format {
        Format::Text => print(&outcome.text(sends_spans, args.driver.out.as_ref()))?,
        Format::Json => print_json(&outcome)?,
    }
    let mut warnings: Vec<String> = loss_sentence(&delivery?).into_iter().collect();
    warnings.extend(outcome.interruption());
    warnings.extend(outcome.unsent());
    warnings
        .iter()
        .for_each(|warning| log_line!("cctf: {}", printable(warning)));
    Ok(warnings.is_empty())
}

/// For an interrupted replay: end of the recorded part that was sent, nanoseconds after the run's first root. `None` if
/// everything was sent, or if the end is unknown.
pub fn cut_at(
    session: &LoadSession,
    sent: &Result<Summary, DriveError>,
    checked: &Checked,
    stop: &AtomicBool,
) -> Option<u64> {
    let is_cut = sent
        .as_ref()
        .is_ok_and(|summary| summary.requests < checked.preview.requests);
    if !is_cut || !stop.load(Ordering::Relaxed) {
        return None;
    }
    // If the temporary file cannot be read, run_meta.json keeps the planned end.
    checked.sent_to_ns(session.last_offset_ns()).ok().flatten()
}

impl ReplayArgs {
    /// The facts about the new run that its start span reports.
    pub fn run_facts(&self, run_id: &str, checked: &Checked) -> RunFacts {
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
            target: checked.urls(),
            payload_bytes: None,
            seed: checked.recording.seed,
            replay: Some(ReplayFacts {
                of: checked.preview.replay_of.clone(),
                speed: self.selection.speed(),
                scale: self.selection.scale(),
                from_ns,
                to_ns,
                limit: self.selection.limit(),
                network: None,
            }),
        }
    }
}
