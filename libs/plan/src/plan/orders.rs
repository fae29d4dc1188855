//! [`Orders`]: which calls always ended before others started, over all invocations with the same signature.
//!
//! A call B waits for a call A if A had ended before B started. This does not hold if another invocation with the same signature
//! contradicts: in it, A was in progress when B started, or started later than B. If the calls belong to different internal spans, B waits
//! for A only if at least [`OBSERVATIONS_MIN`] invocations show this order.
//!
//! Some programs wait for a number of calls out of a group, whichever end first (a quorum). A quorum is inferred under
//! three conditions: a call waits for no particular call of the group; in every invocation, some calls of the group had ended before it
//! started; and there are at least [`OBSERVATIONS_MIN`] invocations. The quorum is the smallest number of calls that had ended. More had
//! ended in some invocations if further calls ended after the quorum, but before the program started the next call.
//!
//! The answer counts as a call that starts and ends with the end of the invocation. In lists of calls, it has the last
//! place.

use foldhash::HashMap;

use super::signature::Signature;
use super::timeline::Timeline;
use crate::work::Recorded;

/// An order that no invocation contradicts counts as real, not as chance, if at least this many invocations show it.
pub const OBSERVATIONS_MIN: u32 = 10;
/// Maximum number of calls of an invocation that is compared with others. A set of its calls and the answer fits into 64 bits.
pub const COMPARED_CALLS_MAX: usize = 63;
/// Maximum number of signatures. The next constant is the maximum number of pairs of calls in all of them, which take 64 MiB.
/// Invocations with further signatures are compared with none.
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
    /// For each pair of places of a class, [`ENDED`] and [`OPEN`].
    pairs: Vec<u8>,
    /// Invocations that have calls and are not compared with others: they have too many calls, or there are too many signatures.
    pub not_compared: u64,
}

/// All invocations with one signature.
#[derive(Debug)]
struct Class {
    seen: u32,
    /// Number of calls.
    calls: usize,
    /// Index of its first pair.
    first_pair: usize,
    branches: Box<[u32]>,
    quorums: Vec<Quorum>,
}

/// A group of calls, and how many of them must have ended before another call starts. Sets have one bit for each place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// Place of the call that waits.
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
    /// Reads an invocation. Its signature is empty if it has too many calls to be compared.
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
    /// Compares all invocations of a run.
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

    /// For each group, counts its calls that had ended, and keeps the smallest count of all invocations.
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

    /// The orders of an invocation's signature; `None` if it is compared with no others.
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
    /// Whether the call at the second place may wait for the call at the first place: no invocation contradicts it.
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

/// For the call at each place, the group of calls that never started after it, and that had ended before it started in some
/// invocations, but not in all. The calls of a group are in no order among each other.
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
