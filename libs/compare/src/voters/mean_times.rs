//! [`service_ns`], [`cpu_ns`], [`cpu_wait_ns`] and [`wakeup_ns`]: times of an invocation whose means vote.
//! [`is_answered_outside`]: selects the external calls whose durations vote. [`figures`]: both means and their margin.

use super::candidate::Figures;
use crate::gather::names::EXTERNAL;
use crate::gather::{Side, UNKNOWN, known};
use crate::margins::Margins;
use crate::model::{Topic, Unit};
use crate::pairing::{is_chance, outcome_of};
use crate::statistics::mean;

/// Own service time, without waits for calls and for further slots. If both runs report waits for a CPU for this module, they
/// are subtracted, too. Such a wait is not work: other programs on the machine can change it by more than the margin of a
/// service time.
pub fn service_ns(side: &Side, number: u32) -> i64 {
    let own_ns = side.tree.own_ns(&side.rows, number);
    match known(cpu_wait_ns(side, number)) {
        Some(wait_ns) if own_ns != UNKNOWN => own_ns.saturating_sub(wait_ns).max(0),
        _ => own_ns,
    }
}

/// Wait for a CPU within the service time. Unknown unless both runs report it for this module.
pub fn cpu_wait_ns(side: &Side, number: u32) -> i64 {
    let row = &side.rows.invocations[number as usize];
    match side.cpu_wait_modules.contains(&row.module) {
        true => row.cpu_wait_ns,
        false => UNKNOWN,
    }
}

pub fn cpu_ns(side: &Side, number: u32) -> i64 {
    side.rows.invocations[number as usize].cpu_ns
}

pub fn wakeup_ns(side: &Side, number: u32) -> i64 {
    side.rows.invocations[number as usize].known_wakeup_ns()
}

/// Whether a call reached a peer without telemetry, and the peer neither refused it nor timed out.
pub fn is_answered_outside(side: &Side, call: u32) -> bool {
    let row = &side.rows.calls[call as usize];
    let is_external = !row.is_root && !row.is_message && side.tree.callee(call).is_none();
    is_external && !is_chance(outcome_of(side, call))
}

/// The display name of a peer without telemetry.
pub fn external_name(peer: &str) -> String {
    match peer {
        EXTERNAL => EXTERNAL.to_owned(),
        name => format!("{name} {EXTERNAL}"),
    }
}

/// The means of a time in two runs, in ms. `None` if a run has no values.
pub fn figures(margins: &Margins, topic: Topic, module: String, [a, b]: [&[f64]; 2]) -> Option<Figures> {
    let (mean_a, mean_b) = mean::of(a).zip(mean::of(b))?;
    Some(Figures {
        topic,
        module: Some(module),
        unit: Unit::Ms,
        a: Some(mean_a),
        b: Some(mean_b),
        explained: None,
        margin: margin(margins, topic, mean_a),
        requests: a.len().min(b.len()) as u64,
    })
}

/// The margin of a mean, ms. Wake-ups and waits for a CPU have the larger margins of waits, because scheduling alone changes
/// them by more than a service time.
fn margin(margins: &Margins, topic: Topic, mean_ms: f64) -> f64 {
    match topic {
        Topic::CpuWaitMean => margins.of_time(margins.cpu_wait_mean, mean_ms, 0.0),
        Topic::WakeupMean => margins.of_time(margins.wakeup_mean, mean_ms, 0.0),
        Topic::CpuMean => margins.of_mean(margins.cpu_mean, mean_ms),
        _ => margins.of_mean(margins.service_mean, mean_ms),
    }
}
