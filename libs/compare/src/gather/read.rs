//! [`read`]: reads the rows of all parts of a run.

use std::path::PathBuf;

use analyze::counted::counted;
use analyze::stats::ordered::in_order;
use cctf_proto::cctf::{File, Part, reason};
use rundir::ReadError;
use rundir::chunks::ChunkedFile;
use rundir::parts::{Run, State};

use super::chunk::Chunk;
use super::names::Names;
use super::rows::Rows;

/// Maximum number of invocations of a run. An invocation takes about 200 bytes, so two runs with as many calls need less than 3
/// GiB.
pub const INVOCATIONS_MAX: usize = 4_000_000;
/// Maximum number of calls of a run; see [`INVOCATIONS_MAX`] for the reason.
pub const CALLS_MAX: usize = 8_000_000;

/// Maximum number of modules of a run. Each has six voters.
pub const MODULES_MAX: usize = 1_000;

/// The reason why two runs cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot read {}: {}; cctf validate lists what is invalid", path.display(), reason(.source))]
    Meta {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("cannot compare {}: {}", path.display(), nothing(*.damaged))]
    Empty {
        path: PathBuf,
        /// Number of damaged lines.
        damaged: u64,
    },
    #[error("cannot compare {}: it has more than {max} rows of {file}; compare shorter runs", path.display())]
    TooLong {
        path: PathBuf,
        file: &'static str,
        max: usize,
    },
    #[error("cannot compare {}: its invocations are of more than {MODULES_MAX} modules; check service.name of its sources", path.display())]
    TooManyModules { path: PathBuf },
}

/// The sentence for a run without invocations, with a remedy.
fn nothing(damaged: u64) -> String {
    if damaged == 0 {
        return "it has no invocations; choose a run with rows".to_owned();
    }
    let lines = counted(damaged, "line is damaged", "lines are damaged");
    format!("it has no invocations, because {lines}; cctf validate lists them")
}

/// Number of bytes read so far, and in total.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// The files of invocations and calls of a run.
pub struct Inputs {
    path: PathBuf,
    files: Vec<Input>,
    /// Whether the run has not ended, so that further rows may follow.
    pub is_open: bool,
    /// One sentence for each missing part or file.
    pub notes: Vec<String>,
}

struct Input {
    file: ChunkedFile,
    kind: File,
    is_open: bool,
}

impl Inputs {
    /// Opens the files of the parts.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub fn open(run: &Run, parts: &[Part]) -> Result<Self, CompareError> {
        let first = parts.first().cloned().unwrap_or_else(|| Part::first(run.id()));
        let mut notes: Vec<String> = run.missing(&first)?.into_iter().collect();
        let (mut files, mut is_open) = (Vec::new(), false);
        for part in parts {
            is_open = run.state(part)? == State::Open;
            for kind in [File::Invocations, File::Calls] {
                match ChunkedFile::open(run.path(part, kind))? {
                    Some(file) => files.push(Input { file, kind, is_open }),
                    None => notes.push(format!("{} has no {}", part.folder(), kind.name())),
                }
            }
        }
        Ok(Self {
            path: run.folder(&first),
            files,
            is_open,
            notes,
        })
    }

    /// Size of the files, bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|input| input.file.size()).sum()
    }
}

/// Reads all rows. They are in the order of the files, whatever the number of threads.
///
/// # Errors
/// If a file cannot be read, or the run has no or too many rows.
pub fn read(
    inputs: &Inputs,
    names: &mut Names,
    threads: usize,
    on_bytes: &mut (dyn FnMut(u64) + Send),
) -> Result<Rows, CompareError> {
    let pieces: Vec<(&Input, u64)> = inputs
        .files
        .iter()
        .flat_map(|input| (0..input.file.chunks()).map(move |chunk| (input, chunk)))
        .collect();
    let mut all = Rows::default();
    let mut too_long = None;
    let work = |piece: usize, buffer: &mut Vec<u8>| {
        let (input, number) = pieces[piece];
        let lines = input.file.read(number, buffer)?;
        let mut chunk = Chunk::default();
        match input.kind {
            File::Calls => chunk.read(lines, input.is_open, Chunk::add_call),
            _ => chunk.read(lines, input.is_open, Chunk::add_invocation),
        }
        Ok::<_, ReadError>((chunk, input.file.bytes_of(number)))
    };
    in_order(pieces.len(), threads, work, |(mut chunk, bytes)| {
        on_bytes(bytes);
        if too_long.is_some() {
            return;
        }
        let numbers = names.adopt(&chunk.names);
        chunk.rename(&numbers, all.originals.len() as u32);
        all.damaged += chunk.rows.damaged;
        all.early += chunk.rows.early;
        all.sampled += chunk.rows.sampled;
        all.invocations.append(&mut chunk.rows.invocations);
        all.calls.append(&mut chunk.rows.calls);
        all.originals.append(&mut chunk.rows.originals);
        if all.invocations.len() > INVOCATIONS_MAX {
            too_long = Some((File::Invocations.name(), INVOCATIONS_MAX));
        } else if all.calls.len() > CALLS_MAX {
            too_long = Some((File::Calls.name(), CALLS_MAX));
        }
    })?;
    if let Some((file, max)) = too_long {
        return Err(CompareError::TooLong {
            path: inputs.path.clone(),
            file,
            max,
        });
    }
    if all.invocations.is_empty() {
        return Err(CompareError::Empty {
            path: inputs.path.clone(),
            damaged: all.damaged,
        });
    }
    Ok(all)
}
