//! [`Graph`]: the rules on how invocations and calls refer to one another, trace by trace.

use std::collections::HashSet;

use super::report::{Findings, Place};
use super::rules::Broken;
use crate::cctf::{Call, File, Flag, Invocation, Milliseconds, SpanId, SpanKind, TraceId};

/// What the graph keeps of an invocation, so that rows need not be held.
#[derive(Debug, Clone, Copy)]
struct Invoked {
    trace: TraceId,
    span: SpanId,
    kind: SpanKind,
    line: Option<u64>,
    above: Above,
    caller: Option<SpanId>,
    /// What net_ms says that the caller's duration is.
    caller_lasted: Option<Milliseconds>,
}

/// What the graph keeps of a call.
#[derive(Debug, Clone, Copy)]
struct Called {
    trace: TraceId,
    span: SpanId,
    kind: Option<SpanKind>,
    line: Option<u64>,
    above: Above,
    lasted: Option<Milliseconds>,
}

/// What a row says of its ancestors: parent_id or ancestor_id, and the parent span.
#[derive(Debug, Clone, Copy)]
struct Above {
    invocation: Option<SpanId>,
    span: Option<SpanId>,
    orphan: bool,
}

/// All invocations and calls of a folder.
#[derive(Debug, Default)]
pub(super) struct Graph {
    invocations: Vec<Invoked>,
    calls: Vec<Called>,
}

/// References that the folder does not resolve; another part of the run may.
#[derive(Debug, Default)]
pub(super) struct Unresolved {
    pub invocations: References,
    pub calls: References,
}

/// References to rows of one file.
#[derive(Debug, Default)]
pub(super) struct References {
    wanted: HashSet<(TraceId, SpanId)>,
    references: Vec<(Broken, TraceId, SpanId, Place)>,
}

impl References {
    fn add(&mut self, broken: Broken, trace: TraceId, span: SpanId, place: Place) {
        self.wanted.insert((trace, span));
        self.references.push((broken, trace, span, place));
    }

    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Resolves the references to a row that another part has.
    pub fn resolve(&mut self, trace: TraceId, span: SpanId) {
        self.wanted.remove(&(trace, span));
    }

    /// Reports those that nothing resolved; `may_be_elsewhere` says that there are parts that can't be looked into.
    pub fn report(&self, may_be_elsewhere: bool, findings: &mut Findings) {
        for &(broken, trace, span, place) in &self.references {
            if self.wanted.contains(&(trace, span)) {
                let message = || format!("trace {trace} has no such row as {span}");
                match may_be_elsewhere {
                    true => findings.add_as_if_open(broken, place, message),
                    false => findings.add(broken, place, message),
                }
            }
        }
    }
}

impl Graph {
    pub fn add_invocation(&mut self, row: &Invocation<'_>, place: Place) {
        let caller_lasted = row
            .net_ms
            .zip(row.rt_ms)
            .and_then(|(net, lasted)| net.as_ns().checked_add(lasted.as_ns()).map(Milliseconds::from_ns));
        self.invocations.push(Invoked {
            trace: row.trace_id,
            span: row.span_id,
            kind: row.kind,
            line: place.line,
            above: Above {
                invocation: row.parent_id,
                span: row.parent_span_id,
                orphan: row.flags.unwrap_or_default().has(Flag::Orphan),
            },
            caller: row.caller_span_id,
            caller_lasted,
        });
    }

    pub fn add_call(&mut self, row: &Call<'_>, place: Place) {
        self.calls.push(Called {
            trace: row.trace_id,
            span: row.span_id,
            kind: row.kind,
            line: place.line,
            above: Above {
                invocation: row.ancestor_id,
                span: row.parent_span_id,
                orphan: row.flags.unwrap_or_default().has(Flag::Orphan),
            },
            lasted: row.ts_start.until(row.ts_end),
        });
    }

    /// Checks every trace. Sorting puts a trace's rows together, so that each lookup stays within few rows.
    pub fn check(mut self, findings: &mut Findings) -> Unresolved {
        self.invocations
            .sort_unstable_by_key(|row| (row.trace, row.span, row.kind, row.line));
        self.calls
            .sort_unstable_by_key(|row| (row.trace, row.span, row.kind, row.line));
        let (mut invocations, mut calls) = (&self.invocations[..], &self.calls[..]);
        let mut unresolved = Unresolved::default();
        let mut walks = Vec::new();
        let earliest = |invocations: &[Invoked], calls: &[Called]| {
            invocations
                .first()
                .map(|row| row.trace)
                .into_iter()
                .chain(calls.first().map(|row| row.trace))
                .min()
        };
        while let Some(id) = earliest(invocations, calls) {
            let trace = Trace {
                id,
                invocations: take_while(&mut invocations, |row| row.trace == id),
                calls: take_while(&mut calls, |row| row.trace == id),
            };
            trace.check(&mut unresolved, findings);
            trace.check_cycles(&mut walks, findings);
        }
        unresolved
    }
}

fn take_while<'a, T>(rows: &mut &'a [T], belongs: impl Fn(&T) -> bool) -> &'a [T] {
    let count = rows.iter().take_while(|row| belongs(row)).count();
    let (taken, rest) = rows.split_at(count);
    *rows = rest;
    taken
}

/// The rows of one trace, sorted by span.
struct Trace<'a> {
    id: TraceId,
    invocations: &'a [Invoked],
    calls: &'a [Called],
}

