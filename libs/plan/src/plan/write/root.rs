//! [`root_line`]: the line of one root.

use serde::Serialize;

use super::Ms;
use crate::plan::model::{Call, Callee, Cpu, Ends, Invocation, Tree, Wait};
use crate::plan::whole::Plan;
use crate::work::{Label, Recorded, What};

#[derive(Serialize)]
struct RootLine<'a> {
    r#type: &'static str,
    at_ms: Ms,
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    orphan: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_net_ms: Option<Ms>,
    invocations: Vec<InvocationLine<'a>>,
}

#[derive(Serialize)]
struct InvocationLine<'a> {
    module: &'a str,
    instance: &'a str,
    method: Option<&'a str>,
    route: Option<&'a str>,
    kind: &'static str,
    cpu_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_src: Option<&'static str>,
    other_ms: Ms,
    #[serde(skip_serializing_if = "Option::is_none")]
    beside_cpu_ms: Option<Ms>,
    bytes_in: Option<u32>,
    bytes_out: Option<u32>,
    status: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    fails_with: &'a [u32],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refused: bool,
    calls: Vec<CallLine<'a>>,
    answer: WaitLine<'a>,
    recorded: RecordedLine,
    #[serde(skip_serializing_if = "Option::is_none")]
    deviation: Option<DeviationLine>,
}

#[derive(Serialize)]
struct WaitLine<'a> {
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    after: &'a [u32],
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    any_of: &'a [u32],
    #[serde(skip_serializing_if = "Option::is_none")]
    need: Option<u32>,
    gap_ms: Ms,
    cpu_ms: Ms,
}

#[derive(Serialize)]
struct CallLine<'a> {
    #[serde(flatten)]
    wait: WaitLine<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    after_answer: bool,
    what: &'static str,
    to: Option<&'a str>,
    method: Option<&'a str>,
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    callees: Vec<CalleeLine>,
    ends: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_of: Option<u32>,
    bytes_out: Option<u32>,
    bytes_in: Option<u32>,
    status: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_type: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    net_ms: Option<Ms>,
}

#[derive(Serialize)]
struct CalleeLine {
    invocation: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<Ms>,
}

#[derive(Serialize)]
struct RecordedLine {
    response_ms: Ms,
    queue_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_wait_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_wait_ms: Option<Ms>,
}

#[derive(Serialize)]
struct DeviationLine {
    reason: &'static str,
    response_ms: Ms,
}

/// Appends the line of one root, without a newline at its end.
///
/// # Errors
/// If a text cannot be written as JSON.
pub fn root_line(plan: &Plan, tree: &Tree, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let line = RootLine {
        r#type: "root",
        at_ms: Ms(tree.at_ns - plan.span.zero_ns),
        trace_id: tree.trace_id.to_string(),
        span_id: tree.span_id.to_string(),
        orphan: !tree.is_root,
        client_net_ms: Ms::unless_zero(tree.client_net_ns),
        invocations: tree
            .invocations
            .iter()
            .map(|invocation| invocation_line(&plan.recorded, tree, invocation))
            .collect(),
    };
    serde_json::to_writer(out, &line)
}

fn invocation_line<'a>(
    recorded: &'a Recorded,
    tree: &'a Tree,
    invocation: &'a Invocation,
) -> InvocationLine<'a> {
    let names = recorded.names();
    let instance = &names.instances[invocation.instance as usize];
    let endpoint = &names.endpoints[invocation.endpoint as usize];
    InvocationLine {
        module: &names.modules[instance.module as usize],
        instance: &instance.id,
        method: endpoint.method.as_deref(),
        route: endpoint.route.as_deref(),
        kind: invocation.kind.as_str(),
        cpu_ms: invocation.cpu.ns().map(Ms),
        cpu_src: matches!(invocation.cpu, Cpu::Regressed(_)).then_some("regressed"),
        other_ms: Ms(invocation.other_ns),
        beside_cpu_ms: Ms::unless_zero(invocation.beside_cpu_ns),
        bytes_in: invocation.bytes_in,
        bytes_out: invocation.bytes_out,
        status: invocation.status,
        error_type: error(recorded, invocation.error),
        failed: invocation.is_failed,
        fails_with: &invocation.fails_with,
        refused: invocation.is_refused,
        calls: invocation
            .calls
            .iter()
            .map(|call| call_line(recorded, tree, call))
            .collect(),
        answer: wait_line(&invocation.answer),
        recorded: RecordedLine {
            response_ms: Ms(invocation.recorded.response_ns),
            queue_ms: invocation.recorded.queue_ns.map(Ms),
            slot_wait_ms: Ms::unless_zero(invocation.recorded.slot_wait_ns),
            cpu_wait_ms: Ms::unless_zero(invocation.recorded.cpu_wait_ns),
        },
        deviation: invocation.deviation.map(|deviation| DeviationLine {
            reason: deviation.reason.as_str(),
            response_ms: Ms(deviation.ns),
        }),
    }
}

fn error(recorded: &Recorded, number: Option<u32>) -> Option<&str> {
    number.map(|number| recorded.texts.errors[number as usize].as_str())
}

fn wait_line(wait: &Wait) -> WaitLine<'_> {
    WaitLine {
        after: &wait.after,
        any_of: &wait.any_of,
        need: (wait.need > 0).then_some(wait.need),
        gap_ms: Ms(wait.gap_ns),
        cpu_ms: Ms(wait.cpu_ns),
    }
}

fn call_line<'a>(recorded: &'a Recorded, tree: &'a Tree, call: &'a Call) -> CallLine<'a> {
    let label = call.label.map(|number| &recorded.texts.labels[number as usize]);
    let names = recorded.names();
    let first = call.callees.first();
    let answering = first.map(|first| &tree.invocations[first.invocation as usize]);
    let module = answering.map(|callee| {
        let module = names.module_of(callee.instance) as usize;
        names.modules[module].as_str()
    });
    let endpoint = answering.map(|callee| &names.endpoints[callee.endpoint as usize]);
    let (ends, duration) = match call.ends {
        Ends::Answer => ("answer", None),
        Ends::Duration(ns) => ("duration", Some(Ms(ns))),
        Ends::Timeout(ns) => ("timeout", Some(Ms(ns))),
    };
    let of_label = |of: fn(&Label) -> Option<&str>| label.and_then(of);
    let of_endpoint = |of: fn(&crate::work::Endpoint) -> Option<&str>| endpoint.and_then(of);
    CallLine {
        wait: wait_line(&call.wait),
        after_answer: call.is_after_answer,
        what: match call.what {
            What::Request => "request",
            What::Message => "message",
            What::Sleep => "sleep",
        },
        to: module.or_else(|| of_label(|label| label.to.as_deref())),
        method: of_label(|label| label.method.as_deref())
            .or_else(|| of_endpoint(|endpoint| endpoint.method.as_deref())),
        path: of_endpoint(|endpoint| endpoint.route.as_deref())
            .or_else(|| of_label(|label| label.path.as_deref())),
        callees: call.callees.iter().map(callee_line).collect(),
        ends,
        duration_ms: duration,
        retry_of: call.retry_of,
        bytes_out: call.bytes_out,
        bytes_in: call.bytes_in,
        status: call.status,
        error_type: error(recorded, call.error),
        failed: call.is_failed,
        net_ms: call.net_ns.map(Ms),
    }
}

fn callee_line(callee: &Callee) -> CalleeLine {
    CalleeLine {
        invocation: callee.invocation,
        delay_ms: Ms::unless_zero(callee.delay_ns),
    }
}
