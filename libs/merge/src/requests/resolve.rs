//! [`Resolver`]: infers from the rows of one trace which call caused which row. It does no I/O. The rows are
//! sorted, so their order in the folders does not matter.

use std::ops::Range;

use cctf_proto::cctf::{Flag, Flags, SpanId, SpanKind};

use crate::rows::row::SpanRow;

/// The inferred values of one row. Rows are identified by their indices in the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resolution {
    /// The nearest ancestor that is an invocation.
    pub ancestor: Option<SpanId>,
    /// Whether the ancestor is unknown.
    pub is_orphan: bool,
    /// The index of the call that caused the row.
    pub caller: Option<usize>,
    /// The values of the fields `caller_span_id` and `net_ms`. Here, `net_ms` is in nanoseconds.
    pub caller_fields: Option<(SpanId, Option<i64>)>,
    /// For a call: the index of the earliest row that answered this call.
    pub callee: Option<usize>,
    pub flags: Flags,
}

/// State of the search for the ancestor of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ancestor {
    NotVisited,
    Visiting,
    Known(Option<SpanId>),
    Orphan,
}

/// Resolves traces one after the other, and reuses its buffers.
#[derive(Debug, Default)]
pub struct Resolver {
    /// The resolutions of the rows of the last trace, by index.
    pub resolved: Vec<Resolution>,
    /// The span ids of the rows. A search in them reads far less memory than one in the rows.
    spans: Vec<SpanId>,
    parents: Vec<Option<usize>>,
    callers: Vec<Option<usize>>,
    /// For each call, the number of rows that answered it. 0 for invocations.
    callees: Vec<u32>,
    ancestors: Vec<Ancestor>,
    path: Vec<usize>,
    walks: Vec<usize>,
}

impl Resolver {
    /// Resolves all rows of a trace, which must be sorted by span id and have no duplicates.
    pub fn resolve(&mut self, rows: &[SpanRow]) {
        self.resolved.clear();
        self.resolved.resize(rows.len(), Resolution::default());
        self.spans.clear();
        self.spans.extend(rows.iter().map(|row| row.span_id));
        self.find_callers(rows);
        self.ancestors.clear();
        self.ancestors.resize(rows.len(), Ancestor::NotVisited);
        for index in 0..rows.len() {
            self.walk_up(rows, index);
        }
        self.cut_cycles(rows);
        for index in 0..rows.len() {
            self.set_ancestor(rows, index);
            self.set_caller(rows, index);
        }
    }

    fn find_callers(&mut self, rows: &[SpanRow]) {
        self.parents.clear();
        self.callers.clear();
        for (index, row) in rows.iter().enumerate() {
            let twin = twin_of(rows, &self.spans, index);
            let parent = row.parent_span_id.and_then(|parent| {
                let named = || with_span(&self.spans, parent);
                twin.or_else(|| parent_of(rows, named(), index))
            });
            // The call that caused the row: its parent if that is a call, else its twin.
            let caller = parent.filter(|&parent| is_callee(row) && rows[parent].is_call());
            self.parents.push(parent);
            self.callers.push(caller.or(twin));
        }
        self.callees.clear();
        self.callees.resize(rows.len(), 0);
        for (index, caller) in self.callers.iter().enumerate() {
            let Some(caller) = *caller else { continue };
            self.callees[caller] += 1;
            let first = &mut self.resolved[caller].callee;
            let order = |index: usize| (rows[index].start, rows[index].span_id, rows[index].kind);
            if first.is_none_or(|first| order(index) < order(first)) {
                *first = Some(index);
            }
        }
    }

