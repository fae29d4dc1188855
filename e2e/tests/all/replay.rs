//! `cctf replay` against real services: calls, statuses and sizes are the same as in the recording, and a driver that was
//! stopped is reported. Also runs the commands of docs/replay.md.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::binaries::{Done, bin_dir, cctf, command};
use e2e::child::{Child, wait_for};
use e2e::exclusive;
use e2e::ports::free_ports;
use e2e::rows::{self, number, text};
use e2e::sources::read;
use serde_json::Value;
use tempfile::TempDir;

/// A normalizer, and services that call each other in a row. The first service gets the load.
struct Stack {
    logs: TempDir,
    normalizer: Child,
    /// Services from the last to the first, because each needs the address of the next one at its start.
    services: Vec<Child>,
}

impl Stack {
    /// Starts services with these modules. Each sends its result to the path of the next one.
    fn start(hops: &[(&str, &str)]) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let bin_dir = bin_dir().unwrap();
        let normalizer = Child::normalizer(&bin_dir, logs.path(), &["--join-window", "3s"]).unwrap();
        let mut stack = Self {
            logs,
            normalizer,
            services: Vec::new(),
        };
        stack.start_services(hops);
        stack
    }

    fn start_services(&mut self, hops: &[(&str, &str)]) {
        let otlp = self.otlp();
        let mut next = String::new();
        for (module, path) in hops.iter().rev() {
            let variables = [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str()),
                ("OTEL_SERVICE_NAME", module),
                ("NODE_ID", module),
                ("STAGE", "edge"),
                ("DEFAULT_NEXT_URL", &next),
            ];
            let service = Child::service(&bin_dir().unwrap(), &variables).unwrap();
            next = service.url("listening").unwrap() + path;
            self.services.push(service);
        }
    }

    /// Replaces the services by new ones, whose stores are empty.
    fn restart(&mut self, hops: &[(&str, &str)]) {
        for service in self.services.drain(..).rev() {
            assert!(service.stop().unwrap().status.success());
        }
        self.start_services(hops);
    }

    fn otlp(&self) -> String {
        self.normalizer.url("grpc").unwrap()
    }

    fn target(&self) -> String {
        self.services.last().unwrap().url("listening").unwrap()
    }

    fn folder(&self, run: &str) -> PathBuf {
        self.logs.path().join(run)
    }

    /// Runs `cctf` with target, receiver and run id, and waits until the run has ended. Returns the result as JSON.
    fn cctf(&self, run: &str, args: &[&str]) -> Value {
        let (target, otlp) = (self.target(), self.otlp());
        let all = [
            args,
            &[
                "--target",
                &target,
                "--otlp-endpoint",
                &otlp,
                "--run-id",
                run,
                "--format",
                "json",
            ],
        ];
        let done = cctf(&all.concat()).unwrap();
        assert_eq!(done.code, Some(0), "{done:?}");
        self.wait_for_end(run);
        done.json().unwrap()
    }

    fn wait_for_end(&self, run: &str) {
        let meta = self.folder(run).join("cctf/run_meta.json");
        wait_for(&format!("the end of run {run}"), || {
            let ended = rows::document(&meta)
                .ok()
                .filter(|meta| meta["ended_ts"].is_number());
            Ok(ended.map(|_| ()))
        })
        .unwrap();
        let folder = self.folder(run);
        let checked = cctf(&["validate".as_ref(), folder.as_os_str()]).unwrap();
        assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    }

    fn load(&self, run: &str, args: &[&str]) {
        self.cctf(run, &[&["load", "--rate", "40"], args].concat());
    }

    fn replay(&self, of: &str, run: &str, more: &[&str]) -> Value {
        let of = self.folder(of).to_string_lossy().into_owned();
        self.cctf(run, &[&["replay", &of], more].concat())
    }

    fn rows(&self, run: &str, file: &str) -> Vec<Value> {
        rows::lines(&self.folder(run).join("cctf").join(file)).unwrap()
    }
}

/// All facts of the traces except for times: the invocations by module, method, path, status and sizes. The path of each
/// invocation is preceded by that of its caller.
fn shapes(invocations: &[Value]) -> HashMap<String, Vec<String>> {
    let by_span: HashMap<&str, &Value> = invocations
        .iter()
        .map(|row| (text(row, "span_id").unwrap(), row))
        .collect();
    let mut shapes: HashMap<String, Vec<String>> = HashMap::new();
    for row in invocations {
        let above = text(row, "parent_id").and_then(|parent| text(by_span[parent], "path"));
        let fields = [
            "module_id",
            "method",
            "path",
            "query",
            "status",
            "bytes_in",
            "bytes_out",
        ]
        .map(|field| row[field].to_string());
        let trace = text(row, "trace_id").unwrap().to_owned();
        shapes
            .entry(trace)
            .or_default()
            .push(format!("{above:?} {}", fields.join(" ")));
    }
    shapes.values_mut().for_each(|shape| shape.sort());
    shapes
}

