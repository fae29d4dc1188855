//! Run folders for the tests: expected runs of the normalizer's golden cases, unchanged and damaged.

use std::fs;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Shape};

/// The expected runs of a golden case.
fn expected(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../normalizer/tests/golden")
        .join(case)
        .join("expected")
}

/// All golden cases with the names of their runs.
pub fn golden_cases() -> Vec<(String, Vec<String>)> {
    let names = |folder: &Path| -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../normalizer/tests/golden");
    let cases = names(&all).into_iter();
    cases
        .filter(|case| expected(case).is_dir())
        .map(|case| {
            let runs = names(&expected(&case));
            (case, runs)
        })
        .collect()
}

/// Copies an expected run to `logs/RUN`. Adds the empty files and the lock that a normalizer writes.
pub fn copy_golden(case: &str, run: &str, logs: &Path) -> PathBuf {
    let (from, to) = (expected(case).join(run), logs.join(run));
    fs::create_dir_all(to.join("cctf")).unwrap();
    for file in File::ALL {
        let path = to.join("cctf").join(file.name());
        match fs::copy(from.join(file.name()), &path) {
            Ok(_) => {}
            // The golden cases leave out empty files.
            Err(_) if file.shape() == Shape::Lines => fs::write(&path, "").unwrap(),
            Err(error) => panic!("{}: {error}", from.join(file.name()).display()),
        }
    }
    fs::write(to.join(".lock"), "").unwrap();
    to
}

/// Replaces text in one of a run's files.
pub fn edit(run: &Path, file: File, from: &str, to: &str) {
    let path = run.join("cctf").join(file.name());
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    fs::write(&path, text.replace(from, to)).unwrap();
}

/// Replaces a file by a named pipe. A program that opens it to read would wait forever.
pub fn put_named_pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}
