//! [`read`]: reads the rows for a plan from the files of all parts of a run.

use std::ops::ControlFlow;
use std::time::Duration;

use cctf_proto::cctf::{self, File, Flag, Invocation, Part, TraceId};
use foldhash::HashSet;
use rundir::byte_count::{ByteCount, OnBytes};
use rundir::parts::Run;
use rundir::{Lines, ReadError};

use super::whole::Span;
use crate::work::{Collector, INVOCATIONS_MAX, NoInvocations, Recorded, TooMany, WorkError, stations};

/// A time window of a run: roots that arrive at or after `from`, and before `to`. Both are offsets from the arrival of the
/// first root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    pub from: Duration,
    pub to: Option<Duration>,
}

impl Window {
    fn is_all(self) -> bool {
        self == Self::default()
    }

    fn span(self, zero_ns: i64) -> Span {
        let at = |offset: Duration| {
            let offset_ns = i64::try_from(offset.as_nanos()).unwrap_or(i64::MAX);
            zero_ns.saturating_add(offset_ns)
        };
        Span {
            zero_ns,
            // Orphans can arrive before the first root. Without `--from`, they belong to the window.
            from_ns: if self.from.is_zero() {
                i64::MIN
            } else {
                at(self.from)
            },
            to_ns: self.to.map_or(i64::MAX, at),
        }
    }
}

/// Reads the rows of a run, starting with the part `first`. With a window, it reads the invocations three times: to find the
/// first root, to find the traces in the window, and to collect the rows of these traces.
///
/// # Errors
/// If a file cannot be read, or there are no invocations or too many.
pub fn read(
    run: &Run,
    first: &Part,
    window: Window,
    on_bytes: OnBytes<'_>,
) -> Result<(Recorded, Span), WorkError> {
    let parts = run.parts_from(first)?;
    let mut reading = Reading {
        run,
        parts: &parts,
        bytes: ByteCount::new(on_bytes),
        collector: Collector::default(),
    };
    if let Some(missing) = run.missing(first)? {
        reading.collector.missing(missing);
    }
    let (mut traces, mut span) = (None, None);
    if !window.is_all() {
        let found = window.span(reading.first_root_ns()?);
        traces = Some(reading.traces(found)?);
        span = Some(found);
    }
    let is_wanted = |trace: TraceId| traces.as_ref().is_none_or(|traces| traces.contains(&trace));
    reading.rows(&is_wanted)?;
    stations(run, &parts, &mut reading.collector)?;
    let too_many = |too_many| too_many_in(run, too_many);
    let recorded = reading.collector.finish().map_err(too_many)?;
    if recorded.works.is_empty() {
        let notes = recorded.notes;
        return Err(WorkError::NoInvocations {
            run: run.id().to_owned(),
            cause: match notes.damaged_lines {
                _ if !window.is_all() => NoInvocations::Window,
                0 if !notes.missing.is_empty() => NoInvocations::Missing(notes.missing),
                0 => NoInvocations::Empty,
                lines => NoInvocations::Damaged(lines),
            },
        });
    }
    let arrivals = || recorded.arrivals.iter();
    let first = arrivals().find(|arrival| arrival.is_root).or(arrivals().next());
    let zero_ns = first.map_or(0, |arrival| arrival.at_ns);
    let span = span.unwrap_or_else(|| window.span(zero_ns));
    Ok((recorded, span))
}

struct Reading<'a> {
    run: &'a Run,
    parts: &'a [Part],
    bytes: ByteCount<'a>,
    collector: Collector,
}

