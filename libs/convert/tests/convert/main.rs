//! Files of all formats become runs: the same telemetry gives the same rows in every form, and damage costs only what is damaged.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alibaba;
mod alibaba_world;
mod bad_input;
mod forms;
mod jaeger;
mod property;
mod runs;
mod tables;
mod world;
mod zipkin;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use convert::inputs::files;
use convert::tally::Format;
use convert::{Options, Summary};
use serde_json::Value;
use tempfile::TempDir;

/// Never set.
static GO_ON: AtomicBool = AtomicBool::new(false);

/// A folder for files and results.
pub struct Folder(TempDir);

impl Folder {
    pub fn create() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.at(name), content).unwrap();
        self.at(name).to_str().unwrap().to_owned()
    }

    /// The names in the folder.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Converts files to the folder `out` in this one.
    pub fn convert(&self, inputs: &[String], out: &str) -> anyhow::Result<Converted> {
        self.convert_with(inputs, out, None, &GO_ON)
    }

    pub fn convert_with(
        &self,
        inputs: &[String],
        out: &str,
        format: Option<Format>,
        stop: &'static AtomicBool,
    ) -> anyhow::Result<Converted> {
        let options = Options {
            run_id: Some("r".to_owned()),
            format,
            stop,
        };
        let summary = convert::convert(&self.at(out), &files(inputs)?, &options, &mut |_| {})?;
        Ok(Converted {
            summary,
            out: self.at(out),
        })
    }
}

/// A result.
pub struct Converted {
    pub summary: Summary,
    out: PathBuf,
}

impl Converted {
    pub fn file(&self, name: &str) -> String {
        read(&self.out.join("cctf").join(name))
    }

    /// The text of both files of requests.
    pub fn requests(&self) -> [String; 2] {
        ["invocations.jsonl", "calls.jsonl"].map(|name| self.file(name))
    }

    pub fn rows(&self, name: &str) -> Vec<Value> {
        let text = self.file(name);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub fn meta(&self) -> Value {
        serde_json::from_str(&self.file("run_meta.json")).unwrap()
    }

    /// Places and reasons of what was left out.
    pub fn damages(&self) -> Vec<String> {
        let damages = &self.summary.tally.damages;
        assert_eq!(damages.count, damages.shown.len() as u64);
        let shown = damages.shown.iter();
        shown
            .map(|damage| format!("{}: {}", damage.place, damage.reason))
            .collect()
    }
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
