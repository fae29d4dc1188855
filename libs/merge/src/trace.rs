//! [`Resolver`]: what follows for the rows of one trace from each other. Pure, and independent of the rows' order.

use cctf_proto::cctf::{Flag, Flags, SpanId, SpanKind};

use super::rows::SpanRow;

/// What was found of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resolved {
    /// The nearest invocation above.
    pub above: Option<SpanId>,
    /// Whether what is above is not known.
    pub is_orphan: bool,
    /// The call that reached it, by its place among the rows.
    pub caller: Option<usize>,
    /// caller_span_id and net_ms, nanoseconds.
    pub told_caller: Option<(SpanId, Option<i64>)>,
    /// The row that answered a call, by its place among the rows.
    pub callee: Option<usize>,
    /// Its flags.
    pub flags: Flags,
}

/// What is known of the way up from a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Above {
    NotLooked,
    Looking,
    Known(Option<SpanId>),
    Orphan,
}

/// What is found of one trace after the other; the room for it is kept.
#[derive(Debug, Default)]
pub struct Resolver {
    /// Of each row of the trace that was looked at last.
    pub resolved: Vec<Resolved>,
    parents: Vec<Option<usize>>,
    callers: Vec<Option<usize>>,
    callees: Vec<u32>,
    above: Vec<Above>,
    path: Vec<usize>,
    walks: Vec<usize>,
}

impl Resolver {
    /// Looks at all rows of a trace, which are sorted by span id and have no two of one identity.
    pub fn resolve(&mut self, rows: &[SpanRow]) {
        self.resolved.clear();
        self.resolved.resize(rows.len(), Resolved::default());
        self.parents.clear();
        self.parents.extend((0..rows.len()).map(|at| parent_of(rows, at)));
        self.callers.clear();
        self.callers
            .extend((0..rows.len()).map(|at| caller_of(rows, &self.parents, at)));
        self.callees.clear();
        self.callees.resize(rows.len(), 0);
        for (at, caller) in self.callers.iter().enumerate() {
            let Some(caller) = *caller else { continue };
            self.callees[caller] += 1;
            let first = &mut self.resolved[caller].callee;
            let order = |at: usize| (rows[at].start, rows[at].span_id, rows[at].kind);
            if first.is_none_or(|first| order(at) < order(first)) {
                *first = Some(at);
            }
        }
        self.above.clear();
        self.above.resize(rows.len(), Above::NotLooked);
        for at in 0..rows.len() {
            self.walk_up(rows, at);
        }
        self.cut_cycles(rows);
        for (at, row) in rows.iter().enumerate() {
            let found = &mut self.resolved[at];
            found.caller = self.callers[at];
            (found.above, found.is_orphan) = match self.above[at] {
                // Two invocations share an id: neither is above the other for certain.
                Above::Known(Some(above)) if above == row.span_id && !row.is_call => (None, true),
                Above::Known(above) => (above, false),
                _ => (None, true),
            };
            found.flags = own_flags(row.flags);
            if found.is_orphan {
                found.flags = found.flags.with(Flag::Orphan);
            }
            let lasted = row.duration();
            match self.callers[at] {
                Some(caller) if row.kind == SpanKind::Server => {
                    let caller_lasted = rows[caller].duration();
                    if (0..lasted).contains(&caller_lasted) {
                        found.flags = found.flags.with(Flag::ChildOutlivesCaller);
                    }
                    if self.callees[caller] == 1 && lasted >= 0 && caller_lasted >= lasted {
                        found.told_caller = Some((rows[caller].span_id, Some(caller_lasted - lasted)));
                    }
                }
                Some(_) => {}
                // The call's own row is in none of the folders: what was known of it when this one was written stays.
                None => {
                    found.told_caller = row.caller_span_id.map(|caller| (caller, row.net_ns));
                    if row.flags.has(Flag::ChildOutlivesCaller) {
                        found.flags = found.flags.with(Flag::ChildOutlivesCaller);
                    }
                }
            }
        }
    }

    /// Finds the nearest invocation above a row, and above all calls on the way.
    fn walk_up(&mut self, rows: &[SpanRow], from: usize) {
        let (parents, above, path) = (&self.parents, &mut self.above, &mut self.path);
        let mut at = from;
        let mut found = loop {
            match above[at] {
                Above::NotLooked => {}
                // Calls that name each other: nobody made them.
                Above::Looking => break Above::Orphan,
                known => break known,
            }
            let row = &rows[at];
            // A span of another instance is the parent only if no better one is known, as to the row's own normalizer.
            let told_goes_first = |parent: usize| !is_certain(row, &rows[parent]) && is_told(row);
            let Some(parent) = parents[at].filter(|&parent| !told_goes_first(parent)) else {
                above[at] = told(row);
                break above[at];
            };
            above[at] = Above::Looking;
            path.push(at);
            if !rows[parent].is_call {
                break Above::Known(Some(rows[parent].span_id));
            }
            at = parent;
        };
        while let Some(at) = path.pop() {
            if found == Above::Orphan {
                // The call above does not know, but this row may have been told.
                found = told(&rows[at]);
            }
            above[at] = found;
        }
    }

