//! All senders of this project send to the real normalizer, with TLS, client certificates and tokens.

#[allow(dead_code, reason = "the normalizer's own tests use all of it")]
#[path = "../../../normalizer/tests/support/certificates.rs"]
mod certificates;

use std::fs;
use std::path::{Path, PathBuf};

use self::certificates::{Authority, Pair};
use e2e::binaries::{Done, LONG_WINDOW, bin_dir, command};
use e2e::child::{Child, wait_for};
use e2e::{http, rows};
use tempfile::TempDir;

const PROTOCOLS: [(&str, &str); 2] = [("grpc", "grpc"), ("http/protobuf", "http")];

/// A normalizer that requires a certificate and a token, and the files of a client that has both.
struct Guarded {
    folder: TempDir,
    normalizer: Child,
}

impl Guarded {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (authority, other) = (Authority::new(), Authority::new());
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        for (name, pair) in [("server", authority.pair()), ("client", authority.pair())] {
            let Pair { cert, key } = pair;
            write(&format!("{name}-cert"), &cert);
            write(&format!("{name}-key"), &key);
        }
        write("ca", &authority.pem());
        write("other-ca", &other.pem());
        write("tokens", "to-ken\n");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let flags = [
            "--tls-cert",
            &path("server-cert"),
            "--tls-key",
            &path("server-key"),
            "--tls-client-ca",
            &path("ca"),
            "--token-file",
            &path("tokens"),
            "--join-window",
            "1s",
            "--run-id",
            "own",
        ];
        let normalizer = Child::normalizer(&bin_dir().unwrap(), &folder.path().join("logs"), &flags).unwrap();
        Self { folder, normalizer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn endpoint(&self, listener: &str) -> String {
        let url = self.normalizer.url(listener).unwrap();
        // The URL has the name in the certificate.
        format!("https://localhost:{}", url.rsplit(':').next().unwrap())
    }

    fn variables(&self, protocol: &str, listener: &str) -> Vec<(&'static str, String)> {
        let file = |name| self.path(name).display().to_string();
        vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.endpoint(listener)),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Bearer%20to-ken".to_owned(),
            ),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", file("ca")),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", file("client-cert")),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", file("client-key")),
        ]
    }

    fn received(&self, signal: &str) -> f64 {
        let label = format!("signal=\"{signal}\"");
        self.normalizer
            .metric("cctf_received_rows_total", &label)
            .unwrap()
    }

    fn service(&self, protocol: &str, listener: &str) -> Child {
        let mut variables = self.variables(protocol, listener);
        variables.push(("NODE_ID", "edge0".to_owned()));
        variables.push(("OTEL_METRIC_EXPORT_INTERVAL", "50".to_owned()));
        let texts: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        Child::service(&bin_dir().unwrap(), &texts).unwrap()
    }
}

fn cctf(args: &[&str], variables: &[(&'static str, String)]) -> Done {
    let mut command = command("cctf").unwrap();
    command
        .args(args)
        .envs(variables.iter().map(|(name, text)| (*name, text.as_str())));
    Done::from(command.output().unwrap())
}

const EVENT: [&str; 8] = [
    "event",
    "scale",
    "--module",
    "stock",
    "--node",
    "edge0",
    "--replicas",
    "3",
];

fn invocations(logs: &Path, run: &str) -> usize {
    rows::lines(&logs.join(run).join("cctf/invocations.jsonl"))
        .unwrap()
        .len()
}

#[test]
fn the_service_sends_spans_and_metrics_over_tls_with_a_token() {
    for (protocol, listener) in PROTOCOLS {
        let guarded = Guarded::start();
        let service = guarded.service(protocol, listener);
        let address = service.address("listening").unwrap();
        for _ in 0..3 {
            let answer = http::send(address, "POST", "/hash/sha256", &[], b"x").unwrap();
            assert_eq!(answer.status, 200);
        }
        wait_for(
            "metrics",
            || Ok((guarded.received("metrics") > 0.0).then_some(())),
        )
        .unwrap();
        let ended = service.stop().unwrap();
        assert!(
            ended.status.success() && !ended.stderr.contains("WARN"),
            "{ended:?}"
        );
        let Guarded { folder, normalizer } = guarded;
        normalizer.stop().unwrap();
        assert_eq!(invocations(&folder.path().join("logs"), "own"), 3, "{protocol}");
    }
}

#[test]
fn an_event_is_sent_over_tls_with_a_token() {
    let guarded = Guarded::start();
    for (protocol, listener) in PROTOCOLS {
        let done = cctf(&EVENT, &guarded.variables(protocol, listener));
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{protocol}");
    }
    assert!(guarded.received("traces") >= 2.0);
    let wrong_token = ["--otlp-headers", "authorization=Bearer%20other"];
    for (protocol, listener) in PROTOCOLS {
        let args = [&EVENT[..], &wrong_token].concat();
        let done = cctf(&args, &guarded.variables(protocol, listener));
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(done.stderr.contains("token"), "{done:?}");
    }
}

#[test]
fn a_receiver_of_another_authority_is_not_trusted() {
    let guarded = Guarded::start();
    let other = guarded.path("other-ca").display().to_string();
    let args = [&EVENT[..], &["--otlp-certificate", &other]].concat();
    let done = cctf(&args, &guarded.variables("grpc", "grpc"));
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("invalid peer certificate"), "{done:?}");
    let missing = guarded.path("none").display().to_string();
    let args = [&EVENT[..], &["--otlp-certificate", &missing]].concat();
    let done = cctf(&args, &guarded.variables("grpc", "grpc"));
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{done:?}");
}

#[test]
fn load_and_run_send_over_tls_with_a_token() {
    for (protocol, listener) in PROTOCOLS {
        let guarded = Guarded::start();
        let service = guarded.service(protocol, listener);
        let target = service.url("listening").unwrap();
        let variables = guarded.variables(protocol, listener);
        let load = [
            "--target",
            &target,
            "--rate",
            "40",
            "--duration",
            "500ms",
            "--format",
            "json",
        ];
        let args = [&["load", "--endpoint", "hash", "--run-id", "driven"], &load[..]].concat();
        let done = cctf(&args, &variables);
        assert_eq!(done.code, Some(0), "{done:?}");
        let spans = &done.json().unwrap()["spans"];
        assert_eq!(
            (spans["made"].as_u64(), spans["delivered"].as_u64()),
            (Some(20), Some(20))
        );

        let (logs, endpoint) = (guarded.path("logs"), guarded.endpoint(listener));
        let stack = ["--otlp-endpoint", &endpoint, "--logs-dir", logs.to_str().unwrap()];
        let args = [
            &["run", "--endpoints", "hash", "--run-id", "ran"],
            &stack[..],
            &load[..],
        ]
        .concat();
        let done = cctf(&args, &variables);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_eq!(invocations(&logs, "ran"), 20, "{protocol}");
    }
}

#[test]
fn a_run_of_its_own_children_ignores_the_callers_receiver() {
    let logs = tempfile::tempdir().unwrap();
    let variables = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "nonsense"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "none"),
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ]
    .map(|(name, text)| (name, text.to_owned()));
    let folder = logs.path().to_str().unwrap();
    let load = ["--endpoints", "hash", "--rate", "20", "--duration", "500ms"];
    let own = [
        "run",
        "--join-window",
        LONG_WINDOW,
        "--run-id",
        "r",
        "--logs-dir",
        folder,
    ];
    let done = cctf(&[&own[..], &load].concat(), &variables);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(invocations(logs.path(), "r"), 10);
}
