//! [`calls_of`]: finds the calls to which the rows with one rpc id belong. By the description of the data, this is one call, with
//! one row from the caller and one from the callee. In the files, several calls can share an id, and rows can be missing.

use aggregate::maps::Map;

use super::names::NONE;
use super::rows::{At, CallRow, Kind, Labels, MS};

/// Resolution of the times in the files. Two times contradict each other only if they differ by more than this.
pub const TOLERANCE_NS: i64 = MS;
/// Maximum number of classes that are compared with the names of a row. One id rarely has more than three classes.
const CLASSES_MAX: usize = 1_000;

/// Time of a call as one side recorded it, nanoseconds since the start of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub begin_ns: i64,
    pub end_ns: i64,
}

impl Interval {
    pub fn of_row(row: &CallRow) -> Self {
        Self {
            begin_ns: row.begin_ns,
            end_ns: row.end_ns(),
        }
    }

    /// Whether this interval contains the other one, or exceeds it by no more than the resolution.
    pub fn contains(self, other: Self) -> bool {
        self.contains_begin(other) && other.end_ns <= self.end_ns + TOLERANCE_NS
    }

    pub fn contains_begin(self, other: Self) -> bool {
        other.begin_ns >= self.begin_ns - TOLERANCE_NS && other.begin_ns <= self.end_ns + TOLERANCE_NS
    }

    /// The shortest interval that contains both.
    pub fn hull(self, other: Self) -> Self {
        Self {
            begin_ns: self.begin_ns.min(other.begin_ns),
            end_ns: self.end_ns.max(other.end_ns),
        }
    }
}

/// A call, as the rows of its caller and its callee describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Index of its rpc id.
    pub id: usize,
    /// Number among the calls with this id.
    pub ordinal: u32,
    pub kind: Kind,
    pub labels: Labels,
    /// The time that the caller recorded; `None` if the caller's row is missing.
    pub caller: Option<Interval>,
    /// The time that the callee recorded; `None` if the callee's row is missing.
    pub callee: Option<Interval>,
    /// Whether the rows do not show which side recorded them.
    pub is_side_inferred: bool,
    /// Where the first row of the call is in the files.
    pub at: At,
}

impl Call {
    /// The time during which the callee processed the call; without the callee's row, the time that the caller recorded.
    pub fn interval(&self) -> Interval {
        // A call has at least one side.
        self.callee.or(self.caller).unwrap_or(Interval {
            begin_ns: 0,
            end_ns: 0,
        })
    }

    /// The time during which the caller waited for the call; without the caller's row, the time that the callee recorded.
    pub fn at_caller(&self) -> Interval {
        self.caller.unwrap_or(self.interval())
    }
}

/// Rows whose names do not contradict each other.
struct Class<'r> {
    labels: Labels,
    kind: Kind,
    rows: Vec<&'r CallRow>,
    /// Number of rows of callers minus those of callees.
    balance: i64,
}

/// Appends the calls to which the rows with one rpc id belong. The rows are in the order of their times.
pub fn calls_of(id: usize, rows: &[CallRow], out: &mut Vec<Call>) {
    let begin = out.len();
    // Nearly all ids have one row or two, which need no lists.
    match rows {
        [row] => push_alone(id, row, row.labels, out),
        [first, second] if !first.kind.has_two_rows() && !second.kind.has_two_rows() => {
            push_alone(id, first, first.labels, out);
            push_alone(id, second, second.labels, out);
        }
        [first, second] if are_sides(first, second) => {
            let (caller, callee) = match first.rt_ns >= second.rt_ns {
                true => (first, second),
                false => (second, first),
            };
            // The sign of a duration shows the side, and 0 has no sign. Beside a negative duration, which is the callee's, 0 is
            // the caller's. The two contradict each other, because a caller waits at least as long as the callee works.
            let is_inferred = caller.rt_ns == 0 && callee.rt_ns < 0;
            let mut labels = first.labels;
            labels.fill(&second.labels);
            push(id, Sides(Some(caller), Some(callee), is_inferred), labels, out);
        }
        _ => {
            for class in classes(rows) {
                if class.kind.has_two_rows() {
                    pair(id, &class, out);
                } else {
                    let alone = class.rows.iter();
                    alone.for_each(|row| push_alone(id, row, class.labels, out));
                }
            }
            out[begin..].sort_by_key(|call| (call.at_caller().begin_ns, call.interval().end_ns));
        }
    }
    for (ordinal, call) in (0..).zip(&mut out[begin..]) {
        call.ordinal = ordinal;
    }
}