    /// An invocation cannot be above itself: where the way up comes back, it is cut at a row that lasted no shorter than the
    /// one above, of which each cycle has some; of several at one whose parent span is there, then at the least span id.
    /// That is the same whatever was merged before, and as the normalizer has it.
    fn cut_cycles(&mut self, rows: &[SpanRow]) {
        const NOT_WALKED: usize = usize::MAX;
        let next = |at: usize, above: &[Above]| match above[at] {
            Above::Known(Some(span)) => with_span(rows, span).find(|&other| !rows[other].is_call),
            _ => None,
        };
        let (parents, above, walks) = (&self.parents, &mut self.above, &mut self.walks);
        walks.clear();
        walks.resize(rows.len(), NOT_WALKED);
        for walk in (0..rows.len()).filter(|&at| !rows[at].is_call) {
            let mut at = Some(walk);
            while let Some(here) = at.filter(|&here| walks[here] == NOT_WALKED) {
                walks[here] = walk;
                at = next(here, above);
            }
            let Some(back) = at.filter(|&back| walks[back] == walk) else {
                continue;
            };
            let order = |here: usize, further: usize| {
                let is_shorter = rows[here].duration() < rows[further].duration();
                (is_shorter, parents[here].is_none(), rows[here].span_id)
            };
            let (mut cut, mut least, mut here) = (back, None, back);
            while let Some(further) = next(here, above) {
                let place = order(here, further);
                if least.is_none_or(|least| place < least) {
                    (cut, least) = (here, Some(place));
                }
                if further == back {
                    break;
                }
                here = further;
            }
            above[cut] = Above::Orphan;
        }
    }
}

/// The flags that depend on no other row.
fn own_flags(flags: Flags) -> Flags {
    [Flag::Negative, Flag::Truncated, Flag::Late]
        .into_iter()
        .filter(|&flag| flags.has(flag))
        .fold(Flags::NONE, Flags::with)
}

fn is_callee(row: &SpanRow) -> bool {
    matches!(row.kind, SpanKind::Server | SpanKind::Consumer)
}

fn with_span(rows: &[SpanRow], span: SpanId) -> std::ops::Range<usize> {
    let begin = rows.partition_point(|row| row.span_id < span);
    let count = rows[begin..].iter().take_while(|row| row.span_id == span).count();
    begin..begin + count
}

/// The row that is another's parent, by the rules that docs/cctf.md has for the normalizer: a callee's is the call with its own id,
/// as Zipkin has it, else the callee with the id that it names, else the call. Anything else goes to its own instance, there to
/// the callee before the call.
fn parent_of(rows: &[SpanRow], at: usize) -> Option<usize> {
    let row = &rows[at];
    let named = with_span(rows, row.parent_span_id?);
    if let Some(twin) = twin_of(rows, at) {
        return Some(twin);
    }
    let rank = |other: &usize| {
        let other = &rows[*other];
        let is_foreign = !is_callee(row) && other.instance != row.instance;
        (is_foreign, other.is_call, role_order(other.kind))
    };
    named.filter(|&other| other != at).min_by_key(rank)
}

/// Whether no inner span, which has no row, can be the parent instead.
fn is_certain(row: &SpanRow, parent: &SpanRow) -> bool {
    is_callee(row) || row.instance == parent.instance
}

/// The call that has a callee's id and its parent.
fn twin_of(rows: &[SpanRow], at: usize) -> Option<usize> {
    let row = &rows[at];
    let is_twin = |other: &usize| rows[*other].is_call && rows[*other].parent_span_id == row.parent_span_id;
    let twin = || with_span(rows, row.span_id).find(is_twin);
    is_callee(row).then(twin).flatten()
}

/// Kinds in the order in which one goes before the other as a parent, all else being equal.
fn role_order(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Server => 0,
        SpanKind::Consumer => 1,
        SpanKind::Internal => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
    }
}

/// The call that reached a row: its parent, or the CLIENT span that shares its id.
fn caller_of(rows: &[SpanRow], parents: &[Option<usize>], at: usize) -> Option<usize> {
    let row = &rows[at];
    if !is_callee(row) {
        return None;
    }
    parents[at]
        .filter(|&parent| rows[parent].is_call)
        .or_else(|| twin_of(rows, at))
}

/// Whether the row's own normalizer had found what is above.
fn is_told(row: &SpanRow) -> bool {
    !row.flags.has(Flag::Orphan)
}

/// What the row's own normalizer had found.
fn told(row: &SpanRow) -> Above {
    if row.parent_span_id.is_some() && row.flags.has(Flag::Orphan) {
        Above::Orphan
    } else {
        Above::Known(row.above)
    }
}