/// Asserts that each root of `of` was sent once, and that its trace is the same as before.
fn assert_same_traces(stack: &Stack, of: &str, run: &str) {
    let (recorded, again) = (
        shapes(&stack.rows(of, "invocations.jsonl")),
        shapes(&stack.rows(run, "invocations.jsonl")),
    );
    let calls = stack.rows(run, "calls.jsonl");
    let roots: HashMap<&str, &Value> = calls
        .iter()
        .filter_map(|call| Some((text(call, "replay_of_trace_id")?, call)))
        .collect();
    assert_eq!(roots.len(), recorded.len());
    for (trace, shape) in &recorded {
        let root = roots[trace.as_str()];
        assert_eq!(shape, &again[text(root, "trace_id").unwrap()], "{root}");
        assert!(number(root, "lateness_ms").unwrap() >= 0.0);
    }
    let originals = stack.rows(of, "calls.jsonl");
    let spans: Vec<&str> = originals
        .iter()
        .filter(|call| call["parent_span_id"].is_null())
        .map(|call| text(call, "span_id").unwrap())
        .collect();
    assert!(
        roots
            .values()
            .all(|root| spans.contains(&text(root, "replay_of_span_id").unwrap()))
    );
    let meta = rows::document(&stack.folder(run).join("cctf/run_meta.json")).unwrap();
    assert_eq!(meta["replay_of"], of);
}

const CHAIN: [(&str, &str); 3] = [
    ("front", "/json/validate"),
    ("middle", "/blob/gzip"),
    ("store", "/kv/set/k1"),
];

#[test]
fn a_chain_is_replayed_with_the_same_calls_statuses_and_sizes() {
    let _machine = exclusive::machine();
    let stack = Stack::start(&CHAIN);
    stack.load(
        "first",
        &[
            "--endpoint",
            "json",
            "--duration",
            "1s",
            "--size",
            "500-9000",
            "--arrivals",
            "poisson",
        ],
    );
    let report = stack.replay("first", "again", &["--strict"]);
    assert_eq!(report["changes"]["changed"], 0);
    assert_eq!(
        report["preview"]["endpoints"][0]["module"], "front",
        "the others are called by services"
    );
    assert_same_traces(&stack, "first", "again");
    // A replay of a replay refers to the replay.
    stack.replay("again", "third", &["--speed", "2"]);
    assert_same_traces(&stack, "again", "third");
}

#[test]
fn bodies_give_each_endpoint_its_recorded_status_and_size() {
    let _machine = exclusive::machine();
    let single = [("svc", "")];
    let mut stack = Stack::start(&single);
    for (run, endpoint) in [
        ("gunzip", &["gunzip", "--size", "20000"][..]),
        ("gzip", &["gzip", "--size", "3000"]),
        // Text is neither JSON nor a gzip file.
        (
            "no-json",
            &["/json/validate", "--method", "POST", "--size", "777"],
        ),
        ("no-gzip", &["/blob/gunzip", "--method", "POST", "--size", "777"]),
        ("work", &["/work?cpu_ms=1&resp_kb=3"]),
    ] {
        stack.load(run, &[&["--duration", "300ms", "--endpoint"], endpoint].concat());
        let again = format!("{run}-again");
        let report = stack.replay(run, &again, &["--strict"]);
        assert_eq!(report["changes"]["changed"], 0, "{run}");
        assert_same_traces(&stack, run, &again);
        let status = if run.starts_with("no-") { "400" } else { "200" };
        assert!(
            report["statuses"][status].as_u64().is_some_and(|count| count > 0),
            "{run}: {report}"
        );
    }
    stack.load(
        "kvget",
        &["--duration", "300ms", "--endpoint", "kvget", "--size", "4321"],
    );
    stack.load(
        "missing",
        &["--duration", "300ms", "--endpoint", "/kv/get/nothing"],
    );
    stack.restart(&single);
    let report = stack.replay("kvget", "kvget-again", &["--strict"]);
    assert_eq!(report["preview"]["values_stored"], 1);
    assert_same_traces(&stack, "kvget", "kvget-again");
    stack.replay("missing", "missing-again", &[]);
    assert_same_traces(&stack, "missing", "missing-again");
}

