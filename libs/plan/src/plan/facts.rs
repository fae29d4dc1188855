//! [`Recorded`]: the work of a run, with the fields of its rows that only a plan needs.

use cctf_proto::cctf::{self, Invocation, Milliseconds, SpanId, SpanKind, is_error};

use super::texts::Texts;
use crate::work::{Collector, Names, TooMany, Work, Works};

/// The work of a run and the facts beside it. A run of 300,000 invocations and 200,000 calls takes 170 MiB,
/// so one at both maxima less than 4 GiB.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    pub works: Works,
    /// For each invocation.
    pub invocations: Vec<InvocationFacts>,
    /// For each call.
    pub calls: Vec<CallFacts>,
    pub texts: Texts,
}

/// Fields of an invocation's row beside its work. Sizes of 4 GiB and more count as 4 GiB.
#[derive(Debug, Clone, Copy)]
pub struct InvocationFacts {
    pub cpu_ns: Option<i64>,
    pub cpu_wait_ns: i64,
    /// All of its waits for further slots, with the wake-ups.
    pub slot_wait_ns: i64,
    pub queue_ns: Option<i64>,
    pub bytes_in: Option<u32>,
    pub bytes_out: Option<u32>,
    pub status: Option<i32>,
    pub error: Option<u32>,
    pub kind: SpanKind,
    pub is_failed: bool,
    pub has_duration: bool,
}

/// Fields of a call's row beside its work.
#[derive(Debug, Clone, Copy)]
pub struct CallFacts {
    pub start_ns: i64,
    pub end_ns: i64,
    /// The internal span that made it; `None` if the invocation itself did.
    pub branch: Option<SpanId>,
    pub label: Option<u32>,
    pub error: Option<u32>,
    pub bytes_out: Option<u32>,
    pub bytes_in: Option<u32>,
    pub status: Option<i32>,
    /// Number of earlier attempts.
    pub resends: u32,
    pub is_message: bool,
    pub is_sleep: bool,
    pub is_failed: bool,
}

/// A row of a call of an invocation.
#[derive(Debug)]
struct CallRow {
    work: u32,
    span_id: SpanId,
    facts: CallFacts,
}

/// Collects rows: first all invocations, then all calls.
#[derive(Debug, Default)]
pub struct PlanCollector {
    pub work: Collector,
    invocations: Vec<InvocationFacts>,
    calls: Vec<CallRow>,
    texts: Texts,
}

impl PlanCollector {
    /// Adds an invocation.
    ///
    /// # Errors
    /// If there are too many.
    pub fn invocation(&mut self, row: &Invocation<'_>) -> Result<(), TooMany> {
        self.work.invocation(row)?;
        if self.work.len() == self.invocations.len() {
            return Ok(());
        }
        let ns = |value: Option<Milliseconds>| value.map_or(0, |value| value.as_ns().max(0));
        let response = row.rt_ms.or_else(|| row.ts_enqueue.until(row.ts_end));
        self.invocations.push(InvocationFacts {
            cpu_ns: row.cpu_time_ms.map(|cpu| cpu.as_ns().max(0)),
            cpu_wait_ns: ns(row.cpu_wait_ms),
            slot_wait_ns: ns(row.slot_wait_ms),
            queue_ns: row.queue_time_ms.map(|queue| queue.as_ns().max(0)),
            bytes_in: row.bytes_in.map(saturated),
            bytes_out: row.bytes_out.map(saturated),
            status: row.status.and_then(|status| i32::try_from(status).ok()),
            error: self.texts.error(row.error_type.as_deref()),
            kind: row.kind,
            is_failed: is_error(row.status, row.error_type.as_deref()),
            has_duration: response.is_some_and(|response| response.as_ns() >= 0),
        });
        Ok(())
    }

    /// Adds a call, after all invocations.
    ///
    /// # Errors
    /// If there are too many.
    pub fn call(&mut self, row: &cctf::Call<'_>) -> Result<(), TooMany> {
        self.work.call(row)?;
        let Some(work) = row.ancestor_id.and_then(|id| self.work.find(row.trace_id, id)) else {
            return Ok(());
        };
        let facts = CallFacts {
            start_ns: row.ts_start.as_ns(),
            end_ns: row.ts_end.as_ns(),
            branch: row
                .parent_span_id
                .filter(|parent| row.ancestor_id != Some(*parent)),
            label: self.texts.label(row),
            error: self.texts.error(row.error_type.as_deref()),
            bytes_out: row.bytes_out.map(saturated),
            bytes_in: row.bytes_in.map(saturated),
            status: row.status.and_then(|status| i32::try_from(status).ok()),
            resends: saturated(row.resend_count.unwrap_or(0)),
            is_message: row.kind == Some(SpanKind::Producer),
            is_sleep: false,
            is_failed: is_error(row.status, row.error_type.as_deref()),
        };
        self.calls.push(CallRow {
            work,
            span_id: row.span_id,
            facts,
        });
        Ok(())
    }

    /// The work of all rows, with their facts.
    ///
    /// # Errors
    /// If calls that no row has make too many.
    pub fn finish(mut self) -> Result<Recorded, TooMany> {
        let works = self.work.finish()?;
        // The order of the calls in the work.
        self.calls
            .sort_by_key(|row| (row.work, row.facts.start_ns, row.facts.end_ns, row.span_id));
        let mut rows = self.calls.into_iter().peekable();
        let mut calls = Vec::with_capacity(works.calls.len());
        for call in &works.calls {
            let row = rows.next_if(|row| row.work == call.work && row.span_id == call.span_id);
            calls.push(match row {
                Some(row) => row.facts,
                None => without_row(&works, call.work, call),
            });
        }
        Ok(Recorded {
            works,
            invocations: self.invocations,
            calls,
            texts: self.texts,
        })
    }
}

/// The facts of a call that has no row: a sleep without a slot, or a call that is inferred from the times of its callee.
fn without_row(works: &Works, work: u32, call: &crate::work::Call) -> CallFacts {
    let caller = &works.works[work as usize];
    let callee = works.works.get(call.callee as usize);
    let start_ns = match callee {
        Some(callee) => callee.enqueue_ns.clamp(caller.start_ns(), caller.end_ns()),
        None => caller.start_ns() + call.gap_ns,
    };
    CallFacts {
        start_ns,
        end_ns: start_ns + call.duration_ns,
        branch: None,
        label: None,
        error: None,
        bytes_out: None,
        bytes_in: None,
        status: None,
        resends: 0,
        is_message: false,
        is_sleep: callee.is_none(),
        is_failed: false,
    }
}

impl Recorded {
    pub fn names(&self) -> &Names {
        &self.works.names
    }

    /// An invocation by its index; `None` for [`NONE`](crate::work::NONE).
    pub fn work(&self, index: u32) -> Option<&Work> {
        self.works.works.get(index as usize)
    }
}

fn saturated(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