    /// Finds the ancestor of a row, and of all calls between the row and this ancestor.
    fn walk_up(&mut self, rows: &[SpanRow], from: usize) {
        let (parents, ancestors, path) = (&self.parents, &mut self.ancestors, &mut self.path);
        let mut index = from;
        let mut found = loop {
            match ancestors[index] {
                Ancestor::NotVisited => {}
                // A cycle of calls has no ancestor.
                Ancestor::Visiting => break Ancestor::Orphan,
                known => break known,
            }
            let row = &rows[index];
            // For a row that is not a callee, a parent in another instance counts only if the row has no recorded ancestor.
            let prefers_recorded = |parent: usize| !is_certain(row, &rows[parent]) && has_recorded(row);
            let Some(parent) = parents[index].filter(|&parent| !prefers_recorded(parent)) else {
                ancestors[index] = recorded_ancestor(row);
                break ancestors[index];
            };
            ancestors[index] = Ancestor::Visiting;
            path.push(index);
            if !rows[parent].is_call() {
                break Ancestor::Known(Some(rows[parent].span_id));
            }
            index = parent;
        };
        while let Some(index) = path.pop() {
            if found == Ancestor::Orphan {
                // The parent call is an orphan, but the normalizer that wrote this row may have found the ancestor.
                found = recorded_ancestor(&rows[index]);
            }
            ancestors[index] = found;
        }
    }

    /// Cuts cycles, because an invocation cannot be its own ancestor. A cycle is cut at a row that lasted at least as long as
    /// its ancestor; every cycle has such a row. If there are several, those whose parent is in the folders have priority. Among
    /// these, the smallest span id decides. So the cut does not depend on earlier merges, and is the same as in the
    /// normalizer.
    fn cut_cycles(&mut self, rows: &[SpanRow]) {
        const NOT_WALKED: usize = usize::MAX;
        self.walks.clear();
        self.walks.resize(rows.len(), NOT_WALKED);
        for walk in (0..rows.len()).filter(|&index| !rows[index].is_call()) {
            let mut next = Some(walk);
            while let Some(index) = next.filter(|&index| self.walks[index] == NOT_WALKED) {
                self.walks[index] = walk;
                next = self.ancestor_of(rows, index);
            }
            if let Some(start) = next.filter(|&index| self.walks[index] == walk) {
                let cut = self.cut_of_cycle(rows, start);
                self.ancestors[cut] = Ancestor::Orphan;
            }
        }
    }

    /// The row at which to cut the cycle through `start`.
    fn cut_of_cycle(&self, rows: &[SpanRow], start: usize) -> usize {
        let order = |index: usize, ancestor: usize| {
            let is_shorter = rows[index].duration() < rows[ancestor].duration();
            (is_shorter, self.parents[index].is_none(), rows[index].span_id)
        };
        let (mut cut, mut least, mut index) = (start, None, start);
        while let Some(ancestor) = self.ancestor_of(rows, index) {
            let this = order(index, ancestor);
            if least.is_none_or(|least| this < least) {
                (cut, least) = (index, Some(this));
            }
            if ancestor == start {
                break;
            }
            index = ancestor;
        }
        cut
    }

    /// The row of the nearest ancestor that is an invocation, if the trace contains it.
    fn ancestor_of(&self, rows: &[SpanRow], index: usize) -> Option<usize> {
        match self.ancestors[index] {
            Ancestor::Known(Some(span)) => with_span(&self.spans, span).find(|&other| !rows[other].is_call()),
            _ => None,
        }
    }

    /// Sets the ancestor of a row, and all flags that do not depend on its caller.
    fn set_ancestor(&mut self, rows: &[SpanRow], index: usize) {
        let (row, found) = (&rows[index], &mut self.resolved[index]);
        (found.ancestor, found.is_orphan) = match self.ancestors[index] {
            // Two invocations have the same span id, so it is uncertain which one is the ancestor of the other.
            Ancestor::Known(Some(ancestor)) if ancestor == row.span_id && !row.is_call() => (None, true),
            Ancestor::Known(ancestor) => (ancestor, false),
            _ => (None, true),
        };
        found.flags = own_flags(row.flags);
        if found.is_orphan {
            found.flags = found.flags.with(Flag::Orphan);
        }
    }

