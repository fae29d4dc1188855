//! The parts of a run, and the sentence about parts that are missing.

use std::fs;
use std::path::Path;

use cctf_proto::cctf::Part;
use rundir::parts::{Next, Run};

/// A folder with the run_meta.json of part `number` of the run `run_id`.
fn write(logs: &Path, folder: &str, run_id: &str, number: u64) {
    let cctf = logs.join(folder).join("cctf");
    fs::create_dir_all(&cctf).unwrap();
    let meta = format!(r#"{{"run_id":"{run_id}","part":{number}}}"#);
    fs::write(cctf.join("run_meta.json"), meta).unwrap();
}

/// Numbers of the parts of the run `r`, and the sentence.
fn found(logs: &Path) -> (Vec<u64>, Option<String>) {
    let (run, first) = (Run::new(logs, "r"), Part::first("r"));
    let parts = run.parts_from(&first).unwrap();
    let numbers = parts.iter().map(Part::number).collect();
    (numbers, run.missing(&first).unwrap())
}

fn sentence(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn parts_behind_a_missing_or_empty_one_are_read() {
    let logs = tempfile::tempdir().unwrap();
    let logs = logs.path();
    write(logs, "r", "r", 1);
    assert_eq!(found(logs), (vec![1], None));
    write(logs, "r-0003", "r", 3);
    let second = sentence("part 2 of r is missing or has no valid run_meta.json");
    assert_eq!(found(logs), (vec![1, 3], second.clone()));
    fs::create_dir(logs.join("r-0002")).unwrap();
    assert_eq!(found(logs), (vec![1, 3], second.clone()));
    fs::create_dir(logs.join("r-0002/cctf")).unwrap();
    assert_eq!(found(logs), (vec![1, 3], second));
    write(logs, "r-0007", "r", 7);
    let gaps = sentence("parts 2, 4 to 6 of r are missing or have no valid run_meta.json");
    assert_eq!(found(logs), (vec![1, 3, 7], gaps));
    fs::remove_dir_all(logs.join("r")).unwrap();
    let gaps = sentence("parts 1 to 2, 4 to 6 of r are missing or have no valid run_meta.json");
    assert_eq!(found(logs), (vec![3, 7], gaps));
}

#[test]
fn a_folder_of_a_different_run_is_no_missing_part() {
    let logs = tempfile::tempdir().unwrap();
    let logs = logs.path();
    write(logs, "r", "r", 1);
    write(logs, "r-0002", "r-0002", 1);
    write(logs, "r-0009", "r-0009", 1);
    assert_eq!(found(logs), (vec![1], None));
    write(logs, "r-0003", "r", 3);
    assert_eq!(found(logs), (vec![1, 3], None));
}

#[test]
fn an_empty_folder_behind_the_last_part_is_named_and_undecided() {
    let logs = tempfile::tempdir().unwrap();
    let logs = logs.path();
    write(logs, "r", "r", 1);
    fs::create_dir(logs.join("r-0002")).unwrap();
    fs::create_dir(logs.join("r-9999")).unwrap();
    let missing = sentence("part 2 of r is missing or has no valid run_meta.json");
    assert_eq!(found(logs), (vec![1], missing));
    let next = Run::new(logs, "r").next(&Part::first("r")).unwrap();
    assert_eq!(next, Next::Undecided);
}

#[test]
fn a_sentence_lists_a_bounded_number_of_gaps() {
    let logs = tempfile::tempdir().unwrap();
    let logs = logs.path();
    for number in (3..40).step_by(2) {
        write(logs, Part::later("r", number).folder(), "r", number);
    }
    let (_, missing) = found(logs);
    let expected =
        "parts 1 to 2, 4, 6, 8, 10, 12, 14, 16, others of r are missing or have no valid run_meta.json";
    assert_eq!(missing, sentence(expected));
}
