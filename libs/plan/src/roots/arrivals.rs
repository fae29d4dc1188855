//! [`Arrivals`]: the requests of a selection in order of time. They come from one or more copies of the run.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use cctf_proto::cctf::TraceId;

use super::error::RootsError;
use super::factor::Factor;
use super::file::{Iter, RootFile};
use super::root::{Receivers, Root};
use super::survey::Orphans;

/// A request to send, and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Time from the start of the replay, nanoseconds.
    pub offset_ns: u64,
    /// Number of the copy of the run, from 0.
    pub copy: u64,
    pub root: Root,
}

/// One copy of the window, shifted cyclically: roots that leave it at the end come in at the beginning.
pub struct Phase {
    file: Arc<RootFile>,
    orphans: Orphans,
    receivers: Receivers,
    begin_ns: i64,
    length_ns: u64,
    /// Shift of this copy; less than the window's length.
    shift_ns: u64,
    copy: u64,
    seed: u64,
    /// The share of roots that this copy keeps; `None` for all.
    share: Option<Factor>,
    iter: Iter,
    /// Whether the iterator has reached the roots that the shift moved from the end of the window to its beginning.
    is_wrapped: bool,
}

impl Phase {
    /// A copy. The first one is not shifted.
    pub(super) fn new(
        file: &Arc<RootFile>,
        (orphans, receivers): (Orphans, Receivers),
        begin_ns: i64,
        length_ns: u64,
        seed: u64,
        copy: u64,
        share: Option<Factor>,
    ) -> Self {
        let shift_ns = match copy {
            0 => 0,
            _ => ((u128::from(mixed(seed, copy)) * u128::from(length_ns)) >> 64) as u64,
        };
        let is_wrapped = shift_ns > 0;
        let from_ns = match is_wrapped {
            true => begin_ns.saturating_add_unsigned(length_ns - shift_ns),
            false => begin_ns,
        };
        Self {
            iter: Iter::new(file, from_ns),
            file: Arc::clone(file),
            orphans,
            receivers,
            begin_ns,
            length_ns,
            shift_ns,
            copy,
            seed,
            share,
            is_wrapped,
        }
    }

    /// The next root to send, and its offset in the shifted window.
    fn next(&mut self) -> Result<Option<(u64, Root)>, RootsError> {
        loop {
            let end_ns = match self.is_wrapped {
                true => self.length_ns,
                false => self.length_ns - self.shift_ns,
            };
            let root = self.iter.next().transpose()?;
            let inside = root.and_then(|root| {
                let at_ns = offset_in(&root, self.begin_ns);
                (at_ns < end_ns).then_some((at_ns, root))
            });
            match inside {
                Some((at_ns, root)) if self.takes(&root) => {
                    let offset_ns = match self.is_wrapped {
                        true => at_ns - (self.length_ns - self.shift_ns),
                        false => at_ns + self.shift_ns,
                    };
                    return Ok(Some((offset_ns, root)));
                }
                Some(_) => {}
                None if self.is_wrapped => {
                    self.is_wrapped = false;
                    self.iter = Iter::new(&self.file, self.begin_ns);
                }
                None => return Ok(None),
            }
        }
    }

    fn takes(&self, root: &Root) -> bool {
        let is_kept = |share: Factor| share.has(hash(&root.trace_id, mixed(self.seed, self.copy)));
        self.receivers.take(root) && self.orphans.take(root) && self.share.is_none_or(is_kept)
    }
}

/// An iterator over arrivals in order of time, in constant memory. It ends with the first error.
pub struct Arrivals {
    phases: Vec<Phase>,
    /// The next root of each copy, for merging them by time.
    next: Vec<Option<Root>>,
    order: BinaryHeap<Reverse<(u64, usize)>>,
    time_factors: [Factor; 2],
    left: u64,
    is_started: bool,
}

impl Arrivals {
    pub(super) fn new(phases: Vec<Phase>, time_factors: [Factor; 2], limit: Option<u64>) -> Self {
        Self {
            next: phases.iter().map(|_| None).collect(),
            order: BinaryHeap::with_capacity(phases.len()),
            phases,
            time_factors,
            left: limit.unwrap_or(u64::MAX),
            is_started: false,
        }
    }

    fn advance(&mut self, number: usize) -> Result<(), RootsError> {
        if let Some((offset_ns, root)) = self.phases[number].next()? {
            self.next[number] = Some(root);
            self.order.push(Reverse((offset_ns, number)));
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Option<Arrival>, RootsError> {
        if self.left == 0 {
            return Ok(None);
        }
        if !self.is_started {
            self.is_started = true;
            (0..self.phases.len()).try_for_each(|number| self.advance(number))?;
        }
        let Some(Reverse((offset_ns, number))) = self.order.pop() else {
            return Ok(None);
        };
        let root = self.next[number].take();
        self.advance(number)?;
        self.left -= 1;
        let [speed, squeeze] = self.time_factors;
        Ok(root.map(|root| Arrival {
            offset_ns: Factor::divide(offset_ns, speed, squeeze),
            copy: self.phases[number].copy,
            root,
        }))
    }
}

impl Iterator for Arrivals {
    type Item = Result<Arrival, RootsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let taken = self.take();
        if taken.is_err() {
            self.left = 0;
        }
        taken.transpose()
    }
}

/// Time from the beginning of a window to a root, nanoseconds. Saturates at the maximum length of a window.
pub(super) fn offset_in(root: &Root, begin_ns: i64) -> u64 {
    root.at_ns.abs_diff(begin_ns).min(u64::MAX - 1)
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), in which each bit of the result depends on all bits of the
/// input. It is implemented here because the same seed must select the same requests in every version.
fn mix(mut number: u64) -> u64 {
    number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

/// A random number for a copy, uniform over all 64-bit numbers.
fn mixed(seed: u64, copy: u64) -> u64 {
    mix(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)).wrapping_add(copy))
}

/// A hash of a trace id, uniform over all 64-bit numbers.
fn hash(trace: &TraceId, salt: u64) -> u64 {
    let number = u128::from_be_bytes(trace.0);
    mix(mix(salt ^ (number >> 64) as u64).wrapping_add(number as u64))
}