    fn set_caller(&mut self, rows: &[SpanRow], index: usize) {
        let (row, found) = (&rows[index], &mut self.resolved[index]);
        found.caller = self.callers[index];
        let Some(caller) = found.caller else {
            // No call in the folders is the caller of this row. So the row keeps what its own normalizer recorded about the caller.
            found.caller_fields = row.caller_span_id.map(|caller| (caller, row.net_ns));
            if row.flags.has(Flag::ChildOutlivesCaller) {
                found.flags = found.flags.with(Flag::ChildOutlivesCaller);
            }
            return;
        };
        if row.kind != SpanKind::Server {
            return;
        }
        let (duration, caller_duration) = (row.duration(), rows[caller].duration());
        if (0..duration).contains(&caller_duration) {
            found.flags = found.flags.with(Flag::ChildOutlivesCaller);
        }
        if self.callees[caller] == 1 && duration >= 0 && caller_duration >= duration {
            found.caller_fields = Some((rows[caller].span_id, Some(caller_duration - duration)));
        }
    }
}

/// The flags that do not depend on other rows.
fn own_flags(flags: Flags) -> Flags {
    [Flag::Negative, Flag::Truncated, Flag::Late]
        .into_iter()
        .filter(|&flag| flags.has(flag))
        .fold(Flags::NONE, Flags::with)
}

fn is_callee(row: &SpanRow) -> bool {
    matches!(row.kind, SpanKind::Server | SpanKind::Consumer)
}

/// The indices of the rows with this span id. `spans` has the span ids of all rows, sorted.
fn with_span(spans: &[SpanId], span: SpanId) -> Range<usize> {
    let begin = spans.partition_point(|&known| known < span);
    begin..begin + spans[begin..].iter().take_while(|&&known| known == span).count()
}

/// The parent of a row that has no twin ([`twin_of`]), by the normalizer's rules in docs/cctf.md. A row without `parent_span_id` has no
/// parent. The parent is one of `named`, the rows whose id is `parent_span_id`. If several rows have this id, SERVER and CONSUMER rows
/// have priority, and calls come last. If the child is neither SERVER nor CONSUMER, rows of the child's instance have priority over all
/// others.
fn parent_of(rows: &[SpanRow], mut named: Range<usize>, index: usize) -> Option<usize> {
    let row = &rows[index];
    if named.len() == 1 {
        return named.next().filter(|&other| other != index);
    }
    let rank = |other: &usize| {
        let other = &rows[*other];
        let is_foreign = !is_callee(row) && other.instance != row.instance;
        (is_foreign, other.is_call(), role_order(other.kind))
    };
    named.filter(|&other| other != index).min_by_key(rank)
}

/// Whether `parent` is certainly the parent of the row. If not, the parent may be an inner span, which has no row.
fn is_certain(row: &SpanRow, parent: &SpanRow) -> bool {
    is_callee(row) || row.instance == parent.instance
}

/// The call with the same span id and the same parent span id as a callee. Rows with one span id are beside each other.
fn twin_of(rows: &[SpanRow], spans: &[SpanId], index: usize) -> Option<usize> {
    let row = &rows[index];
    if !is_callee(row) {
        return None;
    }
    let others = spans[..index].iter().rev();
    let begin = index - others.take_while(|&&known| known == row.span_id).count();
    let mut same = (begin..rows.len()).take_while(|&other| spans[other] == row.span_id);
    same.find(|&other| rows[other].is_call() && rows[other].parent_span_id == row.parent_span_id)
}

/// Priority of kinds as parents, if all else is equal.
fn role_order(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Server => 0,
        SpanKind::Consumer => 1,
        SpanKind::Internal => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
    }
}

/// Whether the normalizer that wrote the row found the row's ancestor.
fn has_recorded(row: &SpanRow) -> bool {
    !row.flags.has(Flag::Orphan)
}

/// The ancestor that the row's own normalizer recorded.
fn recorded_ancestor(row: &SpanRow) -> Ancestor {
    if row.parent_span_id.is_some() && row.flags.has(Flag::Orphan) {
        Ancestor::Orphan
    } else {
        Ancestor::Known(row.ancestor)
    }
}
