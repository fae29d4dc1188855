//! [`Collector`]: collects the rows of invocations and calls, reduced to the fields that describe work.

use cctf_proto::cctf::{Milliseconds, SpanId, SpanKind, TraceId};
use foldhash::HashMap;

use super::model::{CALLS_MAX, CallFacts, INVOCATIONS_MAX, InvocationFacts, NONE, Waited, What, Work};
use super::names::{Instance, Names};
use super::notes::Notes;
use super::rows::{CallRow, InvocationRow};
use super::texts::Texts;

/// Maximum timestamp and duration: the year 2116 and 36 years. Greater values are replaced by the maximum, so that sums of a
/// timestamp and a few durations always fit into 64 bits.
const STAMP_MAX_NS: i64 = 1 << 62;
const DURATION_MAX_NS: i64 = 1 << 60;
/// Status of a request that a full queue refused.
const UNAVAILABLE: i64 = 503;

/// Error: a run has more rows than the maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany {
    /// The kind of rows.
    pub what: &'static str,
    pub max: usize,
}

/// Collects the rows of a run: first all invocations, then all calls.
#[derive(Debug, Clone, Default)]
pub struct Collector {
    pub(super) names: Names,
    pub(super) texts: Texts,
    pub(super) works: Vec<Work>,
    pub(super) ties: Vec<Ties>,
    pub(super) calls: Vec<MadeCall>,
    pub(super) root_calls: Vec<MadeCall>,
    pub(super) notes: Notes,
    by_id: HashMap<(TraceId, SpanId), u32>,
    /// The first invocation that each call caused, by the ids of the call.
    by_caller: HashMap<(TraceId, SpanId), u32>,
    /// For rows that do not name the call that caused them: the first invocation by trace, parent span and parent invocation.
    /// If the parent span is a call, the call caused this invocation.
    by_parent: HashMap<(TraceId, SpanId, Option<SpanId>), u32>,
}

/// References of an invocation's row to other rows, which are resolved when all rows are known.
#[derive(Debug, Clone, Copy)]
pub struct Ties {
    pub parent: Option<SpanId>,
    /// Whether the row names the call that caused it.
    pub has_caller: bool,
    pub is_orphan: bool,
    /// Time for which the invocation had no slot and did not wait for one, nanoseconds. An invocation without calls slept for
    /// this time.
    pub asleep_ns: i64,
    pub node: u32,
}

/// A call, either from a row or inferred.
#[derive(Debug, Clone, Copy)]
pub struct MadeCall {
    pub span_id: SpanId,
    pub start_ns: i64,
    pub end_ns: i64,
    /// The invocation that made it; [`NONE`] for a call from outside.
    pub work: u32,
    /// The first invocation that it caused, or [`NONE`].
    pub callee: u32,
    pub node: u32,
    pub what: What,
    pub facts: CallFacts,
}

