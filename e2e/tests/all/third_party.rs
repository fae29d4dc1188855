//! Exporters of the Python and Node SDKs. They must give the same rows with every transport, with compression and with a token.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use e2e::binaries::{bin_dir, tool};
use e2e::child::Child;
use e2e::sources::root;
use serde_json::{Value, json};

/// Each SDK with each of its transports. Python's SDK has no JSON.
const EXPORTERS: [(Sdk, &str); 5] = [
    (Sdk::Python, "grpc"),
    (Sdk::Python, "protobuf"),
    (Sdk::Node, "grpc"),
    (Sdk::Node, "protobuf"),
    (Sdk::Node, "json"),
];
/// Files whose rows depend only on the spans and not on the sender, with their numbers of rows.
const FILES: [(&str, usize); 3] = [
    ("invocations.jsonl", 2),
    ("calls.jsonl", 1),
    ("placement_events.jsonl", 2),
];
/// Expected values in the rows. They do not depend on the exporter, and include every digit of times, and the caller.
const FACTS: [&str; 6] = [
    r#""ts_end":1700000000090.000007"#,
    r#""rt_ms":90.000006"#,
    r#""ts_start":1700000000020.000009"#,
    r#""net_ms":30.000000"#,
    r#""caller_span_id":"0202020202020202""#,
    r#""path":"/stock/7""#,
];

const TOKEN: &str = "token-1";

#[derive(Debug, Clone, Copy)]
pub enum Sdk {
    Python,
    Node,
}

impl Sdk {
    fn command(self) -> Command {
        let scripts = root().join("e2e/exporters");
        match self {
            Self::Python => {
                let mut command = Command::new(tool("exporters/python/bin/python").unwrap());
                command.arg(scripts.join("export.py"));
                command
            }
            Self::Node => {
                let mut command = Command::new("node");
                command
                    .env("NODE_PATH", tool("exporters/node/node_modules").unwrap())
                    .arg(scripts.join("export.cjs"));
                command
            }
        }
    }

    /// Sends spans to the receiver of gRPC or HTTP at `urls`. `headers` are for both. Returns standard error.
    pub fn send(self, protocol: &str, urls: &[String; 2], headers: Option<&str>, spans: &Value) -> String {
        let mut exporter = self
            .command()
            .arg(protocol)
            .args(urls)
            .envs(headers.map(|headers| ("OTEL_EXPORTER_OTLP_HEADERS", headers)))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = exporter.stdin.take().unwrap();
        stdin.write_all(spans.to_string().as_bytes()).unwrap();
        drop(stdin);
        let output = exporter.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{self:?} {protocol}: {stderr}");
        stderr.into_owned()
    }
}

/// A span. `times` are its start and end in nanoseconds after a fixed second in 2023.
fn span(number: u8, parent: u8, kind: &str, service: &str, attributes: Value, times: [u64; 2]) -> Value {
    const SECOND: u64 = 1_700_000_000_000_000_000;
    let [start, end] = times.map(|ns| (SECOND + ns).to_string());
    json!({
        "trace_id": "5b8efff798038103d269b633813fc60c",
        "span_id": format!("{number:02x}").repeat(8),
        "parent": format!("{parent:02x}").repeat(8),
        "name": "GET /stock/{id}", "kind": kind, "attributes": attributes,
        "start_unix_nano": start, "end_unix_nano": end,
        "failed": number == 3,
        "resource": {
            "service.name": service, "service.instance.id": format!("{service}-1"),
            "cctf.node_id": format!("node-of-{service}"), "cctf.stage": "edge",
        },
    })
}

/// A request that fails in a second service. It has attributes of all types that both SDKs support.
fn trace() -> Value {
    let caller = json!({
        "http.request.method": "GET", "http.route": "/cart", "url.path": "/cart", "http.response.status_code": 200,
        "grün": "schön \"quoted\" \\ \n", "is.it": true, "weight": 0.5, "list": ["a", "b"], "large": 9_007_199_254_740_991_u64,
    });
    let call =
        json!({"http.request.method": "GET", "server.address": "stock", "http.response.status_code": 500});
    let callee = json!({
        "http.request.method": "GET", "http.route": "/stock/{id}", "url.path": "/stock/7",
        "http.response.status_code": 500, "http.response.body.size": 123,
    });
    json!([
        span(1, 0, "SERVER", "shop", caller, [1, 90_000_007]),
        span(2, 1, "CLIENT", "shop", call, [10_000_003, 80_000_005]),
        span(3, 2, "SERVER", "stock", callee, [20_000_009, 60_000_011]),
    ])
}

/// Sends the trace with this exporter to a new normalizer. Returns the rows of each file.
fn rows_by(sdk: Sdk, protocol: &str) -> Vec<Vec<String>> {
    let logs = tempfile::tempdir().unwrap();
    let tokens = logs.path().join("tokens");
    fs::write(&tokens, TOKEN).unwrap();
    let tokens = tokens.display().to_string();
    let flags = ["--run-id", "r", "--join-window", "1s", "--token-file", &tokens];
    let normalizer = Child::normalizer(&bin_dir().unwrap(), logs.path(), &flags).unwrap();
    let urls = ["grpc", "http"].map(|listener| normalizer.url(listener).unwrap());
    let headers = format!("authorization=Bearer {TOKEN}");
    let stderr = sdk.send(protocol, &urls, Some(&headers), &trace());
    let received = normalizer.metric("cctf_received_rows_total", "traces").unwrap();
    let refused = normalizer.metric("cctf_refused_requests_total", "").unwrap();
    assert_eq!((received, refused), (3.0, 0.0), "{sdk:?} {protocol}: {stderr}");
    let ended = normalizer.stop().unwrap();
    assert!(ended.status.success(), "{}", ended.stderr);
    FILES
        .map(|(file, count)| {
            let text = fs::read_to_string(logs.path().join("r/cctf").join(file)).unwrap();
            let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
            assert_eq!(rows.len(), count, "{sdk:?} {protocol}: {file}: {text}");
            // The order of services in a request depends on the SDK.
            rows.sort();
            rows
        })
        .to_vec()
}

#[test]
fn exporters_of_python_and_node_give_the_same_rows_over_every_transport() {
    let mut all = EXPORTERS
        .into_iter()
        .map(|(sdk, protocol)| (sdk, protocol, rows_by(sdk, protocol)));
    let (_, _, first) = all.next().unwrap();
    let text = first.concat().concat();
    for fact in FACTS {
        assert!(text.contains(fact), "{fact} is not in {text}");
    }
    for (sdk, protocol, rows) in all {
        assert_eq!(rows, first, "{sdk:?} {protocol}");
    }
}
