//! `cctf export simgrid`: its files, and the arrivals of another run.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::stats::{Logs, row};
use crate::{cctf, stderr};

fn export(folder: &Path, args: &[&str]) -> Output {
    cctf(&["export", "simgrid", "r", "--logs-dir", ".", "--out", "out"])
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// The lines of a file of the export that begin with `word`.
fn lines(folder: &Path, name: &str, word: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join("out").join(name)).unwrap();
    let lines = text.lines().filter(|line| line.split('\t').next() == Some(word));
    lines.map(str::to_owned).collect()
}

fn logs(module: &str, count: u64) -> Logs {
    Logs::with(
        &(0..count)
            .map(|second| row(second, module, 200))
            .collect::<String>(),
    )
}

#[test]
fn the_folder_has_platform_stations_work_and_both_drivers() {
    let logs = logs("front", 3);
    let done = export(logs.path(), &[]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let folder = logs.path();
    let arrivals: Vec<String> = lines(folder, "workload.tsv", "root")
        .iter()
        .map(|line| line.split('\t').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(arrivals, ["0", "1000000000", "2000000000"]);
    assert_eq!(lines(folder, "workload.tsv", "invocation").len(), 3);
    assert_eq!(lines(folder, "stations.tsv", "front").len(), 1);
    assert!(lines(folder, "names.tsv", "replay")[0].ends_with(r#","replay_of":"r""#));
    for name in [
        "platform.xml",
        "cpp/CMakeLists.txt",
        "cpp/main.cpp",
        "python/replay.py",
        "README.md",
    ] {
        assert!(folder.join("out").join(name).is_file(), "{name}");
    }
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(
        text.contains("out/build/replay out --out logs/simulated"),
        "{text}"
    );
}

#[test]
fn arrivals_of_another_run_get_the_recorded_work() {
    let (known, busier) = (logs("front", 2), logs("front", 5));
    let other = busier.path().join("r");
    let done = export(known.path(), &["--arrivals", other.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert_eq!(lines(known.path(), "workload.tsv", "root").len(), 5);
}

#[test]
fn arrivals_without_work_and_a_missing_run_are_refused() {
    let (known, other) = (logs("front", 2), logs("back", 2));
    let path = other.path().join("r");
    let done = export(known.path(), &["--arrivals", path.to_str().unwrap()]);
    let expected = "cctf: cannot use the arrivals of r: r has no request to any of its endpoints; choose runs of one application\n";
    assert_eq!((done.status.code(), stderr(&done).as_str()), (Some(2), expected));
    let done = export(known.path(), &["--arrivals", "nowhere"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(stderr(&done).contains("cannot find run"), "{}", stderr(&done));
    assert!(!known.path().join("out").exists());
}
