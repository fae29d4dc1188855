//! [`Orders`]: finds out which calls wait for which others, by comparing all invocations with the same signature (the same
//! calls).
//!
//! A call B waits for a call A if A had ended before B started. An invocation with the same signature can contradict this: in
//! it, A was still in progress when B started, or A started after B. Then B does not wait for A in any of these invocations. If
//! A and B belong to different internal spans, at least [`OBSERVATIONS_MIN`] invocations must show the order.
//!
//! Some programs wait until a number of calls of a group have ended, whichever end first (a quorum). Three conditions must hold
//! before a quorum is inferred. First, the call does not wait for any single call of the group. Second, in every invocation
//! some calls of the group had ended before the call started. Third, there are at least [`OBSERVATIONS_MIN`] invocations. The
//! quorum is then the smallest number of ended calls in any invocation. Other invocations can show more, because further calls
//! may end before the program starts the next call.
//!
//! The answer is treated as a call that starts and ends at the end of the invocation. It is the last element of each list of
//! calls.
//!
//! Calls of different invocations are matched by their place: their index in the signature.

use foldhash::HashMap;

use super::signature::Signature;
use super::timeline::Timeline;
use crate::work::Recorded;

/// Two calls of different internal spans are considered ordered only if at least this many invocations show the order. Fewer
/// could be chance.
pub const OBSERVATIONS_MIN: u32 = 10;
/// An invocation with more calls is not compared with others. The calls and the answer must fit into a set of 64 bits.
pub const COMPARED_CALLS_MAX: usize = 63;
/// Maximum number of signatures. Together they have at most as many pairs of calls as the next constant states, which is 64
/// MiB. Invocations with further signatures are not compared with others.
const SIGNATURES_MAX: usize = 262_144;
const PAIRS_MAX: usize = 64 << 20;

/// The first call had ended when the second one started.
const ENDED: u8 = 1;
/// The first call had started, but not ended, when the second one started.
const OPEN: u8 = 2;

/// Orders of calls by signature.
#[derive(Debug, Default)]
pub struct Orders {
    numbers: HashMap<Box<[u32]>, u32>,
    classes: Vec<Class>,
    /// For each pair of places of a class, the bits [`ENDED`] and [`OPEN`].
    pairs: Vec<u8>,
    /// Number of invocations with calls that are not compared with others, because they have too many calls or there are too
    /// many signatures.
    pub not_compared: u64,
}

/// All invocations with one signature.
#[derive(Debug)]
struct Class {
    seen: u32,
    /// Number of calls.
    calls: usize,
    /// Index of this class's first pair in `pairs`.
    first_pair: usize,
    branches: Box<[u32]>,
    quorums: Vec<Quorum>,
}

/// A group of calls, and the number of them that must have ended before another call starts. A set of calls has one bit for
/// each place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// Place of the waiting call.
    pub place: u32,
    pub group: u64,
    pub need: u32,
}

/// The orders of one signature.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    class: &'a Class,
    pairs: &'a [u8],
}

/// Buffers that are filled again for each invocation.
#[derive(Debug, Default)]
pub struct Reader {
    pub timeline: Timeline,
    pub signature: Signature,
}

impl Reader {
    /// Reads an invocation. If it has too many calls to be compared, its signature is empty.
    pub fn read(&mut self, recorded: &Recorded, work: u32) {
        self.timeline.read(recorded, work);
        self.signature.key.clear();
        if self.timeline.calls.len() <= COMPARED_CALLS_MAX {
            let endpoint = recorded.works[work as usize].endpoint;
            self.signature.read(endpoint, &self.timeline);
        }
    }
}

impl Orders {
    /// Compares all invocations of a run with each other.
    pub fn new(recorded: &Recorded) -> Self {
        let mut orders = Self::default();
        let mut reader = Reader::default();
        let with_calls = |work: &u32| recorded.works[*work as usize].calls > 0;
        let all = || (0..recorded.works.len() as u32).filter(with_calls);
        for work in all() {
            reader.read(recorded, work);
            orders.observe(&reader);
        }
        let mut has_quorums = false;
        for class in &mut orders.classes {
            class.quorums = candidates(&orders.pairs, class);
            has_quorums |= !class.quorums.is_empty();
        }
        if has_quorums {
            for work in all() {
                reader.read(recorded, work);
                orders.count_ended(&reader);
            }
            for class in &mut orders.classes {
                class.quorums.retain(|quorum| quorum.need > 0);
            }
        }
        orders
    }

