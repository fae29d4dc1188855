//! The live page: its stream of events over real sockets, its viewers, and hostile names.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::{self, Process};

/// Maximum number of viewers that the normalizer serves.
const VIEWERS_MAX: usize = 16;
/// Maximum time for an expected event.
const PATIENCE: Duration = Duration::from_secs(180);
/// A name that must stay text in HTML, in JSON and in a stream of events.
const HOSTILE: &str = "</script><img src=x onerror=\"alert('1')\">&amp;\n\ndata: {}\u{2028}pay\u{202e}tnem";

/// A client that follows the events.
struct Viewer {
    head: String,
    lines: BufReader<TcpStream>,
}

impl Viewer {
    fn connect(normalizer: &Process) -> io::Result<Self> {
        let mut stream = TcpStream::connect(normalizer.address("admin"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        // HTTP/1.0 has no chunks, so the body is the stream of events.
        stream.write_all(b"GET /events HTTP/1.0\r\nhost: x\r\n\r\n")?;
        let mut lines = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(lines.read_line(&mut head)? > 0, "{head}");
        }
        Ok(Self { head, lines })
    }

    /// The next event's fields.
    fn event(&mut self) -> (u64, Value) {
        let (mut id, mut data) = (None, None);
        loop {
            let mut line = String::new();
            assert!(
                self.lines.read_line(&mut line).unwrap() > 0,
                "the stream has ended"
            );
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("id", value)) => id = value.parse().ok(),
                Some(("data", value)) => data = Some(serde_json::from_str(value).unwrap()),
                Some(("retry", value)) => assert!(value.parse::<u32>().unwrap() >= 1000),
                Some(other) => panic!("unknown field: {other:?}"),
                None => return (id.unwrap(), data.unwrap()),
            }
        }
    }

    fn state(&mut self) -> Value {
        self.event().1["state"].take()
    }

    /// Returns the first state for which `is_wanted` is true. The timeout of the socket ends the wait only if the stream stops.
    fn state_with(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            let state = self.state();
            if is_wanted(&state) {
                return state;
            }
        }
        panic!("no state was as wanted");
    }
}

fn start(folder: &TempDir) -> Process {
    let mut command = process::command();
    command
        .arg("--out-dir")
        .arg(folder.path().join("logs"))
        .args(["--run-id", "mine"]);
    Process::start(&mut command)
}

/// A request of one module with root spans of 1, 2, 3 ... ms. The last one has failed.
fn request(module: &str, node: &str, trace: u8, count: u64) -> String {
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let start = 1_700_000_000_000_000_000_u64;
    let spans: Vec<Value> = (1..=count)
        .map(|number| {
            json!({
                "traceId": format!("{trace:02x}").repeat(16), "spanId": format!("{number:016x}"), "name": "GET /", "kind": 2,
                "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + number * 1_000_000).to_string(),
                "status": {"code": if number == count { 2 } else { 0 }},
            })
        })
        .collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": [attribute("service.name", module), attribute("host.name", node)]},
        "scopeSpans": [{"spans": spans}],
    }]})
    .to_string()
}

fn sum(of: &Value, field: &str) -> u64 {
    let shown = of["shown"].as_array().unwrap();
    shown.iter().map(|of| of[field].as_u64().unwrap()).sum()
}

