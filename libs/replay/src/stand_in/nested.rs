//! [`nest`]: encodes a root of a plan as the work in one request body. The work of its callees is nested in it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::ways::Ways;
use cctf_proto::cctf::SpanKind;
use plan::plan::{self as plans, Call, Cpu, Invocation, Plan, Tree};
use standin::request::transport_status;
use standin::{
    BODY_BYTES_MAX, CALLEES_MAX, Callee, DURATION_NS_MAX, Ends, HEAD_BYTES, Kind, StandInError,
    WORK_BYTES_MAX, Wait, What, Work, check, encode,
};

// A stand-in must accept everything that a plan can contain.
const _: () =
    assert!(plans::DEPTH_MAX <= standin::DEPTH_MAX && plans::CALLS_PER_INVOCATION_MAX <= standin::CALLS_MAX);

/// Counts of what the requests contain, and of differences from the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Requests and messages that carry a plan, including the requests from outside.
    pub bodies: u64,
    /// Bodies that are larger than recorded because the plan alone is larger, and the total difference in bytes.
    pub larger: u64,
    pub larger_bytes: u64,
    pub retries: u64,
    /// Invocations without a known CPU time. They use no CPU time.
    pub cpu_unknown: u64,
    /// Times that were cut to one hour.
    pub cut_times: u64,
    /// Bodies that were cut to 64 MiB.
    pub cut_bodies: u64,
    /// Invocations that were left out, because their call causes more than 1,024 invocations.
    pub callees_left_out: u64,
}

impl Tally {
    /// Adds the counts of a root, which is sent `times` times.
    pub fn add(&mut self, one: &Self, times: u64) {
        for (sum, count) in [
            (&mut self.bodies, one.bodies),
            (&mut self.larger, one.larger),
            (&mut self.larger_bytes, one.larger_bytes),
            (&mut self.retries, one.retries),
            (&mut self.cpu_unknown, one.cpu_unknown),
            (&mut self.cut_times, one.cut_times),
            (&mut self.cut_bodies, one.cut_bodies),
            (&mut self.callees_left_out, one.callees_left_out),
        ] {
            *sum += count * times;
        }
    }

    /// Counts a body. Returns the size to which it is padded.
    pub fn body(&mut self, recorded: Option<u32>, work: &[u8]) -> u32 {
        let recorded = self.size(recorded);
        self.bodies += 1;
        let beyond = (HEAD_BYTES + work.len()).saturating_sub(recorded as usize);
        self.larger += u64::from(beyond > 0);
        self.larger_bytes += beyond as u64;
        recorded
    }

    fn size(&mut self, recorded: Option<u32>) -> u32 {
        let recorded = recorded.unwrap_or(0);
        self.cut_bodies += u64::from(recorded > BODY_BYTES_MAX);
        recorded.min(BODY_BYTES_MAX)
    }

    fn time(&mut self, ns: i64) -> u64 {
        let ns = ns.max(0).unsigned_abs();
        self.cut_times += u64::from(ns > DURATION_NS_MAX);
        ns.min(DURATION_NS_MAX)
    }
}

/// Changes to the recorded times.
#[derive(Debug, Default)]
pub struct Changes {
    /// Factors for CPU times, one for each instance. If empty, CPU times do not change.
    pub factors: Vec<f64>,
    /// The links for network times.
    pub ways: Ways,
    /// The turns for each instance. If empty, requests go to the stand-in of the instance.
    pub turns: Vec<Turns>,
}

/// Stand-ins that take turns with the requests of an instance. If there are none, the instance's own stand-in gets its requests.
#[derive(Debug, Default)]
pub struct Turns {
    /// Ids of the stand-ins.
    ids: Vec<String>,
    next: AtomicUsize,
}

impl From<Vec<String>> for Turns {
    fn from(ids: Vec<String>) -> Self {
        Self {
            ids,
            next: AtomicUsize::new(0),
        }
    }
}

/// The changes that are in force at each time of a replay.
#[derive(Debug, Default)]
pub struct Stages {
    pub first: Changes,
    /// Nanoseconds after the first request, in order, with the changes that are in force from then on.
    pub later: Vec<(u64, Changes)>,
}

