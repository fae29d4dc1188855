//! Own time: CPU time in the gaps between calls, recorded waiting times, and calculations with generated runs.

use plan::plan::{Cpu, Invocation, Plan, Reason, Regressed, Span};
use plan::work::Station;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::rows::{MS, Rows, child_of, id, ms, trees, with};

fn root(plan: &Plan) -> Invocation {
    trees(plan)[0].invocations[0].clone()
}

/// Gap and CPU time of each call and of the answer, microseconds.
fn gaps(invocation: &Invocation) -> Vec<(i64, i64)> {
    let waits = invocation
        .calls
        .iter()
        .map(|call| &call.wait)
        .chain([&invocation.answer]);
    waits
        .map(|wait| (wait.gap_ns / 1_000, wait.cpu_ns / 1_000))
        .collect()
}

/// An invocation with 10 ms of own time, a call of 20 ms, and 30 ms of own time.
fn with_one_call(fields: Value) -> Plan {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 5 * MS, 65 * MS], fields);
    rows.call(2, 1, [15 * MS, 35 * MS], json!({"peer": "db"}));
    rows.plan()
}

#[test]
fn cpu_time_is_spread_over_the_gaps_by_their_length() {
    let invocation = root(&with_one_call(json!({"cpu_time_ms": 8})));
    assert_eq!(gaps(&invocation), [(10_000, 2_000), (30_000, 6_000)]);
    assert_eq!((invocation.other_ns, invocation.beside_cpu_ns), (32 * MS, 0));
}

#[test]
fn cpu_time_beyond_the_gaps_runs_beside_the_calls() {
    let plan = with_one_call(json!({"cpu_time_ms": 45}));
    let invocation = root(&plan);
    assert_eq!(gaps(&invocation), [(10_000, 10_000), (30_000, 30_000)]);
    assert_eq!((invocation.other_ns, invocation.beside_cpu_ns), (0, 5 * MS));
    assert_eq!((plan.counts.beside_cpu, plan.counts.deviating()), (1, 0));
}

#[test]
fn cpu_time_above_the_service_time_is_listed() {
    let plan = with_one_call(json!({"cpu_time_ms": 61}));
    let listed = &plan.counts.deviations[Reason::CpuAboveOwnTime as usize];
    assert_eq!((listed.count, listed.examples.len()), (1, 1));
    assert_eq!(
        root(&plan).deviation.map(|deviation| deviation.reason),
        Some(Reason::CpuAboveOwnTime)
    );
}

#[test]
fn waits_for_cpus_and_slots_are_not_in_the_plan() {
    let fields = json!({"cpu_time_ms": 8, "cpu_wait_ms": 4, "slot_wait_ms": 10, "wakeup_ms": 1});
    let plan = with_one_call(fields);
    let invocation = root(&plan);
    // In the second gap, the invocation waits for a slot for 10 ms. In the other 30 ms, it waits for a CPU for 4 ms.
    let gap = |length: f64| (length * 26.0 / 30.0 * 1e3) as i64;
    assert!((gaps(&invocation)[0].0 - gap(10.0)).abs() <= 1);
    assert!((gaps(&invocation)[1].0 - gap(20.0)).abs() <= 1);
    assert_eq!(invocation.other_ns, (30 - 4 - 8) * MS);
    assert_eq!(plan.counts.deviating(), 0);
    let recorded = invocation.recorded;
    assert_eq!(
        (recorded.queue_ns, recorded.slot_wait_ns, recorded.cpu_wait_ns),
        (Some(5 * MS), 10 * MS, 4 * MS)
    );
}

#[test]
fn a_wait_for_slots_above_the_own_time_is_listed() {
    let plan = with_one_call(json!({"slot_wait_ms": 31}));
    let listed = &plan.counts.deviations[Reason::WaitAboveOwnTime as usize];
    assert_eq!(listed.count, 1);
}

#[test]
fn a_time_that_several_gaps_have_is_worked_once() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 100 * MS], json!({"cpu_time_ms": 40}));
    rows.call(2, 1, [20 * MS, 60 * MS], json!({"peer": "a"}));
    rows.call(3, 1, [30 * MS, 90 * MS], json!({"peer": "b"}));
    let invocation = root(&rows.plan());
    // 20 ms before the first call, 10 ms before the second one, and 10 ms before the answer.
    assert_eq!(
        gaps(&invocation),
        [(20_000, 20_000), (30_000, 10_000), (10_000, 10_000)]
    );
    assert_eq!(invocation.beside_cpu_ns, 0);
}

#[test]
fn a_wait_in_a_time_that_several_gaps_have_is_taken_from_each() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 100 * MS], json!({"cpu_time_ms": 0, "cpu_wait_ms": 20}));
    rows.call(2, 1, [20 * MS, 60 * MS], json!({"peer": "a"}));
    rows.call(3, 1, [30 * MS, 90 * MS], json!({"peer": "b"}));
    let invocation = root(&rows.plan());
    // Half of each piece is CPU time: 10 of the first 20 ms, 5 of the next 10 ms, and 5 of the last 10 ms.
    assert_eq!(gaps(&invocation), [(10_000, 0), (15_000, 0), (5_000, 0)]);
}

