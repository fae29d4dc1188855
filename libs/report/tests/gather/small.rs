//! Small runs whose figures were counted by hand.

use report::model::{EdgeEnd, Pick, RunData};

use super::run::{Call, Folder, Invocation, T0, module, ms};

const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// For each edge: caller, callee, calls, errors and milliseconds.
fn edges(data: &RunData) -> Vec<(String, String, u64, u64, u128)> {
    let edge = |edge: &report::model::Edge| {
        let to = match &edge.to {
            EdgeEnd::Module(key) => {
                let app = key.app_id.as_deref().unwrap_or_default();
                format!("{app}/{}", module(Some(key)))
            }
            EdgeEnd::External(peer) => format!("external {peer}"),
            EdgeEnd::Other => "other".to_owned(),
        };
        let from = module(edge.from.as_ref()).to_owned();
        (from, to, edge.calls, edge.errors, edge.sum_ns / u128::from(MS))
    };
    data.edges.iter().map(edge).collect()
}

fn owned(edges: &[(&str, &str, u64, u64, u128)]) -> Vec<(String, String, u64, u64, u128)> {
    let owned = |&(from, to, calls, errors, ms): &(&str, &str, u64, u64, u128)| {
        (from.to_owned(), to.to_owned(), calls, errors, ms)
    };
    edges.iter().map(owned).collect()
}

fn call(span: u64, module: &'static str, peer: &'static str, milliseconds: u64) -> Call {
    Call {
        span,
        module,
        peer,
        duration: milliseconds * MS,
        ..Call::default()
    }
}

fn invocation(span: u64, module: &'static str, call: u64, parent: u64) -> Invocation {
    Invocation {
        span,
        module,
        call,
        parent,
        ..Invocation::default()
    }
}

#[test]
fn edges_have_the_calls_counted_by_hand() {
    let folder = Folder::new();
    folder.invocations(&[
        invocation(1, "front", 100, 0),
        invocation(2, "back", 101, 1),
        invocation(3, "back", 102, 1),
        // The files contain no caller of these two.
        invocation(4, "front", 0, 0),
        Invocation {
            is_orphan: true,
            bytes: Some(7),
            ..invocation(5, "front", 0, 0)
        },
        // This invocation has a caller, but no call.
        invocation(6, "back", 0, 1),
    ]);
    folder.calls(&[
        // The row of this call names the module that answered, and so the module at this peer.
        Call {
            peer_module: "front",
            ..call(100, "driver", "10.0.0.1:80", 50)
        },
        call(110, "driver", "10.0.0.1:80", 30),
        // The row of the invocation shows which module is at this peer.
        call(101, "front", "10.0.0.2:80", 4),
        Call {
            status: Some(503),
            ..call(111, "front", "10.0.0.2:80", 5)
        },
        // The name of the peer is that of a module.
        call(102, "front", "back:8080", 6),
        call(103, "back", "postgresql", 2),
        call(104, "back", "", 1),
    ]);
    let data = folder.gather();
    assert_eq!(
        edges(&data),
        owned(&[
            ("driver", "/front", 2, 0, 80),
            ("front", "/back", 3, 1, 15),
            ("-", "/front", 2, 0, 2),
            ("back", "external postgresql", 1, 0, 2),
            ("back", "external unknown", 1, 0, 1),
        ])
    );
    let roots = &data.edges[2];
    assert_eq!((roots.bytes_out.count, roots.bytes_out.sum), (1, 7));
    let quantile = data.edges[0].quantiles_ns[0].unwrap();
    assert!(quantile.abs_diff(30 * MS) <= 30 * MS / 128);
    let note = "1 invocation below another one is on no edge: the row names no call";
    assert!(data.notes.iter().any(|found| found == note), "{:?}", data.notes);
}

#[test]
fn a_peer_that_several_modules_answer_is_external() {
    let folder = Folder::new();
    folder.invocations(&[invocation(1, "a", 100, 0), invocation(2, "b", 101, 0)]);
    folder.calls(&[
        call(100, "driver", "ingress:80", 3),
        call(101, "driver", "ingress:80", 4),
    ]);
    let data = folder.gather();
    assert_eq!(edges(&data), owned(&[("driver", "external ingress:80", 2, 0, 7)]));
    // The row of one call names the module. The module of the other call cannot be concluded from it.
    let first = Call {
        peer_module: "a",
        ..call(100, "driver", "ingress:80", 3)
    };
    let second = Call {
        peer_module: "b",
        ..call(101, "driver", "ingress:80", 4)
    };
    folder.calls(&[first, second, call(102, "driver", "ingress:80", 9)]);
    let found = edges(&folder.gather());
    assert_eq!(
        found,
        owned(&[
            ("driver", "external ingress:80", 1, 0, 9),
            ("driver", "/b", 1, 0, 4),
            ("driver", "/a", 1, 0, 3),
        ])
    );
}

