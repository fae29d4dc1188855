//! [`list`]: the runs in a folder, from names, sizes, `run_meta.json`, `nodes.json` and the last bytes of row files. Rows are not
//! decoded.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::{Duration, SystemTime};

use cctf_proto::cctf::{File as CctfFile, Milliseconds, Part, RunMeta, Shape};
use cctf_proto::keys::LATEST_LINK;
use serde::de::IgnoredAny;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{CCTF, EVENTS_CLIENT, NORMALIZER_LOCK, RESTS_FILE, ReadError, RunFolder, regular};

/// Maximum size of a `.json` file that is read here, bytes. A `run_meta.json` has a few thousand bytes, and a node takes two
/// hundred.
const WHOLE_BYTES_MAX: usize = 1 << 20;
/// A run that has not ended counts as interrupted if its files have not changed for this time. By default, a normalizer ends a
/// run after one minute without data, and rows wait at most half a minute.
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// The shortest line: an empty object and its newline.
const LINE_BYTES_MIN: u64 = 3;

/// State of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The last part of the run has not ended, and changed during the last five minutes.
    Running,
    Ended,
    /// The last part has not ended and no longer changes: the normalizer was killed or stopped.
    Interrupted,
    /// The last part has no valid `run_meta.json`.
    Unknown,
}

/// One run with all of its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedRun {
    /// Name of its first folder.
    pub name: String,
    /// Run id in `run_meta.json`. It differs from the name if the folder was renamed.
    pub run_id: Option<String>,
    /// Names of its folders, in order. A closed part may have been deleted.
    pub parts: Vec<String>,
    pub state: RunState,
    #[serde(serialize_with = "exact")]
    pub started_ts: Option<Milliseconds>,
    /// End of the last part.
    #[serde(serialize_with = "exact")]
    pub ended_ts: Option<Milliseconds>,
    /// Time from the start to the end. If the run has no end, time to the last change.
    #[serde(serialize_with = "exact")]
    pub length_ms: Option<Milliseconds>,
    /// Rows of `invocations.jsonl` as `run_meta.json` counts them.
    pub invocations: u64,
    /// Rows of `calls.jsonl` as `run_meta.json` counts them.
    pub calls: u64,
    /// Size of the files of all parts, including the driver's, bytes.
    pub bytes: u64,
    /// Number of entries in `nodes.json` of the last part that has this file. Each part lists all nodes so far.
    pub nodes: Option<u64>,
    /// Whether a command made the run: a merge, a conversion, an anonymisation or a simulation. The sign is that its clocks are
    /// aligned, or that it has no lock file of a normalizer. Unknown without a valid `run_meta.json`.
    pub merged: Option<bool>,
    /// Whether the folder is not a run, but the output of `cctf merge --rests` without `--rows`: everything except invocations and
    /// calls, which are in the buckets.
    pub rests: bool,
    /// Problems that can be found in the names, sizes and last bytes of files, in `run_meta.json` and in `nodes.json`.
    pub problems: Vec<String>,
}

/// Serializes a timestamp or duration with all digits.
fn exact<S: Serializer>(value: &Option<Milliseconds>, serializer: S) -> Result<S::Ok, S::Error> {
    let raw = value.map(|ms| RawValue::from_string(ms.to_string()));
    let raw = raw.transpose().map_err(serde::ser::Error::custom)?;
    raw.serialize(serializer)
}