#[test]
fn a_sleep_without_a_slot_is_a_call_that_nobody_answers() {
    let mut rows = Rows::default();
    let fields = json!({"cpu_time_ms": 3, "cpu_wait_ms": 1, "slot_wait_ms": 2});
    rows.invocation(1, [0, 0, 20 * MS], fields);
    rows.collector.instances()[0].station = Station {
        slots: Some(1),
        is_released: true,
        queue_limit: None,
    };
    let plan = rows.plan();
    let invocation = root(&plan);
    assert_eq!(invocation.calls[0].what, plan::work::What::Sleep);
    assert_eq!(gaps(&invocation), [(3_000, 3_000), (0, 0)]);
    assert_eq!(plan.counts.deviating(), 0);
}

#[test]
fn an_unknown_cpu_time_is_the_regression_else_none_and_both_are_counted() {
    for (cpu_ns, cpu, notes) in [
        (None, Cpu::Unknown, "no regression gives"),
        (Some(7 * MS), Cpu::Regressed(7 * MS), "by regression"),
        (Some(70 * MS), Cpu::Regressed(40 * MS), "cut to that"),
    ] {
        let mut rows = Rows::default();
        rows.invocation(1, [0, 0, 60 * MS], json!({}));
        rows.call(2, 1, [15 * MS, 35 * MS], json!({"peer": "db"}));
        let mut regressed = Regressed::default();
        let key = ("m".to_owned(), Some("GET".to_owned()), Some("/".to_owned()));
        regressed.extend(cpu_ns.map(|ns| (key, ns)));
        let plan = Plan::new(rows.finish(), Span::ALL, &regressed);
        assert_eq!((root(&plan).cpu, root(&plan).beside_cpu_ns), (cpu, 0));
        let text = plan.notes().join("\n");
        assert!(text.contains(notes), "{text}");
    }
}

#[test]
fn a_refused_request_has_the_mean_work_of_its_endpoint_and_no_status() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 10 * MS], json!({"cpu_time_ms": 4}));
    rows.invocation(2, [0, 0, 20 * MS], json!({"cpu_time_ms": 8}));
    let refused = json!({"queue_time_ms": null, "status": 503, "error_type": "503", "bytes_out": 9});
    rows.invocation(3, [MS, MS, MS], refused);
    rows.collector.instances()[0].station.slots = Some(1);
    let plan = rows.plan();
    let tree = &trees(&plan)[2];
    let invocation = &tree.invocations[0];
    assert!(invocation.is_refused && !invocation.is_failed);
    assert_eq!(
        (invocation.status, invocation.error, invocation.bytes_out),
        (None, None, None)
    );
    assert_eq!(
        (invocation.cpu, invocation.other_ns),
        (Cpu::Measured(6 * MS), 9 * MS)
    );
    assert_eq!((plan.counts.refused, plan.counts.deviating()), (1, 0));
}

/// Times of calls within an invocation of 1,000 units, and for each whether an invocation answers it.
fn any_calls() -> impl Strategy<Value = Vec<(i64, i64, bool, u8)>> {
    prop::collection::vec((0..1_100_i64, 0..400_i64, any::<bool>(), 0..4_u8), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Calls can follow each other, overlap, or begin after the answer. Only calls that begin shortly before an end may
    /// deviate.
    #[test]
    fn arithmetic_holds_for_generated_runs(
        invocations in prop::collection::vec((any_calls(), 0..1_000_i64, 0..300_i64, 0..200_i64), 1..6),
    ) {
        let unit = 137_911;
        let mut rows = Rows::default();
        let mut cpu_ns = Vec::new();
        for (number, (calls, cpu, cpu_wait, queue)) in invocations.iter().enumerate() {
            let (root, at) = (1 + 1000 * number as u64, number as i64 * 3_000 * unit);
            let start = at + queue * unit;
            let fields = json!({"cpu_time_ms": ms(cpu * unit), "cpu_wait_ms": ms(cpu_wait * unit)});
            cpu_ns.push(cpu * unit);
            rows.invocation(root, [at, start, start + 1_000 * unit], fields);
            for (index, (begin, length, is_answered, peer)) in calls.iter().enumerate() {
                let (call, callee) = (root + 100 + index as u64, root + 200 + index as u64);
                let times = [start + begin * unit, start + (begin + length) * unit];
                if *is_answered {
                    let fields = with(child_of(root, call), json!({"module_id": format!("m{peer}"), "cpu_time_ms": 0}));
                    rows.invocation(callee, [times[0], times[0], times[1]], fields);
                }
                let parent = if *peer == 0 { root } else { root + 900 + u64::from(*peer) };
                let fields = json!({"peer": format!("m{peer}"), "parent_span_id": id(parent)});
                rows.calls_later.push((call, root, times, fields));
            }
        }
        let plan = rows.plan();
        prop_assert_eq!(plan.counts.deviating(), 0);
        let calls: usize = invocations.iter().map(|(calls, ..)| calls.len()).sum();
        prop_assert_eq!(plan.counts.calls, calls as u64);
        for (tree, cpu_ns) in plan.trees().zip(cpu_ns) {
            let root = &tree.invocations[0];
            let waits: Vec<_> = root.calls.iter().map(|call| &call.wait).chain([&root.answer]).collect();
            let in_gaps: i64 = waits.iter().map(|wait| wait.cpu_ns).sum();
            prop_assert_eq!(in_gaps + root.beside_cpu_ns, cpu_ns);
            prop_assert!(waits.iter().all(|wait| 0 <= wait.cpu_ns && wait.cpu_ns <= wait.gap_ns));
            prop_assert!(root.other_ns >= 0);
            for (index, call) in root.calls.iter().enumerate() {
                prop_assert!(call.wait.after.iter().all(|other| (*other as usize) < index));
            }
        }
    }
}
