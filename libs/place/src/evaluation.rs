//! [`evaluate`]: one simulation of a load in some surroundings, as figures.

use plan::stations::{Failures, Load, Platform, Simulation, State, mean_ms, quantile_ms, simulate_on};
use serde::Serialize;

/// Above this utilisation of slots, CPUs or a link, nothing is predicted: small errors of services and arrivals then change waits
/// much.
pub const UTILISATION_MAX: f64 = 0.85;

/// A figure of root responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    Mean,
    P50,
    P95,
    P99,
}

impl Metric {
    pub const ALL: [Self; 4] = [Self::Mean, Self::P50, Self::P95, Self::P99];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }
}

/// Response times of roots, milliseconds, in the order of [`Metric::ALL`]. NaN if no root was served.
pub type Times = [f64; 4];

/// One simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    pub times: Times,
    /// Roots that were served.
    pub served: usize,
    /// Roots that a full queue refused.
    pub refused: usize,
    /// Roots without an end: requests that hold slots wait for one another.
    pub unfinished: usize,
    /// Utilisation of slots by the number of the instance. `None`: unlimited slots.
    pub slots: Vec<Option<f64>>,
    /// Utilisation by the number of the server.
    pub servers: Vec<f64>,
    /// Mean time for which a visit holds a slot of the instance, nanoseconds.
    pub held_ns: Vec<f64>,
}

/// Simulates the load. Its roots arrive within `span_ns`.
pub fn evaluate(load: &Load, platform: &Platform, span_ns: i64) -> Evaluation {
    summarised(
        load,
        platform,
        span_ns,
        &simulate_on(load, platform, Failures::Simulated),
    )
}

/// The figures of a simulation.
pub fn summarised(load: &Load, platform: &Platform, span_ns: i64, simulation: &Simulation) -> Evaluation {
    let mut found = Evaluation {
        times: [f64::NAN; 4],
        served: 0,
        refused: 0,
        unfinished: 0,
        slots: Vec::new(),
        servers: Vec::new(),
        held_ns: Vec::new(),
    };
    let mut responses = Vec::with_capacity(load.arrivals.len());
    let all_orphans = !load.arrivals.iter().any(|arrival| arrival.is_root);
    for arrival in load
        .arrivals
        .iter()
        .filter(|arrival| arrival.is_root || all_orphans)
    {
        let outcome = &simulation.outcomes[arrival.visit as usize];
        match outcome.state {
            State::Served => {
                let [out_ns, back_ns] = platform.outside_ns(load, arrival);
                responses.push(
                    outcome
                        .response_ns()
                        .saturating_add(out_ns)
                        .saturating_add(back_ns),
                );
            }
            State::Refused => found.refused += 1,
            State::Unfinished => found.unfinished += 1,
        }
    }
    found.served = responses.len();
    found.times = times(&mut responses);
    used(&mut found, load, platform, simulation, span_ns as f64);
    found
}

/// Mean and quantiles of nanoseconds.
pub fn times(responses: &mut [i64]) -> Times {
    responses.sort_unstable();
    let of = |q| quantile_ms(responses, q);
    [mean_ms(responses), of(0.5), of(0.95), of(0.99)]
}

/// The recorded response times of a load's roots, except roots that a full queue refused.
pub fn recorded_times(load: &Load) -> Times {
    let all_orphans = !load.arrivals.iter().any(|arrival| arrival.is_root);
    let counted = load
        .arrivals
        .iter()
        .filter(|arrival| arrival.is_root || all_orphans);
    let mut responses: Vec<i64> = counted
        .filter_map(|arrival| {
            let visit = &load.visits[arrival.visit as usize];
            let was_served = visit.waited != plan::work::Waited::Refused;
            was_served.then_some(visit.response_ns + arrival.out_ns + arrival.back_ns)
        })
        .collect();
    times(&mut responses)
}

fn used(found: &mut Evaluation, load: &Load, platform: &Platform, simulation: &Simulation, span_ns: f64) {
    let mut visits = vec![0_u64; platform.hosts.len()];
    for (visit, outcome) in load.visits.iter().zip(&simulation.outcomes) {
        visits[visit.instance as usize] += u64::from(outcome.state == State::Served);
    }
    let slots = platform.hosts.iter().zip(&simulation.held_ns);
    found.slots = slots
        .map(|(host, held_ns)| {
            let slots = host.station.slots?;
            Some(*held_ns as f64 / span_ns / f64::from(slots))
        })
        .collect();
    let held = simulation.held_ns.iter().zip(visits);
    found.held_ns = held
        .map(|(held_ns, visits)| *held_ns as f64 / visits.max(1) as f64)
        .collect();
    let servers = platform.servers.iter().zip(&simulation.worked_ns);
    found.servers = servers
        .map(|(server, worked_ns)| *worked_ns as f64 / span_ns / f64::from(server.capacity))
        .collect();
}