#[test]
fn the_states_count_what_was_sent() {
    let folder = TempDir::new().unwrap();
    let normalizer = start(&folder);
    let mut viewer = Viewer::connect(&normalizer).unwrap();
    for header in [
        "HTTP/1.0 200",
        "content-type: text/event-stream",
        "cache-control: no-store",
    ] {
        assert!(viewer.head.contains(header), "{}", viewer.head);
    }
    let empty = viewer.state();
    assert_eq!(
        (&empty["signals"][0]["rows"], &empty["modules"]["shown"]),
        (&json!(0), &json!([]))
    );

    for (trace, (module, node, count)) in
        (1..).zip([("cart", "edge0", 4), ("user", "cloud0", 20), ("cart", "edge0", 6)])
    {
        let answer = normalizer.http("http", "POST /v1/traces", &request(module, node, trace, count));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    normalizer.http("http", "POST /v1/traces", "not json");
    let state = viewer.state_with(|state| sum(&state["modules"], "calls") == 30);
    let traces = &state["signals"][0];
    assert_eq!((&traces["requests"], &traces["rows"]), (&json!(3), &json!(30)));
    assert_eq!(
        state["rejects"],
        json!([{"of": "requests", "reason": "malformed", "count": 1}])
    );
    let shown = |of: &str| {
        let shown = state[of]["shown"].as_array().unwrap().clone();
        shown
            .into_iter()
            .map(|of| (of["name"].clone(), of["calls"].clone(), of["errors"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        shown("modules"),
        [
            (json!("user"), json!(20), json!(1)),
            (json!("cart"), json!(10), json!(2))
        ]
    );
    assert_eq!(
        shown("nodes"),
        [
            (json!("cloud0"), json!(20), json!(1)),
            (json!("edge0"), json!(10), json!(2))
        ]
    );
    let user = &state["modules"]["shown"][0];
    assert_eq!(user["mean_ms"], json!(10.5));
    let p95 = user["p95_ms"].as_f64().unwrap();
    assert!((p95 / 19.0 - 1.0).abs() <= 0.0625, "{p95}");
    let run = &state["runs"][0];
    assert_eq!((&run["run_id"], &run["state"]), (&json!("mine"), &json!("open")));
    let command = state["report_command"].as_str().unwrap();
    assert_eq!(
        command,
        format!(
            "cctf report {}/logs/mine --out report.html",
            folder.path().display()
        )
    );
    // How long an interval lasts depends on the machine, and its rate on this length.
    viewer.state_with(|state| {
        ["spans", "requests"].iter().all(|of| {
            let rates = state["rates"][of].as_array().unwrap();
            rates.iter().any(|rate| rate.as_f64() > Some(0.0))
        })
    });
    normalizer.stop();
}

#[test]
fn a_viewer_too_many_is_refused_and_one_that_never_reads_stops_nobody() {
    let folder = TempDir::new().unwrap();
    let normalizer = start(&folder);
    let mut viewers: Vec<Viewer> = (0..VIEWERS_MAX)
        .map(|_| Viewer::connect(&normalizer).unwrap())
        .collect();
    let refused = normalizer.http("admin", "GET /events", "");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    for text in [
        "retry-after: ",
        "\r\n\r\n16 viewers follow the live page already; close one and try again\n",
    ] {
        assert!(refused.contains(text), "{refused}");
    }
    // The other viewers have read only the headers.
    let watching = &mut viewers[3];
    let (first, _) = watching.event();
    let (second, _) = watching.event();
    let (third, _) = watching.event();
    assert!(first < second && second < third);
    // The snapshot for programs, and for browsers without JavaScript, does not count as a viewer.
    assert!(normalizer.http("admin", "GET /", "").contains("Snapshot of "));

    drop(viewers.pop());
    let since = Instant::now();
    let is_served = || Viewer::connect(&normalizer).is_ok_and(|viewer| viewer.head.contains(" 200 "));
    while !is_served() {
        assert!(
            since.elapsed() < PATIENCE,
            "the place of a viewer that has left stays taken"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    // A shutdown does not wait for viewers.
    normalizer.stop();
}

#[test]
fn a_hostile_name_stays_text_in_the_page_and_in_the_events() {
    let folder = TempDir::new().unwrap();
    let normalizer = start(&folder);
    normalizer.http("http", "POST /v1/traces", &request(HOSTILE, HOSTILE, 1, 2));
    let mut viewer = Viewer::connect(&normalizer).unwrap();
    viewer.state_with(|state| sum(&state["nodes"], "calls") == 2);
    let mut event = viewer.event().1;
    let (state, texts) = (event["state"].take(), event["page"].take());
    let visible = HOSTILE.replace('\u{202e}', "\u{fffd}");
    for of in ["modules", "nodes"] {
        assert_eq!(state[of]["shown"][0]["name"], json!(HOSTILE));
        assert_eq!(texts["tables"][of]["rows"][0][0], json!(visible));
    }
    let page = normalizer.http("admin", "GET /", "");
    let escaped = "&lt;/script&gt;&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;amp;\n\ndata: {}\u{2028}pay\u{fffd}tnem";
    for column in ["module", "node"] {
        assert!(
            page.contains(&format!("data-col=\"{column}\">{escaped}")),
            "{page}"
        );
    }
    assert!(!page.contains("<img"), "{page}");
    for policy in [
        "default-src 'none'",
        "connect-src 'self'",
        "script-src 'sha256-",
        "style-src 'sha256-",
    ] {
        assert!(page.contains(&policy.replace('\'', "&#39;")), "{policy}: {page}");
    }
    normalizer.stop();
}

#[test]
fn other_methods_get_no_stream() {
    let folder = TempDir::new().unwrap();
    let normalizer = start(&folder);
    for path in ["/", "/events", "/metrics"] {
        let head = normalizer.http("admin", &format!("HEAD {path}"), "");
        let (fields, body) = head.split_once("\r\n\r\n").unwrap();
        assert!(
            fields.starts_with("HTTP/1.1 200 ") && body.is_empty(),
            "{path}: {head}"
        );
        let post = normalizer.http("admin", &format!("POST {path}"), "");
        assert!(
            post.starts_with("HTTP/1.1 405 ") && post.contains("allow: GET, HEAD"),
            "{path}: {post}"
        );
    }
    // A HEAD request does not count as a viewer.
    let viewers: Vec<Viewer> = (0..VIEWERS_MAX)
        .map(|_| Viewer::connect(&normalizer).unwrap())
        .collect();
    assert!(viewers.iter().all(|viewer| viewer.head.contains(" 200 ")));
    let mut last = viewers.into_iter().next_back().unwrap();
    normalizer.signal("-TERM");
    let mut rest = String::new();
    last.lines.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("\n\n"), "{rest}");
    assert!(normalizer.ended().status.success());
}