impl Collector {
    /// Adds an invocation.
    ///
    /// # Errors
    /// If there are too many.
    pub fn invocation<'a>(&mut self, row: impl Into<InvocationRow<'a>>) -> Result<(), TooMany> {
        let row = &row.into();
        if self.works.len() >= INVOCATIONS_MAX {
            return Err(TooMany {
                what: "invocations",
                max: INVOCATIONS_MAX,
            });
        }
        let index = self.works.len() as u32;
        match self.by_id.entry((row.trace_id, row.span_id)) {
            std::collections::hash_map::Entry::Occupied(_) => {
                self.notes.duplicates += 1;
                return Ok(());
            }
            std::collections::hash_map::Entry::Vacant(vacant) => vacant.insert(index),
        };
        let module = self.names.module(row.module);
        let mut work = Work {
            trace_id: row.trace_id,
            span_id: row.span_id,
            enqueue_ns: stamp(row.enqueue),
            wait_ns: 0,
            setup_ns: 0,
            slot_wait_ns: 0,
            response_ns: 0,
            first_call: 0,
            calls: 0,
            caller: NONE,
            sibling: NONE,
            instance: self.names.instance(module, row.instance, row.node),
            endpoint: self.names.endpoint(module, row.method, row.route),
            waited: Waited::Unknown,
            facts: self.facts(row),
        };
        self.times(&mut work, row);
        let ties = self.ties_of(&work, row);
        self.ties.push(ties);
        let first = match (row.caller_span_id, row.parent_span_id) {
            (Some(caller), _) => self.by_caller.entry((row.trace_id, caller)).or_insert(index),
            // The parent span counts as the call only if the row has a parent invocation or is a SERVER span. Other rows can be
            // messages that a service sent without having received a request. Such a message counts as coming from outside.
            (None, Some(parent)) if row.parent_id.is_some() || row.kind == SpanKind::Server => {
                let above = (row.trace_id, parent, row.parent_id);
                self.by_parent.entry(above).or_insert(index)
            }
            (None, _) => &mut { index },
        };
        if *first != index {
            // The invocation that arrived first is the one that answers the call.
            let other = &mut self.works[*first as usize];
            work.sibling = match work.enqueue_ns < other.enqueue_ns {
                true => std::mem::replace(first, index),
                false => std::mem::replace(&mut other.sibling, index),
            };
        }
        self.notes.sampled += u64::from(row.is_sampled);
        self.works.push(work);
        Ok(())
    }

    fn facts(&mut self, row: &InvocationRow<'_>) -> InvocationFacts {
        let ns = |value: Option<Milliseconds>| value.map_or(0, |value| value.as_ns().max(0));
        let response = row.response.or_else(|| row.enqueue.until(row.end));
        InvocationFacts {
            cpu_ns: row.cpu.map(|cpu| cpu.as_ns().max(0)),
            cpu_wait_ns: ns(row.cpu_wait),
            slot_wait_ns: ns(row.slot_wait),
            queue_ns: row.queue.map(|queue| queue.as_ns().max(0)),
            bytes_in: row.bytes_in.map(saturated),
            bytes_out: row.bytes_out.map(saturated),
            status: row.status.and_then(|status| i32::try_from(status).ok()),
            error: self.texts.error(row.error),
            kind: row.kind,
            is_failed: row.is_failed,
            has_duration: response.is_some_and(|response| response.as_ns() >= 0),
        }
    }

    fn times(&mut self, work: &mut Work, row: &InvocationRow<'_>) {
        let ns =
            |value: Option<Milliseconds>| value.map_or(0, |value| value.as_ns().clamp(0, DURATION_MAX_NS));
        work.response_ns = ns(row.response.or_else(|| row.enqueue.until(row.end)));
        self.notes.without_duration += u64::from(!work.facts.has_duration);
        let Some(queue) = row.queue else {
            // Whether this is a refusal is decided later, when the slots of the instance are known.
            if row.status == Some(UNAVAILABLE) {
                work.waited = Waited::Refused;
            }
            return;
        };
        let queue_ns = queue.as_ns().clamp(0, work.response_ns);
        work.waited = Waited::Recorded;
        work.setup_ns = ns(row.wakeup).min(queue_ns);
        work.wait_ns = queue_ns - work.setup_ns;
        work.slot_wait_ns = ns(row.slot_wait).min(work.response_ns - queue_ns);
    }

    fn ties_of(&mut self, work: &Work, row: &InvocationRow<'_>) -> Ties {
        // A request releases its slot for a call or a sleep. The row does not state the length of a sleep, but it does state
        // the CPU time on the slot.
        let on_slot = row.cpu.map(|cpu| {
            let cpu_wait = row.cpu_wait.map_or(0, Milliseconds::as_ns);
            cpu.as_ns().saturating_add(cpu_wait)
        });
        let without_wait_ns = work.service_ns() - work.slot_wait_ns;
        Ties {
            parent: row.parent_id,
            has_caller: row.caller_span_id.is_some(),
            is_orphan: row.is_orphan,
            asleep_ns: match (row.slot_wait, on_slot) {
                (Some(_), Some(on_slot_ns)) => (without_wait_ns - on_slot_ns).max(0),
                _ => 0,
            },
            node: self.names.node(row.node),
        }
    }

    /// Adds a call. All invocations must have been added before. Ignores a call whose caller is an unknown invocation; calls
    /// from outside have no caller and are kept.
    ///
    /// # Errors
    /// If there are too many.
    pub fn call<'a>(&mut self, row: impl Into<CallRow<'a>>) -> Result<(), TooMany> {
        let row = &row.into();
        let work = row.ancestor_id.map(|id| self.find(row.trace_id, id));
        let is_from_outside = row.ancestor_id.is_none() && row.parent_span_id.is_none();
        let work = match work {
            Some(Some(work)) => work,
            None if is_from_outside => NONE,
            Some(None) | None => return Ok(()),
        };
        let callee = self.callee(row);
        let start_ns = stamp(row.start);
        let call = MadeCall {
            span_id: row.span_id,
            start_ns,
            end_ns: stamp(row.end).min(start_ns + DURATION_MAX_NS),
            work,
            callee,
            node: self.names.node(row.node),
            what: match row.is_message {
                true => What::Message,
                false => What::Request,
            },
            facts: match work {
                NONE => CallFacts::default(),
                _ => self.call_facts(row),
            },
        };
        self.push(call)
    }

    /// The first invocation that a call caused, or [`NONE`]. A row names its call only if it is the only answer to a request
    /// and ended before the call did. Other rows, such as those of messages, have the call as their parent span, and have the
    /// same parent invocation as the call.
    fn callee(&mut self, row: &CallRow<'_>) -> u32 {
        let named = self.by_caller.get(&(row.trace_id, row.span_id)).copied();
        let below = self
            .by_parent
            .remove(&(row.trace_id, row.span_id, row.ancestor_id));
        if let (Some(named), Some(below)) = (named, below) {
            let mut last = below as usize;
            while self.works[last].sibling != NONE {
                last = self.works[last].sibling as usize;
            }
            self.works[last].sibling = std::mem::replace(&mut self.works[named as usize].sibling, below);
        }
        named.or(below).unwrap_or(NONE)
    }

    fn call_facts(&mut self, row: &CallRow<'_>) -> CallFacts {
        let is_inner = |parent: &SpanId| row.ancestor_id != Some(*parent);
        CallFacts {
            branch: row.parent_span_id.filter(is_inner),
            label: self.texts.label(row),
            error: self.texts.error(row.error),
            bytes_out: row.bytes_out.map(saturated),
            bytes_in: row.bytes_in.map(saturated),
            status: row.status.and_then(|status| i32::try_from(status).ok()),
            resends: saturated(row.resends),
            is_failed: row.is_failed,
        }
    }

    pub(super) fn push(&mut self, call: MadeCall) -> Result<(), TooMany> {
        let list = match call.work {
            NONE => &mut self.root_calls,
            _ => &mut self.calls,
        };
        if list.len() >= CALLS_MAX {
            return Err(TooMany {
                what: "calls",
                max: CALLS_MAX,
            });
        }
        list.push(call);
        Ok(())
    }

    /// Counts damaged lines.
    pub fn damaged_lines(&mut self, count: u64) {
        self.notes.damaged_lines += count;
    }

    /// Records a sentence about a missing part or file.
    pub fn missing(&mut self, sentence: String) {
        self.notes.missing.push(sentence);
    }

    /// Index of an invocation among those collected so far.
    pub fn find(&self, trace: TraceId, span: SpanId) -> Option<u32> {
        self.by_id.get(&(trace, span)).copied()
    }

    /// Number of invocations so far.
    pub fn len(&self) -> usize {
        self.works.len()
    }

    pub fn is_empty(&self) -> bool {
        self.works.is_empty()
    }

    /// The instances so far. Their stations can be set until [`Collector::finish`].
    pub fn instances(&mut self) -> &mut [Instance] {
        &mut self.names.instances
    }

    /// The names so far.
    pub fn names(&self) -> &Names {
        &self.names
    }
}

fn stamp(time: Milliseconds) -> i64 {
    time.as_ns().clamp(0, STAMP_MAX_NS)
}

fn saturated(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
