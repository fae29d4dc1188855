//! [`Folder`]: a run folder with rows made by hand.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use report::gather::{Options, gather};
use report::model::RunData;
use rundir::parts::Target;
use tempfile::TempDir;

/// Start of each run, nanoseconds since the Unix epoch.
pub const T0: u64 = 1_760_000_000_000_000_000;

pub fn ms(ns: u64) -> String {
    format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000)
}

fn or_null(value: Option<u64>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

fn id(number: u64) -> String {
    match number {
        0 => "null".to_owned(),
        number => format!("\"{number:016x}\""),
    }
}

/// An invocation. An id of 0 means unknown. Times are nanoseconds after the start of the run.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub trace: u64,
    pub span: u64,
    pub parent: u64,
    pub call: u64,
    pub app: Option<&'static str>,
    pub module: &'static str,
    pub enqueue: u64,
    pub queue: u64,
    pub service: u64,
    pub cpu: Option<u64>,
    pub network: Option<u64>,
    pub bytes: Option<u64>,
    pub status: u64,
    pub is_orphan: bool,
}

impl Default for Invocation {
    fn default() -> Self {
        Self {
            trace: 1,
            span: 1,
            parent: 0,
            call: 0,
            app: None,
            module: "m",
            enqueue: 0,
            queue: 0,
            service: 1_000_000,
            cpu: None,
            network: None,
            bytes: None,
            status: 200,
            is_orphan: false,
        }
    }
}