impl Trace<'_> {
    fn invocation(&self, span: SpanId) -> Option<usize> {
        let at = self.invocations.partition_point(|row| row.span < span);
        self.invocations
            .get(at)
            .is_some_and(|row| row.span == span)
            .then_some(at)
    }

    /// The calls of a span: one, unless kinds share the id or a copy came late.
    fn calls_of(&self, span: SpanId) -> &[Called] {
        let rest = &self.calls[self.calls.partition_point(|row| row.span < span)..];
        &rest[..rest.iter().take_while(|row| row.span == span).count()]
    }

    fn check(&self, unresolved: &mut Unresolved, findings: &mut Findings) {
        for (at, row) in self.invocations.iter().enumerate() {
            let place = Place {
                file: File::Invocations,
                line: row.line,
            };
            if at > 0
                && (self.invocations[at - 1].span, self.invocations[at - 1].kind) == (row.span, row.kind)
            {
                self.add_duplicate(row.span, place, findings);
            }
            if row.above.invocation == Some(row.span) {
                findings.add(Broken::ParentNotSelf, place, || {
                    format!("parent_id is the row's own span_id {}", row.span)
                });
            } else {
                self.check_above(
                    row.span,
                    row.above,
                    Broken::ParentKnown,
                    place,
                    unresolved,
                    findings,
                );
            }
            self.check_caller(row, place, unresolved, findings);
        }
        for (at, row) in self.calls.iter().enumerate() {
            let place = Place {
                file: File::Calls,
                line: row.line,
            };
            if at > 0 && (self.calls[at - 1].span, self.calls[at - 1].kind) == (row.span, row.kind) {
                self.add_duplicate(row.span, place, findings);
            }
            self.check_above(
                row.span,
                row.above,
                Broken::CallAncestorKnown,
                place,
                unresolved,
                findings,
            );
        }
    }

    fn add_duplicate(&self, span: SpanId, place: Place, findings: &mut Findings) {
        findings.add(Broken::DuplicateIdentity, place, || {
            format!("trace {} has span {span} before", self.id)
        });
    }

    fn check_above(
        &self,
        span: SpanId,
        above: Above,
        not_known: Broken,
        place: Place,
        unresolved: &mut Unresolved,
        findings: &mut Findings,
    ) {
        if let Some(invocation) = above.invocation
            && self.invocation(invocation).is_none()
        {
            unresolved.invocations.add(not_known, self.id, invocation, place);
            return;
        }
        let Some(parent_span) = above.span.filter(|&parent| parent != span && !above.orphan) else {
            return;
        };
        if let Some(nearest) = self.nearest_invocation(parent_span)
            && nearest != above.invocation
        {
            let show = |id: Option<SpanId>| id.map_or("null".to_owned(), |id| id.to_string());
            findings.add(Broken::ParentIsNearest, place, || {
                format!(
                    "parent span {parent_span} leads to {}, the row tells {}",
                    show(nearest),
                    show(above.invocation)
                )
            });
        }
    }

    /// The invocation that a span is or was made by; `None` where the folder does not tell.
    fn nearest_invocation(&self, span: SpanId) -> Option<Option<SpanId>> {
        match (self.invocation(span), self.calls_of(span)) {
            (Some(_), []) => Some(Some(span)),
            (None, [call]) if !call.above.orphan => Some(call.above.invocation),
            _ => None,
        }
    }

    fn check_caller(
        &self,
        row: &Invoked,
        place: Place,
        unresolved: &mut Unresolved,
        findings: &mut Findings,
    ) {
        let Some(caller) = row.caller else { return };
        let calls = self.calls_of(caller);
        if calls.is_empty() {
            unresolved.calls.add(Broken::CallerKnown, self.id, caller, place);
            return;
        }
        let lasted = calls.iter().find_map(|call| call.lasted);
        if let (Some(told), Some(lasted)) = (row.caller_lasted, lasted)
            && !calls.iter().any(|call| call.lasted == Some(told))
        {
            findings.add(Broken::NetEqualsDifference, place, || {
                format!("caller {caller} lasted {lasted} ms, net_ms and rt_ms add up to {told}")
            });
        }
    }

    /// Walks up from every invocation; one that comes back to itself within one walk is on a cycle.
    fn check_cycles(&self, walks: &mut Vec<usize>, findings: &mut Findings) {
        const NOT_WALKED: usize = usize::MAX;
        walks.clear();
        walks.resize(self.invocations.len(), NOT_WALKED);
        for walk in 0..self.invocations.len() {
            let mut at = Some(walk);
            while let Some(here) = at.filter(|&here| walks[here] == NOT_WALKED) {
                walks[here] = walk;
                at = self.parent(here);
            }
            if let Some(back) = at.filter(|&back| walks[back] == walk) {
                self.add_cycle(back, findings);
            }
        }
    }

    fn parent(&self, at: usize) -> Option<usize> {
        let row = &self.invocations[at];
        row.above
            .invocation
            .filter(|&parent| parent != row.span)
            .and_then(|parent| self.invocation(parent))
            // Of several rows with that id none is the parent for certain.
            .filter(|&at| {
                self.invocations
                    .get(at + 1)
                    .is_none_or(|next| next.span != self.invocations[at].span)
            })
    }

    /// Reports a cycle once, at the first of its lines.
    fn add_cycle(&self, start: usize, findings: &mut Findings) {
        let mut on_cycle = vec![start];
        let mut at = self.parent(start);
        while let Some(here) = at.filter(|&here| here != start) {
            on_cycle.push(here);
            at = self.parent(here);
        }
        let first = on_cycle
            .iter()
            .map(|&at| &self.invocations[at])
            .min_by_key(|row| row.line);
        if let Some(first) = first {
            let place = Place {
                file: File::Invocations,
                line: first.line,
            };
            findings.add(Broken::ParentNoCycle, place, || {
                format!(
                    "span {} is its own ancestor over {} invocations",
                    first.span,
                    on_cycle.len()
                )
            });
        }
    }
}
