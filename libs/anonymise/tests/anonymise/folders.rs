//! Folders of a run: several parts, damaged rows, a run that is still being written, and a result that already exists.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;

use cctf_proto::cctf::{File, Row as _, RunMeta, Shape};
use serde_json::{Value, json};

use super::support::{Source, bytes_below, run_of, sparse, write};

fn texts() -> Vec<String> {
    (0..60).map(|number| format!("text{number}")).collect()
}

/// A valid `run_meta.json` for the part of a run.
fn identify(run: &Path, id: &str, part: Option<u64>) {
    let path = run.join("cctf/run_meta.json");
    let texts = texts();
    let mut source = Source::new(&texts);
    let mut meta = Value::Object(sparse(RunMeta::FIELDS, &source.row(RunMeta::FIELDS)));
    meta["run_id"] = id.into();
    meta["ended_ts"] = meta["started_ts"].clone();
    meta["counts"]["orphans"] = 100.into();
    if let Some(part) = part {
        meta["part"] = part.into();
    }
    fs::write(path, meta.to_string()).unwrap();
}

fn meta(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("cctf/run_meta.json")).unwrap()).unwrap()
}

#[test]
fn all_parts_of_a_run_appear_as_parts_of_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["soak", "soak-0002", "soak-0004"];
    for (name, part) in names.iter().zip([None, Some(2), Some(4)]) {
        let run = folder.path().join(name);
        write(&run, &mut Source::new(&texts()));
        identify(&run, "soak", part);
    }
    let out = folder.path().join("out");
    let summary = run_of(&folder.path().join("soak"), &out).unwrap();
    let id = meta(&summary.folders[0])["run_id"].as_str().unwrap().to_owned();
    let expected = [id.clone(), format!("{id}-0002"), format!("{id}-0004")].map(|name| out.join(name));
    assert_eq!(summary.folders, expected);
    for folder in &summary.folders {
        assert_eq!(meta(folder)["run_id"], id.as_str());
        assert!(folder.join("events.jsonl").is_symlink() && folder.join("events_client.jsonl").exists());
    }
    assert_eq!(summary.files["cctf/calls.jsonl"].written, 6);
    assert_eq!(summary.open, 0);
    let (found, part) = rundir::parts::Target::Folder(expected[0].clone())
        .find()
        .unwrap()
        .unwrap();
    assert_eq!(found.parts_from(&part).unwrap().len(), 3);
    // Like other commands, this one can begin with a later part.
    let later = folder.path().join("later");
    let summary = run_of(&folder.path().join("soak-0002"), &later).unwrap();
    assert_eq!(
        summary.folders,
        [format!("{id}-0002"), format!("{id}-0004")].map(|name| later.join(name))
    );
}

#[test]
fn unreadable_rows_are_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("r"), folder.path().join("out"));
    write(&run, &mut Source::new(&texts()));
    identify(&run, "r", None);
    let calls = run.join("cctf/calls.jsonl");
    let good = fs::read_to_string(&calls).unwrap();
    let far = good
        .lines()
        .next()
        .unwrap()
        .replace("\"ts_start\":1", "\"ts_start\":9223372036");
    let bytes = [
        b"{\"half\":\n\xff\xfe\n[]\n\n".as_slice(),
        far.as_bytes(),
        b"\n",
        good.as_bytes(),
        b"{\"torn\":",
    ]
    .concat();
    fs::write(&calls, bytes).unwrap();
    fs::write(run.join("cctf/links.json"), "[{}, 7]").unwrap();
    fs::write(run.join("cctf/nodes.json"), "{").unwrap();
    let summary = run_of(&run, &out).unwrap();
    let of = |file: &str| (summary.files[file].written, summary.files[file].damaged);
    assert_eq!(of("cctf/calls.jsonl"), (2, 6));
    assert_eq!(of("cctf/links.json"), (0, 2));
    assert_eq!(of("cctf/nodes.json"), (0, 1));
    assert_eq!(summary.damaged(), 9);
    // The counts are those of the new files.
    let counts = meta(&out)["counts"].clone();
    assert_eq!(counts["rows"]["calls.jsonl"], json!(2));
    assert_eq!(counts["orphans"], json!(2), "{counts}");
    assert!(!out.join("cctf/nodes.json").exists());
}

#[test]
fn a_result_depends_on_key_and_run_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("r");
    write(&run, &mut Source::new(&texts()));
    let outs = ["a", "b"].map(|name| folder.path().join(name));
    for out in &outs {
        run_of(&run, out).unwrap();
    }
    assert_eq!(bytes_below(&outs[0]), bytes_below(&outs[1]));
    for file in File::ALL.iter().filter(|file| file.shape() == Shape::Lines) {
        let lines = fs::read_to_string(outs[0].join("cctf").join(file.name())).unwrap();
        assert_eq!(lines.lines().count(), 2, "{}", file.name());
    }
}

#[test]
fn a_run_that_is_being_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (run, out) = (folder.path().join("r"), folder.path().join("out"));
    write(&run, &mut Source::new(&texts()));
    let lock = fs::File::create(run.join(".lock")).unwrap();
    // SAFETY: the descriptor is open.
    assert_eq!(unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) }, 0);
    let error = run_of(&run, &out).unwrap_err();
    assert!(error.is::<cli::UsageError>());
    assert!(
        error
            .to_string()
            .contains("a normalizer is writing the run; repeat the command"),
        "{error}"
    );
    assert!(!out.exists());
    drop(lock);
    run_of(&run, &out).unwrap();
    let error = run_of(&run, &out).unwrap_err().to_string();
    assert!(
        error.ends_with("it already exists; choose another path for the result"),
        "{error}"
    );
}
