//! Unusable input is refused, counted and reported, and never affects valid rows.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use e2e::binaries::{Done, bin_dir, cctf, command};
use e2e::child::Child;
use e2e::http;
use e2e::otlp::{attribute, export, request, request_of, span};
use e2e::rows::{self, text};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tonic::Code;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");

fn normalizer(out_dir: &Path) -> Child {
    let args = [
        "--run-id",
        "r",
        "--join-window",
        "1s",
        "--message-bytes-max",
        "1MiB",
    ];
    Child::normalizer(&bin_dir().unwrap(), out_dir, &args).unwrap()
}

/// Stops the normalizer and reads the span ids of the invocations that it has written.
fn span_ids(normalizer: Child, out_dir: &Path) -> BTreeSet<String> {
    let ended = normalizer.stop().unwrap();
    assert!(ended.status.success(), "{}", ended.stderr);
    let invocations = rows::lines(&out_dir.join("r/cctf/invocations.jsonl")).unwrap();
    let checked = cctf(&["validate".as_ref(), out_dir.join("r").as_os_str()]).unwrap();
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    invocations
        .iter()
        .map(|row| text(row, "span_id").unwrap().to_owned())
        .collect()
}

fn id_of(number: u8) -> String {
    format!("{number:02x}").repeat(8)
}

