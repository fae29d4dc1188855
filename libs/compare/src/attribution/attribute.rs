//! [`attribute`]: simulates mixtures of two runs, and computes how much each part contributes to their differences.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use plan::stations::{FIT_ERROR_MAX, FIT_FLOOR_MS, Load, Pair, simulate};

use super::difference;
use super::figures::{Figures, recorded, simulated};
use super::mixture::{Mixture, mix};
use super::partners::Partners;
use super::shapley;
use crate::model::{Attribution, Part};

/// The parts that are exchanged between the runs. The order is that of their bits in a set.
pub const PARTS: [&str; 4] = ["arrivals", "services", "slots", "placement"];

/// Maximum number of invocations that all threads simulate at the same time. An invocation with its calls takes some 500 bytes,
/// so this needs 4 GB.
const ROWS_AT_ONCE_MAX: usize = 8_000_000;

/// Attributes the differences in root responses, and in the waits of each module that reports its queue, to the parts.
///
/// A simulation is needed for each set of differing parts, at most 16. Each thread needs some 500 bytes for each invocation, so
/// long runs get fewer threads.
pub fn attribute(partners: &Partners<'_>, threads: usize) -> Vec<Attribution> {
    let [a, b] = partners.loads;
    let base = mix(partners, Mixture::from_set(0));
    let players: Vec<usize> = (0..PARTS.len())
        .filter(|part| difference::is_different(&base, &mix(partners, Mixture::from_set(1 << part))))
        .collect();
    drop(base);
    let rows = a.visits.len().max(b.visits.len());
    let sets = simulate_sets(partners, &players, threads_for(rows, threads));
    let (of_a, of_b) = (recorded(a), recorded(b));
    let (first, last) = (&sets[0], &sets[sets.len() - 1]);
    let mut found = Vec::new();
    for (key, recorded_a) in &of_a {
        let Some(recorded_b) = of_b.get(key) else {
            continue;
        };
        let values: Option<Vec<f64>> = sets.iter().map(|set| set.get(key).copied()).collect();
        let Some(values) = values else { continue };
        let parts = players.iter().zip(shapley::values(&values));
        let parts: Vec<Part> = parts
            .map(|(part, value)| Part {
                name: PARTS[*part],
                value,
            })
            .collect();
        let explained: f64 = parts.iter().map(|part| part.value).sum();
        let fits = [(*recorded_a, first), (*recorded_b, last)].map(|(recorded, set)| Pair {
            recorded,
            simulated: set.get(key).copied().unwrap_or(f64::NAN),
        });
        found.push(Attribution {
            topic: key.topic,
            module: key.module.clone(),
            a: *recorded_a,
            b: *recorded_b,
            parts,
            residual: recorded_b - recorded_a - explained,
            simulator_error: fits.map(|fit| fit.simulated - fit.recorded),
            cannot_tell: cannot_tell([a, b], fits),
        });
    }
    found
}

fn threads_for(rows: usize, threads: usize) -> usize {
    threads.min(ROWS_AT_ONCE_MAX / rows.max(1)).max(1)
}

/// The figures of each set of players. A player is a part that differs; bit `i` of a set stands for player `i`.
fn simulate_sets(partners: &Partners<'_>, players: &[usize], threads: usize) -> Vec<Figures> {
    let sets: Vec<OnceLock<Figures>> = (0..1_usize << players.len()).map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((set, slot)) = {
            let set = next.fetch_add(1, Ordering::Relaxed);
            sets.get(set).map(|slot| (set, slot))
        } {
            let is_in = |(player, _): &(usize, &usize)| set & (1 << player) != 0;
            let parts = players.iter().enumerate().filter(is_in);
            let load = mix(
                partners,
                Mixture::from_set(parts.map(|(_, part)| 1 << part).sum()),
            );
            let figures = simulated(&load, &simulate(&load));
            slot.get_or_init(|| figures);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, sets.len()) {
            scope.spawn(work);
        }
        work();
    });
    sets.into_iter()
        .map(|slot| slot.into_inner().unwrap_or_default())
        .collect()
}

/// The reason why the simulator does not describe one of the runs, if it does not.
fn cannot_tell(loads: [&Load; 2], fits: [Pair; 2]) -> Option<String> {
    for ((name, load), fit) in ["A", "B"].into_iter().zip(loads).zip(fits) {
        if load.notes.sampled > 0 {
            return Some(format!(
                "run {name} is a sample: {} rows represent several requests",
                load.notes.sampled
            ));
        }
        if !fit.is_good() {
            return Some(format!(
                "the simulator does not describe run {name}: it gives {:.3} ms instead of {:.3} ms; more than {:.0} % and {FIT_FLOOR_MS} ms off",
                fit.simulated,
                fit.recorded,
                100.0 * FIT_ERROR_MAX
            ));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_simulated_on_fewer_threads() {
        let threads = [0, 1_000, 2_000_000, 4_000_000, 9_000_000].map(|rows| threads_for(rows, 64));
        assert_eq!(threads, [64, 64, 4, 2, 1]);
    }
}
