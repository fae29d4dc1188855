//! [`Files`]: a run made by hand; [`Line`]: a row of it.

use std::fs;
use std::path::Path;

use cctf_proto::cctf::{Milliseconds, Part};
use plan::roots::{Root, Roots};
use rundir::parts::Run;
use tempfile::TempDir;

/// A row as JSON, whose fields can be replaced.
#[derive(Debug, Clone)]
pub struct Line(Vec<(&'static str, String)>);

impl Line {
    /// Sets a field to a raw value.
    pub fn with(mut self, name: &'static str, raw: &str) -> Self {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, value)) => raw.clone_into(value),
            None => self.0.push((name, raw.to_owned())),
        }
        self
    }

    pub fn without(mut self, name: &'static str) -> Self {
        self.0.retain(|(known, _)| *known != name);
        self
    }

    pub fn text(&self) -> String {
        let fields: Vec<String> = self
            .0
            .iter()
            .map(|(name, raw)| format!("\"{name}\":{raw}"))
            .collect();
        format!("{{{}}}\n", fields.join(","))
    }
}

pub fn span(id: u64) -> String {
    format!("\"{id:016x}\"")
}

fn line(fields: &[(&'static str, String)]) -> Line {
    Line(fields.to_vec())
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A call of the load driver.
pub fn call(trace: u128, id: u64, at_ns: i64) -> Line {
    let at = Milliseconds::from_ns(at_ns).to_string();
    line(&[
        ("trace_id", format!("\"{trace:032x}\"")),
        ("span_id", span(id)),
        ("parent_span_id", "null".into()),
        ("ancestor_id", "null".into()),
        ("module_id", quoted("driver")),
        ("instance_id", quoted("d")),
        ("node", quoted("n")),
        ("stage", quoted("edge")),
        ("ts_start", at.clone()),
        ("ts_end", at),
        ("method", quoted("POST")),
        ("path", quoted("/items/7")),
        ("bytes_out", "100".into()),
        ("bytes_in", "200".into()),
        ("status", "200".into()),
        ("kind", quoted("client")),
        ("protocol", quoted("http")),
        ("peer", quoted("10.0.0.1:80")),
    ])
}

/// An invocation without a parent.
pub fn invocation(trace: u128, id: u64, at_ns: i64) -> Line {
    let at = Milliseconds::from_ns(at_ns).to_string();
    line(&[
        ("trace_id", format!("\"{trace:032x}\"")),
        ("span_id", span(id)),
        ("parent_id", "null".into()),
        ("parent_span_id", "null".into()),
        ("module_id", quoted("shop")),
        ("instance_id", quoted("shop-1")),
        ("ts_enqueue", at.clone()),
        ("ts_start", at.clone()),
        ("ts_end", at),
        ("node", quoted("n")),
        ("stage", quoted("edge")),
        ("method", quoted("POST")),
        ("path", quoted("/items/7")),
        ("bytes_in", "101".into()),
        ("bytes_out", "201".into()),
        ("status", "201".into()),
        ("protocol", quoted("http")),
        ("route", quoted("/items/{id}")),
        ("kind", quoted("server")),
    ])
}

/// The invocation that answered a call.
pub fn answer(trace: u128, id: u64, caller: u64, at_ns: i64) -> Line {
    invocation(trace, id, at_ns)
        .with("parent_span_id", &span(caller))
        .with("caller_span_id", &span(caller))
}

/// A run in a temporary folder.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A run of one part.
    pub fn of(calls: &[Line], invocations: &[Line]) -> Self {
        let files = Self::new();
        files.part(1, calls, invocations);
        files
    }

    /// Writes a part that has ended.
    pub fn part(&self, number: u64, calls: &[Line], invocations: &[Line]) {
        let text = |lines: &[Line]| lines.iter().map(Line::text).collect::<String>();
        self.raw(number, "calls.jsonl", &text(calls));
        self.raw(number, "invocations.jsonl", &text(invocations));
        self.raw(
            number,
            "run_meta.json",
            &format!(r#"{{"run_id":"r","part":{number},"ended_ts":1.0}}"#),
        );
    }

    pub fn raw(&self, number: u64, file: &str, text: &str) {
        self.raw_bytes(number, file, text.as_bytes());
    }

    pub fn raw_bytes(&self, number: u64, file: &str, text: &[u8]) {
        let part = match number {
            1 => Part::first("r"),
            _ => Part::later("r", number),
        };
        let folder = self.0.path().join(part.folder()).join("cctf");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), text).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn read(&self) -> Roots {
        self.read_within(1 << 20)
    }

    pub fn read_within(&self, held_bytes: usize) -> Roots {
        let run = Run::new(self.0.path(), "r");
        Roots::read_within(&run, &Part::first("r"), self.0.path(), held_bytes, &mut |_| {}).unwrap()
    }
}

pub fn all(roots: &Roots) -> Vec<Root> {
    roots.iter().map(Result::unwrap).collect()
}
