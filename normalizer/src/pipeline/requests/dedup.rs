//! [`RecentSet`]: remembers which spans were received within the dedup window. A lookup reads one cache line.

mod saved;

use crate::join::{large_vec, prefetch};

/// Number of equal parts of the window. The spans that arrive in one part are a generation, and each generation has a tag. The
/// oldest generation is dropped as a whole, so a span is remembered for the window and at most a twelfth more. With the
/// generation that is being filled, 13 tags are in use. A tag has four bits, and 0 marks an empty slot, so there are 15 tags.
const GENERATIONS: u64 = 12;
const TAGS: u8 = 15;
/// Number of slots in a bucket, which is one cache line.
const SLOTS: usize = 8;
/// Binary logarithm of the initial number of buckets. A slot does not store the top bits of a fingerprint, because the bucket
/// determines them.
const BUCKETS_MIN_LOG2: u32 = DISPLACEMENT_BITS + TAG_BITS;
/// Bits of a slot for the tag of its generation, and bits for the distance from the home bucket.
const TAG_BITS: u32 = 4;
const DISPLACEMENT_BITS: u32 = 6;
/// Maximum distance of a fingerprint from its home bucket. With 15 instead of 63, a table was already too full at 70%.
const DISPLACEMENT_MAX: usize = (1 << DISPLACEMENT_BITS) - 1;
/// Position of the fingerprint in a slot.
const FINGERPRINT_SHIFT: u32 = TAG_BITS + DISPLACEMENT_BITS;
/// Fill level at which the table grows, percent.
const FULL_PERCENT: usize = 80;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
/// A table does not grow if less than one in this many slots is used. Span ids can be chosen so that they share a home bucket
/// in a table of any size; such ids must not exhaust the memory.
const SPARSE_RATIO: usize = 8;

/// A cache line of slots. A slot contains the low 54 bits of a fingerprint, its distance from the home bucket (6 bits), and the
/// tag of its generation (4 bits, 0 for an empty slot). The top bits of the fingerprint follow from the home bucket.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Bucket([u64; SLOTS]);

/// Fingerprints of the spans that were received within the window.
///
/// A span takes 8 bytes in a table that is 40 to 80% full, so 10 to 20 bytes. All 64 bits of a fingerprint are compared. With
/// six million spans in the window, the probability that a new span is mistaken for a duplicate is 3 in 10^13.
#[derive(Debug)]
pub struct RecentSet {
    buckets: Vec<Bucket>,
    /// For each bucket: tag of the last generation in which a fingerprint was stored further on, because this bucket was full.
    passed: Vec<u8>,
    buckets_log2: u32,
    /// Bit n: the generation with tag n is within the window.
    live_tags: u16,
    tag: u8,
    lens: [usize; TAGS as usize + 1],
    generation_ends: u64,
    generation_ns: u64,
    entries_max: usize,
    /// Number of further fingerprints until the table is full enough to grow.
    room: usize,
}

impl RecentSet {
    /// A set that remembers each span for at least `window_ns`. Beyond `entries_max` spans, the oldest are forgotten early.
    pub fn new(window_ns: u64, entries_max: usize) -> Self {
        let mut set = Self {
            buckets: Vec::new(),
            passed: Vec::new(),
            buckets_log2: 0,
            live_tags: 1 << 1,
            tag: 1,
            lens: [0; TAGS as usize + 1],
            generation_ends: 0,
            generation_ns: (window_ns / GENERATIONS).max(1),
            entries_max,
            room: 0,
        };
        set.allocate(BUCKETS_MIN_LOG2);
        set.count_room();
        set
    }

    /// Changes how long each span is remembered.
    pub fn set_window(&mut self, window_ns: u64) {
        self.generation_ns = (window_ns / GENERATIONS).max(1);
    }

    /// Prefetches the memory that [`Self::insert`] of this fingerprint reads.
    #[inline]
    pub fn prefetch(&self, fingerprint: u64) {
        let home = (fingerprint >> (64 - self.buckets_log2)) as usize;
        if let (Some(bucket), Some(passed)) = (self.buckets.get(home), self.passed.get(home)) {
            prefetch(bucket);
            prefetch(passed);
        }
    }

    /// Changes the maximum number of spans.
    pub fn set_entries_max(&mut self, entries_max: usize) {
        self.entries_max = entries_max;
        self.count_room();
    }

    /// Size of the table, bytes.
    pub fn table_bytes(&self) -> u64 {
        (self.buckets.len() * (size_of::<Bucket>() + 1)) as u64
    }

