//! Rules on a single row of `invocations.jsonl` or `calls.jsonl`.

use super::report::{Findings, Place};
use super::rows::{check_durations, check_timestamp};
use super::rules::Broken;
use crate::cctf::{Call, Flag, Flags, Invocation, Milliseconds, SpanId, SpanKind};

/// Maximum number of CPUs that one request is expected to use. A CPU time above it probably has the wrong unit.
const CPUS_OF_ONE_REQUEST: i64 = 64;

pub(super) fn check_invocation(row: &Invocation<'_>, place: Place, findings: &mut Findings) {
    let flags = row.flags.unwrap_or_default();
    for (field, timestamp) in [
        ("ts_enqueue", row.ts_enqueue),
        ("ts_start", row.ts_start),
        ("ts_end", row.ts_end),
    ] {
        check_timestamp(field, timestamp, place, findings);
    }
    let in_order = row.ts_enqueue <= row.ts_start && row.ts_start <= row.ts_end;
    check_order(in_order, flags, place, findings);
    check_differences(row, place, findings);
    check_orphan(
        flags,
        row.parent_span_id,
        ("parent_id", row.parent_id),
        place,
        findings,
    );
    if matches!(row.kind, SpanKind::Client | SpanKind::Producer) {
        findings.add(Broken::KindFitsFile, place, || {
            format!("an invocation has kind {}", row.kind.as_str())
        });
    }
    let durations = [
        ("cpu_time_ms", row.cpu_time_ms),
        ("downstream_ms", row.downstream_ms),
        ("cpu_wait_ms", row.cpu_wait_ms),
        ("wakeup_ms", row.wakeup_ms),
        ("slot_wait_ms", row.slot_wait_ms),
    ];
    check_durations(&durations, Broken::DurationsNotNegative, place, findings);
    check_durations(&[("net_ms", row.net_ms)], Broken::NetNotNegative, place, findings);
    check_within_service(row, place, findings);
    if let Some(weight) = row.sample_weight.filter(|&weight| weight < 1.0) {
        findings.add(Broken::SampleWeight, place, || {
            format!("sample_weight is {weight}")
        });
    }
}

pub(super) fn check_call(row: &Call<'_>, place: Place, findings: &mut Findings) {
    let flags = row.flags.unwrap_or_default();
    check_timestamp("ts_start", row.ts_start, place, findings);
    check_timestamp("ts_end", row.ts_end, place, findings);
    check_order(row.ts_start <= row.ts_end, flags, place, findings);
    check_orphan(
        flags,
        row.parent_span_id,
        ("ancestor_id", row.ancestor_id),
        place,
        findings,
    );
    if let Some(kind) = row
        .kind
        .filter(|kind| !matches!(kind, SpanKind::Client | SpanKind::Producer))
    {
        findings.add(Broken::KindFitsFile, place, || {
            format!("a call has kind {}", kind.as_str())
        });
    }
    let durations = [("lateness_ms", row.lateness_ms)];
    check_durations(&durations, Broken::DurationsNotNegative, place, findings);
    if row.replay_of_trace_id.is_some() != row.replay_of_span_id.is_some() {
        findings.add(Broken::ReplayOfComplete, place, || {
            "only one of the two ids of the replayed request is present".into()
        });
    }
}

fn check_order(in_order: bool, flags: Flags, place: Place, findings: &mut Findings) {
    match (in_order, flags.has(Flag::Negative)) {
        (false, false) => findings.add(Broken::TimestampOrder, place, || {
            "the timestamps are out of order, but the row does not have the flag negative".into()
        }),
        (true, true) => findings.add(Broken::NegativeFlagTrue, place, || {
            "the row has the flag negative, but its timestamps are in order".into()
        }),
        _ => {}
    }
}

fn check_differences(row: &Invocation<'_>, place: Place, findings: &mut Findings) {
    let mut check =
        |field: &str, reported: Option<Milliseconds>, from: Milliseconds, to: Milliseconds, may_be_null| {
            let difference = from.until(to).filter(|difference| difference.as_ns() >= 0);
            if reported == difference || (reported.is_none() && may_be_null) {
                return;
            }
            let show = |duration: Option<Milliseconds>| {
                duration.map_or("null".into(), |duration| duration.to_string())
            };
            findings.add(Broken::DurationsExact, place, || {
                format!(
                    "{field} is {}, but the difference of the timestamps is {}",
                    show(reported),
                    show(difference)
                )
            });
        };
    check(
        "queue_time_ms",
        row.queue_time_ms,
        row.ts_enqueue,
        row.ts_start,
        true,
    );
    check(
        "service_time_ms",
        row.service_time_ms,
        row.ts_start,
        row.ts_end,
        false,
    );
    check("rt_ms", row.rt_ms, row.ts_enqueue, row.ts_end, false);
}

fn check_orphan(
    flags: Flags,
    parent_span: Option<SpanId>,
    (field, ancestor): (&str, Option<SpanId>),
    place: Place,
    findings: &mut Findings,
) {
    if flags.has(Flag::Orphan) && (ancestor.is_some() || parent_span.is_none()) {
        findings.add(Broken::OrphanConsistent, place, || match ancestor {
            Some(ancestor) => format!("the row has the flag orphan and {field} {ancestor}"),
            None => "the row has the flag orphan but no parent_span_id".into(),
        });
    } else if let (Some(ancestor), None) = (ancestor, parent_span) {
        findings.add(Broken::ParentSpanPresent, place, || {
            format!("{field} is {ancestor}, but parent_span_id is null")
        });
    }
}

fn check_within_service(row: &Invocation<'_>, place: Place, findings: &mut Findings) {
    let Some(service) = row.service_time_ms.filter(|service| service.as_ns() >= 0) else {
        return;
    };
    let max_cpu = service.as_ns().saturating_mul(CPUS_OF_ONE_REQUEST);
    if let Some(cpu) = row.cpu_time_ms.filter(|cpu| cpu.as_ns() > max_cpu) {
        findings.add(Broken::CpuTimePlausible, place, || {
            format!("cpu_time_ms is {cpu}, service_time_ms {service}")
        });
    }
    if let Some(downstream) = row.downstream_ms.filter(|&downstream| downstream > service) {
        findings.add(Broken::DownstreamWithinService, place, || {
            format!("downstream_ms is {downstream}, service_time_ms {service}")
        });
    }
}
