//! [`Sample`]: the load of a run, or its beginning; [`Sample::again`]: another, random load of the same kind.
//!
//! Further loads are made by the circular block bootstrap (Politis and Romano, A circular block-resampling procedure for
//! stationary data, in Exploring the Limits of Bootstrap, 1992): the time of the run is cut into blocks of equal length. Each
//! block is filled with the roots of a stretch of the same length that begins at a random time. A stretch that reaches the end of
//! the run goes on at its beginning. So gaps, bursts and the work of successive roots stay together, and each root keeps its
//! work.

use cctf_load::plan::random::SplitMix64;
use plan::stations::{Load, at_arrivals};

/// Number of blocks of a further load. A block is as long as many services, and there are enough blocks for a variance.
const BLOCKS: u32 = 20;

/// Roots with their work.
#[derive(Debug, Clone)]
pub struct Sample {
    pub load: Load,
    /// Time for which roots arrive, with one mean gap after the last one, nanoseconds.
    pub span_ns: i64,
    /// Whether the load is only the beginning of the run.
    pub is_part: bool,
}

/// Roots by their index in a load, each with the time of its arrival.
type Arrivals = Vec<(u32, i64)>;

impl Sample {
    /// The first roots of a load with at most this many visits, at least one root.
    pub fn new(load: &Load, visits_max: usize) -> Self {
        let begins: Vec<usize> = load
            .arrivals
            .iter()
            .map(|arrival| arrival.visit as usize)
            .collect();
        let end = |root: usize| begins.get(root + 1).copied().unwrap_or(load.visits.len());
        let fitting = (0..begins.len())
            .take_while(|root| end(*root) <= visits_max)
            .count()
            .max(1);
        let arrivals: Arrivals = (0..)
            .zip(&load.arrivals[..fitting.min(load.arrivals.len())])
            .map(|(number, arrival)| (number, arrival.at_ns))
            .collect();
        let load = at_arrivals(load, &arrivals);
        Self {
            span_ns: span_ns(&load),
            is_part: fitting < begins.len(),
            load,
        }
    }

    /// The recorded load with `factor` times as many arrivals. Further copies of the load are shifted by random times, and the
    /// last copy is thinned. A factor below 1 thins the load itself.
    pub fn scaled(&self, factor: f64, seed: u64) -> Load {
        let copy = |number: u32, random: &mut SplitMix64| match number {
            0 => self.recorded(),
            _ => self.stretch(self.random_ns(random), self.span_ns, 0),
        };
        self.overlaid(factor, seed, copy)
    }

    /// Another load of the same kind, with `factor` times as many arrivals.
    pub fn again(&self, factor: f64, seed: u64) -> Load {
        let copy = |_, random: &mut SplitMix64| {
            let block_ns = (self.span_ns / i64::from(BLOCKS)).max(1);
            let mut arrivals = Arrivals::new();
            for block in 0..i64::from(BLOCKS) {
                let from_ns = self.random_ns(random);
                arrivals.extend(self.stretch(from_ns, block_ns, block * block_ns));
            }
            arrivals
        };
        self.overlaid(factor, seed, copy)
    }

    fn overlaid(
        &self,
        factor: f64,
        seed: u64,
        mut copy: impl FnMut(u32, &mut SplitMix64) -> Arrivals,
    ) -> Load {
        let mut random = SplitMix64::new(seed);
        let copies = factor.ceil().max(1.0) as u32;
        let mut all = Arrivals::new();
        for number in 0..copies {
            let mut arrivals = copy(number, &mut random);
            let share = factor - f64::from(number);
            if share < 1.0 {
                arrivals.retain(|_| random.next_unit() <= share);
            }
            all.extend(arrivals);
        }
        all.sort_by_key(|(root, at_ns)| (*at_ns, *root));
        at_arrivals(&self.load, &all)
    }

    fn recorded(&self) -> Arrivals {
        let arrivals = (0..).zip(&self.load.arrivals);
        arrivals
            .map(|(number, arrival)| (number, arrival.at_ns))
            .collect()
    }

    fn begin_ns(&self) -> i64 {
        self.load.arrivals.first().map_or(0, |arrival| arrival.at_ns)
    }

    /// A time within the span, from its begin.
    fn random_ns(&self, random: &mut SplitMix64) -> i64 {
        // The unit is above 0 and at most 1.
        ((1.0 - random.next_unit()) * self.span_ns as f64) as i64
    }

    /// The roots of a stretch of the circle of all arrivals, moved so that it begins `to_ns` after the first root.
    fn stretch(&self, from_ns: i64, length_ns: i64, to_ns: i64) -> Arrivals {
        let begin_ns = self.begin_ns();
        let roots = &self.load.arrivals;
        let from_root = roots.partition_point(|root| root.at_ns - begin_ns < from_ns);
        let mut found = Arrivals::new();
        for step in 0..roots.len() {
            let number = (from_root + step) % roots.len();
            let mut offset_ns = roots[number].at_ns - begin_ns - from_ns;
            if offset_ns < 0 {
                offset_ns += self.span_ns;
            }
            if offset_ns >= length_ns {
                break;
            }
            found.push((number as u32, begin_ns + to_ns + offset_ns));
        }
        found
    }
}

/// Time from the first root to the last one, with one mean gap. For a single root, its recorded response time.
fn span_ns(load: &Load) -> i64 {
    let (Some(first), Some(last)) = (load.arrivals.first(), load.arrivals.last()) else {
        return 1;
    };
    let between_ns = last.at_ns - first.at_ns;
    let gaps = load.arrivals.len() as i64 - 1;
    match gaps {
        0 => load.visits[first.visit as usize].response_ns.max(1),
        gaps => (between_ns + between_ns / gaps).max(1),
    }
}
