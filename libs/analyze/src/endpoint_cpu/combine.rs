//! [`modules`]: combines the estimates of all processes of a module into one figure for each endpoint.

use std::collections::BTreeMap;

use super::figures::{CpuOfEndpoint, ModuleCpu, NoCpuTime};
use super::rows::{EndpointKey, Process, Requests};
use crate::any_order::sum_in_any_order;
use crate::regression::{Estimate, OTHER};

/// Minimum share of an endpoint's requests that must have been processed by processes with an estimate.
const SHARE_MIN: f64 = 0.5;

/// One endpoint in one process: number of requests, and CPU time of a request.
type Part = (u64, Result<Estimate, NoCpuTime>);
/// The flag marks the group of all endpoints beyond the maximum; it sorts last.
type Key = (bool, EndpointKey);

/// The modules without measured CPU times.
pub fn modules(requests: Requests) -> Vec<ModuleCpu> {
    let mut found: BTreeMap<String, BTreeMap<Key, Vec<Part>>> = BTreeMap::new();
    for ((module_id, _, _), process) in requests.processes {
        if !requests.measured.contains(&module_id) {
            let endpoints = found.entry(module_id).or_default();
            for (key, part) in parts(process) {
                endpoints.entry(key).or_default().push(part);
            }
        }
    }
    found
        .into_iter()
        .map(|(module_id, endpoints)| ModuleCpu {
            module_id,
            endpoints: endpoints
                .into_iter()
                .map(|(key, parts)| combined(key, &parts))
                .collect(),
        })
        .collect()
}

fn parts(process: Process) -> Vec<(Key, Part)> {
    let counts = process.accumulator.requests().to_vec();
    let result = process.accumulator.finish();
    let named = process
        .endpoints
        .into_iter()
        .map(|(key, number)| ((false, key), number));
    let other = ((true, (None, None)), OTHER);
    named
        .chain([other])
        .filter_map(|(key, number)| {
            let requests = counts.get(number).copied().filter(|requests| *requests > 0)?;
            let cpu = match &result {
                Ok(found) => found.endpoints[number].cpu.map_err(NoCpuTime::from),
                Err(reason) => Err((*reason).into()),
            };
            Some((key, (requests, cpu)))
        })
        .collect()
}

/// The mean over the processes with an estimate, weighted with their requests. The errors of the processes are independent.
fn combined((is_other, (method, route)): Key, parts: &[Part]) -> CpuOfEndpoint {
    let requests: u64 = parts.iter().map(|(requests, _)| requests).sum();
    let estimates = || {
        parts
            .iter()
            .filter_map(|(requests, cpu)| Some((*requests as f64, cpu.ok()?)))
    };
    let known = sum_in_any_order(estimates().map(|(requests, _)| requests));
    let reason = parts
        .iter()
        .filter(|(_, cpu)| cpu.is_err())
        .max_by_key(|(requests, _)| *requests);
    let cpu = match reason {
        Some((_, Err(reason))) if known < SHARE_MIN * requests as f64 => Err(*reason),
        _ => {
            let mean = sum_in_any_order(estimates().map(|(weight, cpu)| weight / known * cpu.mean));
            let error = |width: fn(&Estimate) -> f64| {
                let squares = estimates().map(|(weight, cpu)| (weight / known * width(&cpu)).powi(2));
                sum_in_any_order(squares).sqrt()
            };
            Ok(Estimate {
                mean,
                low: (mean - error(|cpu| cpu.mean - cpu.low)).max(0.0),
                high: mean + error(|cpu| cpu.high - cpu.mean),
                half_width: error(|cpu| cpu.half_width),
            })
        }
    };
    CpuOfEndpoint {
        method,
        route,
        is_other,
        requests,
        cpu,
    }
}
