//! Golden cases: the input is OTLP/JSON with arrival times, and the files of the run are compared byte by byte.
//!
//! A case is a folder in `golden/` with `input.json` and `expected/<RUN_ID>/<file>`. After an intended change, `CCTF_BLESS=1
//! cargo test -p cctf-normalizer --test all golden::` writes `expected` again. Review each changed line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use cctf_normalizer::journal::{Content, Record, Signal};
use cctf_normalizer::mapping::conventions::TABLE;
use cctf_normalizer::pipeline::{Output, Pipeline, Settings};
use cctf_normalizer::receiver::protobuf_of_json;
use cctf_proto::cctf::{File, RunMeta, Shape, Stage};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use rundir::validate::{Options, validate};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Journal time of a record with `at_ms` 0: 2025-10-09 08:53:20 UTC.
const BASE_UNIX_MS: u64 = 1_760_000_000_000;

/// Content of `input.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The purpose of the case, in one sentence.
    about: String,
    #[serde(default)]
    settings: CaseSettings,
    /// The rules of `validate` that the result intentionally breaks.
    #[serde(default)]
    broken: BTreeSet<String>,
    /// The reason why the lines differ if each span is sent in its own request. `None` if they do not differ.
    split_differs: Option<String>,
    steps: Vec<Step>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct CaseSettings {
    run_id: Option<String>,
    join_window_ms: Option<u64>,
    dedup_window_ms: Option<u64>,
    stale_after_ms: Option<u64>,
    run_idle_ms: Option<u64>,
    #[serde(default)]
    stages: BTreeMap<String, String>,
    default_stage: Option<String>,
    kept_metrics: Option<Vec<String>>,
    #[serde(default)]
    keep_query: bool,
    open_runs_max: Option<usize>,
    memory_limit: Option<u64>,
    roll_bytes: Option<u64>,
    roll_age_ms: Option<u64>,
    #[serde(default)]
    runs_ignore_case: bool,
}

/// A journal record: its time, and one of the other fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    at_ms: u64,
    traces: Option<Box<RawValue>>,
    metrics: Option<Box<RawValue>>,
    #[serde(default)]
    tick: bool,
    #[serde(default)]
    restart: bool,
    #[serde(default)]
    shutdown: bool,
}