/// The runs in `logs_dir`, newest first. `now` decides whether a run without an end is in progress. A damaged folder is
/// listed with its problems.
///
/// # Errors
/// If `logs_dir` itself cannot be read.
pub fn list(logs_dir: &Path, now: SystemTime) -> Result<Vec<ListedRun>, ReadError> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(logs_dir).map_err(ReadError::io(logs_dir))? {
        let entry = entry.map_err(ReadError::io(logs_dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Hidden folders belong to commands that are still running, or that were killed before they finished.
        if name == LATEST_LINK || name.starts_with('.') {
            continue;
        }
        match fs::metadata(entry.path().join(CCTF)) {
            Ok(data) if data.is_dir() => folders.push(Folder::look(&entry.path(), name)),
            Err(error) if !regular::is_missing(&error) => {
                folders.push(Folder::unreadable(name, &error));
            }
            _ => {}
        }
    }
    let mut runs: BTreeMap<String, BTreeMap<u64, Folder>> = BTreeMap::new();
    let names: Vec<String> = folders.iter().map(|folder| folder.name.clone()).collect();
    for folder in folders {
        let (run, number) = folder.identity(&names);
        runs.entry(run).or_default().insert(number, folder);
    }
    let mut runs: Vec<(SystemTime, ListedRun)> = runs
        .into_iter()
        .map(|(name, parts)| listed(name, parts.into_values().collect(), now))
        .collect();
    runs.sort_by(|(left_time, left), (right_time, right)| {
        (right_time, &left.name).cmp(&(left_time, &right.name))
    });
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

/// A run, and the time by which it is sorted: its start or, if that is unknown, its last change.
fn listed(name: String, parts: Vec<Folder>, now: SystemTime) -> (SystemTime, ListedRun) {
    let metas = || parts.iter().filter_map(|part| part.meta.as_ref());
    let last = parts.last().and_then(|part| part.meta.as_ref());
    let modified = parts.iter().filter_map(|part| part.modified).max();
    let is_silent = modified.is_none_or(|modified| {
        now.duration_since(modified)
            .is_ok_and(|silence| silence > SILENCE_MAX)
    });
    let state = match last {
        None => RunState::Unknown,
        Some(meta) if meta.ended.is_some() => RunState::Ended,
        Some(_) if is_silent => RunState::Interrupted,
        Some(_) => RunState::Running,
    };
    let started = metas().map(|meta| meta.started).min();
    let ended = last.and_then(|meta| meta.ended);
    let until = ended.or_else(|| modified.and_then(milliseconds));
    let length = started.zip(until).and_then(|(from, until)| from.until(until));
    let is_without_lock = parts.iter().any(|part| !part.has_lock);
    let time = started.map_or(modified, |started| {
        let ns = u64::try_from(started.as_ns()).unwrap_or(0);
        Some(SystemTime::UNIX_EPOCH + Duration::from_nanos(ns))
    });
    let run = ListedRun {
        name,
        run_id: metas().next().map(|meta| meta.run_id.clone()),
        parts: parts.iter().map(|part| part.name.clone()).collect(),
        state,
        started_ts: started,
        ended_ts: ended,
        length_ms: length.filter(|length| length.as_ns() >= 0),
        invocations: metas().map(|meta| meta.rows_of(CctfFile::Invocations)).sum(),
        calls: metas().map(|meta| meta.rows_of(CctfFile::Calls)).sum(),
        bytes: parts.iter().map(|part| part.bytes).sum(),
        nodes: parts.iter().rev().find_map(|part| part.nodes),
        merged: metas()
            .next()
            .map(|_| is_without_lock || metas().any(|meta| meta.clocks_aligned)),
        rests: parts.iter().any(|part| part.is_rests),
        problems: parts.iter().flat_map(|part| part.problems.clone()).collect(),
    };
    (time.unwrap_or(SystemTime::UNIX_EPOCH), run)
}

fn milliseconds(time: SystemTime) -> Option<Milliseconds> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Milliseconds::from_unsigned_ns(u64::try_from(since.as_nanos()).ok()?)
}

/// The fields of `run_meta.json` that are listed.
struct Meta {
    run_id: String,
    part: u64,
    started: Milliseconds,
    ended: Option<Milliseconds>,
    clocks_aligned: bool,
    rows: BTreeMap<String, u64>,
}

impl Meta {
    fn rows_of(&self, file: CctfFile) -> u64 {
        self.rows.get(file.name()).copied().unwrap_or(0)
    }
}

/// The facts about one folder that can be found without reading its rows.
struct Folder {
    name: String,
    meta: Option<Meta>,
    bytes: u64,
    /// Last change of a file.
    modified: Option<SystemTime>,
    nodes: Option<u64>,
    has_lock: bool,
    is_rests: bool,
    problems: Vec<String>,
}

impl Folder {
    fn unreadable(name: String, error: &io::Error) -> Self {
        Self {
            problems: vec![format!("cannot read {name}/{CCTF}: {error}")],
            name,
            meta: None,
            bytes: 0,
            modified: None,
            nodes: None,
            has_lock: true,
            is_rests: false,
        }
    }

    fn look(path: &Path, name: String) -> Self {
        let mut folder = Self {
            name,
            meta: None,
            bytes: 0,
            modified: None,
            nodes: None,
            has_lock: path.join(NORMALIZER_LOCK).exists(),
            is_rests: path.join(RESTS_FILE).is_file(),
            problems: Vec::new(),
        };
        let run = RunFolder::from_run(path.to_owned());
        folder.read_meta(&run);
        match run.whole(CctfFile::Nodes, WHOLE_BYTES_MAX) {
            Ok(Some(text)) => match serde_json::from_slice::<Vec<IgnoredAny>>(&text) {
                Ok(nodes) => folder.nodes = Some(nodes.len() as u64),
                Err(error) => folder.add_problem(CctfFile::Nodes, &format!("is not an array: {error}")),
            },
            Err(ReadError::Io { source, .. }) => {
                folder.add_problem(CctfFile::Nodes, &format!("cannot be read: {source}"));
            }
            // A missing file is reported below. A file that is too large is not counted.
            Ok(None) | Err(_) => {}
        }
        for &file in CctfFile::ALL {
            match fs::metadata(run.path(file)) {
                Ok(data) => {
                    folder.add_size(&data);
                    folder.check(&run, file, data.len());
                }
                // A missing run_meta.json has been reported.
                Err(_) if file == CctfFile::RunMeta => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let is_row_file = matches!(file, CctfFile::Invocations | CctfFile::Calls);
                    if !folder.is_rests || !is_row_file {
                        folder.add_problem(file, "is missing");
                    }
                }
                Err(error) => folder.add_problem(file, &format!("cannot be read: {error}")),
            }
        }
        match regular::look(&path.join(EVENTS_CLIENT)) {
            Ok(Some(data)) => folder.add_size(&data),
            Ok(None) => {}
            Err(error) => folder.problems.push(error.to_string()),
        }
        folder
    }

    fn add_size(&mut self, data: &fs::Metadata) {
        self.bytes += data.len();
        self.modified = self.modified.max(data.modified().ok());
    }

    fn add_problem(&mut self, file: CctfFile, problem: &str) {
        self.problems
            .push(format!("{}/{CCTF}/{} {problem}", self.name, file.name()));
    }

    fn read_meta(&mut self, run: &RunFolder) {
        let problem = match run.whole(CctfFile::RunMeta, WHOLE_BYTES_MAX) {
            Ok(Some(text)) => match serde_json::from_slice::<RunMeta<'_>>(&text) {
                Ok(meta) => {
                    self.meta = Some(Meta {
                        run_id: meta.run_id.to_string(),
                        part: meta.part.unwrap_or(1),
                        started: meta.started_ts,
                        ended: meta.ended_ts,
                        clocks_aligned: meta.clocks_aligned == Some(true),
                        rows: meta.counts.rows.0,
                    });
                    return;
                }
                Err(error) => format!("is invalid: {error}"),
            },
            Ok(None) => "is missing".to_owned(),
            Err(ReadError::TooLarge { limit, .. }) => format!("has more than the maximum of {limit} bytes"),
            Err(ReadError::Io { source, .. }) => format!("cannot be read: {source}"),
            Err(error) => format!("cannot be read: {error}"),
        };
        self.add_problem(CctfFile::RunMeta, &problem);
    }

    /// Compares the size of a file with its number of rows in `run_meta.json`. While a run has not ended, this number lags
    /// behind the file.
    fn check(&mut self, run: &RunFolder, file: CctfFile, bytes: u64) {
        let meta = self.meta.as_ref().filter(|meta| meta.ended.is_some());
        let Some(meta) = meta.filter(|_| file.shape() == Shape::Lines) else {
            return;
        };
        let rows = meta.rows.get(file.name()).copied();
        if let Some(rows) = rows.filter(|rows| rows.saturating_mul(LINE_BYTES_MIN) > bytes) {
            self.add_problem(
                file,
                &format!("has {bytes} bytes, too few for the {rows} rows in run_meta.json"),
            );
        } else if rows == Some(0) && bytes > 0 {
            self.add_problem(
                file,
                &format!("has {bytes} bytes, but run_meta.json counts no rows"),
            );
        }
        match last_byte(&run.path(file)) {
            Ok(None | Some(b'\n')) => {}
            Ok(Some(_)) => self.add_problem(file, "ends with an incomplete line"),
            Err(error) => self.add_problem(file, &format!("cannot be read: {error}")),
        }
    }

    /// Run and number of the part. A folder whose name differs from its `run_meta.json` was renamed, and counts as a separate
    /// run.
    fn identity(&self, folders: &[String]) -> (String, u64) {
        let by_name = || match Part::parse(&self.name) {
            Some((run, number)) if folders.iter().any(|folder| folder == run) => (run.to_owned(), number),
            _ => (self.name.clone(), 1),
        };
        let Some(meta) = &self.meta else {
            return by_name();
        };
        let part = match meta.part {
            number if number > 1 => Part::later(&meta.run_id, number),
            _ => Part::first(&meta.run_id),
        };
        match part.folder() == self.name {
            true => (part.run_id().to_owned(), part.number()),
            false => (self.name.clone(), 1),
        }
    }
}

fn last_byte(path: &Path) -> io::Result<Option<u8>> {
    let mut file = regular::open(path)?;
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(None);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut byte = [0];
    file.read_exact(&mut byte)?;
    Ok(Some(byte[0]))
}