impl Invocation {
    pub fn line(&self) -> String {
        let start = T0 + self.enqueue + self.queue;
        let mut line = format!(
            r#"{{"trace_id":"{:032x}","span_id":{},"parent_id":{},"parent_span_id":{},"module_id":"{}","instance_id":"{}-1","ts_enqueue":{},"ts_start":{},"ts_end":{},"node":"n","stage":"edge","method":"GET","path":"/","bytes_in":{},"bytes_out":null,"cpu_time_ms":{},"queue_time_ms":{},"service_time_ms":{},"rt_ms":{},"status":{}"#,
            self.trace,
            id(self.span),
            id(self.parent),
            id(self.call),
            self.module,
            self.module,
            ms(T0 + self.enqueue),
            ms(start),
            ms(start + self.service),
            or_null(self.bytes),
            self.cpu.map_or_else(|| "null".to_owned(), ms),
            ms(self.queue),
            ms(self.service),
            ms(self.queue + self.service),
            self.status,
        );
        if let Some(app) = self.app {
            let _ = write!(line, r#","app_id":"{app}""#);
        }
        line += r#","downstream_ms":null,"kind":"server""#;
        if self.call > 0 {
            let _ = write!(line, r#","caller_span_id":{}"#, id(self.call));
        }
        if let Some(network) = self.network {
            let _ = write!(line, r#","net_ms":{}"#, ms(network));
        }
        if self.is_orphan {
            line += r#","flags":["orphan"]"#;
        }
        line + "}\n"
    }
}

/// A call. An id of 0 means unknown, and an empty text is absent.
#[derive(Debug, Clone)]
pub struct Call {
    pub trace: u64,
    pub span: u64,
    pub ancestor: u64,
    pub module: &'static str,
    pub instance: &'static str,
    pub start: u64,
    pub duration: u64,
    pub peer: &'static str,
    pub peer_module: &'static str,
    pub bytes_out: Option<u64>,
    pub status: Option<u64>,
}

impl Default for Call {
    fn default() -> Self {
        Self {
            trace: 1,
            span: 100,
            ancestor: 0,
            module: "driver",
            instance: "driver-1",
            start: 0,
            duration: 2_000_000,
            peer: "",
            peer_module: "",
            bytes_out: None,
            status: Some(200),
        }
    }
}

impl Call {
    pub fn line(&self) -> String {
        let mut line = format!(
            r#"{{"trace_id":"{:032x}","span_id":{},"parent_span_id":{},"ancestor_id":{},"module_id":"{}","instance_id":"{}","node":"c","stage":"edge","ts_start":{},"ts_end":{},"method":"GET","path":"/","bytes_out":{},"bytes_in":null,"status":{},"kind":"client""#,
            self.trace,
            id(self.span),
            id(self.ancestor),
            id(self.ancestor),
            self.module,
            self.instance,
            ms(T0 + self.start),
            ms(T0 + self.start + self.duration),
            or_null(self.bytes_out),
            or_null(self.status),
        );
        for (name, text) in [("peer", self.peer), ("peer_module", self.peer_module)] {
            if !text.is_empty() {
                let _ = write!(line, r#","{name}":"{text}""#);
            }
        }
        line + "}\n"
    }
}

/// A run folder.
pub struct Folder {
    logs: TempDir,
}

impl Folder {
    /// A run folder with empty files of lines, and with the `.json` files of a run that has ended.
    pub fn new() -> Self {
        let folder = Self {
            logs: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(folder.path("")).unwrap();
        for file in [
            "invocations",
            "calls",
            "host_metrics",
            "link_metrics",
            "placement_events",
            "system_stats",
        ] {
            folder.write(&format!("{file}.jsonl"), "");
        }
        for file in ["nodes", "links", "module_inventory"] {
            folder.write(&format!("{file}.json"), "[]");
        }
        folder.write("run_meta.json", &meta("r", 1, Some(T0 + 5_000_000_000)));
        folder
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.logs.path().join("r/cctf").join(file)
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.path(file), text).unwrap();
    }

    /// Adds a part of the same run with these files.
    pub fn add_part(&self, number: u64, files: &[(&str, String)]) {
        let cctf = self.logs.path().join(format!("r-{number:04}")).join("cctf");
        fs::create_dir_all(&cctf).unwrap();
        let meta = meta("r", number, Some(T0 + 9_000_000_000));
        fs::write(cctf.join("run_meta.json"), meta).unwrap();
        for (file, text) in files {
            fs::write(cctf.join(file), text).unwrap();
        }
    }

    pub fn target(&self) -> Target {
        Target::Folder(self.logs.path().join("r"))
    }

    pub fn gather(&self) -> RunData {
        self.gather_with(2)
    }

    pub fn gather_with(&self, threads: usize) -> RunData {
        let (run, part) = self.target().find().unwrap().unwrap();
        let options = Options {
            threads,
            validates_large_runs: false,
        };
        gather(&run, &part, &options, &mut |_| {}).unwrap()
    }

    pub fn invocations(&self, rows: &[Invocation]) -> &Self {
        self.write(
            "invocations.jsonl",
            &rows.iter().map(Invocation::line).collect::<String>(),
        );
        self
    }

    pub fn calls(&self, rows: &[Call]) -> &Self {
        self.write("calls.jsonl", &rows.iter().map(Call::line).collect::<String>());
        self
    }
}

/// `run_meta.json` of a part.
pub fn meta(run_id: &str, part: u64, ended: Option<u64>) -> String {
    let part = if part > 1 {
        format!(r#""part":{part},"#)
    } else {
        String::new()
    };
    format!(
        r#"{{"run_id":"{run_id}","rate":10.5,"duration":"5s","scen":null,"img":null,"git_sha":null,"workers":2,{part}"cctf_version":"1","normalizer_version":"0.1.0","started_ts":{},"ended_ts":{},"time_base":"unix_utc","counts":{{"spans":7,"points":0,"logs":0,"rows":{{"invocations.jsonl":3}},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{{}}}}}}"#,
        ms(T0),
        ended.map_or_else(|| "null".to_owned(), ms)
    )
}

/// The id of a module, or `-` if there is none.
pub fn module(key: Option<&analyze::stats::cells::Key>) -> &str {
    key.and_then(|key| key.module_id.as_deref()).unwrap_or("-")
}
