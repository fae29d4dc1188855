//! [`Otlp`]: turns a recorded run into OpenTelemetry spans again, for trace viewers and for every other receiver of OTLP.
//!
//! - [`read`] sorts the rows by trace. [`rows`] has the fields that invocations and calls have in common.
//! - [`traces`] makes the spans of a trace: one for each row, and one for each parent that has no row. [`attributes`] gives a
//!   span its attributes by the semantic conventions, and [`weight`] its trace state. [`senders`] makes the resources, and
//!   [`control`] the spans for the start and end of the run and for placement events.
//! - [`requests`] packs spans into OTLP requests. [`json`] writes a request in the form of the Collector's file exporter.
//! - [`losses`] counts what the export loses.

mod attributes;
mod control;
mod json;
mod losses;
mod read;
mod requests;
mod rows;
mod senders;
mod traces;
mod weight;

use std::path::Path;
use std::rc::Rc;

use anyhow::bail;
use cctf_proto::cctf::{File, Milliseconds, Part, RunMeta, Stage};
use cctf_proto::keys;
use opentelemetry_proto::tonic::trace::v1::Span;
use plan::inventory::last_valid;
use plan::plan::Window;
use rundir::parts::Run;

use crate::assumptions::Assumptions;
use crate::counts::Counts;
use crate::export::{Options, Summary, write_export};
use crate::job::OnProgress;

use control::Control;
use losses::Losses;
use read::Rows;
use requests::{Origin, Requests, Sent};
use senders::Senders;
use traces::Traces;

pub use requests::Take;

/// The name of the target.
pub const NAME: &str = "otlp";
/// The file with one request a line.
pub const TRACES_FILE: &str = "traces.jsonl";

/// A run to export, and the run id that its telemetry gets.
#[derive(Debug, Clone, Copy)]
pub struct Otlp<'a> {
    pub run: &'a Run,
    /// The first part to export. All later ones follow.
    pub first: &'a Part,
    pub run_id: &'a str,
    /// Only the traces whose first row starts in this window are exported. Its limits are times since the first row of the run.
    pub window: Window,
}

/// Counts of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    pub counts: Counts,
    pub spans: u64,
    pub requests: u64,
}

impl Otlp<'_> {
    /// Exports to a folder with a file of requests.
    ///
    /// # Errors
    /// As [`crate::run`].
    pub fn write(&self, options: Options<'_>, progress: OnProgress<'_>) -> anyhow::Result<Summary> {
        let next = |out: &Path| {
            let file = out.join(TRACES_FILE);
            format!(
                "cctf convert {} --out DIR makes a run of it again",
                file.display()
            )
        };
        write_export((NAME, self.run.id()), options, progress, next, |job| {
            let mut file = job.lines(TRACES_FILE)?;
            let scratch = job.folder().to_owned();
            let mut assumptions = Assumptions::default();
            let mut take = |request: &_| {
                file.write_with(|out| {
                    json::push_request(request, out);
                    Ok(())
                })
            };
            let mut advance = |done, total| job.advance(done, total);
            let exported = self.requests(&scratch, &mut take, &mut assumptions, &mut advance)?;
            file.finish()?;
            job.assumptions = assumptions;
            Ok(exported.counts)
        })
    }

    /// Passes all requests to `take`, in the order in which a receiver needs them: the start of the run, placement events,
    /// traces, the end of the run. `scratch` is a folder for temporary files. `advance` receives the number of bytes done and
    /// their total, and returns an error if the user stops the export.
    ///
    /// # Errors
    /// If the run cannot be read, or an error of `take` or `advance`.
    pub fn requests(
        &self,
        scratch: &Path,
        take: Take<'_>,
        assumptions: &mut Assumptions,
        advance: &mut dyn FnMut(u64, u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<Exported> {
        let parts = self.run.parts_from(self.first)?;
        if let Some(missing) = self.run.missing(self.first)? {
            assumptions.say("missing", true, missing);
        }
        let (mut senders, mut losses) = (Senders::read(self.run, &parts)?, Losses::default());
        // Each line counts twice: when it is read, and when its trace is exported.
        let total = 2 * read::bytes(self.run, &parts)?;
        let mut done = 0;
        let mut step = |bytes: u64| {
            done += bytes;
            advance(done.min(total), total)
        };
        let rows = read::read((self.run, &parts), scratch, &mut senders, &mut losses, &mut step)?;
        let mut made = 0;
        let mut take = |request: &_| {
            made += 1;
            take(request)
        };
        let mut requests = Requests::new(&mut take);
        let mut control = Control::new(self.run_id);
        let start = self.start(&parts, &rows, &mut control)?;
        requests.add(of_run(&control, start))?;
        control::events((self.run, &parts), &mut losses, |event| {
            let span = control.event(event);
            requests.add(senders.event(event, span))?;
            // A receiver reads all resources of a request before its spans. If a later event in the same request stated the stage
            // of this node, this event would get that stage. So an event without a stage is the last one of its request.
            match event.stage {
                Stage::Unknown => requests.flush(),
                _ => Ok(()),
            }
        })?;
        requests.flush()?;
        let mut traces = Traces::new(senders, losses, self.run_id);
        let first_ns = rows.first_ns.unwrap_or_default();
        read::each_trace(rows, |rows, bytes| {
            if read::is_within(&rows, first_ns, self.window) {
                requests.add_trace(traces.spans(rows))?;
            } else {
                traces.losses.outside += 1;
            }
            step(bytes)
        })?;
        if let Some(ended) = self.ended(&parts)? {
            let end = control.end(ended);
            requests.add(of_run(&control, end))?;
        }
        requests.flush()?;
        let spans = requests.spans;
        traces.losses.note(assumptions);
        Ok(Exported {
            counts: traces.counts,
            spans,
            requests: made,
        })
    }

    /// The control span for the start of the run. Without a valid `run_meta.json`, the run starts with its first row.
    fn start(&self, parts: &[Part], rows: &Rows, control: &mut Control<'_>) -> anyhow::Result<Span> {
        let first = &parts[..parts.len().min(1)];
        let stated = last_valid(self.run, first, File::RunMeta, |bytes| {
            let meta = serde_json::from_slice::<RunMeta<'_>>(bytes).ok()?;
            let is_valid = meta.started_ts.as_ns() > 0;
            is_valid.then(|| control.start(meta.started_ts, Some(&meta)))
        })?;
        match (stated, rows.first_ns.filter(|&first_ns| first_ns > 0)) {
            (Some(span), _) => Ok(span),
            (None, Some(first_ns)) => Ok(control.start(Milliseconds::from_ns(first_ns), None)),
            (None, None) => bail!(
                "cannot export {}: it has no rows and no valid run_meta.json; cctf validate shows what it has",
                self.run.id()
            ),
        }
    }

    /// The time at which the run ended, if it has ended.
    fn ended(&self, parts: &[Part]) -> anyhow::Result<Option<Milliseconds>> {
        let last = &parts[parts.len().saturating_sub(1)..];
        let ended = last_valid(self.run, last, File::RunMeta, |bytes| {
            let meta = serde_json::from_slice::<RunMeta<'_>>(bytes).ok()?;
            meta.ended_ts
        })?;
        Ok(ended.filter(|ended| ended.as_ns() > 0))
    }
}

/// A control span for the start or end of the run, with its resource.
fn of_run(control: &Control<'_>, span: Span) -> Sent {
    Sent {
        origin: Rc::new(Origin {
            key: String::new(),
            resource: control.resource(),
        }),
        scope: keys::CONTROL_SCOPE,
        span,
    }
}
