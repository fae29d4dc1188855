//! [`Figures`]: cumulative figures of modules and nodes, for the live page. They are not part of the serialized state, so they
//! start at zero when the process starts. An invocation costs four additions for its module, and four for its node.

use aggregate::ids::{InstanceId, ModuleId, NodeId};

/// Maximum number of modules, and of nodes, with separate figures. All further ones are counted together. With 856 bytes each,
/// both tables stay below 1 MB.
pub const TRACKED_MAX: usize = 512;
/// Maximum number of instances whose number of requests in progress is stored.
const INSTANCES_MAX: usize = 4096;
/// Age at which a sampled value is no longer shown, in journal time.
const SAMPLE_AGE_MAX_NS: u64 = 60_000_000_000;

/// Number of buckets of equal width for each power of two of the time. A bucket is at most 12.5% wide, so its middle is exact
/// to 6.25%. Below 8 us, a bucket is 1 us wide.
const BUCKETS_A_DOUBLING: usize = 8;
const SHIFT: u32 = BUCKETS_A_DOUBLING.ilog2();
/// Number of buckets: up to 268 s, in microseconds. The last bucket also contains all longer times.
const BUCKETS: usize = 208;

/// Cumulative figures of a module or a node.
#[derive(Debug, Clone)]
pub struct Sums {
    /// Invocations.
    pub calls: u64,
    /// Failed invocations.
    pub errors: u64,
    /// Sum of the response times, nanoseconds.
    time_ns: u64,
    /// Number of invocations in each bucket of response times.
    buckets: [u32; BUCKETS],
}

impl Default for Sums {
    fn default() -> Self {
        Self {
            calls: 0,
            errors: 0,
            time_ns: 0,
            buckets: [0; BUCKETS],
        }
    }
}

impl Sums {
    #[inline]
    fn add(&mut self, response_ns: u64, is_error: bool) {
        self.calls += 1;
        self.errors += u64::from(is_error);
        // Sums and counts may wrap, because only their differences are shown.
        self.time_ns = self.time_ns.wrapping_add(response_ns);
        let bucket = &mut self.buckets[bucket_of(response_ns / 1000)];
        *bucket = bucket.wrapping_add(1);
    }

    /// The figures since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            calls: self.calls.wrapping_sub(earlier.calls),
            errors: self.errors.wrapping_sub(earlier.errors),
            time_ns: self.time_ns.wrapping_sub(earlier.time_ns),
            buckets: std::array::from_fn(|bucket| self.buckets[bucket].wrapping_sub(earlier.buckets[bucket])),
        }
    }

    /// Mean response time, ms.
    pub fn mean_ms(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.time_ns as f64 / self.calls as f64 / 1e6)
    }

    /// A quantile of the response times, ms, within 6.25%.
    pub fn quantile_ms(&self, quantile: f64) -> Option<f64> {
        let counted: u64 = self.buckets.iter().map(|&count| u64::from(count)).sum();
        let rank = (quantile * counted as f64).ceil() as u64;
        let mut below = 0;
        let bucket = self.buckets.iter().position(|&count| {
            below += u64::from(count);
            below >= rank.max(1)
        })?;
        Some(middle_us(bucket) / 1000.0)
    }
}

/// The bucket of a time in microseconds.
#[inline]
fn bucket_of(micros: u64) -> usize {
    let doublings = (micros | 1).ilog2().saturating_sub(SHIFT);
    let bucket = doublings as usize * BUCKETS_A_DOUBLING + (micros >> doublings) as usize;
    bucket.min(BUCKETS - 1)
}

/// The middle of a bucket, microseconds.
fn middle_us(bucket: usize) -> f64 {
    let doublings = (bucket / BUCKETS_A_DOUBLING).saturating_sub(1);
    let first = bucket - doublings * BUCKETS_A_DOUBLING;
    (first as f64 + 0.5) * (1_u64 << doublings) as f64
}

/// A sampled value and the journal time at which it arrived.
#[derive(Debug, Clone, Copy, Default)]
struct Sampled {
    value: f64,
    at: u64,
}

impl Sampled {
    fn if_recent(&self, now: u64) -> Option<f64> {
        let is_recent = self.at > 0 && now.saturating_sub(self.at) <= SAMPLE_AGE_MAX_NS;
        is_recent.then_some(self.value)
    }
}

/// Figures by the number of the module, node or instance. In `modules` and `nodes`, the entry at index [`TRACKED_MAX`] stands
/// for all beyond the maximum.
#[derive(Debug, Default)]
pub struct Figures {
    modules: Vec<Sums>,
    nodes: Vec<Sums>,
    in_flight: Vec<Sampled>,
    cpu_util: Vec<Sampled>,
}

