//! [`Graph`]: the rules on references between invocations and calls, checked trace by trace.

use super::report::{Findings, Place};
use super::rules::Broken;
use super::unresolved::{Cycle, Unresolved};
use crate::cctf::{Call, File, Flag, Invocation, Milliseconds, SpanId, SpanKind, TraceId};

/// The fields of an invocation that the rules need, so that the whole rows need not stay in memory.
#[derive(Debug, Clone, Copy)]
struct InvocationNode {
    trace: TraceId,
    span: SpanId,
    kind: SpanKind,
    line: Option<u64>,
    parent: Parent,
    caller: Option<SpanId>,
    /// Duration of the call according to the invocation: `net_ms + rt_ms`.
    call_duration: Option<Milliseconds>,
}

/// The fields of a call that the rules need.
#[derive(Debug, Clone, Copy)]
struct CallNode {
    trace: TraceId,
    span: SpanId,
    kind: Option<SpanKind>,
    line: Option<u64>,
    parent: Parent,
    duration: Option<Milliseconds>,
}

/// The references of a row to its ancestors.
#[derive(Debug, Clone, Copy)]
struct Parent {
    /// `parent_id` or `ancestor_id`.
    invocation: Option<SpanId>,
    /// `parent_span_id`.
    span: Option<SpanId>,
    is_orphan: bool,
}

/// All invocations and calls of a folder.
#[derive(Debug, Default)]
pub(super) struct Graph {
    invocations: Vec<InvocationNode>,
    calls: Vec<CallNode>,
}

impl Graph {
    pub fn add_invocation(&mut self, row: &Invocation<'_>, place: Place) {
        let call_duration = row
            .net_ms
            .zip(row.rt_ms)
            .and_then(|(net, rt)| net.as_ns().checked_add(rt.as_ns()).map(Milliseconds::from_ns));
        self.invocations.push(InvocationNode {
            trace: row.trace_id,
            span: row.span_id,
            kind: row.kind,
            line: place.line,
            parent: Parent {
                invocation: row.parent_id,
                span: row.parent_span_id,
                is_orphan: row.flags.unwrap_or_default().has(Flag::Orphan),
            },
            caller: row.caller_span_id,
            call_duration,
        });
    }

    pub fn add_call(&mut self, row: &Call<'_>, place: Place) {
        self.calls.push(CallNode {
            trace: row.trace_id,
            span: row.span_id,
            kind: row.kind,
            line: place.line,
            parent: Parent {
                invocation: row.ancestor_id,
                span: row.parent_span_id,
                is_orphan: row.flags.unwrap_or_default().has(Flag::Orphan),
            },
            duration: row.ts_start.until(row.ts_end),
        });
    }

    /// Checks every trace. The rows are sorted by trace, so that each lookup searches few rows.
    pub fn check(mut self, findings: &mut Findings) -> Unresolved {
        self.invocations
            .sort_unstable_by_key(|row| (number(row.trace), row.span, row.kind, row.line));
        self.calls
            .sort_unstable_by_key(|row| (number(row.trace), row.span, row.kind, row.line));
        let (mut invocations, mut calls) = (&self.invocations[..], &self.calls[..]);
        let mut unresolved = Unresolved::default();
        let mut walks = Vec::new();
        let earliest = |invocations: &[InvocationNode], calls: &[CallNode]| {
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
            trace.check_cycles(&mut walks, &mut unresolved);
        }
        unresolved
    }
}

/// The trace id as a number. Numbers have the same order as the bytes, and are compared by two instructions instead of a
/// function call.
fn number(trace: TraceId) -> u128 {
    u128::from_be_bytes(trace.0)
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
    invocations: &'a [InvocationNode],
    calls: &'a [CallNode],
}

