//! [`fill`]: divides an invocation's own time into the gaps before its calls and before its answer.
//!
//! A call waits for other calls to end. Its gap is the time from the last of these ends to the call's own start. The gaps of
//! independent calls can overlap. Each time in an overlap is assigned to the earliest of these calls, so the own time falls
//! into pieces that each belong to one call or to the answer.
//!
//! The following times are then taken from the pieces, in this order:
//! 1. Waits for a slot after calls. A row has only their sum, so they are taken from the last pieces after calls first.
//! 2. Waits for a CPU, in proportion to the lengths of the pieces. At least the CPU time is left.
//! 3. CPU time, in proportion to the remaining lengths of the pieces. CPU time that does not fit runs at the same time as the
//!    calls.

use super::timeline::Timeline;
use super::waits::Waits;

/// Times that a row reports and that are contained in its invocation's own time, nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reported {
    /// 0 if unknown.
    pub cpu_ns: i64,
    pub cpu_wait_ns: i64,
    pub slot_wait_ns: i64,
}

/// The own time of an invocation, nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnTime {
    /// Own time that is not CPU time.
    pub other_ns: i64,
    /// CPU time that does not fit into the gaps. It runs at the same time as the calls.
    pub beside_cpu_ns: i64,
    /// Waits for CPUs, as far as they fit into the gaps. They are not part of the own time.
    pub cpu_wait_ns: i64,
    /// Number of calls that start before the end of a call for which they wait.
    pub negative_gaps: u32,
    /// The part of the waits for slots that is longer than the gaps in which these waits can have happened.
    pub misplaced_wait_ns: i64,
}

/// A part of the own time. Pieces do not overlap.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from_ns: i64,
    to_ns: i64,
    /// Index of the call to whose gap this piece belongs; the number of calls stands for the answer.
    owner: usize,
    /// Whether the piece comes after a call, so that it can contain a wait for a slot.
    is_after_call: bool,
    slot_wait_ns: i64,
    cpu_wait_ns: i64,
}

/// A gap. It can contain parts of pieces that belong to other gaps.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from_ns: i64,
    to_ns: i64,
    owner: usize,
}

/// Sets the gap, the CPU time and the recorded waits of each call and of the answer.
pub fn fill(timeline: &Timeline, waits: &mut Waits, reported: Reported) -> OwnTime {
    let mut own = OwnTime::default();
    let gaps = gaps(timeline, waits, &mut own);
    let mut pieces = pieces(&gaps, timeline.start_ns);
    own.misplaced_wait_ns = take_slot_waits(&mut pieces, reported.slot_wait_ns);
    let length = |pieces: &[Piece]| pieces.iter().map(|piece| piece.rest_ns()).sum::<i64>();
    let free_ns = length(&pieces);
    let cpu_ns = reported.cpu_ns.min(free_ns);
    let cpu_wait_ns = reported.cpu_wait_ns.min(free_ns - cpu_ns);
    let parts = spread(&pieces, free_ns, cpu_wait_ns);
    for (piece, part_ns) in pieces.iter_mut().zip(parts) {
        piece.cpu_wait_ns = part_ns;
    }
    let free_ns = length(&pieces);
    let parts = spread(&pieces, free_ns, cpu_ns);
    for (piece, part_ns) in pieces.iter().zip(parts) {
        waits.of(piece.owner).cpu_ns += part_ns;
    }
    let has_waits = pieces
        .iter()
        .any(|piece| piece.slot_wait_ns + piece.cpu_wait_ns > 0);
    for gap in gaps.iter().filter(|_| has_waits) {
        let sum = |part: fn(&Piece) -> i64| -> i64 {
            let parts = pieces.iter().map(|piece| piece.share_in(gap, part(piece)));
            parts.sum()
        };
        let slot_wait_ns = sum(|piece| piece.slot_wait_ns);
        let cpu_wait_ns = sum(|piece| piece.cpu_wait_ns);
        let wait = waits.of(gap.owner);
        // Rounding can split CPU time and slot wait of a piece differently.
        wait.slot_wait_ns = slot_wait_ns.min(wait.gap_ns - wait.cpu_ns).max(0);
        wait.gap_ns -= wait.slot_wait_ns;
        wait.cpu_wait_ns = cpu_wait_ns.min(wait.gap_ns - wait.cpu_ns).max(0);
        wait.gap_ns -= wait.cpu_wait_ns;
    }
    own.cpu_wait_ns = cpu_wait_ns;
    own.other_ns = free_ns - cpu_ns;
    own.beside_cpu_ns = reported.cpu_ns - cpu_ns;
    own
}

