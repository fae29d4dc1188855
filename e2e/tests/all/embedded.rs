//! A service with LOG_PATH but without an OTLP receiver starts its own normalizer. It loses no row and leaves no process.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use e2e::binaries::{bin_dir, cctf};
use e2e::child::{Child, is_running, wait_for};
use e2e::http;
use e2e::rows::{self, text};
use serde_json::Value;

/// Starts the service. If root runs this test, the service gives the folder to another user.
fn start(log_path: &Path) -> Child {
    let variables = [
        ("LOG_PATH", log_path.to_str().unwrap()),
        ("NODE_ID", "edge0"),
        ("STAGE", "edge"),
        ("RUN_ID", "r"),
        ("JOIN_WINDOW", "1s"),
    ];
    Child::service(&bin_dir().unwrap(), &variables).unwrap()
}

/// A folder that all users can reach, like a volume of a container.
fn folder() -> (tempfile::TempDir, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let outside = tempfile::tempdir().unwrap();
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let log_path = outside.path().join("logs");
    fs::create_dir(&log_path).unwrap();
    (outside, log_path)
}

fn post(service: &Child, body: &[u8]) {
    let address = service.address("listening").unwrap();
    let answer = http::send(address, "POST", "/hash/sha256", &[], body).unwrap();
    assert_eq!(answer.status, 200);
}

/// Processes whose parent is `parent`.
fn children_of(parent: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).unwrap();
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let ids: String = tasks.map(|task| of_task(task.unwrap())).collect();
    ids.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

fn kill(id: u32, signal: i32) {
    // SAFETY: kill only sends a signal, to a process that this test has started.
    assert_eq!(unsafe { libc::kill(id.try_into().unwrap(), signal) }, 0);
}

fn invocations(log_path: &Path) -> Vec<Value> {
    rows::lines(&log_path.join("r/cctf/invocations.jsonl")).unwrap_or_default()
}

fn owner_of_process(id: u32) -> u32 {
    fs::metadata(format!("/proc/{id}")).unwrap().uid()
}

#[test]
fn the_run_folder_has_its_stop_event_and_no_file_of_root() {
    let (_outside, log_path) = folder();
    let service = start(&log_path);
    for size in 0..10 {
        post(&service, &vec![7; size]);
    }
    let processes = [vec![service.id()], children_of(service.id())].concat();
    assert_eq!(
        processes.len(),
        2,
        "the service and its normalizer: {processes:?}"
    );
    let owners: Vec<u32> = processes.iter().map(|id| owner_of_process(*id)).collect();
    let ended = service.stop().unwrap();
    assert!(ended.status.success(), "{ended:?}");

    assert_eq!(invocations(&log_path).len(), 10);
    let run = log_path.join("r");
    let placements = rows::lines(&run.join("placement_events.jsonl")).unwrap();
    let events: Vec<_> = placements.iter().map(|row| text(row, "event").unwrap()).collect();
    assert_eq!(events, ["start", "stop"]);
    let host = rows::lines(&run.join("resources.jsonl")).unwrap();
    assert!(host.iter().all(|row| text(row, "node") == Some("edge0")));
    let checked = cctf(&["validate", run.to_str().unwrap()]).unwrap();
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let owner = fs::metadata(&log_path).unwrap().uid();
    assert_ne!(owner, 0, "root's folder is given away");
    assert_eq!(owners, [owner, owner]);
    assert_eq!(
        fs::metadata(run.join("cctf/invocations.jsonl")).unwrap().uid(),
        owner
    );
    assert!(!is_running(processes[1]));
}

/// This test fails without the restart: no receiver accepts the spans, and they are dropped at the end.
#[test]
fn a_killed_normalizer_restarts_and_no_row_is_lost_or_duplicated() {
    let (_outside, log_path) = folder();
    let service = start(&log_path);
    let mut sent = 0;
    for _ in 0..3 {
        for _ in 0..20 {
            post(&service, b"x");
            sent += 1;
        }
        let first = children_of(service.id());
        kill(first[0], libc::SIGKILL);
        wait_for("another normalizer", || {
            let now = children_of(service.id());
            Ok((now.len() == 1 && now != first).then_some(()))
        })
        .unwrap();
    }
    post(&service, b"x");
    wait_for("all rows", || {
        Ok((invocations(&log_path).len() == sent + 1).then_some(()))
    })
    .unwrap();
    let ended = service.stop().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("the normalizer exited unexpectedly; restarting it"),
        "{ended:?}"
    );
    let mut ids: Vec<_> = invocations(&log_path)
        .iter()
        .map(|row| text(row, "span_id").unwrap().to_owned())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), invocations(&log_path).len()), (sent + 1, sent + 1));
}

/// This test fails without --stop-with-stdin: the normalizer then never stops.
#[test]
fn a_killed_service_leaves_no_normalizer_and_all_its_rows() {
    let (_outside, log_path) = folder();
    let service = start(&log_path);
    post(&service, b"x");
    wait_for(
        "the row",
        || Ok((invocations(&log_path).len() == 1).then_some(())),
    )
    .unwrap();
    let normalizer = children_of(service.id())[0];
    kill(service.id(), libc::SIGKILL);
    wait_for("the normalizer's end", || {
        Ok((!is_running(normalizer)).then_some(()))
    })
    .unwrap();
    assert_eq!(invocations(&log_path).len(), 1);
}

#[test]
fn a_missing_normalizer_is_reported_in_one_line_at_the_start() {
    let (_outside, log_path) = folder();
    let variables = [
        ("LOG_PATH", log_path.to_str().unwrap()),
        ("NORMALIZER", "/nowhere/cctf-normalizer"),
    ];
    let error = Child::service(&bin_dir().unwrap(), &variables).unwrap_err();
    let message = format!("{error:#}");
    for part in [
        "cannot open /nowhere/cctf-normalizer, which writes the files of LOG_PATH: ",
        "; set NORMALIZER to its path",
    ] {
        assert!(message.contains(part), "{message}");
    }
}
