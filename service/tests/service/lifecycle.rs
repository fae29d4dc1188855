//! Start, health, refusal of invalid settings, and the stop, which first completes requests.

use std::net::TcpListener;

use crate::client::{connect, read_response, send, write_request};
use crate::forwarding::DEAD_ORIGIN;
use crate::hand::Hand;
use crate::spawn::{command, spawn, spawn_with_stderr};

#[test]
fn health_has_a_separate_listener() {
    let service = spawn(&[]);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(send(service.admin, "GET", path, &[], b"").status, 200, "{path}");
        let head = send(service.admin, "HEAD", path, &[], b"");
        assert_eq!((head.status, head.body), (200, Vec::new()), "{path}");
        let posted = send(service.admin, "POST", path, &[], b"");
        assert_eq!(
            (posted.status, posted.header("allow")),
            (405, Some("GET, HEAD")),
            "{path}"
        );
        assert_eq!(service.get(path).status, 404, "{path}");
    }
    let admin = service.admin.to_string();
    let healthy = command(&["healthcheck", "--admin-listen", &admin], &[])
        .output()
        .unwrap();
    assert!(healthy.status.success());
    let by_variable = command(&["healthcheck"], &[("ADMIN_LISTEN", &admin)])
        .output()
        .unwrap();
    assert!(by_variable.status.success());
    service.stop();
    let gone = command(&["healthcheck", "--admin-listen", &admin], &[])
        .output()
        .unwrap();
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8(gone.stderr).unwrap().contains("cannot connect"));
}

#[test]
fn an_invalid_flag_or_variable_gives_one_line_and_exit_code_2() {
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 11] = [
        (&["--workers", "none"], &[], "--workers"),
        (&[], &[("QUEUE_LIMIT", "-1")], "--queue-limit"),
        (&[], &[("SLOT_POLICY", "sometimes")], "held, released"),
        (&[], &[("RUN_ID", "../../etc")], "invalid run id"),
        (&[], &[("RUN_ID", "latest")], "invalid run id"),
        (&["--run-id=-x"], &[], "invalid run id"),
        (&[], &[("DEFAULT_NEXT_URL", "https://example.com/")], "only http"),
        (&["--otlp-protocol", "http/json"], &[], "grpc or http/protobuf"),
        (
            &[],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "gopher://a:1")],
            "not gopher",
        ),
        (
            &["--otlp-endpoint", "http://127.0.0.1:4317"],
            &[("OTEL_EXPORTER_OTLP_HEADERS", "nonsense")],
            "key=value",
        ),
        (&["--unknown"], &[], "--unknown"),
    ];
    for (args, variables, expected) in cases {
        let output = command(args, variables).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?} {variables:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let service = spawn(&[
        ("RUN_ID", ""),
        ("WORKERS", ""),
        ("DEFAULT_NEXT_URL", ""),
        ("NEXT_URL_ALLOW", ""),
    ]);
    assert_eq!(service.get("/work").status, 200);
}

#[test]
fn a_port_in_use_is_reported() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command(&["--listen", &address, "--admin-listen", "127.0.0.1:0"], &[])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains(&address) && stderr.contains("LISTEN"), "{stderr}");
}

#[test]
fn sigterm_lets_requests_finish_and_refuses_new_ones() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let hand = Hand::open();
        let service = spawn(&[("WORKERS", "1"), ("NEXT_URL_ALLOW", &hand.url())]);
        let (working, call) = hand.occupy(&service, "resp_kb=1");
        let mut queued = connect(service.address);
        write_request(&mut queued, "POST", "/hash/sha256", &[], b"abc");
        service.wait_for_metric("tunable_svc_queue_length", 1);
        service.signal(signal);
        service.wait_until("it is stopping", || {
            send(service.admin, "GET", "/readyz", &[], b"").status == 503
        });
        call.answer();
        assert_eq!(read_response(working).body.len(), 1024);
        assert_eq!(read_response(queued).status, 200);
        let address = service.address;
        assert!(service.wait().status.success());
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}

#[test]
fn an_endless_request_does_not_prevent_the_stop() {
    let service = spawn(&[("WORKERS", "1"), ("DRAIN_TIMEOUT_MS", "50")]);
    let mut endless = connect(service.address);
    write_request(&mut endless, "GET", "/work?cpu_ms=60000", &[], b"");
    service.wait_for_metric("tunable_svc_active_requests", 1);
    let ended = service.stop();
    assert!(ended.stderr.contains("DRAIN_TIMEOUT_MS"), "{}", ended.stderr);
}

/// This test fails with `eprintln!` for logs and for invalid flags: the exit code is then 101.
#[test]
fn a_closed_standard_error_changes_nothing() {
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        std::process::Stdio::from(writer)
    };
    let refused = command(&["--workers", "none"], &[]).stderr(closed()).status();
    assert_eq!(refused.unwrap().code(), Some(2));
    // Nothing listens there, so that the service logs at its end that spans are lost.
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", DEAD_ORIGIN),
        ("FLUSH_TIMEOUT_MS", "50"),
    ];
    let service = spawn_with_stderr(&variables, closed());
    assert_eq!(service.get("/work?cpu_ms=0").status, 200);
    service.stop();
}

/// This test fails if clap prints by itself: the exit code is then 0.
#[test]
fn help_to_a_full_disk_is_an_error() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command(&["--help"], &[]).stdout(full).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot write to standard output"), "{stderr}");
}