impl Stages {
    /// The changes for a request that is sent `offset_ns` after the first one.
    pub fn at(&self, offset_ns: u64) -> &Changes {
        let later = self.later.partition_point(|(from_ns, _)| *from_ns <= offset_ns);
        later
            .checked_sub(1)
            .map_or(&self.first, |place| &self.later[place].1)
    }
}

impl Changes {
    /// The id of the stand-in that gets the next request of an instance, whose recorded id is `recorded`.
    pub fn stand_in<'a>(&'a self, instance: u32, recorded: &'a str) -> &'a str {
        match self.turns.get(instance as usize) {
            Some(turns) if !turns.ids.is_empty() => {
                let turn = turns.next.fetch_add(1, Ordering::Relaxed);
                &turns.ids[turn % turns.ids.len()]
            }
            _ => recorded,
        }
    }
}

/// Encodes the work of a tree.
///
/// # Errors
/// If a stand-in would refuse the work.
pub fn nest(plan: &Plan, tree: &Tree, changes: &Changes, tally: &mut Tally) -> Result<Vec<u8>, StandInError> {
    let mut encoded: Vec<Vec<u8>> = vec![Vec::new(); tree.invocations.len()];
    // Callees come after their callers in the list. In reverse order, each is encoded before the caller that contains it.
    for (index, invocation) in tree.invocations.iter().enumerate().rev() {
        let factor = changes
            .factors
            .get(invocation.instance as usize)
            .copied()
            .unwrap_or(1.0);
        let mut one = One {
            plan,
            tree,
            encoded: &encoded,
            changes,
            factor,
            tally,
        };
        let work = one.work(invocation);
        check(&work)?;
        let bytes = encode(&work);
        if bytes.len() > WORK_BYTES_MAX {
            return Err(StandInError::TooLong);
        }
        for callee in invocation.calls.iter().flat_map(|call| &call.callees) {
            encoded[callee.invocation as usize] = Vec::new();
        }
        encoded[index] = bytes;
    }
    encoded.into_iter().next().ok_or(StandInError::Damaged)
}

/// An invocation that is being encoded.
struct One<'a, 'b> {
    plan: &'a Plan,
    tree: &'a Tree,
    /// The encoded work of the tree's invocations, by index. Callees are encoded before their callers.
    encoded: &'a [Vec<u8>],
    changes: &'a Changes,
    factor: f64,
    tally: &'b mut Tally,
}