#[test]
fn unusable_rows_are_counted_by_reason_and_the_others_are_kept() {
    let out = tempfile::tempdir().unwrap();
    let normalizer = normalizer(out.path());
    let outside = attribute("cctf.run_id", "../../etc");
    let spans = vec![
        span(1),
        Span {
            trace_id: vec![2; 15],
            ..span(2)
        },
        Span {
            span_id: vec![3; 9],
            ..span(3)
        },
        Span {
            trace_id: vec![0; 16],
            ..span(4)
        },
        Span {
            span_id: vec![0; 8],
            ..span(5)
        },
        Span {
            parent_span_id: vec![6; 4],
            ..span(6)
        },
        Span {
            attributes: vec![outside],
            ..span(7)
        },
        Span {
            start_time_unix_nano: 0,
            ..span(8)
        },
        span(9),
    ];
    let answer = export(&normalizer.url("grpc").unwrap(), request(spans).encode_to_vec())
        .unwrap()
        .unwrap();
    let rejected = answer.partial_success.unwrap();
    assert_eq!(rejected.rejected_spans, 7);
    assert!(!rejected.error_message.is_empty());
    for reason in [
        "trace_id_length",
        "span_id_length",
        "trace_id_zero",
        "span_id_zero",
        "parent_span_id_length",
        "invalid_run_id",
        "missing_time",
    ] {
        let counted = normalizer
            .metric("cctf_rejected_rows_total", &format!("reason=\"{reason}\""))
            .unwrap();
        assert_eq!(counted, 1.0, "{reason}");
    }
    assert_eq!(span_ids(normalizer, out.path()), [1, 9].map(id_of).into());
    let folders: Vec<_> = std::fs::read_dir(out.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(folders.iter().all(|name| name != "etc"), "{folders:?}");
}

#[test]
fn a_good_request_is_no_partial_success_and_an_empty_one_succeeds() {
    let out = tempfile::tempdir().unwrap();
    let normalizer = normalizer(out.path());
    let url = normalizer.url("grpc").unwrap();
    assert_eq!(
        export(&url, request(vec![span(1)]).encode_to_vec())
            .unwrap()
            .unwrap()
            .partial_success,
        None
    );
    assert_eq!(export(&url, Vec::new()).unwrap().unwrap().partial_success, None);
    assert_eq!(span_ids(normalizer, out.path()), [id_of(1)].into());
}

#[test]
fn a_span_that_ends_before_it_starts_is_written_and_flagged() {
    let out = tempfile::tempdir().unwrap();
    let normalizer = normalizer(out.path());
    let backwards = Span {
        start_time_unix_nano: span(1).end_time_unix_nano + 5_000_000,
        ..span(1)
    };
    let body = request(vec![backwards, span(2)]).encode_to_vec();
    assert_eq!(
        export(&normalizer.url("grpc").unwrap(), body)
            .unwrap()
            .unwrap()
            .partial_success,
        None
    );
    assert_eq!(span_ids(normalizer, out.path()), [1, 2].map(id_of).into());
    let invocations = rows::lines(&out.path().join("r/cctf/invocations.jsonl")).unwrap();
    let row = invocations
        .iter()
        .find(|row| text(row, "span_id") == Some(&id_of(1)))
        .unwrap();
    assert_eq!(
        (&row["flags"], &row["rt_ms"]),
        (&serde_json::json!(["negative"]), &serde_json::Value::Null),
        "{row}"
    );
}

#[test]
fn a_span_without_a_resource_is_kept_on_an_unknown_node() {
    let out = tempfile::tempdir().unwrap();
    let normalizer = normalizer(out.path());
    let body = request_of(None, vec![span(1)]).encode_to_vec();
    assert_eq!(
        export(&normalizer.url("grpc").unwrap(), body)
            .unwrap()
            .unwrap()
            .partial_success,
        None
    );
    let mut kept = span_ids(normalizer, out.path());
    // The contract decides whether it becomes a row. Either way it must be flagged or counted.
    let meta = rows::document(&out.path().join("r/run_meta.json")).unwrap();
    let (unknown, rejected) = (&meta["counts"]["unknown_node"], &meta["counts"]["rejected"]);
    assert!(
        kept.remove(&id_of(1)) == (unknown == 1)
            && (unknown == 1 || !rejected.as_object().unwrap().is_empty()),
        "{meta}"
    );
}

#[test]
fn malformed_protobuf_is_an_invalid_argument_and_harms_nothing_else() {
    let out = tempfile::tempdir().unwrap();
    let normalizer = normalizer(out.path());
    let (url, http_address) = (
        normalizer.url("grpc").unwrap(),
        normalizer.address("http").unwrap(),
    );
    export(&url, request(vec![span(1)]).encode_to_vec())
        .unwrap()
        .unwrap();
    let whole = request(vec![span(2)]).encode_to_vec();
    for bad in [
        whole[..whole.len() - 1].to_vec(),
        vec![0xff; 64],
        [&whole[..], &[0x0a, 0x7f]].concat(),
    ] {
        let refused = export(&url, bad.clone()).unwrap().unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(
            http::send(http_address, "POST", "/v1/traces", &[PROTOBUF], &bad)
                .unwrap()
                .status,
            400
        );
    }
    assert_eq!(
        normalizer
            .metric("cctf_refused_requests_total", "reason=\"malformed\"")
            .unwrap(),
        6.0
    );
    export(&url, request(vec![span(3)]).encode_to_vec())
        .unwrap()
        .unwrap();
    assert_eq!(span_ids(normalizer, out.path()), [1, 3].map(id_of).into());
}

#[test]
fn a_body_that_is_too_large_is_refused_at_both_doors() {
    let out = tempfile::tempdir().unwrap();
    let normalizer = normalizer(out.path());
    let big = Span {
        name: "x".repeat(2 << 20),
        ..span(1)
    };
    let body = request(vec![big]).encode_to_vec();
    let answer = http::send(
        normalizer.address("http").unwrap(),
        "POST",
        "/v1/traces",
        &[PROTOBUF],
        &body,
    )
    .unwrap();
    assert_eq!(answer.status, 413);
    let refused = export(&normalizer.url("grpc").unwrap(), body)
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    export(
        &normalizer.url("grpc").unwrap(),
        request(vec![span(2)]).encode_to_vec(),
    )
    .unwrap()
    .unwrap();
    assert_eq!(span_ids(normalizer, out.path()), [id_of(2)].into());

    let service = Child::service(&bin_dir().unwrap(), &[("MAX_BODY_BYTES", "1000")]).unwrap();
    let to = service.address("listening").unwrap();
    assert_eq!(
        http::send(to, "POST", "/hash/sha256", &[], &[0; 1001])
            .unwrap()
            .status,
        413
    );
    assert_eq!(
        http::send(to, "POST", "/hash/sha256", &[], &[0; 1000])
            .unwrap()
            .status,
        200
    );
}

#[test]
fn a_wrong_flag_or_variable_is_one_sentence_and_exit_code_2() {
    let flags: [(&str, &[&str]); 6] = [
        ("cctf-normalizer", &["--join-window", "soon"]),
        ("cctf-normalizer", &["--run-id", "../../etc"]),
        ("tunable-svc", &["--workers", "none"]),
        ("tunable-svc", &["--nonsense"]),
        ("cctf", &["run", "--rate", "-1"]),
        ("cctf", &["load", "--endpoint", "nowhere"]),
    ];
    for (binary, args) in flags {
        assert_usage(binary, command(binary).unwrap().args(args));
    }
    for (binary, variable, value) in [
        ("cctf-normalizer", "JOIN_WINDOW", "soon"),
        ("tunable-svc", "STAGE", "moon"),
        ("tunable-svc", "QUEUE_LIMIT", "-5"),
    ] {
        assert_usage(binary, command(binary).unwrap().env(variable, value));
    }
}

fn assert_usage(binary: &str, command: &mut std::process::Command) {
    let done = Done::from(command.stdin(Stdio::null()).output().unwrap());
    assert_eq!(done.code, Some(2), "{binary}: {done:?}");
    let said = done.stderr.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(
        (1..=6).contains(&said) && done.stdout.is_empty(),
        "{binary}: {done:?}"
    );
}

#[test]
fn a_used_port_and_an_unwritable_folder_are_reported_in_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("file");
    std::fs::write(&file, "").unwrap();
    let below_a_file = file.join("logs").to_string_lossy().into_owned();
    let starts: [(&str, Vec<&str>, &str); 4] = [
        ("cctf-normalizer", vec!["--grpc-listen", &address], &address),
        (
            "tunable-svc",
            vec!["--listen", &address, "--admin-listen", "127.0.0.1:0"],
            &address,
        ),
        ("cctf-normalizer", vec!["--out-dir", &below_a_file], "logs"),
        ("cctf", vec!["run", "--logs-dir", &below_a_file], "logs"),
    ];
    for (binary, args, named) in starts {
        let done = Done::from(
            command(binary)
                .unwrap()
                .current_dir(out.path())
                .args(&args)
                .output()
                .unwrap(),
        );
        assert_ne!(done.code, Some(0), "{binary} {args:?}");
        let last = done.stderr.lines().last().unwrap_or_default();
        assert!(last.contains(named), "{binary} {args:?}: {done:?}");
    }
}
