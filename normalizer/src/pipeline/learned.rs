//! What rows tell of modules and of the links between nodes, as they are written.

use super::held::RowFacts;
use super::{NO_INSTANCE, Pipeline};
use crate::join::{Caller, Departed};
use aggregate::links::{LinkCall, LinkStats};
use aggregate::modules::ModuleStats;
use aggregate::names::NAMELESS;

impl Pipeline {
    pub(super) fn learn_invocation(
        &mut self,
        run: usize,
        facts: &RowFacts,
        is_called: bool,
        call: Option<(Caller, i64)>,
    ) {
        let Some(instance) = facts.instance else {
            return;
        };
        let stats = self.stats_of(run, instance);
        stats.is_called |= is_called;
        stats.add(&facts.invocation);
        if let Some((caller, net_ns)) = call {
            self.learn_link(run, facts, &caller, net_ns);
        }
    }

    pub(super) fn learn_call(&mut self, run: usize, facts: &RowFacts) {
        let Some(instance) = facts.instance else {
            return;
        };
        self.stats_of(run, instance).makes_calls = true;
    }

    /// What `run` knows of the instance's module, the instance included.
    fn stats_of(&mut self, run: usize, instance: u32) -> &mut ModuleStats {
        let module = self.sources.instance(instance).module;
        let stats = self.runs.at(run).modules.entry(module).or_default();
        stats.instances.insert(instance);
        stats
    }

    fn learn_link(&mut self, run: usize, facts: &RowFacts, caller: &Caller, net_ns: i64) {
        if caller.instance == NO_INSTANCE {
            return;
        }
        let from = self.sources.instance(caller.instance);
        let bytes = facts
            .invocation
            .bytes_in
            .zip(facts.invocation.bytes_out)
            .map(|(sent, received)| sent + received);
        if let (Some(callee), from_module) = (facts.instance, from.module) {
            let to_module = self.sources.instance(callee).module;
            let stats = self.runs.at(run).modules.entry(from_module).or_default();
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
        let now = self.now;
        let run = self.runs.at(run);
        let link = run.links.entry((u, v)).or_insert_with(|| {
            // The caller's own rows may be another run's.
            run.nodes.extend([u, v]);
            LinkStats::default()
        });
        link.add(&call, now);
    }

    /// Counts whom a call reached, now that no answer can come any more.
    pub(super) fn count_call_edge(&mut self, departed: &Departed) {
        if departed.instance == NO_INSTANCE {
            return;
        }
        let caller = self.sources.instance(departed.instance);
        let from = caller.module;
        let run_of_resource = || {
            self.runs
                .find(caller.run_id.as_deref().unwrap_or(self.runs.own_id()))
        };
        let run = departed.run.map(|run| run as usize);
        let run = run.or_else(|| self.traces.get(&departed.trace_id));
        let Some(run) = run.or_else(|| self.runs.only_driven()).or_else(run_of_resource) else {
            return;
        };
        let to = departed
            .callee
            .filter(|&callee| callee != NO_INSTANCE)
            .map(|callee| self.sources.instance(callee).module);
        let run = self.runs.at(run);
        run.dirty = true;
        match to {
            Some(to) => {
                if departed.peer != NAMELESS && !departed.is_message {
                    run.modules_by_peer.entry(departed.peer).or_insert(to);
                }
                let calls = run.modules.entry(from).or_default().calls.entry(to).or_default();
                *calls += 1;
                if *calls == 1 {
                    // Its own rows may be another run's.
                    run.modules.entry(to).or_default();
                }
            }
            None => *run.external_calls.entry((from, departed.peer)).or_default() += 1,
        }
    }
}
