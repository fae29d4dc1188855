//! [`Program`]: the steps of a service, which are executed with random times. This gives the rows of a run, and the responses
//! with a slower callee.

use plan::plan::{Call, Ends, Plan, Tree, Wait};
use plan::stations::{load, simulate};
use serde_json::json;

use crate::rows::{MS, Rows, child_of, id, trace, with};

/// A step of a program.
#[derive(Debug, Clone)]
pub enum Step {
    /// Own work, milliseconds.
    Own(i64),
    /// A call of a module. The program waits for it.
    Call(&'static str),
    /// Like `Call`, but some first attempts fail at random and are repeated.
    Retried(&'static str),
    /// Branches that run at the same time. The program waits for all of them.
    Together(Vec<Vec<Step>>),
    /// Like `Together`, with an internal span around each branch.
    Spans(Vec<Vec<Step>>),
    /// Calls that start together. The program waits for this number of them.
    Quorum(usize, Vec<&'static str>),
    /// The program sends its answer. Later steps come after the answer.
    Answer,
}

/// A call that a program made.
#[derive(Debug, Clone, Copy)]
struct Made {
    module: &'static str,
    start_ns: i64,
    end_ns: i64,
    branch: u64,
    resends: u64,
    is_failed: bool,
}

/// One execution of a program. Times count from its start.
struct Execution {
    random: u64,
    slow: Option<&'static str>,
    calls: Vec<Made>,
    answered_ns: Option<i64>,
    branches: u64,
}

/// Time by which a slowed callee is slower.
pub const SLOWER_NS: i64 = 50 * MS;

impl Execution {
    /// A random time between 1 and 21 ms. It does not depend on which callee is slowed.
    fn time_ns(&mut self) -> i64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        MS + (self.random >> 33) as i64 % (20 * MS)
    }

    fn call(&mut self, module: &'static str, at_ns: i64, branch: u64, resends: u64) -> Made {
        let slower_ns = if self.slow == Some(module) { SLOWER_NS } else { 0 };
        let end_ns = at_ns + self.time_ns() + slower_ns;
        let made = Made {
            module,
            start_ns: at_ns,
            end_ns,
            branch,
            resends,
            is_failed: false,
        };
        self.calls.push(made);
        made
    }

    /// Executes steps. Returns the time at which they have ended.
    fn steps(&mut self, steps: &[Step], mut at_ns: i64, branch: u64) -> i64 {
        for step in steps {
            at_ns = match step {
                Step::Own(own_ms) => at_ns + own_ms * MS,
                Step::Call(module) => self.call(module, at_ns, branch, 0).end_ns,
                Step::Retried(module) => {
                    let end_ns = self.call(module, at_ns, branch, 0).end_ns;
                    let is_failed = self.time_ns() % 3 == 0;
                    if is_failed {
                        self.calls.last_mut().unwrap().is_failed = true;
                        self.call(module, end_ns + MS, branch, 1).end_ns
                    } else {
                        end_ns
                    }
                }
                Step::Together(branches) => {
                    let ends = branches.iter().map(|steps| self.steps(steps, at_ns, branch));
                    ends.max().unwrap()
                }
                Step::Spans(branches) => {
                    let ends = branches.iter().map(|steps| {
                        self.branches += 1;
                        self.steps(steps, at_ns, self.branches)
                    });
                    ends.max().unwrap()
                }
                Step::Quorum(need, modules) => {
                    let calls = modules
                        .iter()
                        .map(|module| self.call(module, at_ns, branch, 0).end_ns);
                    let mut ends: Vec<i64> = calls.collect();
                    ends.sort_unstable();
                    ends[need - 1]
                }
                Step::Answer => {
                    self.answered_ns = Some(at_ns);
                    at_ns
                }
            };
        }
        at_ns
    }
}

/// The steps of one request.
#[derive(Debug, Clone)]
pub struct Program(pub Vec<Step>);

impl Program {
    fn execute(&self, seed: u64, slow: Option<&'static str>) -> (Execution, i64) {
        let mut execution = Execution {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15),
            slow,
            calls: Vec::new(),
            answered_ns: None,
            branches: 0,
        };
        let end_ns = execution.steps(&self.0, 0, 0);
        let answered_ns = execution.answered_ns.unwrap_or(end_ns);
        (execution, answered_ns)
    }

    /// The response time of each request, nanoseconds.
    pub fn responses(&self, requests: u64, slow: Option<&'static str>) -> Vec<i64> {
        (0..requests).map(|seed| self.execute(seed, slow).1).collect()
    }

    /// The plan of a run with `requests` requests, one per second.
    pub fn plan(&self, requests: u64) -> Plan {
        let mut rows = Rows::default();
        for request in 0..requests {
            let (execution, answered_ns) = self.execute(request, None);
            let (root, at_ns) = (1 + 1000 * request, request as i64 * 1000 * MS);
            let of_trace = json!({"trace_id": trace(request + 1)});
            rows.invocation(root, [at_ns, at_ns, at_ns + answered_ns], of_trace.clone());
            for (index, made) in execution.calls.iter().enumerate() {
                let (call, callee) = (root + 100 + index as u64, root + 500 + index as u64);
                let [start_ns, end_ns] = [made.start_ns, made.end_ns].map(|ns| at_ns + ns);
                // The network takes half a millisecond in each direction.
                let half_ns = MS / 2;
                let status = if made.is_failed { 500 } else { 200 };
                let module = json!({"module_id": made.module, "path": "/x", "status": status});
                let fields = with(with(child_of(root, call), of_trace.clone()), module);
                let within = [start_ns + half_ns, start_ns + half_ns, end_ns - half_ns];
                rows.invocation(callee, within, fields);
                let mut fields = with(of_trace.clone(), json!({"peer": made.module}));
                if made.branch > 0 {
                    fields["parent_span_id"] = id(root + 900 + made.branch).into();
                }
                if made.resends > 0 {
                    fields["resend_count"] = made.resends.into();
                }
                if made.is_failed {
                    fields["status"] = 500.into();
                }
                rows.calls_later.push((call, root, [start_ns, end_ns], fields));
            }
        }
        rows.plan()
    }
}

/// Executes the invocation of each tree's root while one module is slower. Returns the response times.
pub fn execute(plan: &Plan, slow: Option<&str>) -> Vec<i64> {
    plan.trees()
        .map(|tree| response_ns(plan, &tree, 0, slow))
        .collect()
}

/// Like [`execute`], with the simulator of stations.
pub fn simulated(plan: &Plan, slow: Option<&str>) -> Vec<i64> {
    let mut load = load(plan);
    for visit in &mut load.visits {
        let module = &load.names.modules[load.names.module_of(visit.instance) as usize];
        if slow == Some(module) {
            visit.answer.gap_ns += SLOWER_NS;
        }
    }
    let outcomes = simulate(&load);
    let roots = load.arrivals.iter();
    roots
        .map(|arrival| outcomes[arrival.visit as usize].response_ns())
        .collect()
}

fn response_ns(plan: &Plan, tree: &Tree, number: usize, slow: Option<&str>) -> i64 {
    let invocation = &tree.invocations[number];
    let names = plan.recorded.names();
    let module = &names.modules[names.module_of(invocation.instance) as usize];
    let slower_ns = if slow == Some(module) { SLOWER_NS } else { 0 };
    let mut ends_ns = Vec::new();
    for call in invocation.calls.iter().filter(|call| !call.is_after_answer) {
        let lasts_ns = match call.ends {
            Ends::Duration(ns) => ns,
            Ends::Answer => answer_ns(plan, tree, call, slow),
            Ends::Timeout(ns) => ns.min(answer_ns(plan, tree, call, slow)),
        };
        ends_ns.push(start_ns(&call.wait, &ends_ns) + lasts_ns);
    }
    start_ns(&invocation.answer, &ends_ns) + slower_ns
}

fn answer_ns(plan: &Plan, tree: &Tree, call: &Call, slow: Option<&str>) -> i64 {
    let callee = call.callees[0].invocation as usize;
    response_ns(plan, tree, callee, slow) + call.net_ns.unwrap()
}

fn start_ns(wait: &Wait, ends_ns: &[i64]) -> i64 {
    let mut any: Vec<i64> = wait.any_of.iter().map(|call| ends_ns[*call as usize]).collect();
    any.sort_unstable();
    let enough_ns = if wait.need > 0 {
        any[wait.need as usize - 1]
    } else {
        0
    };
    let after = wait.after.iter().map(|call| ends_ns[*call as usize]);
    after.fold(enough_ns, i64::max) + wait.gap_ns
}
