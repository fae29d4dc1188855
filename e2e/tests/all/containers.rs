//! The images in containers: the stack of compose.yaml with the real Collector, and the three commands of the runbook.
//!
//! Needs a Docker engine. If none runs, `make test` starts its own. It also builds the images.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use e2e::binaries::{Done, cctf, command};
use e2e::child::wait_for;
use e2e::exclusive;
use e2e::http;
use e2e::ports::free_ports;
use e2e::rows::{self, text};
use e2e::sources::root;
use serde_json::Value;

/// The name of the test's stack. It differs from the default, so that another stack of the machine is not changed.
const PROJECT: &str = "cctf-e2e";

/// Writes to the log of the whole test run instead of the captured output, to record which containers ran.
fn log(what: &str) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn docker(args: &[&str]) -> String {
    let output = run(Command::new("docker").args(args));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn build_images() {
    for (binaries, names) in [
        ("target/release", &["tunable-svc", "cctf-normalizer"][..]),
        ("target/tools/bin", &["otelcol"][..]),
    ] {
        run(Command::new(root().join("scripts/images"))
            .arg(binaries)
            .args(names));
    }
}

/// A folder that all users can use, because containers run as another user.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The users of a container's processes, as seen from the host.
fn users_in(container: &str) -> Vec<u32> {
    let processes = docker(&["top", container, "-eo", "uid,pid"]);
    let users = processes
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap());
    users.collect()
}

/// The running stack. It is stopped when this is dropped.
struct Stack {
    variables: Vec<(String, String)>,
    logs: PathBuf,
}

impl Stack {
    fn up(folder: &Path) -> Self {
        let logs = folder.join("logs");
        let mut variables = vec![
            ("COMPOSE_PROJECT_NAME".to_owned(), PROJECT.to_owned()),
            ("OTELCOL_IMAGE".to_owned(), "otelcol:0.160.0".to_owned()),
            ("LOGS_DIR".to_owned(), logs.display().to_string()),
            ("JOIN_WINDOW".to_owned(), "2s".to_owned()),
        ];
        let ports = [
            "SERVICE_PORT",
            "CHAIN_PORT",
            "OTLP_GRPC_PORT",
            "OTLP_HTTP_PORT",
            "OTELCOL_HEALTH_PORT",
            "OTELCOL_METRICS_PORT",
            "NORMALIZER_ADMIN_PORT",
        ];
        for (name, port) in ports.iter().zip(free_ports::<7>().unwrap()) {
            variables.push(((*name).to_owned(), port.to_string()));
        }
        let stack = Self { variables, logs };
        let started = run(stack.script().args(["up", "chain"]));
        println!("{}", String::from_utf8_lossy(&started.stdout));
        stack
    }

    fn script(&self) -> Command {
        let mut command = Command::new(root().join("scripts/compose"));
        command
            .arg("target/tools")
            .current_dir(root())
            .envs(self.variables.iter().cloned());
        command
    }

    fn variable(&self, name: &str) -> &str {
        let found = self.variables.iter().find(|(variable, _)| variable == name);
        &found.unwrap().1
    }

    fn local(&self, port: &str) -> String {
        format!("http://127.0.0.1:{}", self.variable(port))
    }

    /// Drives the service at `port` like `make real-all STACK=compose`. Returns the folder of the run.
    fn drive(&self, run_id: &str, port: &str, endpoints: &str) -> PathBuf {
        let mut run = command("cctf").unwrap();
        run.args(["run", "--rate", "40", "--duration", "2s", "--run-id", run_id]);
        run.args(["--endpoints", endpoints, "--target", &self.local(port)]);
        run.args(["--otlp-endpoint", &self.local("OTLP_GRPC_PORT"), "--logs-dir"]);
        let done = Done::from(run.arg(&self.logs).output().unwrap());
        assert_eq!(done.code, Some(0), "{done:?}");
        self.logs.join(run_id)
    }