    /// Whether the table has room for the maximum number of spans. Then it does not grow; a span for which there is no slot
    /// replaces another one.
    fn is_largest(&self) -> bool {
        let generations = GENERATIONS as usize;
        let most = self.entries_max.saturating_add(self.entries_max / generations);
        self.buckets.len().saturating_mul(SLOTS * FULL_PERCENT) / 100 >= most
    }

    /// Remembers a fingerprint. Returns false if it was already there.
    #[inline]
    pub fn insert(&mut self, fingerprint: u64, now: u64) -> bool {
        let generation_full =
            self.lens[usize::from(self.tag)] >= (self.entries_max / GENERATIONS as usize).max(1);
        if now >= self.generation_ends || generation_full {
            self.begin_generation(now);
        }
        // Beyond this fill level, lookups would read more and more buckets.
        if self.room == 0 {
            self.grow();
        }
        loop {
            match self.place(fingerprint, self.tag) {
                Some(is_new) => {
                    self.room -= usize::from(is_new);
                    return is_new;
                }
                None if self.is_sparse() || self.is_largest() => {
                    self.displace(fingerprint, self.tag);
                    return true;
                }
                None => self.grow(),
            }
        }
    }

    /// Whether a fingerprint is remembered.
    #[cold]
    pub fn contains(&self, fingerprint: u64) -> bool {
        let home = (fingerprint >> (64 - self.buckets_log2)) as usize;
        let mask = self.buckets.len() - 1;
        (0..=DISPLACEMENT_MAX).any(|displacement| {
            let wanted = fingerprint << FINGERPRINT_SHIFT | (displacement as u64) << TAG_BITS;
            let words = &self.buckets[(home + displacement) & mask].0;
            words
                .iter()
                .any(|&word| word & !TAG_MASK == wanted && self.is_live((word & TAG_MASK) as u8))
        })
    }

    /// Number of spans remembered.
    pub fn len(&self) -> usize {
        (1..=TAGS)
            .filter(|&tag| self.is_live(tag))
            .map(|tag| self.lens[usize::from(tag)])
            .sum()
    }

    #[inline]
    fn is_live(&self, tag: u8) -> bool {
        self.live_tags >> tag & 1 != 0
    }

    /// Stores a fingerprint of the generation `tag` in a free slot. Returns whether it is new; `None` if there is no slot for
    /// it.
    #[inline]
    fn place(&mut self, fingerprint: u64, tag: u8) -> Option<bool> {
        let home = (fingerprint >> (64 - self.buckets_log2)) as usize;
        let mask = self.buckets.len() - 1;
        let mut free = None;
        for displacement in 0..=DISPLACEMENT_MAX {
            let place = (home + displacement) & mask;
            let wanted = fingerprint << FINGERPRINT_SHIFT | (displacement as u64) << TAG_BITS;
            let words = &self.buckets[place].0;
            // Duplicates are rare, so all slots are compared without a branch for each.
            let is_same = |word: u64| word ^ wanted <= TAG_MASK;
            if words.iter().fold(false, |any, &word| any | is_same(word))
                && words
                    .iter()
                    .any(|&word| is_same(word) && self.is_live((word & TAG_MASK) as u8))
            {
                return Some(false);
            }
            if free.is_none() {
                let slot = words
                    .iter()
                    .position(|&word| !self.is_live((word & TAG_MASK) as u8));
                free = slot.map(|slot| (displacement, slot));
            }
            if !self.is_live(self.passed[place]) && free.is_some() {
                break;
            }
        }
        let (displacement, slot) = free?;
        for passed in 0..displacement {
            let place = (home + passed) & mask;
            self.passed[place] = self.younger(self.passed[place], tag);
        }
        let word = fingerprint << FINGERPRINT_SHIFT | (displacement as u64) << TAG_BITS | u64::from(tag);
        self.buckets[(home + displacement) & mask].0[slot] = word;
        self.lens[usize::from(tag)] += 1;
        Some(true)
    }

    /// The younger one of two generations. The first can be none (0), or one that has left the window.
    fn younger(&self, first: u8, second: u8) -> u8 {
        let age = |tag: u8| (self.tag + TAGS - tag) % TAGS;
        if self.is_live(first) && age(first) < age(second) {
            first
        } else {
            second
        }
    }