impl Piece {
    fn rest_ns(&self) -> i64 {
        self.to_ns - self.from_ns - self.slot_wait_ns - self.cpu_wait_ns
    }

    /// The part of `time_ns`, a time in this piece, that falls into the gap.
    fn share_in(&self, gap: &Gap, time_ns: i64) -> i64 {
        let part_ns = self.to_ns.min(gap.to_ns) - self.from_ns.max(gap.from_ns);
        match part_ns > 0 {
            true => share(time_ns, part_ns, self.to_ns - self.from_ns),
            false => 0,
        }
    }
}

/// The gaps before all calls and before the answer, in the order of their ends. Also sets `gap_ns` of each wait. Calls that
/// start after the answer have no gap, because the invocation's own time ends with the answer.
fn gaps(timeline: &Timeline, waits: &mut Waits, own: &mut OwnTime) -> Vec<Gap> {
    let calls = timeline.calls.len();
    let mut gaps = Vec::with_capacity(calls + 1);
    let mut ends = Vec::new();
    for owner in 0..=calls {
        let to_ns = timeline
            .calls
            .get(owner)
            .map_or(timeline.end_ns, |call| call.start_ns);
        let is_late = owner < calls && timeline.is_after_answer(owner);
        let wait = waits.of(owner);
        let end = |call: &u32| timeline.calls[*call as usize].end_ns;
        let mut from_ns = if is_late {
            timeline.end_ns
        } else {
            timeline.start_ns
        };
        from_ns = wait.after.iter().map(end).fold(from_ns, i64::max);
        if wait.need > 0 {
            ends.clear();
            ends.extend(wait.any_of.iter().map(end));
            ends.sort_unstable();
            let last = ends.get(wait.need as usize - 1);
            from_ns = from_ns.max(last.copied().unwrap_or(from_ns));
        }
        own.negative_gaps += u32::from(from_ns > to_ns);
        wait.gap_ns = (to_ns - from_ns).max(0);
        if wait.gap_ns > 0 && !is_late {
            gaps.push(Gap {
                from_ns,
                to_ns,
                owner,
            });
        }
    }
    gaps.sort_by_key(|gap| (gap.to_ns, gap.owner));
    gaps
}

/// Divides the union of all gaps into pieces. `gaps` are in the order of their ends.
fn pieces(gaps: &[Gap], start_ns: i64) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(gaps.len());
    // The union of the gaps so far, as intervals in order of time.
    let mut union: Vec<(i64, i64)> = Vec::new();
    for gap in gaps {
        let (mut to_ns, mut from_ns) = (gap.to_ns, gap.from_ns);
        let mut add = |from_ns: i64, to_ns: i64| {
            if from_ns < to_ns {
                pieces.push(Piece {
                    from_ns,
                    to_ns,
                    owner: gap.owner,
                    is_after_call: gap.from_ns > start_ns,
                    slot_wait_ns: 0,
                    cpu_wait_ns: 0,
                });
            }
        };
        while let Some(&(begin_ns, end_ns)) = union.last().filter(|last| last.1 >= gap.from_ns) {
            add(end_ns.max(gap.from_ns), to_ns);
            to_ns = begin_ns;
            from_ns = from_ns.min(begin_ns);
            union.pop();
        }
        add(gap.from_ns, to_ns);
        union.push((from_ns, gap.to_ns));
    }
    pieces.sort_by_key(|piece| piece.from_ns);
    pieces
}

/// Subtracts the waits for slots from the pieces after calls. Returns the part that does not fit.
fn take_slot_waits(pieces: &mut [Piece], slot_wait_ns: i64) -> i64 {
    let mut rest_ns = slot_wait_ns;
    for piece in pieces.iter_mut().rev().filter(|piece| piece.is_after_call) {
        piece.slot_wait_ns = rest_ns.min(piece.rest_ns());
        rest_ns -= piece.slot_wait_ns;
    }
    rest_ns
}

/// Divides `time_ns` among the pieces in proportion to their length. The parts add up to exactly this time, and no part is
/// longer than its piece.
fn spread(pieces: &[Piece], free_ns: i64, time_ns: i64) -> Vec<i64> {
    let (mut length_ns, mut before_ns) = (0, 0);
    let parts = pieces.iter().map(|piece| {
        length_ns += piece.rest_ns();
        let until_ns = share(time_ns, length_ns, free_ns);
        until_ns - std::mem::replace(&mut before_ns, until_ns)
    });
    parts.collect()
}

/// `value * part / whole`, rounded down; 0 if `whole` is 0.
fn share(value: i64, part: i64, whole: i64) -> i64 {
    match whole > 0 {
        true => (i128::from(value) * i128::from(part) / i128::from(whole)) as i64,
        false => 0,
    }
}
