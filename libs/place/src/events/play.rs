//! [`play`]: a simulation of a load with events.
//!
//! The time of an event at a utilisation is known only after a simulation. An event cannot change what happened before it. So
//! each simulation finds the time of one more event: the first one after the events that are already known.

use plan::stations::{Failures, Load, Outcome, simulate_on};

use super::busy::{Busy, Looks};
use super::event::{Action, Event, When};
use super::joined::{Joined, Stage, join};
use crate::assignments::Assignment;
use crate::evaluation::{Evaluation, summarised};
use crate::site::Site;
use crate::surroundings::Surroundings;
use crate::tiers::Tiers;

/// A simulated load.
#[derive(Debug)]
pub struct Played {
    pub load: Load,
    pub surroundings: Surroundings,
    pub evaluation: Evaluation,
    /// By event: the time after the first request at which it happened, nanoseconds. `None`: the event did not happen.
    pub at_ns: Vec<Option<i64>>,
    /// The window over which utilisations were measured, seconds.
    pub window_s: i64,
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
        let looks = Looks::new(joined.surroundings.nodes.len(), span_ns);
        match next(events, &at_ns, (&joined, &stages), &simulation.outcomes, looks) {
            Some((time_ns, number)) => at_ns[number] = Some(time_ns),
            None => {
                let mut evaluation = summarised(&joined.load, platform, span_ns, &simulation);
                for (slots, active_ns) in evaluation.slots.iter_mut().zip(&joined.active_ns) {
                    *slots = slots.map(|share| share * span_ns as f64 / (*active_ns).max(1) as f64);
                }
                let mut surroundings = joined.surroundings;
                if events.iter().any(|event| event.when.above().is_some()) {
                    surroundings.notes.extend(note(looks));
                }
                return Ok(Played {
                    load: joined.load,
                    surroundings,
                    evaluation,
                    at_ns,
                    window_s: looks.window_s(),
                });
            }
        }
    }
}

/// The time of the first event at a utilisation that has not happened yet, and its number.
fn next(
    events: &[Event],
    at_ns: &[Option<i64>],
    (joined, stages): (&Joined, &[Stage]),
    outcomes: &[Outcome],
    looks: Looks,
) -> Option<(i64, usize)> {
    let waiting = (0..).zip(events.iter().zip(at_ns));
    let waiting = waiting.filter(|(_, (_, at))| at.is_none());
    let mut waiting = waiting
        .filter_map(|(number, (event, _))| Some((number, event.group, event.when.above()?)))
        .peekable();
    waiting.peek()?;
    let busy = Busy::new(joined, outcomes, looks);
    let times = waiting.filter_map(|(number, group, share)| {
        Some((busy.first_above(share, group, (joined, stages))?, number))
    });
    times.min()
}

/// A sentence for a run that is too long for a check every second.
fn note(looks: Looks) -> Option<String> {
    let (every_s, window_s) = (looks.every_s, looks.window_s());
    (every_s > 1).then(|| {
        format!(
            "the run is long: the utilisations for events are checked every {every_s} s, over {window_s} s"
        )
    })
}

/// The first placement, and the placement after each event.
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