    #[cold]
    fn begin_generation(&mut self, now: u64) {
        self.generation_ends = now.saturating_add(self.generation_ns);
        self.tag = self.tag % TAGS + 1;
        // Empties the slots with this tag. They are from the previous use of the tag, left the window long ago, and must not
        // become valid again.
        self.forget(self.tag);
        let live = (0..=GENERATIONS as u8).map(|age| (self.tag + TAGS - 1 - age) % TAGS + 1);
        self.live_tags = live.fold(0, |tags, tag| tags | 1 << tag);
        self.lens[usize::from(self.tag)] = 0;
        self.count_room();
        if self.len() * 800 < self.buckets.len() * SLOTS * FULL_PERCENT
            && self.buckets_log2 > BUCKETS_MIN_LOG2
        {
            // Releases memory that was needed for a burst.
            self.rebuild(self.buckets_log2 - 1);
        }
    }

    /// Counts how many fingerprints fit until the table must grow. The largest table never grows.
    fn count_room(&mut self) {
        let full = self.buckets.len() * SLOTS * FULL_PERCENT / 100;
        self.room = if self.is_largest() {
            usize::MAX
        } else {
            full.saturating_sub(self.len())
        };
    }

    fn forget(&mut self, tag: u8) {
        for word in self.buckets.iter_mut().flat_map(|bucket| &mut bucket.0) {
            if *word & TAG_MASK == u64::from(tag) {
                *word = 0;
            }
        }
        self.passed
            .iter_mut()
            .filter(|passed| **passed == tag)
            .for_each(|passed| *passed = 0);
    }

    /// Whether a larger table would not help, because the fingerprints were chosen to share one home bucket.
    fn is_sparse(&self) -> bool {
        self.len() * SPARSE_RATIO < self.buckets.len() * SLOTS
    }

    /// Stores a fingerprint in place of another one with the same home bucket.
    #[cold]
    fn displace(&mut self, fingerprint: u64, tag: u8) {
        let home = (fingerprint >> (64 - self.buckets_log2)) as usize;
        let word = &mut self.buckets[home].0[0];
        let forgotten = usize::from((*word & TAG_MASK) as u8);
        *word = fingerprint << FINGERPRINT_SHIFT | u64::from(tag);
        self.lens[forgotten] = self.lens[forgotten].saturating_sub(1);
        self.lens[usize::from(tag)] += 1;
    }

    #[cold]
    fn grow(&mut self) {
        self.rebuild(self.buckets_log2 + 1);
    }

    fn allocate(&mut self, buckets_log2: u32) {
        self.buckets = large_vec(Bucket([0; SLOTS]), 1 << buckets_log2);
        self.passed = large_vec(0, 1 << buckets_log2);
        self.buckets_log2 = buckets_log2;
    }

    /// Moves all fingerprints to a table of another size, in one pass in the order of the buckets. This is the order of the
    /// new table as well, so both are read and written like a stream.
    fn rebuild(&mut self, buckets_log2: u32) {
        let buckets = std::mem::take(&mut self.buckets);
        let (from_log2, live_tags) = (self.buckets_log2, self.live_tags);
        self.refill(buckets_log2, || {
            fingerprints(&buckets, from_log2).filter(move |(_, tag)| live_tags >> tag & 1 != 0)
        });
    }

    /// Starts a table with these fingerprints and their tags.
    fn refill<I: Iterator<Item = (u64, u8)>>(&mut self, mut buckets_log2: u32, all: impl Fn() -> I) {
        loop {
            self.allocate(buckets_log2);
            self.lens = [0; TAGS as usize + 1];
            let all_placed = all().all(|(fingerprint, tag)| {
                let is_placed = self.place(fingerprint, tag).is_some();
                if !is_placed && self.is_sparse() {
                    self.displace(fingerprint, tag);
                    return true;
                }
                is_placed
            });
            if all_placed {
                break;
            }
            buckets_log2 += 1;
        }
        self.count_room();
    }
}

