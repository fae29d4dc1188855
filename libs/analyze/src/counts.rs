//! [`Counts`]: numbers of values in buckets. Sketches and intervals use this type.

/// An integer type for counts. Narrow types save memory; they saturate at their maximum.
pub trait Count {
    const ONE: Self;
    fn increase(&mut self, by: Self);
    fn get(self) -> u64;
}

impl Count for u32 {
    const ONE: Self = 1;

    #[inline]
    fn increase(&mut self, by: Self) {
        *self = self.saturating_add(by);
    }

    fn get(self) -> u64 {
        u64::from(self)
    }
}

impl Count for u64 {
    const ONE: Self = 1;

    #[inline]
    fn increase(&mut self, by: Self) {
        *self += by;
    }

    fn get(self) -> u64 {
        self
    }
}

/// Counts by bucket, with one entry for each bucket from the lowest used one to the highest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts<T> {
    /// Bucket of the first entry.
    first: i32,
    counts: Vec<T>,
}

impl<T: Copy + Default + Count> Counts<T> {
    #[inline]
    pub fn add(&mut self, bucket: i32) {
        let index = bucket.wrapping_sub(self.first) as u32 as usize;
        if index >= self.counts.len() {
            self.grow(bucket, bucket);
        }
        self.counts[(bucket - self.first) as usize].increase(T::ONE);
    }

    pub fn merge(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        self.grow(other.first, other.first + other.counts.len() as i32 - 1);
        let begin = (other.first - self.first) as usize;
        for (count, more) in self.counts[begin..].iter_mut().zip(&other.counts) {
            count.increase(*more);
        }
    }

    /// Size of the entries in memory, bytes.
    pub fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<T>()
    }

    /// Number of values in buckets above `bucket`.
    pub fn above(&self, bucket: i32) -> u64 {
        let begin = (bucket + 1 - self.first).max(0) as usize;
        let above = self.counts.get(begin..).unwrap_or_default();
        above.iter().map(|&count| count.get()).sum()
    }

    /// The bucket of the value with this rank; the smallest value has rank 1. `None` beyond the last value.
    pub fn at_rank(&self, rank: u64) -> Option<i32> {
        let mut below = 0;
        let position = self.counts.iter().position(|&count| {
            below += count.get();
            below >= rank.max(1)
        });
        position.map(|position| self.first + position as i32)
    }

    /// Number of values in one bucket.
    pub fn of(&self, bucket: i32) -> u64 {
        let index = usize::try_from(i64::from(bucket) - i64::from(self.first));
        let count = index.ok().and_then(|index| self.counts.get(index));
        count.map_or(0, |count| count.get())
    }

    /// Buckets with values, and their counts.
    pub fn used(&self) -> impl Iterator<Item = (i32, T)> {
        let all = (self.first..).zip(self.counts.iter().copied());
        all.filter(|(_, count)| count.get() > 0)
    }

    /// Extends the entries to the buckets from `low` to `high`.
    fn grow(&mut self, low: i32, high: i32) {
        if self.counts.is_empty() {
            self.first = low;
        }
        if low < self.first {
            let more = (self.first - low) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(T::default(), more));
            self.first = low;
        }
        let length = (high + 1 - self.first) as usize;
        if length > self.counts.len() {
            self.counts.resize(length, T::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_answer_by_rank_and_by_bucket_however_they_are_merged() {
        let mut counts = Counts::<u32>::default();
        assert_eq!((counts.at_rank(1), counts.above(0)), (None, 0));
        let mut others = Counts::<u32>::default();
        for bucket in [5, 5, 9] {
            counts.add(bucket);
        }
        for bucket in [-2, 0, 5, 12] {
            others.add(bucket);
        }
        counts.merge(&others);
        counts.merge(&Counts::default());
        let ranks: Vec<_> = (0..=8).map(|rank| counts.at_rank(rank)).collect();
        let expected = [-2, -2, 0, 5, 5, 5, 9, 12].map(Some);
        assert_eq!(ranks[..8], expected);
        assert_eq!(ranks[8], None);
        let used: Vec<(i32, u32)> = counts.used().collect();
        assert_eq!(used, [(-2, 1), (0, 1), (5, 3), (9, 1), (12, 1)]);
        assert_eq!(
            [-3, -2, 4, 5, 13].map(|bucket| counts.of(bucket)),
            [0, 1, 0, 3, 0]
        );
        let above = [-9, -2, 4, 5, 12, 99].map(|bucket| counts.above(bucket));
        assert_eq!(above, [7, 6, 5, 2, 0, 0]);
    }
}