/// Whether two rows are the two sides of a call.
fn are_sides(first: &CallRow, second: &CallRow) -> bool {
    first.kind == second.kind
        && first.kind.has_two_rows()
        && first.labels.are_compatible(&second.labels)
        && (first.rt_ns.signum() != second.rt_ns.signum() || first.rt_ns == 0)
}

/// The rows of caller and callee, and whether it was inferred which is which.
struct Sides<'r>(Option<&'r CallRow>, Option<&'r CallRow>, bool);

/// Appends a call of which only one side has a row.
fn push_alone(id: usize, row: &CallRow, labels: Labels, out: &mut Vec<Call>) {
    let sides = match row.kind {
        Kind::Message => Sides(None, Some(row), false),
        kind if kind.has_two_rows() && row.rt_ns < 0 => Sides(None, Some(row), false),
        kind => Sides(
            Some(row),
            None,
            row.rt_ns < 0 || (row.rt_ns == 0 && kind.has_two_rows()),
        ),
    };
    push(id, sides, labels, out);
}

fn push(id: usize, Sides(caller, callee, is_side_inferred): Sides<'_>, labels: Labels, out: &mut Vec<Call>) {
    let Some(first) = [caller, callee].into_iter().flatten().min_by_key(|row| row.at) else {
        return;
    };
    out.push(Call {
        id,
        ordinal: 0,
        kind: first.kind,
        labels,
        caller: caller.map(Interval::of_row),
        callee: callee.map(Interval::of_row),
        is_side_inferred,
        at: first.at,
    });
}

/// Groups the rows of one id by their names. Rows with all names are grouped first, so that a row with a missing name finds the
/// class to which it belongs.
fn classes(rows: &[CallRow]) -> Vec<Class<'_>> {
    let mut classes: Vec<Class<'_>> = Vec::new();
    let mut by_labels: Map<(Kind, Labels), usize> = Map::default();
    let is_with_instances = rows.iter().any(|row| row.labels.um_instance != NONE);
    let is_complete = |row: &&CallRow| row.labels.is_complete(is_with_instances);
    let complete = rows.iter().filter(is_complete);
    for row in complete.chain(rows.iter().filter(|row| !is_complete(row))) {
        let key = (row.kind, row.labels);
        let index = match by_labels.get(&key) {
            Some(&index) => index,
            None => {
                let index = compatible(&classes, row).unwrap_or(classes.len());
                by_labels.insert(key, index);
                index
            }
        };
        if index == classes.len() {
            classes.push(Class {
                labels: row.labels,
                kind: row.kind,
                rows: Vec::new(),
                balance: 0,
            });
        }
        let class = &mut classes[index];
        class.labels.fill(&row.labels);
        class.rows.push(row);
        class.balance += row.rt_ns.signum();
    }
    for class in &mut classes {
        class.rows.sort_by_key(|row| row.begin_ns);
    }
    classes
}

