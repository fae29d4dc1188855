//! [`Join`]: pairs calls with the invocations that answered them, in bounded memory. The two rows can be anywhere in the run.

use std::path::Path;

use cctf_proto::cctf::{SpanId, SpanKind};
use cctf_sort::record::Record;
use cctf_sort::sorter::Sorter;

use super::clues::Clues;
use super::codec::{Draft, Tables, decode, encode};
use super::error::RootsError;
use super::kind::{Evidence, Kind};
use super::root::Root;
use super::rows::{Role, Row};

/// Bytes of a trace id and a span id.
const IDS: usize = 24;

/// Counts of rows that are not roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JoinCounts {
    /// Rows with the same ids as an earlier row.
    pub duplicates: u64,
    /// Calls inside other calls. The outer call is the root.
    pub nested_calls: u64,
    /// Invocations that answered a call that already had an answer, such as a message's second consumer.
    pub further_answers: u64,
}

/// Sorts rows by call: each row is a call, or answers one.
pub struct Join {
    sorter: Sorter,
    identity: Vec<u8>,
    line: Vec<u8>,
}

impl Join {
    /// `temporary` is the folder for temporary files; `held_bytes` is the maximum size of the rows in memory.
    pub fn new(temporary: &Path, held_bytes: usize) -> Self {
        Self {
            sorter: Sorter::new(temporary, held_bytes),
            identity: Vec::new(),
            line: Vec::new(),
        }
    }

    pub fn push(&mut self, row: &Row, tables: &mut Tables) -> Result<(), RootsError> {
        let root = &row.draft.root;
        let trace = &root.trace_id.0;
        self.identity.clear();
        self.identity.extend_from_slice(trace);
        self.identity.extend_from_slice(&row.call_id.0);
        self.identity.push(row.role as u8);
        // Sorts the earliest of several rows with the same ids first.
        self.identity
            .extend_from_slice(&(root.at_ns as u64 ^ 1 << 63).to_be_bytes());
        self.line.clear();
        encode(&row.draft, tables, &mut self.line);
        // The sorter compares the numeric key first, so the key must sort like the trace ids.
        let mut key = [0; 8];
        key.copy_from_slice(&trace[..8]);
        self.sorter.push(&Record {
            key: u64::from_be_bytes(key),
            identity: &self.identity,
            line: &self.line,
        })?;
        Ok(())
    }

    /// Passes each root to `take`. The roots are not in order of time.
    pub fn finish(
        mut self,
        tables: &mut Tables,
        take: &mut dyn FnMut(Root, &mut Tables) -> anyhow::Result<()>,
    ) -> Result<JoinCounts, RootsError> {
        let mut group = Group::default();
        self.sorter.drain(|record| {
            let (ids, rest) = record
                .identity
                .split_first_chunk::<IDS>()
                .ok_or(RootsError::Damaged)?;
            let role = rest.first().and_then(|role| Role::ALL.get(usize::from(*role)));
            let draft = decode(record.line, tables);
            let (Some(role), Some(draft)) = (role, draft) else {
                return Err(RootsError::Damaged.into());
            };
            if group.ids != *ids {
                group.finish(tables, take)?;
                group.ids = *ids;
            }
            if let Some(root) = group.add(*role, draft) {
                take(root, tables)?;
            }
            Ok(())
        })?;
        group.finish(tables, take)?;
        Ok(group.counts)
    }
}

/// The rows that belong to one call.
struct Group {
    ids: [u8; IDS],
    call: Option<Draft>,
    is_nested: bool,
    answer: Option<Draft>,
    /// Span id of the invocation that was added last.
    last: Option<SpanId>,
    counts: JoinCounts,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            // Zero ids are invalid, so no row has them.
            ids: [0; IDS],
            call: None,
            is_nested: false,
            answer: None,
            last: None,
            counts: JoinCounts::default(),
        }
    }
}

impl Group {
    /// Adds a row. Rows must come in the order of their roles. Returns a root if this row is an invocation that is itself a
    /// root.
    fn add(&mut self, role: Role, draft: Draft) -> Option<Root> {
        match role {
            Role::Call | Role::OrphanCall if self.call.is_none() => {
                self.call = Some(draft);
                None
            }
            Role::NestedCall if self.call.is_none() && !self.is_nested => {
                self.is_nested = true;
                self.counts.nested_calls += 1;
                None
            }
            Role::Call | Role::OrphanCall | Role::NestedCall => {
                self.counts.duplicates += 1;
                None
            }
            Role::Answer | Role::Invocation | Role::OrphanInvocation => self.add_invocation(draft),
        }
    }

    /// An invocation with the same ids as a call answers this call. Zipkin uses one id for both.
    fn add_invocation(&mut self, draft: Draft) -> Option<Root> {
        let is_duplicate = self.last.replace(draft.root.span_id) == Some(draft.root.span_id);
        if is_duplicate {
            self.counts.duplicates += 1;
        } else if self.call.is_some() && self.answer.is_none() {
            self.answer = Some(draft);
        } else if self.call.is_some() || self.is_nested {
            self.counts.further_answers += u64::from(self.call.is_some());
        } else {
            return Some(alone(draft));
        }
        None
    }

    fn finish(
        &mut self,
        tables: &mut Tables,
        take: &mut dyn FnMut(Root, &mut Tables) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.is_nested = false;
        self.last = None;
        let answer = self.answer.take();
        match self.call.take() {
            Some(call) => take(joined(call, answer), tables),
            None => Ok(()),
        }
    }
}

fn kind_of(root: &Root, span_kind: Option<SpanKind>, is_truncated: bool, is_background: bool) -> Kind {
    let evidence = Evidence {
        protocol: root.protocol.as_deref(),
        method: root.method.as_deref(),
        path: root.path.as_deref(),
        query: root.query.as_deref(),
        span_kind,
        is_background,
        is_truncated,
    };
    Clues::of(&evidence, None).kind()
}

fn alone(draft: Draft) -> Root {
    let mut root = draft.root;
    root.kind = kind_of(&root, draft.span_kind, draft.is_truncated, false);
    root
}

/// Combines a call with its answer. The facts of the client take precedence, because the replay stands in for the client.
fn joined(call: Draft, answer: Option<Draft>) -> Root {
    let mut root = call.root;
    let mut is_truncated = call.is_truncated;
    if let Some(answer) = answer {
        is_truncated |= answer.is_truncated;
        let answer = answer.root;
        root.module = answer.module;
        root.instance = answer.instance;
        root.query = answer.query;
        root.route = answer.route;
        root.method = root.method.or(answer.method);
        root.path = root.path.or(answer.path);
        root.protocol = root.protocol.or(answer.protocol);
        root.body_bytes = root.body_bytes.or(answer.body_bytes);
        root.answer_bytes = root.answer_bytes.or(answer.answer_bytes);
        root.status = root.status.or(answer.status);
        root.has_session |= answer.has_session;
        root.is_answered = true;
    }
    root.kind = kind_of(&root, call.span_kind, is_truncated, call.is_background);
    root
}
