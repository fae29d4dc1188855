//! The folders that the sink would write for a pipeline's output, and the findings of `validate` about them.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use cctf_normalizer::pipeline::Output;
use cctf_proto::cctf::{File, Shape};
use cctf_proto::validate::{Finding, Severity};
use rundir::validate::{Options, validate};

/// The content of each file. The key is the folder of the part and the name of the file.
#[derive(Default, PartialEq, Eq)]
pub struct Folders(BTreeMap<(String, &'static str), Vec<u8>>);

impl Folders {
    /// Adds the output that a pipeline has created since the last call.
    pub fn take(&mut self, output: &mut Output) {
        for run in output.drain() {
            for (file, lines) in run.appended().filter(|(_, lines)| !lines.is_empty()) {
                assert!(lines.ends_with(b"\n"), "{} ends within a line", file.name());
                let key = (run.part.folder().to_owned(), file.name());
                self.0.entry(key).or_default().extend_from_slice(lines);
            }
            for (file, content) in run.replaced() {
                self.0
                    .insert((run.part.folder().to_owned(), file.name()), content.to_vec());
            }
            run.clear();
        }
    }

    /// The first file that differs, and its content in both.
    pub fn first_difference(&self, other: &Self) -> Option<(String, String, String)> {
        let text = |content: Option<&Vec<u8>>| {
            content.map_or_else(String::new, |content| {
                String::from_utf8_lossy(content).into_owned()
            })
        };
        let differs = |key: &&(String, &'static str)| self.0.get(*key) != other.0.get(*key);
        let key = self.0.keys().chain(other.0.keys()).find(differs)?;
        let (one, other) = (text(self.0.get(key)), text(other.0.get(key)));
        let mut lines = one.lines().zip(other.lines());
        let (one, other) = lines.find(|(one, other)| one != other).unwrap_or((&one, &other));
        Some((format!("{}/{}", key.0, key.1), one.to_owned(), other.to_owned()))
    }

    /// Removes the content of `logs` and writes the folders into it.
    pub fn write(&self, logs: &Path) {
        let _ = fs::remove_dir_all(logs);
        fs::create_dir_all(logs).unwrap();
        for folder in self.names() {
            let cctf = logs.join(folder).join("cctf");
            fs::create_dir_all(&cctf).unwrap();
            for file in File::ALL {
                let content = self.0.get(&(folder.to_owned(), file.name()));
                if content.is_some() || file.shape() == Shape::Lines {
                    fs::write(cctf.join(file.name()), content.map_or(&[][..], Vec::as_slice)).unwrap();
                }
            }
        }
    }

    /// The lines of a file of a folder.
    pub fn lines(&self, folder: &str, file: File) -> Vec<&[u8]> {
        let content = self.0.get(&(folder.to_owned(), file.name()));
        let content = content.map_or(&[][..], Vec::as_slice);
        content
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .collect()
    }

    /// The folders' names.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0.keys().map(|(folder, _)| folder.as_str()).collect()
    }

    /// Writes the folders into `logs` and returns the errors that `validate` finds.
    pub fn errors(&self, logs: &Path) -> String {
        self.write(logs);
        let mut errors = String::new();
        for folder in self.names() {
            let report = validate(&logs.join(folder), Options::default()).unwrap();
            let is_error = |finding: &&Finding| finding.severity == Severity::Error;
            for finding in report.broken.iter().filter(is_error) {
                let (line, file) = (finding.line.unwrap_or(0), finding.file.name());
                writeln!(
                    errors,
                    "{}: {folder}/{file}:{line} {}",
                    finding.rule.id, finding.message
                )
                .unwrap();
            }
        }
        errors
    }
}