impl<'a> One<'a, '_> {
    fn work(&mut self, invocation: &Invocation) -> Work<'a> {
        let recorded = &self.plan.recorded;
        let endpoint = &recorded.names().endpoints[invocation.endpoint as usize];
        self.tally.cpu_unknown += u64::from(invocation.cpu == Cpu::Unknown);
        let calls = invocation.calls.iter();
        let calls = calls.map(|call| self.call(call, invocation.instance)).collect();
        Work {
            kind: kind(invocation.kind),
            method: endpoint.method.as_deref(),
            route: endpoint.route.as_deref(),
            calls,
            answer: self.wait(&invocation.answer),
            beside_cpu_ns: self.cpu(invocation.beside_cpu_ns),
            bytes_out: self.tally.size(invocation.bytes_out),
            status: status(invocation),
            error: self.error(invocation.error),
            is_failed: invocation.is_failed,
            fails_with: indices(&invocation.fails_with),
        }
    }

    /// A call that the instance `from` makes.
    fn call(&mut self, call: &Call, from: u32) -> standin::Call<'a> {
        let label = call
            .label
            .map(|label| &self.plan.recorded.texts.labels[label as usize]);
        let callees = call.callees.iter().take(CALLEES_MAX);
        let callees: Vec<Callee<'a>> = callees.map(|callee| self.callee(call, callee)).collect();
        self.tally.callees_left_out += (call.callees.len() - callees.len()) as u64;
        self.tally.retries += u64::from(call.retry_of.is_some());
        standin::Call {
            wait: self.wait(&call.wait),
            is_after_answer: call.is_after_answer,
            what: match call.what {
                plans::What::Request => What::Request,
                plans::What::Message => What::Message,
                plans::What::Sleep => What::Sleep,
            },
            ends: match call.ends {
                plans::Ends::Answer => Ends::Answer,
                plans::Ends::Duration(ns) => Ends::Duration(self.tally.time(ns)),
                plans::Ends::Timeout(ns) => Ends::Timeout(self.tally.time(ns)),
            },
            net_ns: self.net(call, from),
            answer_status: self.answer_status(call),
            retry_of: call.retry_of.map(index),
            peer: label.and_then(|label| label.to.as_deref()),
            method: label.and_then(|label| label.method.as_deref()),
            path: label.and_then(|label| label.path.as_deref()),
            bytes_out: self.tally.size(call.bytes_out),
            bytes_in: self.tally.size(call.bytes_in),
            status: call.status.and_then(|status| u16::try_from(status).ok()),
            error: self.error(call.error),
            is_failed: call.is_failed,
            callees,
        }
    }

    /// The network time of a call. If the answer came before the invocation ended, it is unknown when the answer was sent, so
    /// the time is 0.
    fn net(&mut self, call: &Call, from: u32) -> u64 {
        let net = call.net_ns.zip(call.callees.first());
        let net_ns = net.map_or(0, |(recorded_ns, callee)| {
            let callee = &self.tree.invocations[callee.invocation as usize];
            let bytes = [
                call.bytes_out.or(callee.bytes_in),
                call.bytes_in.or(callee.bytes_out),
            ];
            let bytes = bytes.map(|bytes| f64::from(bytes.unwrap_or(0)));
            self.changes
                .ways
                .net_ns((from, callee.instance), recorded_ns, bytes)
        });
        self.tally.time(net_ns)
    }

    fn answer_status(&self, call: &Call) -> u16 {
        let callee = call.callees.first();
        let callee = callee.map(|callee| &self.tree.invocations[callee.invocation as usize]);
        transport_status(
            callee.and_then(status),
            callee.is_some_and(|callee| callee.is_failed),
        )
    }

    fn callee(&mut self, call: &Call, callee: &plans::Callee) -> Callee<'a> {
        let names = self.plan.recorded.names();
        let invocation = &self.tree.invocations[callee.invocation as usize];
        let instance = &names.instances[invocation.instance as usize];
        let work = &self.encoded[callee.invocation as usize];
        Callee {
            module: &names.modules[instance.module as usize],
            instance: self.changes.stand_in(invocation.instance, &instance.id),
            delay_ns: self.tally.time(callee.delay_ns),
            body_bytes: self.tally.body(invocation.bytes_in.or(call.bytes_out), work),
            work,
        }
    }

    /// The wait of a call or of the answer. The part of the gap that is not CPU time stays the same at any speed of the node.
    fn wait(&mut self, wait: &plans::Wait) -> Wait {
        let cpu_ns = self.cpu(wait.cpu_ns);
        let other_ns = self.tally.time(wait.gap_ns - wait.cpu_ns);
        Wait {
            after: indices(&wait.after),
            any_of: indices(&wait.any_of),
            need: index(wait.need),
            gap_ns: (cpu_ns + other_ns).min(DURATION_NS_MAX),
            cpu_ns,
        }
    }

    fn cpu(&mut self, ns: i64) -> u64 {
        // A double is exact to a nanosecond, because an hour has 3.6e12 ns.
        self.tally.time((ns as f64 * self.factor).round() as i64)
    }

    fn error(&self, number: Option<u32>) -> Option<&'a str> {
        let errors = &self.plan.recorded.texts.errors;
        number.map(|number| errors[number as usize].as_str())
    }
}

/// The status that the stand-in reports. A recorded refusal is not repeated: if the request gets a slot, it succeeds.
fn status(invocation: &Invocation) -> Option<u16> {
    match invocation.is_refused && invocation.kind == SpanKind::Server {
        true => Some(200),
        false => invocation.status.and_then(|status| u16::try_from(status).ok()),
    }
}

fn kind(kind: SpanKind) -> Kind {
    match kind {
        SpanKind::Server => Kind::Server,
        SpanKind::Consumer => Kind::Consumer,
        SpanKind::Internal => Kind::Internal,
        SpanKind::Client => Kind::Client,
        SpanKind::Producer => Kind::Producer,
    }
}

fn indices(indices: &[u32]) -> Vec<u16> {
    indices.iter().copied().map(index).collect()
}

/// The conversion is safe, because an invocation in a plan has at most 1,024 calls.
fn index(index: u32) -> u16 {
    u16::try_from(index).unwrap_or(u16::MAX)
}
