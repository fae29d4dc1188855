//! Run folders for the tests, their export, and the rows of a table as Parquet's reader returns them.

use std::fs;
use std::path::{Path, PathBuf};

use dataset::export::{GroupSize, Options, Summary, export};
use dataset::runs::Input;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Row;
use rundir::parts::Target;
use tempfile::TempDir;

/// The metadata of a run that has ended.
pub fn meta(run_id: &str) -> String {
    let rows = r#""spans":2,"points":0,"logs":0,"rows":{},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{"no_id":3}"#;
    format!(
        "{{\"run_id\":\"{run_id}\",\"rate\":null,\"duration\":null,\"scen\":null,\"img\":null,\"git_sha\":null,\"workers\":null,\
         \"cctf_version\":\"1\",\"normalizer_version\":\"0\",\"started_ts\":1.000001,\"ended_ts\":9.000000,\
         \"time_base\":\"unix_utc\",\"counts\":{{{rows}}}}}"
    )
}

fn ms(ns: i64) -> String {
    format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000)
}

pub fn call(trace: u128, span: u64, start_ns: i64) -> String {
    format!(
        "{{\"trace_id\":\"{trace:032x}\",\"span_id\":\"{span:016x}\",\"parent_span_id\":null,\"ancestor_id\":null,\
         \"module_id\":\"m{}\",\"instance_id\":\"i\",\"node\":\"n\",\"stage\":\"edge\",\"ts_start\":{},\"ts_end\":{},\
         \"method\":\"GET\",\"path\":\"/{span}\",\"bytes_out\":null,\"bytes_in\":{span},\"status\":200}}\n",
        span % 3,
        ms(start_ns),
        ms(start_ns + 1),
    )
}

pub fn invocation(trace: u128, span: u64, enqueue_ns: i64) -> String {
    format!(
        "{{\"trace_id\":\"{trace:032x}\",\"span_id\":\"{span:016x}\",\"parent_id\":null,\"parent_span_id\":null,\
         \"module_id\":\"m\",\"instance_id\":\"i\",\"ts_enqueue\":{},\"ts_start\":{},\"ts_end\":{},\"node\":\"n\",\
         \"stage\":\"edge\",\"method\":null,\"path\":null,\"bytes_in\":null,\"bytes_out\":null,\"cpu_time_ms\":null,\
         \"queue_time_ms\":0.000001,\"service_time_ms\":0.000002,\"rt_ms\":0.000003,\"status\":null,\"downstream_ms\":null,\
         \"kind\":\"server\"}}\n",
        ms(enqueue_ns),
        ms(enqueue_ns + 1),
        ms(enqueue_ns + 3),
    )
}

/// A folder of runs, and paths for data sets beside them.
pub struct Logs(TempDir);

impl Logs {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A run with these files. Its other files are empty or have no row.
    pub fn run(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let run = self.path(name);
        let cctf = run.join("cctf");
        fs::create_dir_all(&cctf).unwrap();
        for file in cctf_proto::cctf::File::ALL {
            let default = match file.name() {
                "run_meta.json" => meta(name),
                name if name.ends_with(".json") => "[]".to_owned(),
                _ => String::new(),
            };
            fs::write(cctf.join(file.name()), default).unwrap();
        }
        for (file, text) in files {
            fs::write(cctf.join(file), text).unwrap();
        }
        run
    }
}

/// Limits that are so small that the sort and the row groups reach them.
pub fn small() -> Options {
    Options {
        held_bytes: 4 << 10,
        group_size: GroupSize {
            rows: 5000,
            bytes: 64 << 10,
        },
        ..Options::default()
    }
}

pub fn input(run: &Path) -> anyhow::Result<Input> {
    let (run, part) = Target::Folder(run.to_owned()).find()?.unwrap();
    Input::open(&run, &part)
}

pub fn export_runs(out: &Path, runs: &[&Path], options: &Options) -> anyhow::Result<Summary> {
    let inputs: Vec<Input> = runs.iter().map(|run| input(run)).collect::<anyhow::Result<_>>()?;
    export(out, &inputs, options, &mut |_, _| true)
}

/// All Parquet files in a folder and its subfolders, sorted by path.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.append(&mut files(&path)),
            false => found.push(path),
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    found.sort();
    found
}

pub fn rows(file: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(fs::File::open(file).unwrap()).unwrap();
    reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap())
        .collect()
}
