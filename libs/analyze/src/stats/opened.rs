//! [`Opened`]: the files of invocations and calls of a run, with their sizes at the time of opening. If the run is in progress,
//! several passes over it still read the same lines.

use std::path::PathBuf;

use cctf_proto::cctf::{File, Part, RunMeta, WHOLE_BYTES_MAX};
use rundir::chunks::ChunkedFile;
use rundir::parts::{Run, State};
use rundir::{ReadError, RunFolder};

use super::origin::origin;
use super::scan::{Input, Kind};
use super::window::Bounds;

/// Maximum difference between the clocks of nodes, nanoseconds. Rows that are further outside of the run have a wrong clock.
const CLOCKS_NS: i64 = 60_000_000_000;

/// A run whose files are open.
pub struct Opened {
    pub run: Run,
    pub parts: Vec<Part>,
    pub inputs: Vec<Input>,
    /// Whether the run has not ended, so that further rows may follow.
    pub is_open: bool,
    /// The period from a minute before the start of the run to a minute after its end, as `run_meta.json` states them.
    /// Unlimited if either is unknown.
    pub clocks: Bounds,
    /// One sentence for each missing part or file, and one about the origin of a converted run.
    pub notes: Vec<String>,
}

/// The reason why a run has no figures.
#[derive(Debug, thiserror::Error)]
pub enum StatsError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot compute figures of {}: it has no invocations.jsonl; restore the file or choose another run", .0.display())]
    NoInvocations(PathBuf),
}

impl Opened {
    /// Opens the files of all parts, starting with `first`.
    ///
    /// # Errors
    /// If a file cannot be opened, or there are no invocations.
    pub fn new(run: &Run, first: &Part, with_calls: bool) -> Result<Self, StatsError> {
        let parts = run.parts_from(first)?;
        let mut notes: Vec<String> = run.missing(first)?.into_iter().collect();
        let (mut inputs, mut is_open) = (Vec::new(), false);
        let files = [(File::Invocations, Kind::Invocations), (File::Calls, Kind::Calls)];
        for part in &parts {
            is_open = run.state(part)? == State::Open;
            for (file, kind) in files {
                if kind == Kind::Calls && !with_calls {
                    continue;
                }
                match ChunkedFile::open(run.path(part, file))? {
                    Some(file) => inputs.push(Input { file, kind, is_open }),
                    None => notes.push(format!("{} has no {}", part.folder(), file.name())),
                }
            }
        }
        if !inputs.iter().any(|input| input.kind == Kind::Invocations) {
            let folder = parts.first().map(|part| run.folder(part));
            return Err(StatsError::NoInvocations(folder.unwrap_or_default()));
        }
        let (clocks, converted) = of_meta(run, &parts)?;
        notes.extend(converted);
        Ok(Self {
            run: run.clone(),
            clocks,
            is_open,
            parts,
            inputs,
            notes,
        })
    }

    /// Size of the files, bytes.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().map(|input| input.file.size()).sum()
    }

    pub fn files(&self, kind: Kind) -> impl Iterator<Item = &ChunkedFile> {
        let of_kind = self.inputs.iter().filter(move |input| input.kind == kind);
        of_kind.map(|input| &input.file)
    }
}

/// The period of the run, and the origin of a converted one.
fn of_meta(run: &Run, parts: &[Part]) -> Result<(Bounds, Option<String>), ReadError> {
    let [Some(first), Some(last)] = [parts.first(), parts.last()] else {
        return Ok((Bounds::EVERYTHING, None));
    };
    let meta = |part: &Part| RunFolder::open(&run.folder(part))?.whole(File::RunMeta, WHOLE_BYTES_MAX);
    let texts = [meta(first)?, meta(last)?].map(Option::unwrap_or_default);
    let [first, last] = texts
        .each_ref()
        .map(|text| serde_json::from_slice::<RunMeta<'_>>(text));
    let converted = first.as_ref().ok().and_then(origin);
    let started = first.ok().map(|meta| meta.started_ts.as_ns());
    let ended = last.ok().and_then(|meta| meta.ended_ts).map(|end| end.as_ns());
    let clocks = started
        .zip(ended)
        .map_or(Bounds::EVERYTHING, |(begin, end)| Bounds {
            begin: begin.saturating_sub(CLOCKS_NS),
            end: end.saturating_add(CLOCKS_NS),
        });
    Ok((clocks, converted))
}