impl Figures {
    /// Counts an invocation.
    #[inline]
    pub fn count(&mut self, module: ModuleId, node: Option<NodeId>, response_ns: i64, is_error: bool) {
        let response_ns = response_ns.max(0) as u64;
        place(&mut self.modules, module.index()).add(response_ns, is_error);
        if let Some(node) = node {
            place(&mut self.nodes, node.index()).add(response_ns, is_error);
        }
    }

    /// Stores the number of requests that an instance is processing.
    pub fn sample_in_flight(&mut self, instance: InstanceId, value: f64, now: u64) {
        sample(&mut self.in_flight, instance.index(), INSTANCES_MAX, value, now);
    }

    /// Stores the CPU utilisation of a node, percent.
    pub fn sample_cpu(&mut self, node: NodeId, value: f64, now: u64) {
        // The node is shown even if it has no invocations.
        place(&mut self.nodes, node.index());
        sample(&mut self.cpu_util, node.index(), TRACKED_MAX, value, now);
    }

    pub fn modules(&self) -> &[Sums] {
        &self.modules
    }

    pub fn nodes(&self) -> &[Sums] {
        &self.nodes
    }

    /// The number of requests in progress, for each instance with a recent sample.
    pub fn in_flight(&self, now: u64) -> impl Iterator<Item = (InstanceId, f64)> {
        let recent = move |(index, of): (usize, &Sampled)| Some((InstanceId::new(index), of.if_recent(now)?));
        self.in_flight.iter().enumerate().filter_map(recent)
    }

    /// The CPU utilisation of a node in percent; `None` if its sample is too old.
    pub fn cpu_util(&self, node: NodeId, now: u64) -> Option<f64> {
        self.cpu_util.get(node.index())?.if_recent(now)
    }
}

#[inline]
fn place(of: &mut Vec<Sums>, index: usize) -> &mut Sums {
    let index = index.min(TRACKED_MAX);
    if index >= of.len() {
        of.resize_with(index + 1, Sums::default);
    }
    &mut of[index]
}

fn sample(of: &mut Vec<Sampled>, index: usize, max: usize, value: f64, now: u64) {
    if index >= max {
        return;
    }
    if index >= of.len() {
        of.resize_with(index + 1, Sampled::default);
    }
    of[index] = Sampled { value, at: now };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_middle_and_is_at_most_an_eighth_wide() {
        for bucket in 1..BUCKETS {
            let middle = middle_us(bucket);
            assert_eq!(bucket_of(middle as u64), bucket, "{middle}");
            let width = middle_us(bucket) - middle_us(bucket - 1);
            assert!(
                bucket < 8 || width <= middle / 8.0 + 1.0,
                "{bucket}: {width} at {middle}"
            );
        }
        assert_eq!((bucket_of(0), bucket_of(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn the_difference_of_two_sums_has_only_what_came_between() {
        let mut sums = Sums::default();
        sums.add(7_000_000_000, true);
        let earlier = sums.clone();
        for milliseconds in 1..=100 {
            sums.add(milliseconds * 1_000_000, milliseconds > 98);
        }
        let between = sums.since(&earlier);
        assert_eq!((between.calls, between.errors), (100, 2));
        assert_eq!(between.mean_ms(), Some(50.5));
        for (quantile, exact) in [(0.5, 50.0), (0.95, 95.0), (1.0, 100.0)] {
            let found = between.quantile_ms(quantile).unwrap_or_default();
            assert!((found / exact - 1.0).abs() <= 0.0625, "{quantile}: {found}");
        }
        assert_eq!(sums.since(&sums).quantile_ms(0.95), None);
    }

    #[test]
    fn modules_past_the_maximum_are_counted_as_one() {
        let mut figures = Figures::default();
        for module in [0, TRACKED_MAX, TRACKED_MAX + 1, 90_000] {
            figures.count(ModuleId::new(module), None, 1, false);
        }
        assert_eq!(figures.modules().len(), TRACKED_MAX + 1);
        assert_eq!(
            (figures.modules()[0].calls, figures.modules()[TRACKED_MAX].calls),
            (1, 3)
        );
    }

    #[test]
    fn a_sample_disappears_when_it_is_old() {
        let mut figures = Figures::default();
        figures.sample_in_flight(InstanceId::new(2), 3.0, 5);
        let shown = |now| figures.in_flight(now).collect::<Vec<_>>();
        assert_eq!(shown(5 + SAMPLE_AGE_MAX_NS), [(InstanceId::new(2), 3.0)]);
        assert_eq!(shown(6 + SAMPLE_AGE_MAX_NS), []);
    }
}
