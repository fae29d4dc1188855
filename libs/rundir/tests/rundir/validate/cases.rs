//! For every rule, a change to the valid run that breaks only this rule.

use cctf_proto::cctf::{
    File, Flag, Flags, Milliseconds, PlacementEvent, PlacementKind, RunMeta, SpanKind, Stage,
};

use super::good_run::{Run, Texts};
use super::rows::{at, call, invocation, lasting, link, placement, span};

/// The change of a case.
pub enum Change {
    /// Changes rows before they are counted.
    Rows(fn(&mut Run)),
    /// Changes run_meta.json after the rows were counted.
    Meta(fn(&mut RunMeta<'static>)),
    /// Changes the text of the files.
    Text(fn(&mut Texts)),
}

use Change::{Meta, Rows, Text};

fn replace(texts: &mut Texts, file: File, from: &str, to: &str) {
    let text = texts.get_mut(&file).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    *text = text.replacen(from, to, 1);
}

/// Rules and changes.
pub const CASES: &[(&str, Change)] = &[
    ("file-missing", Text(|texts| drop(texts.remove(&File::Links)))),
    (
        "line-not-whole",
        Text(|texts| assert_eq!(texts.get_mut(&File::Invocations).unwrap().pop(), Some('\n'))),
    ),
    (
        "too-long",
        Text(|texts| {
            replace(
                texts,
                File::SystemStats,
                "{\"a\":1}",
                &format!("{{\"a\":\"{}\"}}", "x".repeat(9000)),
            )
        }),
    ),
    (
        "not-json",
        Text(|texts| replace(texts, File::HostMetrics, "{", "{{")),
    ),
    ("not-json", Text(|texts| replace(texts, File::Links, "]", ""))),
    (
        "schema",
        Text(|texts| {
            replace(
                texts,
                File::PlacementEvents,
                "\"stage\":\"cloud\"",
                "\"stage\":\"moon\"",
            )
        }),
    ),
    (
        "schema",
        Text(|texts| replace(texts, File::RunMeta, "\"rate\":40.0,", "")),
    ),
    (
        "schema",
        Text(|texts| {
            replace(
                texts,
                File::HostMetrics,
                "\"disk_read_Bps\":0.0",
                "\"disk_read_Bps\":null",
            )
        }),
    ),
    (
        "schema",
        Text(|texts| replace(texts, File::Links, "\"samples\":1", "\"samples\":-1")),
    ),
    (
        "six-decimals",
        Text(|texts| replace(texts, File::Invocations, "010.000000", "010.0")),
    ),
    (
        "six-decimals",
        Text(|texts| replace(texts, File::RunMeta, "000000000.000000", "000000000")),
    ),
    (
        "field-order",
        Text(|texts| {
            replace(
                texts,
                File::LinkMetrics,
                "\"rx_Bps\":null,\"tx_Bps\":0.0",
                "\"tx_Bps\":0.0,\"rx_Bps\":null",
            )
        }),
    ),
    (
        "stamp-positive",
        Rows(|run| run.hosts[0].ts_ms = Milliseconds::from_ns(0)),
    ),
    (
        "stamp-in-milliseconds",
        Rows(|run| run.placement[1].ts = Milliseconds::from_ns(1_760_000_000 * 1_000_000)),
    ),
    (
        "kind-fits-file",
        Rows(|run| run.invocations[0].kind = SpanKind::Client),
    ),
    (
        "kind-fits-file",
        Rows(|run| run.calls[0].kind = Some(SpanKind::Server)),
    ),
    (
        "order-of-stamps",
        Rows(|run| run.invocations[3].flags = Some(Flags::NONE.with(Flag::Late))),
    ),
    ("order-of-stamps", Rows(|run| run.calls[2].ts_end = at(30))),
    (
        "negative-flag-true",
        Rows(|run| run.invocations[0].flags = Some(Flags::NONE.with(Flag::Negative))),
    ),
    (
        "durations-exact",
        Rows(|run| run.invocations[0].queue_time_ms = Some(Milliseconds::from_ns(2_000_001))),
    ),
    ("durations-exact", Rows(|run| run.invocations[2].rt_ms = None)),
    (
        "durations-exact",
        Rows(|run| run.invocations[3].service_time_ms = Some(lasting(-5))),
    ),
    (
        "durations-not-negative",
        Rows(|run| run.invocations[0].cpu_wait_ms = Some(lasting(-1))),
    ),
    (
        "durations-not-negative",
        Rows(|run| run.hosts[0].interval_ms = Some(lasting(-1))),
    ),
    (
        "cpu-time-plausible",
        Rows(|run| run.invocations[0].cpu_time_ms = Some(lasting(78 * 64 + 1))),
    ),
    (
        "downstream-within-service",
        Rows(|run| run.invocations[1].downstream_ms = Some(lasting(41))),
    ),
    (
        "durations-not-negative",
        Rows(|run| run.calls[0].lateness_ms = Some(Milliseconds::from_ns(-1))),
    ),
    (
        "replay-of-complete",
        Rows(|run| run.calls[0].replay_of_span_id = Some(span(10))),
    ),
    (
        "sample-weight-at-least-one",
        Rows(|run| run.invocations[0].sample_weight = Some(0.5)),
    ),
    (
        "duplicate-identity",
        Rows(|run| run.invocations.push(run.invocations[1].clone())),
    ),
    (
        "duplicate-identity",
        Rows(|run| run.calls.push(run.calls[0].clone())),
    ),
    (
        "parent-known",
        Rows(|run| run.invocations[1].parent_id = Some(span(96))),
    ),
    (
        "parent-not-self",
        Rows(|run| run.invocations[1].parent_id = Some(span(13))),
    ),
    ("parent-no-cycle", Rows(add_cycle)),
    (
        "parent-span-told",
        Rows(|run| run.invocations[1].parent_span_id = None),
    ),
    ("parent-span-told", Rows(|run| run.calls[2].parent_span_id = None)),
    (
        "parent-is-nearest",
        Rows(|run| run.invocations[1].parent_id = None),
    ),
    (
        "parent-is-nearest",
        Rows(|run| run.calls[2].parent_span_id = Some(span(11))),
    ),
    (
        "orphan-consistent",
        Rows(|run| run.invocations[1].flags = Some(Flags::NONE.with(Flag::Orphan))),
    ),
    (
        "orphan-consistent",
        Rows(|run| run.calls[0].flags = Some(Flags::NONE.with(Flag::Orphan))),
    ),
    (
        "call-ancestor-known",
        Rows(|run| run.calls[2].ancestor_id = Some(span(96))),
    ),
    (
        "caller-known",
        Rows(|run| run.invocations[1].caller_span_id = Some(span(96))),
    ),
    (
        "net-not-negative",
        Rows(|run| run.link_metrics[1].net_ms_min = Some(lasting(-1))),
    ),
    (
        "net-equals-difference",
        Rows(|run| run.invocations[0].net_ms = Some(lasting(21))),
    ),
    (
        "node-known",
        Rows(|run| run.invocations[0].node = "elsewhere".into()),
    ),
    ("node-known", Rows(|run| run.hosts[0].node = "elsewhere".into())),
    ("stage-consistent", Rows(|run| run.calls[0].stage = Stage::Cloud)),
    (
        "module-known",
        Rows(|run| run.calls[1].peer_module = Some("nobody".into())),
    ),
    ("module-known", Rows(|run| drop(run.modules.pop()))),
    (
        "unknown-node-in-inventory",
        Rows(|run| {
            run.nodes.push(run.nodes[0].clone());
            run.nodes[3].node_id = "unknown".into();
        }),
    ),
    (
        "inventory-unique",
        Rows(|run| run.nodes.push(run.nodes[0].clone())),
    ),
    (
        "inventory-unique",
        Rows(|run| run.modules.push(run.modules[0].clone())),
    ),
    (
        "inventory-unique",
        Rows(|run| run.links.push(run.links[0].clone())),
    ),
    (
        "link-endpoints-known",
        Rows(|run| run.links.push(link("ep0", "edge0.net"))),
    ),
    ("link-figures", Rows(|run| run.links[0].BW_bps = Some(0.0))),
    ("link-figures", Rows(|run| run.links[0].PR_s = Some(-0.001))),
    (
        "rates-not-negative",
        Rows(|run| run.link_metrics[0].tx_Bps = Some(-1.0)),
    ),
    (
        "rates-not-negative",
        Rows(|run| run.hosts[0].mem_free_mb = Some(-1.0)),
    ),
    (
        "one-driver",
        Rows(|run| {
            // The second driver starts while the first one is still sending. The third one starts later.
            for (id, (number, times)) in
                (80..).zip([(1, [600, 610]), (2, [605, 606]), (1, [608, 609]), (3, [700, 701])])
            {
                let mut sent = call((8, id), "load", times);
                sent.instance_id = format!("load-{number}").into();
                sent.lateness_ms = Some(lasting(0));
                run.calls.push(sent);
                if id < 82 || number == 3 {
                    let start = placement("load", PlacementKind::Start, 0);
                    run.placement.push(PlacementEvent {
                        instance_id: Some(format!("load-{number}").into()),
                        ..start
                    });
                }
            }
        }),
    ),
    ("cpu-util-range", Rows(|run| run.hosts[0].cpu_util = Some(100.5))),
    ("link-name", Rows(|run| run.link_metrics[0].link = "eth0".into())),
    (
        "link-name",
        Rows(|run| run.link_metrics[1].link = "ep0->elsewhere".into()),
    ),
    (
        "instance-started",
        Rows(|run| run.invocations[0].instance_id = "gateway-2".into()),
    ),
    (
        "life-of-an-instance",
        Rows(|run| {
            let start = placement("load", PlacementKind::Start, 0);
            run.placement.push(PlacementEvent {
                instance_id: None,
                ..start
            });
        }),
    ),
    (
        "stop-after-start",
        Rows(|run| run.placement.push(placement("load", PlacementKind::Stop, -1))),
    ),
    ("run-id-valid", Meta(|meta| meta.run_id = "../../etc".into())),
    ("cctf-version", Meta(|meta| meta.cctf_version = "2".into())),
    ("time-base", Meta(|meta| meta.time_base = "monotonic".into())),
    ("ended-after-started", Meta(|meta| meta.ended_ts = Some(at(-1)))),
    (
        "counts-rows",
        Meta(|meta| *meta.counts.rows.0.get_mut("calls.jsonl").unwrap() += 1),
    ),
    ("counts-orphans", Meta(|meta| meta.counts.orphans += 1)),
    ("counts-spans", Meta(|meta| meta.counts.spans += 1)),
    (
        "counts-spans",
        Meta(|meta| {
            let outcomes = meta.counts.spans_by_outcome.as_mut().unwrap();
            (outcomes.rows, outcomes.inner) = (outcomes.rows - 1, outcomes.inner + 1);
        }),
    ),
    ("counts-late", Meta(|meta| meta.counts.late -= 1)),
];

pub fn add_cycle(run: &mut Run) {
    for (own, other) in [(50, 51), (51, 50)] {
        let mut row = invocation((5, own), "worker", [500, 500, 510]);
        row.parent_id = Some(span(other));
        // Internal spans are between the two, so the parent spans are not contradictory.
        row.parent_span_id = Some(span(95));
        run.invocations.push(row);
    }
}
