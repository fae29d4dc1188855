//! [`contents`]: rows and bytes of each file in a run folder.

use std::io::{self, Read};
use std::path::Path;

use cctf_proto::cctf::{File, Shape};
use serde_json::value::RawValue;

use crate::regular::{self, look};
use crate::{CCTF, EVENTS_CLIENT, ReadError};

/// Bytes per read when lines are counted.
const READ_BYTES: usize = 256 * 1024;

/// Rows and size of one file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Content {
    /// Path inside of the run folder.
    pub file: String,
    /// Number of lines, number of entries of an array, or 1 for an object.
    pub rows: u64,
    /// Size, bytes.
    pub bytes: u64,
}

/// The existing files in a run folder, including the driver's file.
///
/// # Errors
/// If a file cannot be read.
pub fn contents(run_dir: &Path) -> Result<Vec<Content>, ReadError> {
    let of_contract = File::ALL
        .iter()
        .map(|file| (format!("{CCTF}/{}", file.name()), file.shape()));
    let mut found = Vec::new();
    for (file, shape) in of_contract.chain([(EVENTS_CLIENT.to_owned(), Shape::Lines)]) {
        let path = run_dir.join(&file);
        let Some(data) = look(&path)? else {
            continue;
        };
        let rows = match shape {
            Shape::Lines => count_lines(&path),
            Shape::Array => count_entries(&path),
            Shape::Object => Ok(1),
        };
        found.push(Content {
            file,
            rows: rows.map_err(ReadError::io(&path))?,
            bytes: data.len(),
        });
    }
    Ok(found)
}

fn count_lines(path: &Path) -> io::Result<u64> {
    let mut file = regular::open(path)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut lines = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(lines),
            count => lines += memchr::memchr_iter(b'\n', &buffer[..count]).count() as u64,
        }
    }
}

fn count_entries(path: &Path) -> io::Result<u64> {
    let text = io::read_to_string(regular::open(path)?)?;
    let entries: Vec<&RawValue> = serde_json::from_str(&text)?;
    Ok(entries.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    #[test]
    fn rows_are_lines_entries_or_one_object() {
        let run = tempfile::tempdir().unwrap();
        fs::create_dir(run.path().join("cctf")).unwrap();
        fs::write(run.path().join("cctf/invocations.jsonl"), "{}\n{}\n").unwrap();
        fs::write(run.path().join("cctf/nodes.json"), "[{},{},{}]").unwrap();
        fs::write(run.path().join("cctf/run_meta.json"), "{}").unwrap();
        let rows: Vec<(String, u64)> = contents(run.path())
            .unwrap()
            .into_iter()
            .map(|content| (content.file, content.rows))
            .collect();
        let expected = [
            ("cctf/invocations.jsonl", 2),
            ("cctf/nodes.json", 3),
            ("cctf/run_meta.json", 1),
        ];
        assert_eq!(rows, expected.map(|(file, rows)| (file.to_owned(), rows)));
    }

    #[test]
    fn a_named_pipe_is_refused_and_not_waited_for() {
        let run = tempfile::tempdir().unwrap();
        fs::create_dir(run.path().join("cctf")).unwrap();
        for name in ["invocations.jsonl", "nodes.json"] {
            let path = run.path().join("cctf").join(name);
            assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            assert!(contents(run.path()).is_err(), "{name}");
            fs::remove_file(path).unwrap();
        }
    }
}