    fn observe(&mut self, reader: &Reader) {
        let Reader { timeline, signature } = reader;
        let calls = timeline.calls.len();
        let size = (calls + 1) * (calls + 1);
        let class = match self.numbers.get(signature.key.as_slice()) {
            Some(&class) => class,
            None if signature.key.is_empty()
                || self.classes.len() >= SIGNATURES_MAX
                || self.pairs.len() + size > PAIRS_MAX =>
            {
                self.not_compared += 1;
                return;
            }
            None => {
                let class = self.classes.len() as u32;
                self.numbers.insert(signature.key.clone().into(), class);
                self.classes.push(Class {
                    seen: 0,
                    calls,
                    first_pair: self.pairs.len(),
                    branches: signature.branches.clone().into(),
                    quorums: Vec::new(),
                });
                self.pairs.resize(self.pairs.len() + size, 0);
                class
            }
        };
        let class = &mut self.classes[class as usize];
        class.seen = class.seen.saturating_add(1);
        let pairs = &mut self.pairs[class.first_pair..class.first_pair + size];
        let place = |call: usize| signature.places.get(call).map_or(calls, |place| *place as usize);
        for (first, call) in timeline.calls.iter().enumerate() {
            let seen = |at_ns: i64| if call.has_ended(at_ns) { ENDED } else { OPEN };
            for second in first + 1..calls {
                pairs[place(first) * (calls + 1) + place(second)] |= seen(timeline.calls[second].start_ns);
            }
            match timeline.is_after_answer(first) {
                true => pairs[calls * (calls + 1) + place(first)] |= ENDED,
                false => pairs[place(first) * (calls + 1) + calls] |= seen(timeline.end_ns),
            }
        }
    }

    /// For each group of an invocation, counts the ended calls. Keeps the smallest count over all invocations.
    fn count_ended(&mut self, reader: &Reader) {
        let Reader { timeline, signature } = reader;
        let Some(&class) = self.numbers.get(signature.key.as_slice()) else {
            return;
        };
        let class = &mut self.classes[class as usize];
        let mut call_at = [0; COMPARED_CALLS_MAX];
        for (call, place) in signature.places.iter().enumerate() {
            call_at[*place as usize] = call;
        }
        for quorum in &mut class.quorums {
            let at_ns = match quorum.place as usize == class.calls {
                true => timeline.end_ns,
                false => timeline.calls[call_at[quorum.place as usize]].start_ns,
            };
            let places = (0..class.calls).filter(|place| quorum.group >> place & 1 == 1);
            let ended = places.filter(|place| timeline.calls[call_at[*place]].has_ended(at_ns));
            quorum.need = quorum.need.min(ended.count() as u32);
        }
    }

    /// The orders of a signature; `None` if its invocations are not compared with others.
    pub fn of(&self, signature: &Signature) -> Option<Order<'_>> {
        let class = *self.numbers.get(signature.key.as_slice())?;
        let class = &self.classes[class as usize];
        let size = (class.calls + 1) * (class.calls + 1);
        Some(Order {
            class,
            pairs: &self.pairs[class.first_pair..class.first_pair + size],
        })
    }
}

impl<'a> Order<'a> {
    /// Whether the call at place `second` can wait for the call at place `first`, because no invocation contradicts this.
    pub fn is_kept(self, first: usize, second: usize) -> bool {
        let width = self.class.calls + 1;
        let is_ordered =
            self.pairs[first * width + second] == ENDED && self.pairs[second * width + first] == 0;
        let branch = |place: usize| self.class.branches.get(place).copied().unwrap_or(0);
        let (one, other) = (branch(first), branch(second));
        let is_apart = one != other && one > 0 && other > 0;
        is_ordered && (!is_apart || self.class.seen >= OBSERVATIONS_MIN)
    }

    pub fn quorum(self, place: usize) -> Option<&'a Quorum> {
        let mut quorums = self.class.quorums.iter();
        quorums.find(|quorum| quorum.place as usize == place)
    }
}

/// For the call at each place, a candidate group for a quorum. Its calls never started after that call. They had ended before
/// its start in some invocations, but not in all. No order was observed between calls of the group.
fn candidates(pairs: &[u8], class: &Class) -> Vec<Quorum> {
    if class.seen < OBSERVATIONS_MIN {
        return Vec::new();
    }
    let width = class.calls + 1;
    let pair = |first: usize, second: usize| pairs[class.first_pair + first * width + second];
    let mut quorums = Vec::new();
    for place in 0..width {
        let is_in = |other: &usize| pair(*other, place) == ENDED | OPEN && pair(place, *other) == 0;
        let group: Vec<usize> = (0..class.calls).filter(is_in).collect();
        let is_free = |one: &usize| {
            let others = group.iter().filter(|other| *other != one);
            others
                .into_iter()
                .all(|other| (pair(*one, *other) | pair(*other, *one)) & OPEN != 0)
        };
        if group.len() > 1 && group.iter().all(is_free) {
            quorums.push(Quorum {
                place: place as u32,
                group: group.iter().fold(0, |set, place| set | 1 << place),
                need: u32::MAX,
            });
        }
    }
    quorums
}
