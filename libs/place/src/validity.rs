//! Reasons why a simulation predicts nothing: something is too busy, or the run is too short for its queues.

use analyze::intervals::{RELAXATIONS_MIN, RunLength};
use plan::stations::Host;

use crate::evaluation::{Evaluation, UTILISATION_MAX};
use crate::site::Site;
use crate::surroundings::{Shared, Surroundings};
use crate::traffic::LinkUse;

/// One sentence for everything that is busier than [`UTILISATION_MAX`], and for requests that never end.
pub fn overloads(
    site: &Site,
    surroundings: &Surroundings,
    found: &Evaluation,
    links: &[LinkUse],
) -> Vec<String> {
    let mut reasons = Vec::new();
    for (instance, slots) in (0..).zip(&found.slots) {
        if let Some(busy) = slots.filter(|busy| *busy > UTILISATION_MAX) {
            let (module, id) = surroundings.instance(site, instance);
            reasons.push(format!(
                "the slots of {module} ({id}) are busy for {}",
                share(busy)
            ));
        }
    }
    for (server, busy) in surroundings.servers.iter().zip(&found.servers) {
        // Links are judged by their traffic, because calls over an unchanged link have no server.
        if let Shared::Cpus { nodes, .. } = server
            && *busy > UTILISATION_MAX
        {
            reasons.push(format!(
                "the CPUs of {} are busy for {}",
                nodes.join(" and "),
                share(*busy)
            ));
        }
    }
    reasons.extend(busy_links(links));
    if found.unfinished > 0 {
        reasons.push(format!(
            "{} requests never end, because requests that hold slots wait for one another",
            found.unfinished
        ));
    }
    if found.served == 0 {
        reasons.push("no request from outside is served".to_owned());
    }
    reasons
}

fn busy_links(links: &[LinkUse]) -> impl Iterator<Item = String> + '_ {
    links.iter().filter_map(|link| {
        let busy = link.utilisation.filter(|busy| *busy > UTILISATION_MAX)?;
        Some(format!(
            "the link from {} to {} is busy for {}",
            link.u,
            link.v,
            share(busy)
        ))
    })
}

fn share(busy: f64) -> String {
    format!(
        "{:.0}% of the time, above {:.0}%",
        100.0 * busy,
        100.0 * UTILISATION_MAX
    )
}

/// The shortest length of the run in relaxation times of its stations, if it is below the minimum for intervals.
pub fn too_short(hosts: &[Host], found: &Evaluation, span_ns: i64) -> Option<f64> {
    let lengths = hosts.iter().enumerate().filter_map(|(instance, host)| {
        let busy = found.slots[instance]?;
        match RunLength::of_queue(span_ns as f64, busy, found.held_ns[instance], host.station.slots?) {
            RunLength::Relaxations(count) => Some(count),
            RunLength::Unknown => None,
        }
    });
    let shortest = lengths.fold(f64::INFINITY, f64::min);
    (shortest < RELAXATIONS_MIN).then_some(shortest)
}