impl Trace<'_> {
    fn invocation(&self, span: SpanId) -> Option<usize> {
        let index = self.invocations.partition_point(|row| row.span < span);
        self.invocations
            .get(index)
            .is_some_and(|row| row.span == span)
            .then_some(index)
    }

    /// The calls with this id: one, unless spans of different kinds share the id or a duplicate has a row.
    fn calls_of(&self, span: SpanId) -> &[CallNode] {
        let rest = &self.calls[self.calls.partition_point(|row| row.span < span)..];
        &rest[..rest.iter().take_while(|row| row.span == span).count()]
    }

    fn check(&self, unresolved: &mut Unresolved, findings: &mut Findings) {
        for (index, row) in self.invocations.iter().enumerate() {
            let place = Place {
                file: File::Invocations,
                line: row.line,
            };
            if index > 0
                && (self.invocations[index - 1].span, self.invocations[index - 1].kind)
                    == (row.span, row.kind)
            {
                self.add_duplicate(row.span, place, findings);
            }
            if row.parent.invocation == Some(row.span) {
                findings.add(Broken::ParentNotSelf, place, || {
                    format!("parent_id equals span_id {}", row.span)
                });
            } else {
                self.check_parent(
                    row.span,
                    row.parent,
                    Broken::ParentKnown,
                    place,
                    unresolved,
                    findings,
                );
            }
            self.check_caller(row, place, unresolved, findings);
        }
        for (index, row) in self.calls.iter().enumerate() {
            let place = Place {
                file: File::Calls,
                line: row.line,
            };
            if index > 0 && (self.calls[index - 1].span, self.calls[index - 1].kind) == (row.span, row.kind) {
                self.add_duplicate(row.span, place, findings);
            }
            self.check_parent(
                row.span,
                row.parent,
                Broken::CallAncestorKnown,
                place,
                unresolved,
                findings,
            );
        }
    }

    fn add_duplicate(&self, span: SpanId, place: Place, findings: &mut Findings) {
        findings.add(Broken::DuplicateIdentity, place, || {
            format!("trace {} already has a row with span_id {span}", self.id)
        });
    }

    fn check_parent(
        &self,
        span: SpanId,
        parent: Parent,
        not_known: Broken,
        place: Place,
        unresolved: &mut Unresolved,
        findings: &mut Findings,
    ) {
        if let Some(invocation) = parent.invocation
            && self.invocation(invocation).is_none()
        {
            unresolved.invocations.add(not_known, self.id, invocation, place);
            return;
        }
        let Some(parent_span) = parent
            .span
            .filter(|&parent_span| parent_span != span && !parent.is_orphan)
        else {
            return;
        };
        if let Some(nearest) = self.nearest_invocation(parent_span)
            && nearest != parent.invocation
        {
            let show = |id: Option<SpanId>| id.map_or("null".to_owned(), |id| id.to_string());
            findings.add(Broken::ParentIsNearest, place, || {
                format!(
                    "the nearest invocation at or above the parent span {parent_span} is {}, but the row has {}",
                    show(nearest),
                    show(parent.invocation)
                )
            });
        }
    }

    /// The nearest invocation of a span, which may be the span itself. `None` if the rows of the folder do not determine it.
    fn nearest_invocation(&self, span: SpanId) -> Option<Option<SpanId>> {
        match (self.invocation(span), self.calls_of(span)) {
            (Some(_), []) => Some(Some(span)),
            (None, [call]) if !call.parent.is_orphan => Some(call.parent.invocation),
            _ => None,
        }
    }

    fn check_caller(
        &self,
        row: &InvocationNode,
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
        let duration = calls.iter().find_map(|call| call.duration);
        if let (Some(expected), Some(duration)) = (row.call_duration, duration)
            && !calls.iter().any(|call| call.duration == Some(expected))
        {
            findings.add(Broken::NetEqualsDifference, place, || {
                format!("the call {caller} lasted {duration} ms, but net_ms + rt_ms is {expected} ms")
            });
        }
    }

    /// Follows the parents of every invocation. If a walk returns to one of its own rows, it has found a cycle.
    fn check_cycles(&self, walks: &mut Vec<usize>, unresolved: &mut Unresolved) {
        const NOT_WALKED: usize = usize::MAX;
        walks.clear();
        walks.resize(self.invocations.len(), NOT_WALKED);
        for walk in 0..self.invocations.len() {
            let mut index = Some(walk);
            while let Some(here) = index.filter(|&here| walks[here] == NOT_WALKED) {
                walks[here] = walk;
                index = self.parent(here);
            }
            if let Some(back) = index.filter(|&back| walks[back] == walk) {
                unresolved.invocations.add_cycle(self.cycle(back));
            }
        }
    }

    fn parent(&self, index: usize) -> Option<usize> {
        let row = &self.invocations[index];
        row.parent
            .invocation
            .filter(|&parent| parent != row.span)
            .and_then(|parent| self.invocation(parent))
            // If several rows have this id, the parent is ambiguous.
            .filter(|&index| {
                self.invocations
                    .get(index + 1)
                    .is_none_or(|next| next.span != self.invocations[index].span)
            })
    }

    /// The cycle through an invocation, with the place of its first line.
    fn cycle(&self, start: usize) -> Cycle {
        let mut on_cycle = vec![start];
        let mut index = self.parent(start);
        while let Some(here) = index.filter(|&here| here != start) {
            on_cycle.push(here);
            index = self.parent(here);
        }
        let rows = on_cycle.iter().map(|&index| &self.invocations[index]);
        let first = rows.clone().min_by_key(|row| row.line);
        Cycle {
            trace: self.id,
            first: first.map_or(self.invocations[start].span, |row| row.span),
            place: Place {
                file: File::Invocations,
                line: first.and_then(|row| row.line),
            },
            spans: rows.map(|row| row.span).collect(),
        }
    }
}
