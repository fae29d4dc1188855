//! [`Busy`]: for each instance and check, how long the slots were busy; and when they were busy for too long.

use plan::stations::{Outcome, State};

use super::joined::{Joined, Stage};

/// The window over which a utilisation is measured, seconds.
const WINDOW_S: i64 = 10;
/// Maximum number of sums of a simulation, 8 bytes each: one for each instance and check. With 100 instances, a run of eleven
/// hours is checked every second.
const SUMS_MAX: i64 = 1 << 22;
const SECOND_NS: i64 = 1_000_000_000;

/// The times at which utilisations are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// Time between two checks, seconds: 1, unless the run is too long for this.
    pub every_s: i64,
    /// Number of checks in each window.
    per_window: i64,
    /// Number of checks during the run.
    count: i64,
}

impl Looks {
    /// As many checks as the bound on sums allows. A window lasts ten seconds, or the time between two checks if that is longer.
    pub fn new(instances: usize, span_ns: i64) -> Self {
        let of = |every_s: i64| Self {
            every_s,
            per_window: (WINDOW_S / every_s).max(1),
            count: span_ns.max(0) / (every_s * SECOND_NS) + 1,
        };
        let instances = i64::try_from(instances).unwrap_or(i64::MAX).max(1);
        let fits = |looks: &Self| looks.count.saturating_mul(instances) <= SUMS_MAX;
        // With this many powers, the longest time between two checks is more than half of the longest time in 63 bits of
        // nanoseconds.
        const POWER_MAX: u32 = 29;
        let longer = (0..POWER_MAX).map(|power| WINDOW_S << power);
        let mut all = [1, 2, 5].into_iter().chain(longer).map(of);
        all.find(fits).unwrap_or_else(|| of(WINDOW_S << POWER_MAX))
    }

    pub fn window_s(self) -> i64 {
        self.every_s * self.per_window
    }

    fn every_ns(self) -> i64 {
        self.every_s * SECOND_NS
    }
}

/// How long the slots of each instance were busy before each check.
pub struct Busy {
    looks: Looks,
    /// By instance and check, nanoseconds. Empty for an instance with unlimited slots.
    by_look: Vec<Vec<f64>>,
}

impl Busy {
    pub fn new(joined: &Joined, outcomes: &[Outcome], looks: Looks) -> Self {
        let hosts = &joined.surroundings.platform.hosts;
        let sums = hosts.iter().map(|host| match host.station.slots {
            Some(_) => vec![0.0; looks.count as usize],
            None => Vec::new(),
        });
        let mut by_look: Vec<Vec<f64>> = sums.collect();
        let look_ns = looks.every_ns();
        let first_ns = joined.load.arrivals.first().map_or(0, |arrival| arrival.at_ns);
        let served = joined.load.visits.iter().zip(outcomes);
        for (visit, outcome) in served.filter(|(_, outcome)| outcome.state == State::Served) {
            let sums = &mut by_look[visit.instance as usize];
            let (mut from_ns, to_ns) = (outcome.start_ns - first_ns, outcome.end_ns - first_ns);
            // Busy time after the last check does not count, because events happen only while requests arrive.
            while from_ns < to_ns {
                let look = from_ns.div_euclid(look_ns);
                let Some(busy) = usize::try_from(look).ok().and_then(|look| sums.get_mut(look)) else {
                    break;
                };
                let until_ns = to_ns.min((look + 1) * look_ns);
                *busy += (until_ns - from_ns) as f64;
                from_ns = until_ns;
            }
        }
        Self { looks, by_look }
    }

    /// The end of the first window in which the slots of a group were busy for more than a share of the time. Windows with an
    /// event of the group do not count.
    pub fn first_above(&self, share: f64, group: u32, (joined, stages): (&Joined, &[Stage])) -> Option<i64> {
        let (look_ns, per_window) = (self.looks.every_ns(), self.looks.per_window);
        let hosts = &joined.surroundings.platform.hosts;
        let members = |at_ns: i64| {
            let stage = stages
                .partition_point(|stage| stage.from_ns <= at_ns)
                .saturating_sub(1);
            &joined.members[stage][group as usize]
        };
        let is_above = |end: &i64| {
            let begin = end - per_window;
            let of_group = members(begin * look_ns);
            // The sum of two recorded numbers of slots can exceed 32 bits.
            let slots: Option<u64> = of_group
                .iter()
                .map(|number| hosts[*number as usize].station.slots.map(u64::from))
                .sum();
            let Some(slots) = slots else { return false };
            let looks = begin as usize..*end as usize;
            let busy_ns: f64 = of_group
                .iter()
                .flat_map(|number| &self.by_look[*number as usize][looks.clone()])
                .sum();
            let window_ns = (per_window * look_ns) as f64;
            busy_ns > share * slots as f64 * window_ns && of_group == members(end * look_ns - 1)
        };
        (per_window..self.looks.count)
            .find(is_above)
            .map(|end| end * look_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_sums_is_bounded_for_any_run() {
        for instances in [1, 256, 2_000_000] {
            for span_s in [1, 100_000, 31_622_400, i64::MAX / SECOND_NS] {
                let looks = Looks::new(instances, span_s * SECOND_NS);
                let sums = looks.count.saturating_mul(instances as i64);
                assert!(sums <= SUMS_MAX, "{instances} {span_s} {looks:?}");
                assert!(looks.window_s() >= WINDOW_S && looks.count >= 1, "{looks:?}");
            }
        }
    }

    #[test]
    fn a_longer_run_is_looked_at_less_often() {
        let of = |hours: i64| {
            let looks = Looks::new(100, hours * 3_600 * SECOND_NS);
            (looks.every_s, looks.window_s())
        };
        assert_eq!(
            [1, 11, 24, 100, 200].map(of),
            [(1, 10), (1, 10), (5, 10), (10, 10), (20, 20)]
        );
    }
}