fn signal(id: u32, signal: libc::c_int) {
    // SAFETY: kill only sends a signal, to a child that this test started and has not waited for.
    let sent = unsafe { libc::kill(libc::pid_t::try_from(id).unwrap(), signal) };
    assert_eq!(sent, 0);
}

/// Maximum lateness in the rows of a run, milliseconds.
fn lateness_max(calls: &[Value]) -> f64 {
    calls
        .iter()
        .filter_map(|call| number(call, "lateness_ms"))
        .fold(0.0, f64::max)
}

#[test]
fn a_driver_that_was_stopped_shows_in_summary_events_and_rows() {
    const STOPPED: Duration = Duration::from_millis(500);
    let _machine = exclusive::machine();
    let stack = Stack::start(&[("svc", "")]);
    stack.load(
        "first",
        &["--endpoint", "hash", "--duration", "5s", "--rate", "100"],
    );
    let events = stack.logs.path().join("events.jsonl");
    let mut replay: Command = command("cctf").unwrap();
    replay
        .arg("replay")
        .arg(stack.folder("first"))
        .args(["--target", &stack.target(), "--otlp-endpoint", &stack.otlp()])
        .args(["--run-id", "again", "--format", "json", "--out"])
        .arg(&events)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let replay = replay.spawn().unwrap();
    // The receiver creates the folder of the run when the driver reports the start. This is just before the first of 5 s of
    // requests.
    let folder = stack.folder("again");
    wait_for("the start of the run", || Ok(folder.exists().then_some(()))).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal(replay.id(), libc::SIGSTOP);
    std::thread::sleep(STOPPED);
    signal(replay.id(), libc::SIGCONT);
    let done = Done::from(replay.wait_with_output().unwrap());
    assert_eq!(done.code, Some(0), "{done:?}");
    let report = done.json().unwrap();
    // At 100 requests a second, one is due in the first 10 ms of the pause.
    let expected_ms = STOPPED.as_secs_f64() * 1e3 - 50.0;
    assert!(
        report["lateness_ms"]["max"].as_f64().unwrap() > expected_ms,
        "{report}"
    );
    assert_eq!(report["is_void"], true, "{report}");
    stack.wait_for_end("again");
    assert!(lateness_max(&stack.rows("again", "calls.jsonl")) > expected_ms);
    let lines = rows::lines(&events).unwrap();
    let late_ns = lines
        .iter()
        .filter_map(|line| number(line, "lateness_ns"))
        .fold(0.0, f64::max);
    assert!(late_ns > expected_ms * 1e6, "{late_ns}");
    let folders = [stack.folder("first"), stack.folder("again")];
    let compared = cctf(&["compare".as_ref(), folders[0].as_os_str(), folders[1].as_os_str()]).unwrap();
    assert_eq!(compared.code, Some(4), "{compared:?}");
    assert!(compared.stdout.contains("void"), "{}", compared.stdout);
}

/// The commands of the page: its code blocks that name no language.
fn commands(page: &str) -> String {
    let blocks = page.split("\n```").skip(1).step_by(2);
    let commands = blocks.filter_map(|block| block.strip_prefix('\n'));
    commands.collect::<Vec<_>>().join("\n")
}

fn run_page(logs: &Path) -> Done {
    let page = read("docs/replay.md").unwrap();
    let script = format!(
        "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{}",
        commands(&page)
    );
    let ports = free_ports::<5>().unwrap().map(|port: u16| port.to_string());
    let names = ["OTLP", "FRONT", "STORE", "FRONT_ADMIN", "STORE_ADMIN"];
    // `timeout` ends the command, because the loops of the page would otherwise wait forever.
    let mut command = Command::new("timeout");
    command.args(["--kill-after=20", "300", "bash", "-c", &script]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command
        .envs(names.iter().zip(&ports))
        .env("BIN", bin_dir().unwrap())
        .env("LOGS", logs);
    Done::from(command.output().unwrap())
}

/// This test fails if the target is another module, and if the comparison runs before the end of the replay.
#[test]
fn the_commands_of_the_page_lead_from_recording_to_verdict() {
    let _machine = exclusive::machine();
    let logs = tempfile::tempdir().unwrap();
    let done = run_page(logs.path());
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let code = done
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("exit code "))
        .unwrap();
    // A busy machine may change 200 requests, so any verdict is accepted. But the comparison must give a verdict.
    assert!(
        ["0", "3", "4"].contains(&code),
        "{}\n{}",
        done.stdout,
        done.stderr
    );
    for run in ["first", "again"] {
        assert!(logs.path().join(run).join("cctf/calls.jsonl").is_file());
    }
    assert!(
        done.stdout.contains("0 of "),
        "no answer differs from the recorded one: {}",
        done.stdout
    );
}
