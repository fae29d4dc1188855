//! [`Roots`]: reads the roots of a run, then sorts and counts them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cctf_proto::cctf::{File, Part};
use cctf_sort::record::{Record, key_of};
use cctf_sort::sorter::Sorter;
use rundir::byte_count::{ByteCount, OnBytes};
use rundir::parts::{Run, State};
use rundir::{Lines, ReadError};

use super::codec::{Draft, Tables, decode, encode};
use super::error::RootsError;
use super::file::{Iter, RootFile, RootWriter};
use super::join::{Join, JoinCounts};
use super::peers::Peers;
use super::root::Root;
use super::rows;
use super::survey::{Orphans, Survey};

/// The files whose rows can be roots.
const FILES: [File; 2] = [File::Calls, File::Invocations];
/// Maximum size of the rows or roots that each of two sorts holds in memory, bytes: some 300,000 rows. A sort writes further rows
/// to a temporary file, in sorted chunks.
const HELD_BYTES: usize = 48 << 20;
/// Maximum number of damaged lines that are listed. All are counted.
const DAMAGES_SHOWN_MAX: usize = 20;

/// A line that is not a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub path: PathBuf,
    /// Line number, from 1.
    pub line: u64,
}

/// The roots of a run. Clones share one temporary file.
#[derive(Clone)]
pub struct Roots {
    file: Arc<RootFile>,
    pub run_id: String,
    /// Whether the run has not ended, so that further rows may follow.
    pub is_open: bool,
    /// Counts over the whole run, without orphans.
    pub survey: Survey,
    pub counts: JoinCounts,
    /// Number of damaged lines, and the first of them. A row with a parent invocation is read only up to that field, so damage
    /// after it is not counted.
    pub damaged: u64,
    pub damages: Vec<Damage>,
    /// One sentence for each part or file that is missing or unusable.
    pub notes: Vec<String>,
}

/// Total size of the files that [`Roots::read`] reads, bytes.
///
/// # Errors
/// If the parts cannot be listed.
pub fn size(run: &Run, first: &Part) -> Result<u64, ReadError> {
    let parts = run.parts_from(first)?;
    let paths = parts
        .iter()
        .flat_map(|part| FILES.map(|file| run.path(part, file)));
    Ok(paths
        .map(|path| std::fs::metadata(path).map_or(0, |data| data.len()))
        .sum())
}

impl Roots {
    /// Reads the parts of a run, starting with `first`. `temporary` is a folder for temporary files. They take some 250 bytes
    /// for each root and its answer, and three times the size of paths and queries that are not shared. `on_bytes` receives the
    /// number of bytes read.
    ///
    /// # Errors
    /// If a file cannot be read, or a temporary file cannot be written.
    pub fn read(
        run: &Run,
        first: &Part,
        temporary: &Path,
        on_bytes: OnBytes<'_>,
    ) -> Result<Self, RootsError> {
        Self::read_within(run, first, temporary, HELD_BYTES, on_bytes)
    }

    /// Like [`Roots::read`], with another bound on the rows in memory.
    ///
    /// # Errors
    /// The same errors as [`Roots::read`].
    pub fn read_within(
        run: &Run,
        first: &Part,
        temporary: &Path,
        held_bytes: usize,
        on_bytes: OnBytes<'_>,
    ) -> Result<Self, RootsError> {
        let parts = run.parts_from(first)?;
        let peers = Peers::read(run, &parts)?;
        let mut reading = Reading {
            servers: &peers.servers,
            join: Join::new(temporary, held_bytes),
            tables: Tables::default(),
            bytes: ByteCount::new(on_bytes),
            damaged: 0,
            damages: Vec::new(),
        };
        let is_open = match parts.last() {
            Some(part) => run.state(part)? == State::Open,
            None => false,
        };
        let mut notes: Vec<String> = run.missing(first)?.into_iter().collect();
        notes.extend(peers.note.clone());
        for (number, part) in parts.iter().enumerate() {
            let may_grow = is_open && number + 1 == parts.len();
            for file in FILES {
                match Lines::open(run.path(part, file))? {
                    Some(lines) => reading.read(file, lines, may_grow)?,
                    None => notes.push(format!("{} has no {}", part.folder(), file.name())),
                }
            }
        }
        let Reading {
            join,
            tables,
            damaged,
            damages,
            ..
        } = reading;
        let (file, survey, counts) = sort(
            join,
            tables,
            peers,
            Sorter::new(temporary, held_bytes),
            RootFile::create(temporary)?,
        )?;
        Ok(Self {
            file: Arc::new(file),
            run_id: run.id().to_owned(),
            is_open,
            survey,
            counts,
            damaged,
            damages,
            notes,
        })
    }