/// The class to which a row belongs, if one fits. A class that lacks a row of this side comes first, because a row with a missing
/// name is more likely the other side of a known call than a further call.
fn compatible(classes: &[Class<'_>], row: &CallRow) -> Option<usize> {
    let classes = &classes[..classes.len().min(CLASSES_MAX)];
    let fits = |class: &Class<'_>| class.kind == row.kind && class.labels.are_compatible(&row.labels);
    let lacks = |class: &Class<'_>| class.balance.signum() * row.rt_ns.signum() < 0;
    let other_side = classes.iter().position(|class| fits(class) && lacks(class));
    other_side.or_else(|| classes.iter().position(fits))
}

/// Pairs the rows of callers and callees. A duration below a millisecond is recorded as 0, whose sign does not show the side.
fn pair(id: usize, class: &Class<'_>, out: &mut Vec<Call>) {
    let with_sign = |sign: i64| -> Vec<&CallRow> {
        let rows = class.rows.iter().copied();
        rows.filter(|row| row.rt_ns.signum() == sign).collect()
    };
    let (mut callers, callees, mut zeros) = (with_sign(1), with_sign(-1), with_sign(0));
    let mut push =
        |caller, callee, is_inferred| push(id, Sides(caller, callee, is_inferred), class.labels, out);
    if let ([first, second], true, Kind::Other) =
        (&callers[..], callees.is_empty() && zeros.is_empty(), class.kind)
    {
        // Both sides of a call over middleware that Alibaba does not provide can have positive times.
        let (longer, shorter) = match first.rt_ns >= second.rt_ns {
            true => (first, second),
            false => (second, first),
        };
        return push(Some(longer), Some(shorter), true);
    }
    // First the pairs that fit by time, then the others in the order of their times.
    let mut unpaired = Vec::new();
    for callee in callees {
        let inside = |caller: &&CallRow| Interval::of_row(caller).contains(Interval::of_row(callee));
        match callers.iter().rposition(inside) {
            Some(index) => push(Some(callers.remove(index)), Some(callee), false),
            None => unpaired.push(callee),
        }
    }
    let both = callers.len().min(unpaired.len());
    for (caller, callee) in callers.drain(..both).zip(unpaired.drain(..both)) {
        push(Some(caller), Some(callee), false);
    }
    for caller in callers {
        let inside = |zero: &&CallRow| Interval::of_row(caller).contains(Interval::of_row(zero));
        let index = zeros.iter().position(inside).unwrap_or(0);
        let callee = (!zeros.is_empty()).then(|| zeros.remove(index));
        push(Some(caller), callee, false);
    }
    for callee in unpaired {
        // A caller with the duration 0 cannot have waited for this callee. The rows contradict each other, so the sides count
        // as inferred.
        let caller = (!zeros.is_empty()).then(|| zeros.remove(0));
        push(caller, Some(callee), caller.is_some());
    }
    for pair in zeros.chunks(2) {
        push(pair.first().copied(), pair.get(1).copied(), pair.len() == 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alibaba::names::NameId;
    use crate::tables::Year;

    fn row(begin_ms: i64, rt_ms: i64, dm: NameId, kind: Kind) -> CallRow {
        CallRow {
            year: Year::Y2021,
            kind,
            begin_ns: begin_ms * MS,
            rt_ns: rt_ms * MS,
            labels: Labels {
                um: 1,
                dm,
                um_instance: NONE,
                dm_instance: NONE,
                interface: 3,
                rpc_type: 4,
                service: NONE,
            },
            at: At {
                file: 0,
                line: 1,
                byte: 0,
            },
        }
    }

    /// Durations of both sides of each call, ms, and the callee's name.
    fn calls(rows: &[CallRow]) -> Vec<(Option<i64>, Option<i64>, NameId)> {
        let mut calls = Vec::new();
        calls_of(0, rows, &mut calls);
        let ms = |side: Option<Interval>| side.map(|side| (side.end_ns - side.begin_ns) / MS);
        let sides = calls.iter();
        sides
            .map(|call| (ms(call.caller), ms(call.callee), call.labels.dm))
            .collect()
    }

    #[test]
    fn the_rows_of_both_sides_are_one_call() {
        let kind = Kind::Rpc;
        let both = [row(0, 9, 2, kind), row(1, -7, 2, kind)];
        assert_eq!(calls(&both), [(Some(9), Some(7), 2)]);
        assert_eq!(calls(&both[1..]), [(None, Some(7), 2)]);
        assert_eq!(calls(&both[..1]), [(Some(9), None, 2)]);
        let fast = [row(0, 0, 2, kind), row(0, 0, 2, kind)];
        assert_eq!(calls(&fast), [(Some(0), Some(0), 2)]);
        assert_eq!(calls(&[both[0], fast[0]]), [(Some(9), Some(0), 2)]);
    }

    #[test]
    fn a_missing_name_is_that_of_the_other_side() {
        let rows = [row(0, 9, NONE, Kind::Rpc), row(1, -7, 2, Kind::Rpc)];
        assert_eq!(calls(&rows), [(Some(9), Some(7), 2)]);
    }

    #[test]
    fn calls_that_share_an_id_are_separated_by_name_and_time() {
        let kind = Kind::Rpc;
        let rows = [
            row(0, 9, 2, kind),
            row(1, -7, 2, kind),
            row(1, 20, 5, kind),
            row(2, -18, 5, kind),
            row(30, 9, 2, kind),
            row(31, -8, 2, kind),
        ];
        assert_eq!(
            calls(&rows),
            [
                (Some(9), Some(7), 2),
                (Some(20), Some(18), 5),
                (Some(9), Some(8), 2)
            ]
        );
    }

    #[test]
    fn each_row_of_a_cache_or_a_message_is_a_call() {
        let cache = [row(0, 0, 2, Kind::Cache), row(0, 0, 2, Kind::Cache)];
        assert_eq!(calls(&cache), [(Some(0), None, 2), (Some(0), None, 2)]);
        assert_eq!(
            calls(&[row(0, 5, 2, Kind::Message)]),
            [(None, Some(5), 2)],
            "recorded by the receiver"
        );
    }
}
