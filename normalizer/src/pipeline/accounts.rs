//! [`Accounts`]: every span counts once, in one part of one run, by what became of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cctf_proto::cctf::SpanOutcomes;
use cctf_proto::otlp::trace::Span;
use serde::{Deserialize, Serialize};

use super::Pipeline;
use super::held::RowFacts;
use super::output::Output;
use super::sources::Source;

/// What became of a span that has no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Work inside an invocation, or a request that a second instrumentation has seen.
    Inner,
    /// Neither work nor a call: a poll, a lookup of a name.
    Aside,
    /// A control span that was followed.
    Control,
    /// It had come before.
    Duplicate,
}

/// Spans without a row, by what became of them.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Accounts {
    inner: u64,
    asides: u64,
    control: u64,
    duplicates: u64,
    /// Spans that no row could be made of, by reason.
    pub rejected: BTreeMap<Cow<'static, str>, u64>,
}

impl Accounts {
    /// Counts spans.
    pub fn count(&mut self, fate: Fate, spans: u64) {
        let counter = match fate {
            Fate::Inner => &mut self.inner,
            Fate::Aside => &mut self.asides,
            Fate::Control => &mut self.control,
            Fate::Duplicate => &mut self.duplicates,
        };
        *counter += spans;
    }

    fn add(&mut self, more: Self) {
        self.inner += more.inner;
        self.asides += more.asides;
        self.control += more.control;
        self.duplicates += more.duplicates;
        for (reason, spans) in more.rejected {
            *self.rejected.entry(reason).or_default() += spans;
        }
    }

    /// All of them, with `rows` spans that became rows.
    pub fn outcomes(&self, rows: u64) -> SpanOutcomes {
        SpanOutcomes {
            rows,
            inner: self.inner,
            asides: self.asides,
            control: self.control,
            duplicates: self.duplicates,
            rejected: self.rejected.values().sum(),
        }
    }

    fn is_empty(&self) -> bool {
        self.outcomes(0).total() == 0
    }
}

impl Pipeline {
    /// Counts spans without a row in a run, or in the normalizer's own where none is known.
    pub(super) fn account(&mut self, run: Option<usize>, fate: Fate, spans: u64) {
        self.accounts_of(run).count(fate, spans);
    }

    /// Counts a span without a row in the run that it names, else in its trace's.
    pub(super) fn account_span(
        &mut self,
        span: &Span<'_>,
        source: &Source,
        named_run: Option<usize>,
        fate: Fate,
        output: &mut Output,
    ) {
        let Ok(trace_id) = <[u8; 16]>::try_from(span.trace_id) else {
            return;
        };
        let (resource_run, start) = (source.identity.run_id.as_deref(), span.start_time_unix_nano);
        let run = named_run.or_else(|| self.run_of_trace(&trace_id, resource_run, start, output));
        self.account_rowless(run, fate, RowFacts::of(span, trace_id, source));
    }

    /// Counts a span without a row in its run, or keeps the count until that is known.
    pub(super) fn account_rowless(&mut self, run: Option<usize>, fate: Fate, facts: RowFacts) {
        match run {
            Some(_) => self.account(run, fate, 1),
            None => self.held.add_rowless(fate, facts, self.now + self.window_ns),
        }
    }

    /// Counts a span that no row can be made of.
    pub(super) fn reject_span(&mut self, run: Option<usize>, reason: &'static str) {
        self.totals.reject_spans(reason, 1);
        let rejected = &mut self.accounts_of(run).rejected;
        *rejected.entry(Cow::Borrowed(reason)).or_default() += 1;
    }

    /// Counts a span that had come before. It opens no run, and waits for none.
    pub(super) fn account_duplicate(
        &mut self,
        named_run: Option<&str>,
        trace_id: &[u8; 16],
        source: &Source,
    ) {
        self.totals.duplicates += 1;
        let of_span = named_run.and_then(|run_id| self.runs.find(run_id));
        let of_trace = || self.traces.get(trace_id);
        let run = of_span.or_else(of_trace).or_else(|| self.open_run_of(source));
        self.account(run, Fate::Duplicate, 1);
    }

    /// The open run that a source's data belongs to, if nothing else says so.
    pub(super) fn open_run_of(&self, source: &Source) -> Option<usize> {
        let of_resource = || {
            let run_id = source.identity.run_id.as_deref()?;
            let slot = self.runs.find(run_id)?;
            self.runs.live().find(|&live| live == slot)
        };
        self.runs.only_driven().or_else(of_resource)
    }

    fn accounts_of(&mut self, run: Option<usize>) -> &mut Accounts {
        match run.or_else(|| self.runs.find_own()) {
            Some(slot) => {
                let run = self.runs.at(slot);
                run.dirty = true;
                &mut run.part.accounts
            }
            None => &mut self.unplaced,
        }
    }

    /// Gives the normalizer's own run, which has just been opened, the spans that were counted before.
    pub(super) fn place_accounts(&mut self, own: usize) {
        let unplaced = std::mem::take(&mut self.unplaced);
        self.runs.at(own).part.accounts.add(unplaced);
    }

    /// Opens the normalizer's own run at the end, where spans came that belong to no other, and closes it. It has no rows, so
    /// `latest` goes on to name another, if there is one.
    pub(super) fn close_accounts(&mut self, output: &mut Output) {
        if self.unplaced.is_empty() {
            return;
        }
        let own = self.runs.own_id().to_owned();
        let newest = self.runs.newest;
        let is_first = self.runs.is_empty();
        let Ok((slot, true)) = self.runs.open(&own, false, self.now, output) else {
            return;
        };
        if !is_first {
            self.runs.newest = newest;
            let part = &self.runs.at(slot).part.of;
            output.run(slot, part).latest = false;
        }
        self.runs.at(slot).started_unix_ns = self.last_unix_ns;
        self.runs.at(slot).part.totals_at_open = self.totals.clone();
        self.place_accounts(slot);
        self.runs.at(slot).suspend();
        self.close_run(slot, output);
    }
}