    fn containers(&self) -> Vec<String> {
        let of_project = format!("label=com.docker.compose.project={PROJECT}");
        let ids = docker(&["ps", "--quiet", "--no-trunc", "--filter", &of_project]);
        ids.lines().map(str::to_owned).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for container in self.containers() {
                let said = Command::new("docker")
                    .args(["logs", "--tail", "30", &container])
                    .output();
                let said = said
                    .map(|said| [said.stdout, said.stderr].concat())
                    .unwrap_or_default();
                println!("{container} said:\n{}", String::from_utf8_lossy(&said));
            }
        }
        let _ = self.script().arg("down").output();
    }
}

/// Checks what compose.yaml promises: no process is root or can become root, and the root file system is read-only.
fn assert_hardened(containers: &[String]) {
    for container in containers {
        let state: Value = serde_json::from_str(&docker(&["inspect", container])).unwrap();
        let (config, host) = (&state[0]["Config"], &state[0]["HostConfig"]);
        let name = state[0]["Name"].as_str().unwrap();
        let users = users_in(container);
        log(&format!("{name} {container} runs as {users:?}"));
        let user = config["User"].as_str().unwrap();
        assert!(
            !user.is_empty() && !user.starts_with("0:") && user != "0",
            "{name}: {user:?}"
        );
        assert!(users.iter().all(|user| *user != 0), "{name}: {users:?}");
        assert_eq!(host["ReadonlyRootfs"], true, "{name}");
        assert_eq!(host["CapDrop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(host["Privileged"], false, "{name}");
        assert!(host["Memory"].as_u64().unwrap() > 0, "{name} has no memory limit");
        let published = host["PortBindings"].as_object().into_iter().flatten();
        for binding in published.flat_map(|(_, bindings)| bindings.as_array().unwrap()) {
            assert_eq!(binding["HostIp"], "127.0.0.1", "{name}");
        }
    }
}

#[test]
fn the_compose_stack_leaves_whole_runs_and_nothing_runs_as_root() {
    let _machine = exclusive::machine();
    build_images();
    let folder = open_folder();
    let stack = Stack::up(folder.path());
    let containers = stack.containers();
    assert_eq!(containers.len(), 6, "{containers:?}");
    assert_hardened(&containers);

    let one = stack.drive("one", "SERVICE_PORT", "json,gzip,hash,kvset,kvget");
    let rows = rows::lines(&one.join("events.jsonl")).unwrap();
    assert_eq!(rows.len(), 400);
    assert!(
        rows.iter()
            .all(|row| text(row, "caller_span_id").is_some() && text(row, "node") == Some("cloud0"))
    );
    let chain = stack.drive("chain", "CHAIN_PORT", "json");
    assert_chain(&rows::lines(&chain.join("events.jsonl")).unwrap());

    for run in [&one, &chain] {
        let meta = rows::document(&run.join("run_meta.json")).unwrap();
        for none in ["orphans", "late", "duplicates", "unknown_node"] {
            assert_eq!(meta["counts"][none], 0, "{none} of {}: {meta}", run.display());
        }
        let checked = cctf(&["validate", run.to_str().unwrap()]).unwrap();
        assert_eq!(checked.code, Some(0), "{checked:?}");
        let owner = fs::metadata(&stack.logs).unwrap().uid();
        assert_ne!(owner, 0);
        assert_eq!(
            fs::metadata(run.join("cctf/invocations.jsonl")).unwrap().uid(),
            owner
        );
    }
}

/// Checks that each of the 80 requests passed all three services.
fn assert_chain(rows: &[Value]) {
    assert_eq!(rows.len(), 3 * 80);
    for (node, stage, caller) in [
        ("ep0", "endpoint", None),
        ("edge0", "edge", Some("ep0")),
        ("cloud0", "cloud", Some("edge0")),
    ] {
        let here: Vec<_> = rows
            .iter()
            .filter(|row| text(row, "node") == Some(node))
            .collect();
        assert_eq!(here.len(), 80, "{node}");
        for row in here {
            assert_eq!(text(row, "stage"), Some(stage));
            let parent = text(row, "parent_id");
            let parent = parent.map(|parent| {
                rows.iter()
                    .find(|row| text(row, "span_id") == Some(parent))
                    .unwrap()
            });
            assert_eq!(parent.and_then(|parent| text(parent, "node")), caller);
            assert!(parent.is_none_or(|parent| text(parent, "trace_id") == text(row, "trace_id")));
        }
    }
}

/// The runbook's commands for the three machines. Each is one line.
const RUNBOOK: [&str; 3] = [
    "docker run -d -p 8080:8080 -e NODE_ID=cloud0 -e STAGE=cloud -e LOG_PATH=/logs -v $PWD/logs/cloud:/logs tunable-svc:0.1.0",
    "docker run -d -p 8080:8080 -e NODE_ID=edge0 -e STAGE=edge -e LOG_PATH=/logs -v $PWD/logs/edge:/logs tunable-svc:0.1.0",
    "docker run -d -p 8080:8080 -e NODE_ID=ep0 -e STAGE=endpoint -e LOG_PATH=/logs -v $PWD/logs/endpoint:/logs tunable-svc:0.1.0",
];

/// The names of the runbook's files, except for the driver's file.
const ARTIFACTS: [&str; 17] = [
    "events.jsonl",
    "placement_events.jsonl",
    "system_stats.jsonl",
    "resources.jsonl",
    "links.jsonl",
    "run_meta.json",
    "node_meta.json",
    "module_inventory.json",
    "cctf/nodes.json",
    "cctf/links.json",
    "cctf/invocations.jsonl",
    "cctf/host_metrics.jsonl",
    "cctf/link_metrics.jsonl",
    "cctf/placement_events.jsonl",
    "cctf/system_stats.jsonl",
    "cctf/run_meta.json",
    "cctf/module_inventory.json",
];

/// A container. It is removed when this is dropped.
struct Container(String);

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", &self.0]).output();
    }
}

