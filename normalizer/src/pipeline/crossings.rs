//! [`Crossings`]: which run a row went to, while rows of more than one run are on their way.
//!
//! The spans of a trace can name different runs. A reference from one run's folder into another's leads nowhere, so it is
//! left out; a merge of both folders, which has both rows, resolves it.

use cctf_proto::cctf::{SpanId, SpanKind};
use serde::{Deserialize, Serialize};

use super::Pipeline;
use super::dedup::{RecentSet, span_fingerprint};
use super::held::HeldRow;
use aggregate::maps::Map;

/// The run of a row that waits for its trace's run, and of one that no run took.
const UNDECIDED: u32 = u32::MAX;
const REFUSED: u32 = u32::MAX - 1;

/// How many join windows a row is remembered at least: longer than a row can wait for one above it.
const WINDOWS_REMEMBERED: u64 = 4;

/// Runs of the rows that arrived since rows of a second run did.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Crossings {
    /// The run of the latest row.
    latest: Option<u32>,
    /// The run of all rows before the oldest that is remembered; [`UNDECIDED`] if they waited for their traces' runs. Each of
    /// those that has been decided since is remembered.
    before: Option<u32>,
    /// Time in which records came: a silence counts as one window, since what waits is looked at only when a record comes.
    passed: u64,
    /// Journal time up to which that is counted.
    counted_to: u64,
    /// Until when rows are remembered, in that time; 0: they are not.
    until: u64,
    young: Map<u64, u32>,
    old: Map<u64, u32>,
    /// When the older half is forgotten next, in that time.
    turn_at: u64,
    /// Whether rows have been forgotten. One that is not remembered then counts as one of the run that asks: it is older than
    /// what is remembered, and far more references stay within their run than leave it.
    has_forgotten: bool,
}

impl Crossings {
    /// Whether rows of more than one run are on their way.
    #[inline]
    pub fn are_possible(&self) -> bool {
        self.until > 0
    }

    /// How many rows are remembered.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Notes the run of a row; true if the row is to be remembered with it.
    #[inline]
    fn note(&mut self, run: u32, for_ns: u64) -> bool {
        if self.latest != Some(run) {
            self.change(run, for_ns);
        }
        self.until > 0
    }

    #[cold]
    fn change(&mut self, run: u32, for_ns: u64) {
        if let Some(latest) = self.latest {
            if self.until == 0 {
                self.before = Some(latest);
                self.turn_at = self.passed.saturating_add(for_ns / 2);
            }
            self.until = self.passed.saturating_add(for_ns);
        }
        self.latest = Some(run);
    }

    /// Remembers a row; `is_ambiguous` says whether an earlier row, which may not be remembered, has the same id.
    fn remember(&mut self, row: u64, run: u32, max: usize, is_ambiguous: impl FnOnce() -> bool) {
        if self.young.len() >= max {
            self.turn();
        }
        let known = self.young.get(&row).or_else(|| self.old.get(&row)).copied();
        // An id that is used twice leads nowhere for certain.
        let is_certain = match known {
            Some(known) => known == run,
            None => self.before == Some(run) || !is_ambiguous(),
        };
        self.young.insert(row, if is_certain { run } else { REFUSED });
    }

    /// Remembers a row that may be remembered as one that waits for its trace's run.
    fn decide(&mut self, row: u64, run: u32, max: usize, is_ambiguous: impl FnOnce() -> bool) {
        let known = self.young.get_mut(&row).into_iter();
        let mut is_remembered = false;
        for known in known.chain(self.old.get_mut(&row)) {
            is_remembered = true;
            if *known == UNDECIDED {
                *known = run;
            } else if *known != run {
                *known = REFUSED;
            }
        }
        if !is_remembered {
            self.remember(row, run, max, is_ambiguous);
        }
    }

    fn turn(&mut self) {
        self.has_forgotten |= !self.old.is_empty();
        self.old = std::mem::take(&mut self.young);
    }

    fn run_of(&self, row: u64) -> Option<u32> {
        let known = self.young.get(&row).or_else(|| self.old.get(&row));
        known.copied().or(self.before.filter(|_| !self.has_forgotten))
    }

    /// Notes to which run a row goes that waited for its trace's.
    fn note_decided(&mut self, held: &HeldRow, run: RowRun, window_ns: u64, max: usize) {
        let run = run.number();
        let is_call = held.facts.is_call;
        if let Some(span_id) = span_id_of(&held.line)
            && self.note(run, remembered_ns(window_ns))
        {
            let row = row_fingerprint(&held.facts.trace_id, &span_id.0, is_call);
            // All rows with that id waited for the same trace's run.
            self.decide(row, run, max, || false);
        }
    }

    /// Forgets what is old, and all once rows of one run alone have come for long enough.
    pub fn expire(&mut self, now: u64, window_ns: u64) {
        let silent = now.saturating_sub(self.counted_to);
        self.counted_to = now;
        self.passed = self.passed.saturating_add(silent.min(window_ns));
        if self.until == 0 {
            return;
        }
        if self.passed >= self.until {
            *self = Self {
                latest: self.latest,
                passed: self.passed,
                counted_to: self.counted_to,
                ..Self::default()
            };
        } else if self.passed >= self.turn_at {
            self.turn_at = self
                .passed
                .saturating_add(WINDOWS_REMEMBERED.saturating_mul(window_ns));
            self.turn();
        }
    }
}

/// What is known of a row's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowRun {
    /// It goes to this run.
    Known(usize),
    /// It waits for its trace's run.
    Awaited,
    /// No run takes it.
    Refused,
}

