//! [`fill`]: the own time in the gaps between calls: CPU time, other time, and the recorded waits, which are taken out.
//!
//! A gap is the time from the last end for which a call waits to the call's start. Gaps overlap where calls are independent. A time that
//! several gaps have belongs to the first of these calls. So the gaps divide the invocation's own time into pieces, each
//! of one call or of the answer.
//!
//! From the pieces, three things are taken in this order:
//! 1. Waits for further slots, from the pieces after calls, the last one first. A row only has their sum.
//! 2. Waits for a CPU, as far as CPU time leaves room for them, spread over the pieces by their length.
//! 3. CPU time, spread over the rest of the pieces by their length. What does not fit runs beside the calls.

use super::timeline::Timeline;
use super::waits::Waits;

/// Times in a row that are parts of its invocation's own time, nanoseconds.
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
    /// CPU time that does not fit into the gaps.
    pub beside_cpu_ns: i64,
    /// Waits for CPUs that fit into the gaps. They are not own time.
    pub cpu_wait_ns: i64,
    /// Calls that start before an end for which they wait.
    pub negative_gaps: u32,
    /// Waits for slots that are longer than the gaps in which they can have been.
    pub misplaced_wait_ns: i64,
}

/// A part of the own time.
#[derive(Debug, Clone, Copy)]
struct Piece {
    from_ns: i64,
    to_ns: i64,
    /// The call to whose gap it belongs; the number of calls for the answer.
    owner: usize,
    /// Whether it comes after a call.
    is_after_call: bool,
    slot_wait_ns: i64,
    cpu_wait_ns: i64,
}

/// A gap, which can have parts of pieces of others.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from_ns: i64,
    to_ns: i64,
    owner: usize,
}

/// Sets the times of all waits.
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
        // Rounding can divide a part of a piece otherwise than its CPU time.
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

    /// The share of a time in the piece that the gap has.
    fn share_in(&self, gap: &Gap, time_ns: i64) -> i64 {
        let part_ns = self.to_ns.min(gap.to_ns) - self.from_ns.max(gap.from_ns);
        match part_ns > 0 {
            true => share(time_ns, part_ns, self.to_ns - self.from_ns),
            false => 0,
        }
    }
}

/// The gap before each call, and before the answer, in the order of their ends. Sets its length. A call after the answer has no
/// own time of the invocation before it.
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

/// Divides the union of the gaps, which are in the order of their ends.
fn pieces(gaps: &[Gap], start_ns: i64) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(gaps.len());
    // The union so far, as intervals in order of time.
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

/// Takes the waits for slots from the pieces after calls. Returns what does not fit.
fn take_slot_waits(pieces: &mut [Piece], slot_wait_ns: i64) -> i64 {
    let mut rest_ns = slot_wait_ns;
    for piece in pieces.iter_mut().rev().filter(|piece| piece.is_after_call) {
        piece.slot_wait_ns = rest_ns.min(piece.rest_ns());
        rest_ns -= piece.slot_wait_ns;
    }
    rest_ns
}

/// Divides a time over the pieces by their length. The parts add up to the time exactly, and none is longer than its piece.
fn spread(pieces: &[Piece], free_ns: i64, time_ns: i64) -> Vec<i64> {
    let (mut length_ns, mut before_ns) = (0, 0);
    let parts = pieces.iter().map(|piece| {
        length_ns += piece.rest_ns();
        let until_ns = share(time_ns, length_ns, free_ns);
        until_ns - std::mem::replace(&mut before_ns, until_ns)
    });
    parts.collect()
}

/// `value * part / whole`, rounded down; 0 of nothing.
fn share(value: i64, part: i64, whole: i64) -> i64 {
    match whole > 0 {
        true => (i128::from(value) * i128::from(part) / i128::from(whole)) as i64,
        false => 0,
    }
}
