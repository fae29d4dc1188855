//! [`Figures`]: mean and quantiles of root responses and of the waits of each module, as recorded or simulated.

use std::collections::BTreeMap;

use plan::stations::{Load, Outcome, State, mean_ms, quantile_ms};
use plan::work::Waited;

use crate::model::Topic;

/// Identifies a figure. Figures of root responses sort first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub module: Option<String>,
    pub topic: Topic,
}

/// Values in milliseconds.
pub type Figures = BTreeMap<Key, f64>;

const RESPONSES: [Topic; 4] = [
    Topic::ResponseMean,
    Topic::ResponseP50,
    Topic::ResponseP95,
    Topic::ResponseP99,
];
const WAITS: [Topic; 4] = [Topic::WaitMean, Topic::WaitP50, Topic::WaitP95, Topic::WaitP99];
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// The recorded figures. A request that a full queue refused counts in no wait, and a refused root counts in no response.
pub fn recorded(load: &Load) -> Figures {
    let of_visit = |index: usize| {
        let visit = &load.visits[index];
        (visit.waited != Waited::Refused).then_some(Times {
            wait_ns: visit.wait_ns + visit.slot_wait_ns,
            response_ns: visit.response_ns,
        })
    };
    figures(load, of_visit)
}

/// The figures of a simulation.
pub fn simulated(load: &Load, outcomes: &[Outcome]) -> Figures {
    let of_visit = |index: usize| {
        let outcome = &outcomes[index];
        (outcome.state == State::Served).then_some(Times {
            wait_ns: outcome.wait_ns + outcome.slot_wait_ns,
            response_ns: outcome.response_ns(),
        })
    };
    figures(load, of_visit)
}

struct Times {
    wait_ns: i64,
    response_ns: i64,
}

fn figures(load: &Load, of_visit: impl Fn(usize) -> Option<Times>) -> Figures {
    let roots = load.arrivals.iter().filter(|arrival| arrival.is_root);
    let responses = roots.filter_map(|arrival| {
        let times = of_visit(arrival.visit as usize)?;
        let way_ns = arrival.out_ns.saturating_add(arrival.back_ns);
        Some(times.response_ns.saturating_add(way_ns))
    });
    let mut figures = Figures::new();
    add(&mut figures, None, RESPONSES, responses.collect());
    let mut by_module: Vec<Vec<i64>> = vec![Vec::new(); load.names.modules.len()];
    for (index, visit) in load.visits.iter().enumerate() {
        let instance = &load.names.instances[visit.instance as usize];
        if let Some(times) = of_visit(index)
            && visit.waited != Waited::Unknown
            && instance.station.slots.is_some()
        {
            by_module[instance.module as usize].push(times.wait_ns);
        }
    }
    for (module, waits) in load.names.modules.iter().zip(by_module) {
        add(&mut figures, Some(module), WAITS, waits);
    }
    figures
}

fn add(figures: &mut Figures, module: Option<&String>, topics: [Topic; 4], mut values: Vec<i64>) {
    if values.is_empty() {
        return;
    }
    values.sort_unstable();
    let quantiles = QUANTILES.iter().map(|q| quantile_ms(&values, *q));
    for (topic, value) in topics
        .into_iter()
        .zip(std::iter::once(mean_ms(&values)).chain(quantiles))
    {
        let key = Key {
            module: module.cloned(),
            topic,
        };
        figures.insert(key, value);
    }
}