/// The fingerprints in a table, with the tags of their generations. The tag of an empty slot is 0.
fn fingerprints(buckets: &[Bucket], buckets_log2: u32) -> impl Iterator<Item = (u64, u8)> {
    let mask = buckets.len() - 1;
    buckets.iter().enumerate().flat_map(move |(place, bucket)| {
        bucket.0.map(|word| {
            let displacement = (word >> TAG_BITS) as usize & DISPLACEMENT_MAX;
            let home = (place + mask + 1 - displacement) & mask;
            let top = (home as u64) << (64 - buckets_log2);
            let low = u64::MAX >> FINGERPRINT_SHIFT;
            (top & !low | word >> FINGERPRINT_SHIFT, (word & TAG_MASK) as u8)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::fingerprint::mix;
    use super::*;

    const WINDOW: u64 = 1200;
    const GAP_MAX: u64 = 30;
    /// A generation begins with the first span after the end of the last one, so each can last longer by a gap between two spans.
    const REMEMBERED_MAX: u64 = (GENERATIONS + 1) * (WINDOW / GENERATIONS + GAP_MAX);

    #[test]
    fn the_number_remembered_is_bounded() {
        let mut seen = RecentSet::new(1000, 1200);
        for fingerprint in 0..100_000 {
            seen.insert(mix(fingerprint), 0);
        }
        assert!(seen.len() <= 1300, "{}", seen.len());
    }

    /// The table grows while it holds generations of every age. None may be forgotten early or remembered for too long.
    #[test]
    fn a_table_that_grows_keeps_the_age_of_each_fingerprint() {
        const LEN: u64 = 12_000;
        let generation_ns = WINDOW / GENERATIONS;
        let mut seen = RecentSet::new(WINDOW, usize::MAX);
        let begun = seen.buckets.len();
        let of = |generation: u64| (generation * LEN..(generation + 1) * LEN).map(mix);
        for generation in 0..GENERATIONS {
            for fingerprint in of(generation) {
                assert!(seen.insert(fingerprint, generation * generation_ns));
            }
            let slots = seen.buckets.len() * SLOTS;
            assert!(seen.len() * 100 <= slots * FULL_PERCENT, "the table is too full");
        }
        assert!(seen.buckets.len() >= begun << 5);
        for now in GENERATIONS..2 * GENERATIONS {
            assert!(seen.insert(mix(u64::MAX - now), now * generation_ns));
            let gone = now - GENERATIONS;
            if let Some(last_gone) = gone.checked_sub(1) {
                assert!(of(last_gone).all(|fingerprint| !seen.contains(fingerprint)));
            }
            for fingerprint in (gone..GENERATIONS).flat_map(of) {
                assert!(!seen.insert(fingerprint, now * generation_ns), "{gone}");
            }
        }
    }

    #[test]
    fn memory_goes_back_after_a_burst() {
        let mut seen = RecentSet::new(WINDOW, usize::MAX);
        for fingerprint in 0..1_000_000 {
            assert!(seen.insert(mix(fingerprint), 0));
        }
        let burst = seen.buckets.len();
        for now in (0..100 * WINDOW).step_by(100) {
            seen.insert(now, now);
        }
        assert!(seen.buckets.len() * 100 < burst);
    }

    proptest! {
        #[test]
        fn it_remembers_for_the_window_and_forgets_soon_after(
            // Few home buckets and few low bits, so that buckets overflow and distances vary.
            steps in proptest::collection::vec((0_u64..4, 0_u64..300, 0_u64..GAP_MAX, prop::bool::weighted(0.002)), 1..3000),
        ) {
            let mut seen = RecentSet::new(WINDOW, usize::MAX);
            let mut last_new: HashMap<u64, u64> = HashMap::new();
            let mut now = 0;
            for (home, low, gap, is_saved) in steps {
                now += gap;
                let fingerprint = home << 62 | low;
                let is_new = seen.insert(fingerprint, now);
                let age = last_new.get(&fingerprint).map(|seen| now - seen);
                match age {
                    None => prop_assert!(is_new),
                    Some(age) if age < WINDOW => prop_assert!(!is_new, "age {}", age),
                    Some(age) if age > REMEMBERED_MAX => prop_assert!(is_new, "age {}", age),
                    Some(_) => {}
                }
                if is_new {
                    last_new.insert(fingerprint, now);
                }
                if is_saved {
                    let bytes = postcard::to_stdvec(&seen).unwrap();
                    let len = seen.len();
                    seen = postcard::from_bytes(&bytes).unwrap();
                    prop_assert_eq!(seen.len(), len);
                }
            }
        }
    }

    #[test]
    fn fingerprints_that_share_a_home_do_not_make_the_table_grow_without_end() {
        let mut set = RecentSet::new(1000, 1 << 20);
        for fingerprint in 0..5_000 {
            set.insert(fingerprint, 1);
        }
        assert!(set.buckets.len() <= 1 << 10, "{}", set.buckets.len());
        assert!(!set.insert(4_999, 1), "the last one is remembered");
        let saved = postcard::to_stdvec(&set).unwrap();
        let restored: RecentSet = postcard::from_bytes(&saved).unwrap();
        assert!(restored.buckets.len() <= 1 << 10);
    }
}
