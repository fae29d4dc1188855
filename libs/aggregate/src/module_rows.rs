//! The fields of a module in module_inventory.json that are computed from statistics: type, CPU time, endpoints and calls.

use std::collections::BTreeMap;

use cctf_proto::cctf::{Endpoint, MeasureSource, Module, ModuleCall, ModuleType};

use crate::ids::{ModuleId, NameId};
use crate::modules::{EndpointStats, Mean, ModuleStats};
use crate::names::endpoint_parts;

/// The module's role in the call graph. `is_peer` states whether an unanswered call names this module as its peer.
pub fn type_of(stats: &ModuleStats, is_peer: bool) -> ModuleType {
    match (stats.is_called || is_peer, stats.makes_calls) {
        (false, true) => ModuleType::Source,
        (true, false) => ModuleType::Sink,
        _ => ModuleType::Module,
    }
}

/// Mean CPU time of an invocation, ms, and how it was measured.
pub fn cpu_of(stats: &ModuleStats) -> (Option<f64>, Option<MeasureSource>) {
    let estimated = stats.process_cpu_ns.sum() as f64 / stats.invocations.max(1) as f64;
    match stats.cpu_ns.mean() {
        Some(mean) => (Some(mean / 1e6), Some(MeasureSource::Measured)),
        None if stats.invocations > 0 && estimated > 0.0 => {
            (Some(estimated / 1e6), Some(MeasureSource::Estimated))
        }
        None => (None, None),
    }
}

/// The rows of the module's endpoints, sorted by name. `key_of` returns the [`endpoint_key`](crate::names::endpoint_key) of a
/// number.
pub fn endpoint_rows<'a>(
    stats: &ModuleStats,
    key_of: impl Fn(NameId) -> Option<&'a str>,
) -> Vec<Endpoint<'static>> {
    let named: BTreeMap<&str, &EndpointStats> = stats
        .endpoints
        .iter()
        .map(|(&number, endpoint)| (number.and_then(&key_of).unwrap_or_default(), endpoint))
        .collect();
    debug_assert!(named.len() == stats.endpoints.len() || stats.endpoints.contains_key(&None));
    let row = |(key, endpoint): (&str, &EndpointStats)| {
        let (method, route) = endpoint_parts(key);
        Endpoint {
            method: method.map(|method| method.to_owned().into()),
            route: route.map(|route| route.to_owned().into()),
            calls: endpoint.calls,
            service_ms: endpoint.service_ms(),
            cpu_ms_mean: endpoint.cpu_ns.mean().map(|ns| ns / 1e6),
            bytes_in_mean: endpoint.bytes_in.mean(),
            bytes_out_mean: endpoint.bytes_out.mean(),
            cpu_src: None,
            cpu_ms_low: None,
            cpu_ms_high: None,
        }
    };
    named.into_iter().map(row).collect()
}

/// The rows of the module's calls, sorted by callee. `without_answer` has the number of calls without a known callee, by peer.
/// `module_behind` returns the module behind a peer: it answered other calls to the peer, or has the peer's name.
pub fn call_rows<'a>(
    stats: &ModuleStats,
    without_answer: &[(NameId, u64)],
    module_behind: impl Fn(NameId) -> Option<ModuleId>,
    module_of: impl Fn(ModuleId) -> &'a str,
    peer_of: impl Fn(NameId) -> Option<&'a str>,
) -> Vec<ModuleCall<'a>> {
    let per_invocation =
        |calls: u64| (stats.invocations > 0).then(|| calls as f64 / stats.invocations as f64);
    let mut rows: Vec<ModuleCall<'_>> = Vec::new();
    let mut calls_to: BTreeMap<ModuleId, u64> = stats.calls.iter().map(|(&to, &calls)| (to, calls)).collect();
    for &(peer, calls) in without_answer {
        if let Some(to) = module_behind(peer) {
            *calls_to.entry(to).or_default() += calls;
        }
    }
    for (&to, &calls) in &calls_to {
        rows.push(ModuleCall {
            to: module_of(to).into(),
            per_invocation: per_invocation(calls),
            bytes_mean: stats.call_bytes.get(&to).and_then(Mean::mean),
        });
    }
    for &(peer, calls) in without_answer {
        let is_external = module_behind(peer).is_none();
        if let (true, Some(peer)) = (is_external, peer_of(peer)) {
            rows.push(ModuleCall {
                to: peer.into(),
                per_invocation: per_invocation(calls),
                bytes_mean: None,
            });
        }
    }
    rows.sort_by(|left, right| left.to.cmp(&right.to));
    rows
}

/// The row of a peer that sends no telemetry, such as a database or a third-party service.
pub fn external_row(peer: &str) -> Module<'_> {
    Module {
        app_id: None,
        module_id: peer.into(),
        name: peer.into(),
        module_type: ModuleType::Sink,
        resources: None,
        version: None,
        language: None,
        image: None,
        external: Some(true),
        instances: None,
        cpu_ms_mean: None,
        cpu_src: None,
        endpoints: None,
        calls: None,
    }
}