#[test]
fn instances_decide_between_modules_of_the_same_name() {
    let folder = Folder::new();
    let of = |span: u64, app: &'static str, call: u64| Invocation {
        app: Some(app),
        ..invocation(span, "api", call, 0)
    };
    folder.invocations(&[of(1, "shop", 0), of(2, "depot", 100)]);
    let instance = |app: &str, instance: &str| {
        format!(
            r#"{{"app_id":"{app}","module_id":"api","name":"api","type":"MODULE","resources":null,"instances":[{{"instance_id":"{instance}","node_id":"n","workers":1}}]}}"#
        )
    };
    let inventory = format!("[{},{}]", instance("shop", "i1"), instance("depot", "i2"));
    folder.write("module_inventory.json", &inventory);
    let calls = ["i1", "i2"].map(|instance| Call {
        instance,
        ..call(100, "api", "api", 3)
    });
    folder.calls(&calls);
    let data = folder.gather();
    // In each application, the application's own module answers.
    let found: Vec<(Option<&str>, Option<&str>)> = data.edges[..2]
        .iter()
        .map(|edge| {
            let EdgeEnd::Module(to) = &edge.to else {
                panic!("{edge:?}");
            };
            let from = edge.from.as_ref().and_then(|from| from.app_id.as_deref());
            (from, to.app_id.as_deref())
        })
        .collect();
    assert_eq!(
        found,
        [(Some("depot"), Some("depot")), (Some("shop"), Some("shop"))]
    );
}

#[test]
fn the_traces_that_are_shown_are_whole() {
    let folder = Folder::new();
    let mut rows = Vec::new();
    let mut calls = Vec::new();
    for trace in 1..=9 {
        rows.push(Invocation {
            trace,
            span: 10 * trace,
            service: trace * 10 * MS,
            enqueue: (10 - trace) * MS,
            status: if trace <= 4 { 500 } else { 200 },
            ..invocation(0, "front", 0, 0)
        });
        rows.push(Invocation {
            trace,
            span: 10 * trace + 1,
            // This invocation is slower than any root, but it is not a root.
            service: S,
            ..invocation(0, "back", 10 * trace + 2, 10 * trace)
        });
        calls.push(Call {
            trace,
            span: 10 * trace + 2,
            ancestor: 10 * trace,
            ..call(0, "front", "back", 5)
        });
    }
    rows.push(Invocation {
        trace: 77,
        service: 2 * S,
        is_orphan: true,
        ..invocation(777, "front", 0, 0)
    });
    folder.invocations(&rows).calls(&calls);
    let data = folder.gather();
    let picked: Vec<(Pick, u128, usize)> = data
        .traces
        .iter()
        .map(|picked| {
            let id = u128::from_be_bytes(picked.trace.trace_id.0);
            (picked.pick, id, picked.trace.nodes.len())
        })
        .collect();
    use Pick::{Failed, Median, Slowest};
    let whole = [
        (Slowest, 9, 3),
        (Slowest, 8, 3),
        (Slowest, 7, 3),
        (Median, 5, 3),
        // The first failed traces in order of time.
        (Failed, 4, 3),
        (Failed, 3, 3),
        (Failed, 2, 3),
    ];
    assert_eq!(picked, whole);
    assert!(data.traces.iter().all(|picked| picked.rows_left_out == 0));
}

#[test]
fn a_large_trace_keeps_its_root_and_counts_the_rest() {
    let folder = Folder::new();
    // The row of the root is the last one, because the root ends last.
    let mut rows: Vec<Invocation> = (2..=5000).map(|span| invocation(span, "back", 0, 1)).collect();
    rows.push(Invocation {
        service: S,
        ..invocation(1, "front", 0, 0)
    });
    folder.invocations(&rows);
    let data = folder.gather();
    let picked = &data.traces[0];
    assert_eq!((data.traces.len(), picked.trace.nodes.len()), (1, 200));
    assert_eq!(picked.rows_left_out, 4800);
    assert_eq!(picked.trace.nodes[0].span.module_id, "front");
}

