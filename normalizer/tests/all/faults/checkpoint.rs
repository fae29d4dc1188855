//! A checkpoint that fails under load. A checkpoint is due after every 256 MiB of requests, so some requests are large.

use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use tempfile::TempDir;

use super::clients::{Clients, Target, send};
use super::normalizer::{Launch, Normalizer, wait_until};
use super::shim::{Fault, faults_in};

/// Size of a log record. Two of them make a checkpoint due.
const LOG_BYTES: usize = 140 * 1024 * 1024;
const LOGS: usize = 2;

/// A request with one log record. The record is counted, but gives no row.
fn large_request() -> Vec<u8> {
    let body = AnyValue {
        value: Some(Value::StringValue("x".repeat(LOG_BYTES))),
    };
    let scope_logs = vec![ScopeLogs {
        log_records: vec![LogRecord {
            body: Some(body),
            ..LogRecord::default()
        }],
        ..ScopeLogs::default()
    }];
    let resource_logs = vec![ResourceLogs {
        scope_logs,
        ..ResourceLogs::default()
    }];
    let body = ExportLogsServiceRequest { resource_logs }.encode_to_vec();
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

/// Sends the request until a checkpoint is due, or until the process ends.
fn make_one_due(http: SocketAddr, normalizer: &mut Normalizer, request: &[u8]) {
    for _ in 0..LOGS {
        wait_until("room for a large request", || {
            send(http, request) == Some(200) || !normalizer.is_running()
        });
    }
}

/// This test fails when a checkpoint without room ends the process (`write_checkpoint` in place of
/// `write_checkpoint_if_there_is_room`), and when other errors do not end it.
#[test]
fn a_checkpoint_without_room_is_retried_and_other_errors_end_the_process() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("faults");
    let launch = Launch::in_folder(&folder.path().join("logs"))
        .flag("--message-bytes-max", "150MiB")
        .flag("--durability", "flush");
    let (target, request) = (Target::default(), large_request());
    let clients = Clients::start(&target, 1);
    // The start also writes a checkpoint. This takes three writes and one rename.
    let full = Fault {
        calls: "write",
        path: "checkpoint.tmp",
        errno: libc::ENOSPC,
        first: 4,
        every: 0,
        until: 0,
        direct: true,
    };
    let broken = Fault {
        calls: "rename",
        path: "checkpoint",
        errno: libc::EIO,
        first: 2,
        ..full
    };

    let mut normalizer = launch.clone().variables(full.variables(&log)).start().unwrap();
    let http = normalizer.address("http");
    target.set(Some(http));
    make_one_due(http, &mut normalizer, &request);
    wait_until("a checkpoint without room", || faults_in(&log) > 0);
    clients.go_on_for(10);
    let ended = normalizer.end(libc::SIGKILL);
    assert!(
        ended
            .log
            .contains("the next attempt follows after the same size of requests"),
        "{ended:?}"
    );

    let faults = faults_in(&log);
    let mut normalizer = launch.clone().variables(broken.variables(&log)).start().unwrap();
    let http = normalizer.address("http");
    target.set(Some(http));
    make_one_due(http, &mut normalizer, &request);
    wait_until("its end", || !normalizer.is_running());
    let ended = normalizer.ended();
    assert!(faults_in(&log) > faults);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(
        ended.log.contains("cannot replace") && ended.log.contains("os error 5"),
        "{ended:?}"
    );

    let normalizer = launch.start().unwrap();
    target.set(Some(normalizer.address("http")));
    clients.go_on_for(10);
    let acknowledged = clients.finish();
    normalizer.stop();
    acknowledged.check(
        &launch.folder,
        "checkpoints in the middle, one without room, one broken",
    );
}
