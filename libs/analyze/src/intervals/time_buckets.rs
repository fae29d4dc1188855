//! [`TimeBuckets`]: sums in equal time intervals. Their number is bounded, whatever the length of the run.

/// Maximum number of buckets. When it is exceeded, neighbours are merged, so a run has 16 to 32 buckets. docs/statistics.md has
/// the coverage.
const BUCKETS_MAX: usize = 32;
/// Binary logarithm of the minimum width in nanoseconds, about 1 ms. A smaller width would only cause more merging: a run needs
/// at least 16 buckets for an interval, and every run of interest is longer than that.
const SHIFT_MIN: u32 = 20;

/// `N` sums for each of at most [`BUCKETS_MAX`] time intervals. The width of an interval is a power of two in nanoseconds, and
/// its borders are multiples of the width. So the sums do not depend on the order of the values or on the threads that added
/// them.
#[derive(Debug, Clone, PartialEq)]
pub struct TimeBuckets<const N: usize> {
    /// Binary logarithm of the width, nanoseconds.
    shift: u32,
    /// Number of the first bucket, counted from the origin of the timestamps.
    first: i64,
    sums: Vec<[f64; N]>,
}

/// Sums over a part of the period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Batch<const N: usize> {
    /// Nanoseconds since the origin of the timestamps.
    pub begin: i64,
    pub end: i64,
    pub sums: [f64; N],
}

impl<const N: usize> Batch<N> {
    /// Nanoseconds.
    pub fn length(&self) -> f64 {
        self.begin.abs_diff(self.end) as f64
    }
}

impl<const N: usize> Default for TimeBuckets<N> {
    fn default() -> Self {
        Self {
            shift: SHIFT_MIN,
            first: 0,
            sums: Vec::new(),
        }
    }
}

impl<const N: usize> TimeBuckets<N> {
    /// The sums of the bucket that contains this timestamp.
    #[inline]
    pub fn at(&mut self, at: i64) -> &mut [f64; N] {
        let index = (at >> self.shift).wrapping_sub(self.first) as u64 as usize;
        let index = if index < self.sums.len() {
            index
        } else {
            self.make_room(at)
        };
        &mut self.sums[index]
    }

    pub fn merge(&mut self, other: &Self) {
        while self.shift < other.shift {
            self.widen();
        }
        for (number, sums) in (other.first..).zip(&other.sums) {
            add(self.at(number << other.shift), sums);
        }
    }

    /// Divides the period from `begin` to `end` into 16 to 32 nearly equal batches. If the first or last one is less than half
    /// as wide as the others, it is merged with its neighbour. A period shorter than 32 minimum widths has fewer batches.
    /// Values outside of the period count in the nearest batch.
    pub fn batches(&self, begin: i64, end: i64) -> Vec<Batch<N>> {
        if begin >= end {
            return Vec::new();
        }
        let mut buckets = self.clone();
        while (begin >> buckets.shift).abs_diff((end - 1) >> buckets.shift) >= BUCKETS_MAX as u64 {
            buckets.widen();
        }
        let shift = buckets.shift;
        let (first, last) = (begin >> shift, (end - 1) >> shift);
        let mut batches: Vec<Batch<N>> = (first..=last)
            .map(|number| Batch {
                begin: (number << shift).max(begin),
                // The end of the last bucket can be beyond 64 bits.
                end: ((i128::from(number) + 1) << shift).min(i128::from(end)) as i64,
                sums: [0.0; N],
            })
            .collect();
        for (number, sums) in (buckets.first..).zip(&buckets.sums) {
            let index = number.clamp(first, last) - first;
            add(&mut batches[index as usize].sums, sums);
        }
        let is_small = |batch: &Batch<N>| batch.length() < (1_u64 << shift) as f64 / 2.0;
        if batches.len() > 1 && is_small(&batches[0]) {
            let small = batches.remove(0);
            batches[0].begin = small.begin;
            add(&mut batches[0].sums, &small.sums);
        }
        if batches.len() > 1
            && let Some(small) = batches.pop_if(|last| is_small(last))
            && let Some(last) = batches.last_mut()
        {
            last.end = small.end;
            add(&mut last.sums, &small.sums);
        }
        batches
    }