impl RowRun {
    /// The run that a row goes to, if that is known.
    pub(super) fn of(run: Option<usize>) -> Self {
        run.map_or(Self::Awaited, Self::Known)
    }

    fn number(self) -> u32 {
        match self {
            Self::Known(run) => run as u32,
            Self::Awaited => UNDECIDED,
            Self::Refused => REFUSED,
        }
    }
}

/// The kinds of spans whose rows are invocations, and those whose rows are calls.
const INVOCATIONS: &[SpanKind] = &[SpanKind::Server, SpanKind::Consumer, SpanKind::Internal];
const CALLS: &[SpanKind] = &[SpanKind::Client, SpanKind::Producer];

fn is_call(kind: SpanKind) -> bool {
    CALLS.contains(&kind)
}

/// A row by what refers to it: an invocation and a call may share their id, as with Zipkin.
fn row_fingerprint(trace_id: &[u8; 16], span_id: &[u8; 8], is_call: bool) -> u64 {
    span_fingerprint(trace_id, span_id, u8::from(is_call))
}

/// Whether a span of another kind has been seen whose row would be referred to as that of this one.
#[cold]
fn is_id_shared(seen: &RecentSet, trace_id: &[u8; 16], span_id: &[u8; 8], kind: SpanKind) -> bool {
    let kinds = if is_call(kind) { CALLS } else { INVOCATIONS };
    let mut others = kinds.iter().filter(|&&other| other != kind);
    others.any(|&other| seen.contains(span_fingerprint(trace_id, span_id, other as u8)))
}

/// How long rows are remembered.
fn remembered_ns(window_ns: u64) -> u64 {
    (2 * WINDOWS_REMEMBERED).saturating_mul(window_ns)
}

impl Pipeline {
    /// Notes to which run the row of a span goes.
    #[inline]
    pub(super) fn note_run(&mut self, trace_id: &[u8; 16], span_id: &[u8; 8], kind: SpanKind, run: RowRun) {
        let run = run.number();
        if self.crossings.note(run, remembered_ns(self.window_ns)) {
            let is_ambiguous = || is_id_shared(&self.seen, trace_id, span_id, kind);
            let row = row_fingerprint(trace_id, span_id, is_call(kind));
            self.crossings
                .remember(row, run, self.shares.traces, is_ambiguous);
        }
    }

    /// Notes to which run the row of inner work goes, which may have been noted when its span arrived.
    pub(super) fn note_run_of_inner_work(&mut self, trace_id: &[u8; 16], span_id: &[u8; 8], run: RowRun) {
        let run = run.number();
        if self.crossings.note(run, remembered_ns(self.window_ns)) {
            let is_ambiguous = || is_id_shared(&self.seen, trace_id, span_id, SpanKind::Internal);
            let row = row_fingerprint(trace_id, span_id, false);
            self.crossings.decide(row, run, self.shares.traces, is_ambiguous);
        }
    }

    /// Notes that no run takes a row that waited for one.
    pub(super) fn note_refusal(&mut self, row: u32) {
        let (window_ns, max) = (self.window_ns, self.shares.traces);
        if let Some(held) = self.held.get(row) {
            self.crossings.note_decided(held, RowRun::Refused, window_ns, max);
        }
    }

    /// Gives the rows of a trace that wait for its run that run, and returns those that miss nothing else.
    pub(super) fn know_run(&mut self, trace_id: &[u8; 16], run: usize) -> Vec<HeldRow> {
        let (window_ns, max) = (self.window_ns, self.shares.traces);
        let crossings = &mut self.crossings;
        self.held.know_run(trace_id, run, |row| {
            crossings.note_decided(row, RowRun::Known(run), window_ns, max);
        })
    }

    /// Gives a row that waits for its trace's run that run, and returns it if it misses nothing else.
    pub(super) fn set_run(&mut self, row: u32, run: usize) -> Option<HeldRow> {
        let (window_ns, max) = (self.window_ns, self.shares.traces);
        if let Some(held) = self.held.get(row) {
            self.crossings
                .note_decided(held, RowRun::Known(run), window_ns, max);
        }
        self.held.set_run(row, run)
    }

    /// Whether a row of this run may refer to an invocation or a call: its row is in the folder of the same run, or will be.
    #[inline]
    pub(super) fn is_in_run(
        &self,
        run: usize,
        trace_id: &[u8; 16],
        span_id: &[u8; 8],
        is_call: bool,
    ) -> bool {
        !self.crossings.are_possible()
            || self.is_remembered_in_run(run, row_fingerprint(trace_id, span_id, is_call))
    }

    #[cold]
    fn is_remembered_in_run(&self, run: usize, row: u64) -> bool {
        match self.crossings.run_of(row) {
            // What waits still is not of a run that its trace has named: that has been remembered with it.
            Some(known) => known == run as u32,
            None => true,
        }
    }
}

/// The span of a row's line, which begins with `trace_id` and `span_id`.
fn span_id_of(line: &[u8]) -> Option<SpanId> {
    const BEGIN: usize = r#"{"trace_id":"","span_id":""#.len() + 2 * size_of::<[u8; 16]>();
    let digits = line.get(BEGIN..BEGIN + 2 * size_of::<[u8; 8]>())?;
    SpanId::parse(std::str::from_utf8(digits).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_the_ids_of_its_row() {
        let line = br#"{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00000000000000a2","parent_id":null"#;
        assert_eq!(span_id_of(line), Some(SpanId([0, 0, 0, 0, 0, 0, 0, 0xa2])));
        assert_eq!(span_id_of(b"{}"), None);
    }
}
