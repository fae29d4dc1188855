//! Updates the statistics of a run's modules and links when its rows are written.

use aggregate::ids::{InstanceId, RunId};
use aggregate::links::{LinkCall, LinkStats};
use aggregate::modules::ModuleStats;

use super::row_facts::RowFacts;
use super::row_runs::RowRuns;
use crate::join::{Caller, Evicted};
use crate::pipeline::shared::Shared;

/// Records an invocation. `call` is the call that reached it, with its network time.
pub fn record_invocation(
    shared: &mut Shared,
    run: RunId,
    facts: &RowFacts,
    is_called: bool,
    call: Option<(Caller, i64)>,
) {
    let Some(instance) = facts.instance else {
        return;
    };
    let module = shared.sources.instance(instance).module;
    shared
        .figures
        .count(module, facts.node, facts.duration_ns, facts.is_error);
    let stats = stats_of(shared, run, instance);
    stats.is_called |= is_called;
    stats.add(&facts.invocation);
    if let Some((caller, net_ns)) = call {
        record_link(shared, run, facts, &caller, net_ns);
    }
}

pub fn record_call(shared: &mut Shared, run: RunId, facts: &RowFacts) {
    if let Some(instance) = facts.instance {
        stats_of(shared, run, instance).makes_calls = true;
    }
}

/// The run's statistics of the instance's module. The instance is added to them.
fn stats_of(shared: &mut Shared, run: RunId, instance: InstanceId) -> &mut ModuleStats {
    let module = shared.sources.instance(instance).module;
    let stats = shared.runs[run].modules.entry(module).or_default();
    stats.instances.insert(instance);
    stats
}

fn record_link(shared: &mut Shared, run: RunId, facts: &RowFacts, caller: &Caller, net_ns: i64) {
    let Some(calling) = caller.instance else { return };
    let from = shared.sources.instance(calling);
    let run = &mut shared.runs[run];
    if let Some(callee) = facts.instance {
        let bytes = facts.invocation.bytes_in.zip(facts.invocation.bytes_out);
        let bytes = bytes.map(|(sent, received)| sent + received);
        let to_module = shared.sources.instance(callee).module;
        let stats = run.modules.entry(from.module).or_default();
        stats.call_bytes.entry(to_module).or_default().add(bytes);
    }
    let (Some(u), Some(v)) = (from.node, facts.node) else {
        return;
    };
    if u == v {
        return;
    }
    let call = LinkCall {
        net_ns,
        sent: facts.invocation.bytes_in,
        received: facts.invocation.bytes_out,
        sent_counts: facts.starts_after_body,
        end_unix_ns: caller.end_unix_ns,
    };
    let link = run.links.entry((u, v)).or_insert_with(|| {
        // The rows of the caller itself may belong to another run, and then this run does not know its node yet.
        run.nodes.extend([u, v]);
        LinkStats::default()
    });
    link.add(&call, shared.clock.now);
}

/// Whether two calls are certainly counted for the same run, module and peer.
pub fn is_same_edge(one: &Evicted, other: &Evicted) -> bool {
    let of = |call: &Evicted| (call.run, call.instance, call.callee, call.peer, call.is_message);
    one.run.is_some() && of(one) == of(other)
}

/// Counts `count` similar calls, by the module or peer that they reached. Called when no answer can arrive any more.
pub fn record_call_edges(shared: &mut Shared, row_runs: &RowRuns, evicted: &Evicted, count: u64) {
    let Some(instance) = evicted.instance else { return };
    let caller = shared.sources.instance(instance);
    let from = caller.module;
    let run_of_resource = || {
        let run_id = caller.run_id.as_deref();
        shared.runs.find(run_id.unwrap_or(shared.runs.own_id()))
    };
    let run = evicted.run.or_else(|| row_runs.traces.get(&evicted.trace_id));
    let run = run.or_else(|| shared.runs.only_driven());
    let Some(run) = run.or_else(run_of_resource) else {
        return;
    };
    let to = evicted
        .callee
        .map(|callee| shared.sources.instance(callee).module);
    let run = &mut shared.runs[run];
    run.dirty = true;
    match (to, evicted.peer) {
        (Some(to), peer) => {
            if let Some(peer) = peer.filter(|_| !evicted.is_message) {
                run.modules_by_peer.entry(peer).or_insert(to);
            }
            let calls = run.modules.entry(from).or_default().calls.entry(to).or_default();
            let is_first = *calls == 0;
            *calls += count;
            if is_first {
                // The rows of this module may belong to another run, and then this run does not know the module yet.
                run.modules.entry(to).or_default();
            }
        }
        (None, Some(peer)) => *run.external_calls.entry((from, peer)).or_default() += count,
        // The receiver is unknown, so no inventory can name it.
        (None, None) => {}
    }
}
