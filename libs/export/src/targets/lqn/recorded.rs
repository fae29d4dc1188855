//! [`recorded`]: lists the nodes, instances and endpoints for which the elements of a network stand, with their recorded figures
//! for comparison.

use serde_json::{Value, json};

use super::model::{Entry, Model, Recorded};
use super::write::{CUSTOMERS, is_released};
use crate::source::Source;

/// `recorded.json`. Times are ms, rates are requests a second.
pub fn recorded(source: &Source<'_>, model: &Model) -> Value {
    let names = &source.plan.recorded.names;
    let nodes = (0..).zip(&names.nodes).zip(&source.nodes);
    let nodes = nodes.map(|((number, name), facts): ((u32, _), _)| {
        json!({"processor": format!("p{number}"), "node": name, "cores": facts.cpu_cores})
    });
    let stations = (0..)
        .zip(&model.of_instance)
        .filter(|(_, entries)| !entries.is_empty());
    let stations = stations.map(|(instance, entries)| {
        let entries = entries.iter().map(|entry| &model.entries[*entry as usize]);
        station(source, model, instance, &entries.collect::<Vec<_>>())
    });
    let entries = (0_u32..).zip(&model.entries).map(|(number, entry)| {
        json!({
            "entry": format!("e{number}"),
            "task": format!("t{}", entry.instance),
            "endpoint": source.endpoint_name(entry.endpoint),
            "requests": entry.invocations,
            "arrivals": entry.arrivals,
            "cpu_ms": ms(entry.cpu_ns, entry.invocations),
            "other_ms": ms(entry.other_ns, entry.invocations),
            "away_ms": entry.away_s() * 1e3,
        })
    });
    json!({
        "run_id": source.run.id(),
        "roots": model.counts.roots,
        "seconds": model.seconds(),
        "rate": model.rate(),
        "customers": CUSTOMERS,
        "nodes": nodes.collect::<Vec<Value>>(),
        "stations": stations.collect::<Vec<Value>>(),
        "entries": entries.collect::<Vec<Value>>(),
    })
}

fn station(source: &Source<'_>, model: &Model, instance: u32, entries: &[&Entry]) -> Value {
    let names = &source.plan.recorded.names;
    let known = &names.instances[instance as usize];
    let is_released = is_released(source, instance);
    let recorded: &Recorded = &model.recorded[instance as usize];
    // If an instance releases its slots during calls, a slot is busy only during the own time of a request.
    let busy_ns: i64 = match is_released {
        true => entries.iter().map(|entry| entry.cpu_ns + entry.other_ns).sum(),
        false => recorded.service_ns,
    };
    let busy = busy_ns as f64 / 1e9 / model.seconds();
    json!({
        "task": format!("t{instance}"),
        "slots_task": format!("t{instance}{}", if is_released { "s" } else { "" }),
        "processor": format!("p{}", known.node),
        "module": names.modules[known.module as usize],
        "instance": known.id,
        "node": names.nodes[known.node as usize],
        "slots": known.station.slots,
        "slot_policy": if is_released { "released" } else { "held" },
        "recorded": {
            "requests": recorded.invocations,
            "rate": recorded.invocations as f64 / model.seconds(),
            "utilisation": known.station.slots.map(|slots| busy / f64::from(slots.max(1))),
            "queue_ms": (recorded.queued > 0).then(|| ms(recorded.queue_ns, recorded.queued)),
            "service_ms": ms(recorded.service_ns, recorded.invocations),
            "response_ms": ms(recorded.response_ns, recorded.invocations),
        },
    })
}

/// A sum of nanoseconds as a mean in ms.
fn ms(ns: i64, count: u64) -> f64 {
    ns as f64 / 1e6 / count.max(1) as f64
}