    /// All roots in order of time, including orphans. Roots with the same time are sorted by their ids.
    pub fn iter(&self) -> Iter {
        self.iter_from(i64::MIN)
    }

    /// The roots at this time or later, including orphans.
    pub fn iter_from(&self, at_ns: i64) -> Iter {
        Iter::new(&self.file, at_ns)
    }

    pub(super) fn file(&self) -> &Arc<RootFile> {
        &self.file
    }

    /// Size of the temporary file, bytes.
    pub fn bytes(&self) -> u64 {
        self.file.bytes()
    }
}

impl IntoIterator for &Roots {
    type Item = Result<Root, RootsError>;
    type IntoIter = Iter;

    fn into_iter(self) -> Iter {
        self.iter()
    }
}

/// Reads the rows.
struct Reading<'a> {
    servers: &'a BTreeSet<String>,
    join: Join,
    tables: Tables,
    bytes: ByteCount<'a>,
    damaged: u64,
    damages: Vec<Damage>,
}

impl Reading<'_> {
    /// Reads a file. If the run has ended (`may_grow` is false), an incomplete last line counts as damaged.
    fn read(&mut self, file: File, lines: Lines, may_grow: bool) -> Result<(), RootsError> {
        let path = lines.path().to_owned();
        let (mut failed, mut damaged) = (None, 0);
        let on_row = |line: &[u8]| {
            self.bytes.add_line(line);
            let row = match rows::read(line, file, self.servers, &mut self.tables) {
                Ok(row) => row,
                Err(_) => return false,
            };
            if let Some(row) = row
                && failed.is_none()
            {
                failed = self.join.push(&row, &mut self.tables).err();
            }
            true
        };
        let damages = &mut self.damages;
        let mut on_damage = |line| {
            damaged += 1;
            if damages.len() < DAMAGES_SHOWN_MAX {
                damages.push(Damage {
                    path: path.clone(),
                    line,
                });
            }
        };
        let cut = lines.each_row_to_cut(on_row, &mut on_damage)?;
        cut.filter(|_| !may_grow).into_iter().for_each(on_damage);
        self.damaged += damaged;
        failed.map_or(Ok(()), Err)
    }
}

/// Joins calls with their answers, and writes the roots in order of time.
fn sort(
    join: Join,
    mut tables: Tables,
    mut peers: Peers,
    mut sorter: Sorter,
    file: std::fs::File,
) -> Result<(RootFile, Survey, JoinCounts), RootsError> {
    let mut encoded = Vec::new();
    let counts = join.finish(&mut tables, &mut |root, tables| {
        peers.add(&root);
        encoded.clear();
        let at_ns = root.at_ns;
        encode(&Draft::of(root), tables, &mut encoded);
        sorter.push(&Record {
            key: key_of(at_ns),
            identity: &[],
            line: &encoded,
        })
    })?;
    let mut survey = Survey::new(Orphans::Drop);
    let mut writer = RootWriter::new(&file);
    let finder = peers.finder();
    sorter.drain(|record| {
        let Draft { mut root, .. } = decode(record.line, &tables).ok_or(RootsError::Damaged)?;
        finder.complete(&mut root);
        survey.add(&root);
        encoded.clear();
        let at_ns = root.at_ns;
        encode(&Draft::of(root), &mut tables, &mut encoded);
        writer.push(at_ns, &encoded)
    })?;
    let index = writer.finish()?;
    Ok((RootFile::new(file, index, tables)?, survey, counts))
}