impl Reading<'_> {
    /// Arrival of the first root. If there is none, arrival of the first orphan; 0 if there is none either. This does not read
    /// the calls: an invocation that answers a call counts as a root unless it is an orphan.
    fn first_root_ns(&mut self) -> Result<i64, WorkError> {
        let (mut root_ns, mut any_ns) = (None::<i64>, None::<i64>);
        let least = |of: Option<i64>, ns: i64| Some(of.map_or(ns, |of| of.min(ns)));
        self.invocations(|_, row| {
            if row.parent_id.is_none() {
                let at_ns = row.ts_enqueue.as_ns();
                any_ns = least(any_ns, at_ns);
                if !row.flags.is_some_and(|flags| flags.has(Flag::Orphan)) {
                    root_ns = least(root_ns, at_ns);
                }
            }
            Ok(())
        })?;
        Ok(root_ns.or(any_ns).unwrap_or(0))
    }

    /// The traces with at least one invocation that has no parent invocation and arrives in the window.
    fn traces(&mut self, span: Span) -> Result<HashSet<TraceId>, WorkError> {
        let mut traces = HashSet::default();
        self.invocations(|_, row| {
            if row.parent_id.is_none() && span.has(row.ts_enqueue.as_ns()) {
                traces.insert(row.trace_id);
            }
            if traces.len() > INVOCATIONS_MAX {
                return Err(TooMany {
                    what: "traces",
                    max: INVOCATIONS_MAX,
                });
            }
            Ok(())
        })?;
        Ok(traces)
    }

    /// Collects the rows of the traces for which `is_wanted` returns true.
    fn rows(&mut self, is_wanted: &dyn Fn(TraceId) -> bool) -> Result<(), WorkError> {
        let mut damaged = self.invocations(|collector, row| match is_wanted(row.trace_id) {
            true => collector.invocation(row),
            false => Ok(()),
        })?;
        damaged += self.each(File::Calls, |collector, line| {
            let Ok(row) = serde_json::from_slice::<cctf::Call<'_>>(line) else {
                return Ok(false);
            };
            if is_wanted(row.trace_id) {
                collector.call(&row)?;
            }
            Ok(true)
        })?;
        self.collector.damaged_lines(damaged);
        for part in self.parts {
            for file in [File::Invocations, File::Calls] {
                if !self.run.path(part, file).exists() {
                    let sentence = format!("{} has no {}", part.folder(), file.name());
                    self.collector.missing(sentence);
                }
            }
        }
        Ok(())
    }

    /// Passes all invocations to `on_row`. Returns the number of damaged lines.
    fn invocations(
        &mut self,
        mut on_row: impl FnMut(&mut Collector, &Invocation<'_>) -> Result<(), TooMany>,
    ) -> Result<u64, WorkError> {
        self.each(File::Invocations, |collector, line| {
            let Ok(row) = serde_json::from_slice::<Invocation<'_>>(line) else {
                return Ok(false);
            };
            on_row(collector, &row).map(|()| true)
        })
    }

    /// Passes all lines of a file to `on_line`, which returns whether the line is a valid row. Returns the number of damaged
    /// lines.
    fn each(
        &mut self,
        file: File,
        mut on_line: impl FnMut(&mut Collector, &[u8]) -> Result<bool, TooMany>,
    ) -> Result<u64, WorkError> {
        let mut damaged = 0;
        for part in self.parts {
            let Some(lines) = Lines::open(self.run.path(part, file))? else {
                continue;
            };
            let mut flow = ControlFlow::Continue(());
            let on_row = |line: &[u8]| {
                self.bytes.add_line(line);
                if flow.is_break() {
                    return true;
                }
                on_line(&mut self.collector, line).unwrap_or_else(|too_many| {
                    flow = ControlFlow::Break(too_many);
                    true
                })
            };
            let read: Result<(), ReadError> = lines.each_row(on_row, |_| damaged += 1);
            read?;
            if let ControlFlow::Break(too_many) = flow {
                return Err(too_many_in(self.run, too_many));
            }
        }
        Ok(damaged)
    }
}

fn too_many_in(run: &Run, too_many: TooMany) -> WorkError {
    WorkError::TooMany {
        run: run.id().to_owned(),
        too_many,
    }
}