/// Content of each file, by run and file name.
pub type Files = BTreeMap<(String, &'static str), Vec<u8>>;

#[test]
fn every_case_gives_its_expected_files_and_they_are_valid() {
    let is_blessed = std::env::var_os("CCTF_BLESS").is_some();
    let mut wrong = String::new();
    for folder in cases() {
        let input = read_input(&folder);
        let files = run(&input, false);
        let expected = folder.join("expected");
        if is_blessed {
            write_files(&expected, &files);
        }
        compare("expected", &folder, &read_files(&expected), &files, &mut wrong);
        check_rules(&folder, &input, &files, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let mut wrong = String::new();
    for folder in cases() {
        let input = read_input(&folder);
        let (first, second) = (run(&input, false), run(&input, false));
        compare("first", &folder, &first, &second, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_same_spans_in_single_requests_give_the_same_lines() {
    let mut wrong = String::new();
    for folder in cases() {
        let input = read_input(&folder);
        let (whole, split) = (sorted(run(&input, false)), sorted(run(&input, true)));
        match &input.split_differs {
            None => compare("whole", &folder, &whole, &split, &mut wrong),
            Some(why) => assert!(whole != split, "{}: no difference, but {why:?}", folder.display()),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_span_is_counted_once_over_all_runs() {
    let cases = cases().into_iter().map(|folder| (read_input(&folder), folder));
    // Some rows are written only at the end, so the last step must be a shutdown.
    let is_whole = |input: &Input| input.steps.last().is_some_and(|step| step.shutdown);
    for (input, folder) in cases.filter(|(input, _)| is_whole(input)) {
        let came: u64 = input.steps.iter().map(spans_of).sum();
        let mut files = run(&input, false);
        files.retain(|(_, file), _| *file == File::RunMeta.name());
        let metas = files
            .values()
            .map(|meta| serde_json::from_slice::<RunMeta<'_>>(meta).unwrap());
        let counted = metas.map(|meta| meta.counts.spans);
        assert_eq!(counted.sum::<u64>(), came, "{}", folder.display());
    }
}

fn spans_of(step: &Step) -> u64 {
    let is_span =
        |content: &Content| matches!(content, Content::Request { signal, .. } if *signal == Signal::Traces);
    contents_of(step, true).into_iter().filter(is_span).count() as u64
}

#[test]
fn every_key_of_the_mapping_table_occurs_in_a_case() {
    let inputs: Vec<String> = cases()
        .iter()
        .map(|folder| fs::read_to_string(folder.join("input.json")).unwrap())
        .collect();
    let missing: Vec<&str> = TABLE
        .iter()
        .map(|convention| convention.key)
        .filter(|key| {
            let quoted = format!("\"{key}\"");
            !inputs.iter().any(|input| input.contains(&quoted))
        })
        .collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}

#[test]
fn every_case_has_a_purpose() {
    for folder in cases() {
        assert!(!read_input(&folder).about.is_empty(), "{}", folder.display());
    }
}

pub fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut folders: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(!folders.is_empty());
    folders
}

pub fn read_input(folder: &Path) -> Input {
    let text = fs::read(folder.join("input.json")).unwrap();
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

fn settings_of(case: &CaseSettings) -> Settings {
    let default = Settings::default();
    let time = |millis: Option<u64>, other| millis.map_or(other, Duration::from_millis);
    let stage = |name: &String| Stage::parse(name).unwrap();
    Settings {
        run_id: case.run_id.clone().unwrap_or(default.run_id),
        join_window: time(case.join_window_ms, default.join_window),
        dedup_window: time(case.dedup_window_ms, default.dedup_window),
        stale_after: time(case.stale_after_ms, default.stale_after),
        run_idle: time(case.run_idle_ms, default.run_idle),
        stages: case
            .stages
            .iter()
            .map(|(name, value)| (name.clone(), stage(value)))
            .collect(),
        default_stage: case.default_stage.as_ref().map(stage),
        kept_metrics: case.kept_metrics.clone().unwrap_or(default.kept_metrics),
        keep_query: case.keep_query,
        open_runs_max: case.open_runs_max.unwrap_or(default.open_runs_max),
        memory_limit: case.memory_limit.unwrap_or(default.memory_limit),
        roll_bytes: case.roll_bytes,
        roll_age: case.roll_age_ms.map(Duration::from_millis),
        runs_ignore_case: case.runs_ignore_case,
        keeps_runs_open: default.keeps_runs_open,
    }
}

fn run(input: &Input, is_split: bool) -> Files {
    run_with(usize::MAX, input, is_split)
}

/// The files of the case with at most this many templates. If `is_split`, each span is in its own request.
pub fn run_with(templates: usize, input: &Input, is_split: bool) -> Files {
    let mut pipeline = Pipeline::new(settings_of(&input.settings));
    pipeline.limit_templates(templates);
    let (mut output, mut files) = (Output::default(), Files::new());
    for step in &input.steps {
        for content in contents_of(step, is_split) {
            let record = Record {
                received_unix_ns: (BASE_UNIX_MS + step.at_ms) * 1_000_000,
                content,
            };
            pipeline.feed(&record, &mut output);
            drain(&mut output, &mut files);
        }
    }
    files
}

fn contents_of(step: &Step, is_split: bool) -> Vec<Content> {
    let request = |signal, json: &RawValue| {
        let body = protobuf_of_json(signal, json.get().as_bytes()).unwrap();
        Content::Request { signal, body }
    };
    let mut contents = Vec::new();
    if let Some(json) = &step.traces {
        match request(Signal::Traces, json) {
            Content::Request { signal, body } if is_split => {
                contents.extend(split(&body).map(|body| Content::Request { signal, body }));
            }
            whole => contents.push(whole),
        }
    }
    contents.extend(step.metrics.as_deref().map(|json| request(Signal::Metrics, json)));
    contents.extend(step.tick.then_some(Content::Tick));
    contents.extend(step.restart.then_some(Content::Restart));
    contents.extend(step.shutdown.then_some(Content::Shutdown));
    assert!(!contents.is_empty(), "a step at {} says nothing", step.at_ms);
    contents
}

fn split(body: &Bytes) -> impl Iterator<Item = Bytes> {
    let whole = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let mut requests = Vec::new();
    for resource_spans in &whole.resource_spans {
        for scope_spans in &resource_spans.scope_spans {
            for span in &scope_spans.spans {
                let mut of_scope = scope_spans.clone();
                of_scope.spans = vec![span.clone()];
                let mut of_resource = resource_spans.clone();
                of_resource.scope_spans = vec![of_scope];
                let request = ExportTraceServiceRequest {
                    resource_spans: vec![of_resource],
                };
                requests.push(Bytes::from(request.encode_to_vec()));
            }
        }
    }
    requests.into_iter()
}

fn drain(output: &mut Output, files: &mut Files) {
    for run in output.drain() {
        for (file, lines) in run.appended().filter(|(_, lines)| !lines.is_empty()) {
            assert!(lines.ends_with(b"\n"), "{} ends within a line", file.name());
            let key = (run.part.folder().to_owned(), file.name());
            files.entry(key).or_default().extend_from_slice(lines);
        }
        for (file, content) in run.replaced() {
            files.insert((run.part.folder().to_owned(), file.name()), content.to_vec());
        }
        run.clear();
    }
}

fn sorted(files: Files) -> Files {
    let sort = |content: Vec<u8>| {
        let mut lines: Vec<&[u8]> = content.split_inclusive(|&byte| byte == b'\n').collect();
        lines.sort_unstable();
        lines.concat()
    };
    files
        .into_iter()
        .map(|(key, content)| (key, sort(content)))
        .collect()
}

/// Reports the first line that differs, for each file.
pub fn compare(left_name: &str, folder: &Path, left: &Files, right: &Files, wrong: &mut String) {
    let names: BTreeSet<_> = left.keys().chain(right.keys()).collect();
    for name in names {
        let text =
            |files: &Files| String::from_utf8_lossy(files.get(name).map_or(&[], Vec::as_slice)).into_owned();
        let (left_text, right_text) = (text(left), text(right));
        if left_text == right_text && left.contains_key(name) == right.contains_key(name) {
            continue;
        }
        let (mut left_lines, mut right_lines) = (left_text.lines(), right_text.lines());
        let (mut number, mut pair) = (1, (left_lines.next(), right_lines.next()));
        while pair.0 == pair.1 && pair.0.is_some() {
            (number, pair) = (number + 1, (left_lines.next(), right_lines.next()));
        }
        let case = folder.file_name().unwrap().to_string_lossy();
        let (run, file) = name;
        writeln!(
            wrong,
            "{case}/{run}/{file}:{number}\n  {left_name}: {}\n  now: {}",
            pair.0.unwrap_or("(no line)"),
            pair.1.unwrap_or("(no line)")
        )
        .unwrap();
    }
}

/// Writes each run's folder as the sink does, and checks that it breaks exactly the intended rules.
fn check_rules(folder: &Path, input: &Input, files: &Files, wrong: &mut String) {
    let runs: BTreeSet<&String> = files.keys().map(|(run, _)| run).collect();
    let mut broken = BTreeSet::new();
    let mut messages = String::new();
    let logs = tempfile::tempdir().unwrap();
    for run in &runs {
        let cctf = logs.path().join(run).join("cctf");
        fs::create_dir_all(&cctf).unwrap();
        for file in File::ALL {
            let content = files.get(&((*run).clone(), file.name()));
            if content.is_some() || file.shape() == Shape::Lines {
                fs::write(cctf.join(file.name()), content.map_or(&[][..], Vec::as_slice)).unwrap();
            }
        }
    }
    for run in runs {
        let report = validate(&logs.path().join(run), Options::default()).unwrap();
        for finding in &report.broken {
            broken.insert(finding.rule.id.to_owned());
            let line = finding.line.unwrap_or(0);
            writeln!(
                messages,
                "  {}: {run}/{}:{line} {}",
                finding.rule.id,
                finding.file.name(),
                finding.message
            )
            .unwrap();
        }
    }
    if broken != input.broken {
        writeln!(
            wrong,
            "{}: breaks {broken:?}, by intent {:?}\n{messages}",
            folder.file_name().unwrap().to_string_lossy(),
            input.broken
        )
        .unwrap();
    }
}

fn read_files(expected: &Path) -> Files {
    let mut files = Files::new();
    for run in fs::read_dir(expected).into_iter().flatten() {
        let run = run.unwrap();
        for file in fs::read_dir(run.path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let file =
                File::by_name(&name).unwrap_or_else(|| panic!("{} is no file of a run", path.display()));
            let run_id = run.file_name().to_string_lossy().into_owned();
            files.insert((run_id, file.name()), fs::read(&path).unwrap());
        }
    }
    files
}

fn write_files(expected: &Path, files: &Files) {
    if expected.exists() {
        fs::remove_dir_all(expected).unwrap();
    }
    for ((run, name), content) in files {
        let folder = expected.join(run);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), content).unwrap();
    }
}
