//! A hundred thousand different run ids, services and attribute keys. Tables, files and folders must have a bounded size, and
//! the rows of other senders must be kept.

use std::fs;
use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tempfile::TempDir;

use super::clients::{Clients, Target, send};
use super::normalizer::{Launch, RUN, wait_until};
use super::requests::rows_in;

const NAMES: u64 = 100_000;
const NAMES_A_REQUEST: u64 = 2_000;
/// Maximum number of open runs, including the normalizer's own run.
const RUNS_MAX: usize = 32;
/// Maximum number of open files: those of the sink, one lock per run, and 64 others.
const OPEN_FILES_MAX: usize = 512 + RUNS_MAX + 64;
/// Maximum memory. A waiting row, a module and an instance take some hundred bytes each.
const MEMORY_MAX: u64 = 512 * 1024 * 1024;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = Some(Value::StringValue(value.to_owned()));
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value }),
        ..KeyValue::default()
    }
}

/// SERVER spans without parents. Each has its own service and attribute and, if `with_run`, its own run.
fn request(first: u64, with_run: bool) -> Vec<u8> {
    let resource_spans = (first..first + NAMES_A_REQUEST)
        .map(|number| {
            let mut attributes = vec![attribute(&format!("key.{number}"), "x")];
            if with_run {
                attributes.push(attribute("cctf.run_id", &format!("run-{number}")));
            }
            let id = number + 1 + if with_run { NAMES } else { 0 };
            let span = Span {
                trace_id: u128::from(id).to_be_bytes().to_vec(),
                span_id: id.to_be_bytes().to_vec(),
                name: "x".to_owned(),
                kind: 2,
                start_time_unix_nano: 1_700_000_000_000_000_000,
                end_time_unix_nano: 1_700_000_000_001_000_000,
                attributes,
                ..Span::default()
            };
            let resource = Resource {
                attributes: vec![
                    attribute("service.name", &format!("service-{number}")),
                    attribute(&format!("resource.key.{number}"), "x"),
                ],
                ..Resource::default()
            };
            ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![ScopeSpans {
                    spans: vec![span],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }
        })
        .collect();
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn send_names(http: SocketAddr, with_run: bool) {
    for first in (0..NAMES).step_by(NAMES_A_REQUEST as usize) {
        let body = request(first, with_run);
        let len = body.len();
        let head = format!(
            "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n\
             content-length: {len}\r\n\r\n"
        );
        let request = [head.as_bytes(), &body].concat();
        wait_until("an acknowledgement", || send(http, &request) == Some(200));
    }
}

/// This test fails without a bound on open runs (`Runs::open`): there are too many folders and open files.
#[test]
fn a_hundred_thousand_names_are_bounded_and_the_rows_of_others_are_kept() {
    let folder = TempDir::new().unwrap();
    let launch = Launch::in_folder(folder.path()).flag("--open-runs-max", &RUNS_MAX.to_string());
    let normalizer = launch.start().unwrap();
    let (target, http) = (Target::default(), normalizer.address("http"));
    target.set(Some(http));
    let clients = Clients::start(&target, 1);
    clients.go_on_for(4);
    send_names(http, false);
    send_names(http, true);
    clients.go_on_for(4);
    let (files, memory) = (normalizer.open_files(), normalizer.memory_peak());
    assert!(files < OPEN_FILES_MAX, "{files} files are open");
    assert!(memory < MEMORY_MAX, "{memory} bytes");
    let acknowledged = clients.finish();
    normalizer.stop();

    let visible = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    let runs = fs::read_dir(folder.path())
        .unwrap()
        .map(Result::unwrap)
        .filter(visible);
    let runs = runs.filter(|entry| entry.file_type().unwrap().is_dir()).count();
    assert!(runs <= RUNS_MAX, "{runs} folders of runs");
    let found = rows_in(folder.path());
    let of_names = (1..=NAMES).map(|id| format!("invocation {id:016x}"));
    let of_clients = acknowledged.requests().flat_map(|request| request.rows());
    let mut rows = 0;
    for row in of_names.chain(of_clients) {
        assert_eq!(found.get(&row), Some(&1), "{row} of run {RUN} is there once");
        rows += 1;
    }
    assert_eq!(found.len(), rows, "and nothing else");
    println!(
        "{NAMES} services, {NAMES} run ids and keys: {runs} runs, {files} open files, {} MiB, {rows} rows: lost 0, doubled 0, torn 0",
        memory / (1024 * 1024)
    );
}
