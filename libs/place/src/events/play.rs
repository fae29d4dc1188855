//! [`play`]: a simulation of a load with events.
//!
//! An event at a utilisation needs a simulation to find its time. What comes after it cannot change what came before, so each
//! simulation adds the first event that the earlier events leave.

use plan::stations::{Failures, Load, State, simulate_on};

use super::event::{Action, Event, When};
use super::joined::{Joined, Stage, join};
use crate::assignments::Assignment;
use crate::evaluation::{Evaluation, summarised};
use crate::site::Site;
use crate::surroundings::Surroundings;
use crate::tiers::Tiers;

/// The window over which a utilisation is measured.
pub const WINDOW_NS: i64 = 10_000_000_000;
/// Number of looks at the utilisations in each window.
const LOOKS: i64 = 10;

/// A simulated load.
#[derive(Debug)]
pub struct Played {
    pub load: Load,
    pub surroundings: Surroundings,
    pub evaluation: Evaluation,
    /// By event: the time after the first request at which it happened, nanoseconds. `None`: it did not.
    pub at_ns: Vec<Option<i64>>,
}

/// The surroundings of an assignment.
pub type Surround<'a, E> = &'a dyn Fn(&Assignment) -> Result<Surroundings, E>;

/// Simulates a load that begins with an assignment.
///
/// # Errors
/// If an assignment has no surroundings.
pub fn play<E>(
    (site, tiers): (&Site, &Tiers),
    (assignment, events): (&Assignment, &[Event]),
    surround: Surround<'_, E>,
    (load, span_ns): (&Load, i64),
) -> Result<Played, E> {
    let is_in_time = |at_ns: &i64| *at_ns < span_ns;
    let fixed = events.iter().map(|event| match event.when {
        When::At(at_ns) => Some(at_ns).filter(is_in_time),
        When::Above(_) => None,
    });
    let mut at_ns: Vec<Option<i64>> = fixed.collect();
    loop {
        let stages = stages(site, (assignment, events), &at_ns, surround)?;
        let joined = join(site, tiers, load, span_ns, &stages);
        let platform = &joined.surroundings.platform;
        let simulation = simulate_on(&joined.load, platform, Failures::Simulated);
        let waiting = (0..).zip(events.iter().zip(&at_ns));
        let waiting = waiting.filter(|(_, (_, at))| at.is_none());
        let waiting = waiting.filter_map(|(number, (event, _))| Some((number, event, event.when.above()?)));
        let waiting: Vec<(usize, &Event, f64)> = waiting.collect();
        let next = (!waiting.is_empty()).then(|| {
            let busy = Busy::new(&joined, &simulation.outcomes, span_ns);
            let times = waiting.iter().filter_map(|(number, event, share)| {
                let time_ns = busy.first_above(*share, event.group, (&joined, &stages))?;
                Some((time_ns, *number))
            });
            times.min()
        });
        match next.flatten() {
            Some((time_ns, number)) => at_ns[number] = Some(time_ns),
            None => {
                let mut evaluation = summarised(&joined.load, platform, span_ns, &simulation);
                for (slots, active_ns) in evaluation.slots.iter_mut().zip(&joined.active_ns) {
                    *slots = slots.map(|share| share * span_ns as f64 / (*active_ns).max(1) as f64);
                }
                return Ok(Played {
                    load: joined.load,
                    surroundings: joined.surroundings,
                    evaluation,
                    at_ns,
                });
            }
        }
    }
}

/// The placements that events make of the first one.
fn stages<E>(
    site: &Site,
    (assignment, events): (&Assignment, &[Event]),
    at_ns: &[Option<i64>],
    surround: Surround<'_, E>,
) -> Result<Vec<Stage>, E> {
    let mut happening: Vec<(i64, &Event)> = at_ns
        .iter()
        .zip(events)
        .filter_map(|(at, event)| Some(((*at)?, event)))
        .collect();
    happening.sort_by_key(|(at_ns, _)| *at_ns);
    let mut now = assignment.clone();
    let mut replicas = vec![None; site.groups.len()];
    let mut stages = vec![Stage {
        from_ns: 0,
        surroundings: surround(&now)?,
        replicas: replicas.clone(),
    }];
    for (from_ns, event) in happening {
        match event.action {
            Action::Migrate(node) => now[event.group as usize] = node,
            Action::Scale(count) => replicas[event.group as usize] = Some(count),
        }
        stages.push(Stage {
            from_ns,
            surroundings: surround(&now)?,
            replicas: replicas.clone(),
        });
    }
    Ok(stages)
}

/// How long the slots of each instance were busy, for each look.
struct Busy {
    /// By instance and look, nanoseconds.
    by_look: Vec<Vec<f64>>,
}

impl Busy {
    fn new(joined: &Joined, outcomes: &[plan::stations::Outcome], span_ns: i64) -> Self {
        let look_ns = WINDOW_NS / LOOKS;
        let looks = (span_ns / look_ns + 1) as usize;
        let mut by_look = vec![vec![0.0; looks]; joined.surroundings.nodes.len()];
        let first_ns = joined.load.arrivals.first().map_or(0, |arrival| arrival.at_ns);
        let served = joined.load.visits.iter().zip(outcomes);
        for (visit, outcome) in served.filter(|(_, outcome)| outcome.state == State::Served) {
            let (mut from_ns, to_ns) = (outcome.start_ns - first_ns, outcome.end_ns - first_ns);
            while from_ns < to_ns {
                let look = from_ns.div_euclid(look_ns);
                let until_ns = to_ns.min((look + 1) * look_ns);
                // Events happen only while requests arrive.
                if let Some(busy) = usize::try_from(look)
                    .ok()
                    .and_then(|look| by_look[visit.instance as usize].get_mut(look))
                {
                    *busy += (until_ns - from_ns) as f64;
                }
                from_ns = until_ns;
            }
        }
        Self { by_look }
    }

    /// The end of the first window in which the slots of a group were busy for more than a share. The group has no event within it.
    fn first_above(&self, share: f64, group: u32, (joined, stages): (&Joined, &[Stage])) -> Option<i64> {
        let look_ns = WINDOW_NS / LOOKS;
        let hosts = &joined.surroundings.platform.hosts;
        let members = |at_ns: i64| {
            let stage = stages
                .partition_point(|stage| stage.from_ns <= at_ns)
                .saturating_sub(1);
            &joined.members[stage][group as usize]
        };
        let is_above = |end: &i64| {
            let begin = end - LOOKS;
            let of_group = members(begin * look_ns);
            let slots: Option<u32> = of_group
                .iter()
                .map(|number| hosts[*number as usize].station.slots)
                .sum();
            let looks = begin as usize..*end as usize;
            let busy_ns: f64 = of_group
                .iter()
                .flat_map(|number| &self.by_look[*number as usize][looks.clone()])
                .sum();
            let is_busy = slots.is_some_and(|slots| busy_ns > share * f64::from(slots) * WINDOW_NS as f64);
            is_busy && of_group == members(end * look_ns - 1)
        };
        let looks = self.by_look.first().map_or(0, Vec::len) as i64;
        (LOOKS..looks).find(is_above).map(|end| end * look_ns)
    }
}
