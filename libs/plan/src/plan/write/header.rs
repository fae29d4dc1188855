//! [`header_line`]: the first line of a plan.

use cctf_proto::cctf::Milliseconds;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Ms, VERSION};
use crate::plan::model::{CALLS_PER_INVOCATION_MAX, DEPTH_MAX, INVOCATIONS_PER_ROOT_MAX, WAITS_PER_CALL_MAX};
use crate::plan::whole::Plan;
use crate::stations::{FIT_ERROR_MAX, ModuleFit};

#[derive(Serialize)]
struct Header<'a> {
    r#type: &'static str,
    version: u32,
    run_id: &'a str,
    /// Arrival of the first root, milliseconds since the Unix epoch.
    first_root_ts: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_ms: Option<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_ms: Option<Ms>,
    counts: CountsLine,
    bounds: Bounds,
    stations: Vec<StationLine<'a>>,
    self_check: SelfCheck<'a>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct CountsLine {
    roots: u64,
    orphans: u64,
    invocations: u64,
    calls: u64,
    leaf_calls: u64,
    messages: u64,
    retries: u64,
    quorums: u64,
    timeouts: u64,
    refused: u64,
    late_calls: u64,
    cpu_regressed: u64,
    cpu_unknown: u64,
    calls_left_out: u64,
    invocations_left_out: u64,
    outside: u64,
}

#[derive(Serialize)]
struct Bounds {
    invocations_per_root: usize,
    depth: u32,
    calls_per_invocation: usize,
    waits_per_call: usize,
}

#[derive(Serialize)]
struct StationLine<'a> {
    module: &'a str,
    instance: &'a str,
    node: &'a str,
    slots: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot_policy: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_limit: Option<u32>,
}

#[derive(Serialize)]
struct SelfCheck<'a> {
    invocations: u64,
    deviations: Vec<DeviationLine<'a>>,
    stations: &'a [StationFit],
}

#[derive(Serialize)]
struct DeviationLine<'a> {
    reason: &'static str,
    invocations: u64,
    largest_ms: Ms,
    examples: &'a [String],
}

/// Recorded and simulated waits of one module, for the printed summary and for programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StationFit {
    pub module: String,
    pub waits: usize,
    pub mean_ms: f64,
    pub simulated_mean_ms: f64,
    pub p95_ms: f64,
    pub simulated_p95_ms: f64,
    /// Whether the errors of mean and p95 are at most 10%, or the waits are too short for a verdict.
    pub is_good: bool,
}

impl StationFit {
    pub fn new(fit: &ModuleFit) -> Self {
        Self {
            module: fit.module.clone(),
            waits: fit.count,
            mean_ms: fit.mean.recorded,
            simulated_mean_ms: fit.mean.simulated,
            p95_ms: fit.p95.recorded,
            simulated_p95_ms: fit.p95.simulated,
            is_good: fit.is_good(),
        }
    }

    /// The warning for a module whose recorded waits the simulator does not reproduce.
    pub fn warning(&self) -> Option<String> {
        let error = |recorded: f64, simulated: f64| 100.0 * (simulated - recorded) / recorded;
        (!self.is_good).then(|| {
            format!(
                "simulated waits of {} differ from the recorded ones by {:+.0}% (mean) and {:+.0}% (p95), more than {:.0}%: do not use this plan for waits of this module",
                self.module,
                error(self.mean_ms, self.simulated_mean_ms),
                error(self.p95_ms, self.simulated_p95_ms),
                100.0 * FIT_ERROR_MAX,
            )
        })
    }
}

/// Appends the first line, without a newline at its end.
///
/// # Errors
/// If a text cannot be written as JSON.
pub fn header_line(
    run_id: &str,
    plan: &Plan,
    fits: &[StationFit],
    notes: &[String],
    out: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let span = plan.span;
    let first = Milliseconds::from_ns(span.zero_ns).to_string();
    let counts = &plan.counts;
    let deviations = counts.deviations().map(|(reason, listed)| DeviationLine {
        reason: reason.as_str(),
        invocations: listed.count,
        largest_ms: Ms(listed.largest_ns),
        examples: &listed.examples,
    });
    let header = Header {
        r#type: "plan",
        version: VERSION,
        run_id,
        first_root_ts: RawValue::from_string(first)?,
        from_ms: (span.from_ns > i64::MIN).then(|| Ms(span.from_ns - span.zero_ns)),
        to_ms: (span.to_ns < i64::MAX).then(|| Ms(span.to_ns - span.zero_ns)),
        counts: CountsLine {
            roots: counts.roots,
            orphans: counts.orphans,
            invocations: counts.invocations,
            calls: counts.calls,
            leaf_calls: counts.leaf_calls,
            messages: counts.messages,
            retries: counts.retries,
            quorums: counts.quorums,
            timeouts: counts.timeouts,
            refused: counts.refused,
            late_calls: counts.late_calls,
            cpu_regressed: counts.cpu_regressed,
            cpu_unknown: counts.cpu_unknown,
            calls_left_out: counts.calls_left_out,
            invocations_left_out: counts.invocations_left_out,
            outside: counts.outside,
        },
        bounds: Bounds {
            invocations_per_root: INVOCATIONS_PER_ROOT_MAX,
            depth: DEPTH_MAX,
            calls_per_invocation: CALLS_PER_INVOCATION_MAX,
            waits_per_call: WAITS_PER_CALL_MAX,
        },
        stations: stations(plan),
        self_check: SelfCheck {
            invocations: counts.invocations,
            deviations: deviations.collect(),
            stations: fits,
        },
        notes,
    };
    serde_json::to_writer(out, &header)
}

fn stations(plan: &Plan) -> Vec<StationLine<'_>> {
    let names = plan.recorded.names();
    let lines = names.instances.iter().map(|instance| {
        let station = instance.station;
        StationLine {
            module: &names.modules[instance.module as usize],
            instance: &instance.id,
            node: &names.nodes[instance.node as usize],
            slots: station.slots,
            slot_policy: station.slots.map(|_| match station.is_released {
                true => "released",
                false => "held",
            }),
            queue_limit: station.queue_limit.filter(|_| station.slots.is_some()),
        }
    });
    lines.collect()
}
