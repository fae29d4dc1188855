//! Measures how many bytes `validate` reads per second, on a run of 50,000 traces with two invocations and two calls each.

use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rundir::validate::{Options, validate};
use tempfile::TempDir;

const TRACES: u64 = 50_000;

const WHERE: &str = r#""module_id":"gateway","instance_id":"gateway@edge0""#;
const TIMES: &str =
    r#""node":"edge0","stage":"edge","ts_start":1760000000000.000000,"ts_end":1760000000060.000000"#;
const NODE: &str = r#""node":"edge0","stage":"edge","method":"POST","path":"/hash/sha256""#;

fn invocation(out: &mut String, trace: u64, [span, parent, caller]: [&str; 3]) {
    let _ = writeln!(
        out,
        r#"{{"trace_id":"{trace:032x}","span_id":"{span}","parent_id":{parent},"parent_span_id":"{caller}",{WHERE},"ts_enqueue":1760000000010.000001,"ts_start":1760000000012.000003,"ts_end":1760000000050.000007,{NODE},"bytes_in":8192,"bytes_out":64,"cpu_time_ms":3.123456,"queue_time_ms":2.000002,"service_time_ms":38.000004,"rt_ms":40.000006,"status":200,"pid":4242,"app_id":"shop","protocol":"http","route":"/hash/{{algorithm}}","downstream_ms":null,"cpu_wait_ms":0.250000,"kind":"server","caller_span_id":"{caller}","net_ms":19.999994,"sample_weight":1.0}}"#
    );
}

fn call(out: &mut String, trace: u64, [span, parent]: [&str; 2]) {
    let _ = writeln!(
        out,
        r#"{{"trace_id":"{trace:032x}","span_id":"{span}","parent_span_id":{parent},"ancestor_id":{parent},{WHERE},{TIMES},"method":"POST","path":"/hash/sha256","bytes_out":8192,"bytes_in":64,"status":200,"kind":"client","protocol":"http","peer":"edge0:8080","peer_module":"gateway"}}"#
    );
}

/// The traces are not sorted by id.
fn write_run(run: &Path) -> u64 {
    let (mut invocations, mut calls) = (String::new(), String::new());
    for number in 0..TRACES {
        let trace = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        call(&mut calls, trace, ["000000000000000a", "null"]);
        invocation(
            &mut invocations,
            trace,
            ["000000000000000b", "null", "000000000000000a"],
        );
        call(&mut calls, trace, ["000000000000000c", "\"000000000000000b\""]);
        invocation(
            &mut invocations,
            trace,
            ["000000000000000d", "\"000000000000000b\"", "000000000000000c"],
        );
    }
    let rows = 2 * TRACES;
    let meta = format!(
        r#"{{"run_id":"bench","rate":null,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,"cctf_version":"1","normalizer_version":"0.1.0","started_ts":1760000000000.000000,"ended_ts":1760000001000.000000,"time_base":"unix_utc","counts":{{"spans":0,"points":0,"logs":0,"rows":{{"calls.jsonl":{rows},"invocations.jsonl":{rows},"placement_events.jsonl":1}},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{{}}}}}}"#
    );
    let module =
        r#"[{"app_id":null,"module_id":"gateway","name":"gateway","type":"MODULE","resources":null}]"#;
    let start = format!(
        "{{\"ts\":1760000000000.000000,\"app_id\":null,{WHERE},\"node_id\":\"edge0\",\"event\":\"start\",\"stage\":\"edge\",\"inferred\":false}}\n"
    );
    let files = [
        ("invocations.jsonl", invocations),
        ("calls.jsonl", calls),
        ("host_metrics.jsonl", String::new()),
        ("link_metrics.jsonl", String::new()),
        ("placement_events.jsonl", start),
        ("system_stats.jsonl", String::new()),
        (
            "nodes.json",
            r#"[{"node_id":"edge0","stage":"edge","cpu_cores":4,"mem_mb":null}]"#.to_owned(),
        ),
        ("links.json", "[]".to_owned()),
        ("module_inventory.json", module.to_owned()),
        ("run_meta.json", meta),
    ];
    let cctf = run.join("cctf");
    fs::create_dir(&cctf).unwrap_or_else(|error| panic!("create {}: {error}", cctf.display()));
    for (name, text) in &files {
        fs::write(cctf.join(name), text).unwrap_or_else(|error| panic!("write {name}: {error}"));
    }
    files.iter().map(|(_, text)| text.len() as u64).sum()
}

fn validate_run(criterion: &mut Criterion) {
    let Ok(run) = TempDir::new() else {
        panic!("no temporary folder")
    };
    let bytes = write_run(run.path());
    match validate(run.path(), Options::default()) {
        Ok(report) => assert_eq!(report.broken, []),
        Err(error) => panic!("{error}"),
    }
    let mut group = criterion.benchmark_group("validate");
    group.throughput(Throughput::Bytes(bytes)).sample_size(10);
    group.bench_function("run", |bencher| {
        bencher.iter(|| black_box(validate(run.path(), Options::default()).is_ok()));
    });
    group.finish();
}

criterion_group!(benches, validate_run);
criterion_main!(benches);