    /// Adds buckets up to a timestamp, and returns the index of its bucket.
    fn make_room(&mut self, at: i64) -> usize {
        if self.sums.is_empty() {
            self.first = at >> self.shift;
            self.sums.push([0.0; N]);
            return 0;
        }
        loop {
            let bucket = at >> self.shift;
            let last = self.first + self.sums.len() as i64 - 1;
            let (low, high) = (bucket.min(self.first), bucket.max(last));
            if high.abs_diff(low) < BUCKETS_MAX as u64 {
                let before = (self.first - low) as usize;
                self.sums.splice(0..0, std::iter::repeat_n([0.0; N], before));
                self.sums.resize((high - low) as usize + 1, [0.0; N]);
                self.first = low;
                return (bucket - low) as usize;
            }
            self.widen();
        }
    }

    /// Doubles the width. Timestamps have 64 bits, so the width stays below 2^64.
    fn widen(&mut self) {
        self.shift += 1;
        let first = self.first >> 1;
        let mut wide: Vec<[f64; N]> = Vec::with_capacity(BUCKETS_MAX);
        for (number, sums) in (self.first..).zip(&self.sums) {
            let index = ((number >> 1) - first) as usize;
            match wide.get_mut(index) {
                Some(known) => add(known, sums),
                None => wide.push(*sums),
            }
        }
        (self.first, self.sums) = (first, wide);
    }
}

fn add<const N: usize>(sums: &mut [f64; N], more: &[f64; N]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn buckets(at: &[i64]) -> TimeBuckets<1> {
        let mut buckets = TimeBuckets::default();
        at.iter().for_each(|&at| buckets.at(at)[0] += 1.0);
        buckets
    }

    proptest! {
        #[test]
        fn order_and_parts_change_nothing_and_every_value_counts_once(
            mut at in prop::collection::vec((any::<i64>(), 0..44_u32).prop_map(|(at, shift)| at >> shift), 1..60),
            cut in 0..60_usize,
        ) {
            let whole = buckets(&at);
            let (left, right) = at.split_at(cut.min(at.len()));
            let mut joined = buckets(left);
            joined.merge(&buckets(right));
            prop_assert_eq!(&joined, &whole);
            prop_assert!(whole.sums.len() <= BUCKETS_MAX);
            at.sort_unstable();
            prop_assert_eq!(&buckets(&at), &whole);
            let batches = whole.batches(at[0], at[at.len() - 1]);
            if at[0] < at[at.len() - 1] {
                let sum: f64 = batches.iter().map(|batch| batch.sums[0]).sum();
                prop_assert_eq!(sum, at.len() as f64);
                prop_assert_eq!((batches[0].begin, batches[batches.len() - 1].end), (at[0], at[at.len() - 1]));
                for pair in batches.windows(2) {
                    prop_assert_eq!(pair[0].end, pair[1].begin);
                    prop_assert!(pair[0].length() < 3.1 * pair[1].length() && pair[1].length() < 3.1 * pair[0].length());
                }
            }
        }
    }

    #[test]
    fn time_in_which_nothing_happened_has_its_batches() {
        let second = 1_000_000_000;
        let batches = buckets(&[10 * second]).batches(0, 100 * second);
        assert!((15..=32).contains(&batches.len()), "{}", batches.len());
        assert_eq!(batches.iter().filter(|batch| batch.sums[0] > 0.0).count(), 1);
        let all: f64 = batches.iter().map(Batch::length).sum();
        assert_eq!(all, 100.0 * second as f64);
        assert!(buckets(&[5]).batches(7, 7).is_empty());
    }
}