#[test]
fn samples_of_modules_and_nodes_are_means_by_bucket() {
    let folder = Folder::new();
    let row = |enqueue: u64| Invocation {
        enqueue,
        ..Invocation::default()
    };
    folder.invocations(&[row(0), row(25 * S), row(3 * S)]);
    let sample = |at: u64, value: u64, instance: &str| {
        format!(
            "{{\"ts_ms\":{},\"node_id\":\"n\",\"stage\":\"edge\",\"metric\":\"in_flight\",\"value\":{value},\"instance_id\":\"{instance}\",\"module_id\":\"m\"}}\n",
            ms(T0 + at)
        )
    };
    let samples = [
        sample(S / 2, 2, "a"),
        sample(S / 2 + 1, 4, "a"),
        sample(2 * S, 6, "a"),
        sample(0, 10, "b"),
        sample(40 * S, 99, "b"),
    ];
    folder.write("system_stats.jsonl", &samples.concat());
    let host = |at: u64, cpu: &str| {
        format!(
            "{{\"ts_ms\":{},\"node\":\"n\",\"stage\":\"edge\",\"cpu_util\":{cpu},\"mem_free_mb\":100.0}}\n",
            ms(T0 + at)
        )
    };
    folder.write(
        "host_metrics.jsonl",
        &[
            host(0, "10.0"),
            host(S / 2, "20.0"),
            host(S, "null"),
            "{}\n".to_owned(),
        ]
        .concat(),
    );
    let data = folder.gather();
    assert_eq!(
        (data.timeline.bucket_ns, data.timeline.run.buckets.len()),
        (S, 26)
    );
    let in_flight: Vec<Option<f64>> = data.timeline.modules[0].1.buckets[..4]
        .iter()
        .map(|bucket| bucket.in_flight)
        .collect();
    assert_eq!(in_flight, [Some(13.0), Some(3.0), Some(6.0), None]);
    assert_eq!(data.timeline.run.buckets[2].in_flight, Some(6.0));
    let calls: Vec<u64> = data
        .timeline
        .run
        .buckets
        .iter()
        .map(|bucket| bucket.calls)
        .collect();
    assert_eq!((calls[0], calls[3], calls[25]), (1, 1, 1));
    let host = &data.hosts[0];
    assert_eq!((host.node.as_str(), host.stage.as_str()), ("n", "edge"));
    assert_eq!(host.cpu_util[..3], [Some(15.0), None, None]);
    assert_eq!(host.mem_free_mb[..3], [Some(100.0), Some(100.0), None]);
    assert_eq!(host.mem_used_mb.len(), 26);
    let note = "1 damaged line of host_metrics.jsonl is left out";
    assert!(data.notes.iter().any(|found| found == note), "{:?}", data.notes);
}

#[test]
fn facts_and_events_of_all_parts_are_those_of_the_run() {
    let folder = Folder::new();
    folder.invocations(&[Invocation::default()]);
    let event = |at: u64, event: &str, reason: &str| {
        format!(
            "{{\"ts\":{},\"app_id\":\"shop\",\"module_id\":\"m\",\"instance_id\":\"i\",\"node_id\":\"n\",\"event\":\"{event}\",\"stage\":\"edge\",\"inferred\":true,\"reason\":\"{reason}\"}}\n",
            ms(T0 + at)
        )
    };
    folder.write(
        "placement_events.jsonl",
        &(event(5, "scale", "load") + &event(2, "start", "boot")),
    );
    let files = [
        ("invocations.jsonl", invocation(8, "m", 0, 0).line()),
        (
            "placement_events.jsonl",
            event(6, "start", "already_running") + &event(9, "stop", "end"),
        ),
    ];
    folder.add_part(2, &files);
    let data = folder.gather();
    assert_eq!(data.stats.rows, 2);
    let events: Vec<(i64, Option<&str>)> = data
        .events
        .iter()
        .map(|event| (event.ts_ns - T0 as i64, event.reason.as_deref()))
        .collect();
    assert_eq!(events, [(2, Some("boot")), (5, Some("load")), (9, Some("end"))]);
    assert_eq!(data.events[0].app_id.as_deref(), Some("shop"));
    let meta = data.meta.unwrap();
    let times = (meta.started_ns as u64, meta.ended_ns.map(|end| end as u64));
    assert_eq!(times, (T0, Some(T0 + 9 * S)));
    let facts: Vec<(&str, &str)> = meta
        .facts
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let wanted = [
        ("rate", "10.5"),
        ("duration", "5s"),
        ("workers", "2"),
        ("cctf_version", "1"),
        ("normalizer_version", "0.1.0"),
        ("time_base", "unix_utc"),
        ("counts.rows.invocations.jsonl", "6"),
        ("counts.spans", "14"),
    ];
    assert_eq!(facts, wanted);
}

#[test]
fn a_module_that_is_busier_than_its_slots_is_a_sentence() {
    let folder = Folder::new();
    let inventory = r#"[{"app_id":null,"module_id":"api","name":"api","type":"MODULE","resources":null,"instances":[{"instance_id":"api-1","node_id":"n","workers":1}]}]"#;
    folder.write("module_inventory.json", inventory);
    let sentence = "api used more slots than the instances reported: utilisation above 100%".to_owned();
    let requests = |count: u64| -> Vec<Invocation> {
        (0..count).map(|span| invocation(span + 1, "api", 0, 0)).collect()
    };
    folder.invocations(&requests(3));
    assert!(folder.gather().notes.contains(&sentence));
    folder.invocations(&requests(1));
    assert!(!folder.gather().notes.contains(&sentence));
}