#[test]
fn the_runbooks_commands_leave_its_artifacts_and_never_run_as_root() {
    let _machine = exclusive::machine();
    build_images();
    let folder = open_folder();
    for (line, node) in RUNBOOK.iter().zip(["cloud0", "edge0", "ep0"]) {
        let started = run(Command::new("sh").args(["-c", line]).current_dir(folder.path()));
        let container = Container(String::from_utf8(started.stdout).unwrap().trim().to_owned());
        let address = "127.0.0.1:8080".parse().unwrap();
        // The engine's proxy accepts connections before the service does.
        wait_for("the service", || {
            Ok(http::send(address, "GET", "/work", &[], b"")
                .ok()
                .filter(|answer| answer.status == 200))
        })
        .unwrap();
        let users = users_in(&container.0);
        log(&format!("{node} {} runs as {users:?}", container.0));
        assert_eq!(users.len(), 2, "the service and its normalizer");
        assert!(users.iter().all(|user| *user != 0), "{users:?}");
        for size in 0..20 {
            let answer = http::send(address, "POST", "/hash/sha256", &[], &vec![b'x'; size]).unwrap();
            assert_eq!(answer.status, 200);
        }
        let stopping = Instant::now();
        docker(&["stop", &container.0]);
        log(&format!("{node} stopped in {:?}", stopping.elapsed()));
        let state: Value =
            serde_json::from_str(&docker(&["inspect", "--format", "{{json .State}}", &container.0])).unwrap();
        // If the engine has to kill a container after 10 s, the exit code is 137.
        assert_eq!(state["ExitCode"], 0, "{state}");

        let stage = line.split("logs/").nth(1).unwrap().split(':').next().unwrap();
        let run_dir = folder.path().join("logs").join(stage).join("latest");
        for artifact in ARTIFACTS {
            assert!(run_dir.join(artifact).is_file(), "{artifact} is missing");
        }
        let rows = rows::lines(&run_dir.join("events.jsonl")).unwrap();
        let hashes = rows
            .iter()
            .filter(|row| text(row, "path") == Some("/hash/sha256"));
        assert_eq!(hashes.count(), 20);
        assert!(
            rows.iter()
                .all(|row| text(row, "node") == Some(node) && text(row, "stage") == Some(stage))
        );
        let events = rows::lines(&run_dir.join("placement_events.jsonl")).unwrap();
        let events: Vec<_> = events.iter().map(|row| text(row, "event").unwrap()).collect();
        assert_eq!(events, ["start", "stop"]);
        let checked = cctf(&["validate", run_dir.to_str().unwrap()]).unwrap();
        assert_eq!(checked.code, Some(0), "{checked:?}");
    }
}
