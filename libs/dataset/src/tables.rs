//! [`RunTables`]: writes all tables of one run.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cctf_proto::cctf::{File, Shape, WHOLE_BYTES_MAX};
use cctf_sort::sorter::Sorter;
use rundir::RunFolder;
use serde_json::value::RawValue;

use crate::damages::Damages;
use crate::index::{RunInfo, RunTable};
use crate::layout::{BUCKET, RUN_ID, Table};
use crate::order::{Keys, Place, Sorted, sort_lines};
use crate::runs::Input;
use crate::shred::Shredder;
use crate::writer::{GroupSize, TableFormat, TableWriter};

/// Name of each file. Each partition has one file.
const FILE_NAME: &str = "part-0.parquet";

/// Paths, formats and state that the export of a run needs.
pub struct RunTables<'a> {
    /// The folder that contains a folder for each table.
    pub out: &'a Path,
    /// Folder for temporary files.
    pub scratch: &'a Path,
    pub buckets: NonZero<u16>,
    /// Bytes of lines that the sort holds in memory.
    pub held_bytes: usize,
    pub group_size: GroupSize,
    pub damages: &'a mut Damages,
    /// Is called with the size of lines, in bytes: once when they are read, and once when they are written.
    pub on_bytes: &'a mut dyn FnMut(u64) -> anyhow::Result<()>,
}

/// The folder of a run in a table.
pub fn run_folder(out: &Path, table: &str, run_id: &str) -> PathBuf {
    out.join(table).join(format!("{RUN_ID}={run_id}"))
}

impl RunTables<'_> {
    /// Writes all tables of a run.
    ///
    /// # Errors
    /// If a file cannot be read or written, or `on_bytes` returns an error.
    pub fn write(&mut self, input: &Input) -> anyhow::Result<RunInfo> {
        let before = self.damages.count;
        let (mut tables, mut cut_lines) = (BTreeMap::new(), 0);
        for &file in File::ALL {
            let table = Table::new(file);
            let written = match file.shape() {
                Shape::Lines => self.lines(&table, input, &mut cut_lines)?,
                Shape::Array | Shape::Object => self.wholes(&table, input)?,
            };
            tables.insert(table.name().to_owned(), written);
        }
        Ok(RunInfo {
            run_id: input.run_id.clone(),
            parts: input.parts.len() as u64,
            started_ns: input.started_ns,
            ended_ns: input.ended_ns,
            damaged_lines: self.damages.count - before,
            cut_lines,
            tables,
        })
    }

    /// Writes a table from a file of lines, sorted.
    fn lines(&mut self, table: &Table, input: &Input, cut_lines: &mut u64) -> anyhow::Result<RunTable> {
        let mut sorter = Sorter::new(self.scratch, self.held_bytes);
        let folders = input.folders(table.file);
        if let Some(keys) = Keys::new(table, self.buckets) {
            for (number, folder) in (0..).zip(folders) {
                let Some(lines) = folder.lines(table.file)? else {
                    continue;
                };
                let is_cut = sort_lines(&keys, lines, number, &mut sorter, self.damages, self.on_bytes)?;
                *cut_lines += u64::from(is_cut);
            }
        }
        let mut out = TableOut::new(table, input, self)?;
        let (damages, on_bytes) = (&mut *self.damages, &mut *self.on_bytes);
        sorter.drain(|record| {
            let Sorted { place, line } = Sorted::new(record);
            out.push(place, line, folders, damages)?;
            on_bytes(line.len() as u64 + 1)
        })?;
        out.finish()
    }

    /// Writes a table from a file that contains a single JSON value.
    fn wholes(&mut self, table: &Table, input: &Input) -> anyhow::Result<RunTable> {
        let folders = input.folders(table.file);
        let mut out = TableOut::new(table, input, self)?;
        for (number, folder) in (0..).zip(folders) {
            let Some(text) = folder.whole(table.file, WHOLE_BYTES_MAX)? else {
                continue;
            };
            let rows: Vec<&RawValue> = match table.file.shape() {
                Shape::Array => serde_json::from_slice(&text),
                _ => serde_json::from_slice(&text).map(|row| vec![row]),
            }
            .with_context(|| format!("cannot read {}", folder.path(table.file).display()))?;
            for (line, row) in (1..).zip(rows) {
                let place = Place {
                    bucket: 0,
                    time_ns: 0,
                    file: number,
                    line,
                };
                out.push(place, row.get().as_bytes(), folders, self.damages)?;
            }
            (self.on_bytes)(2 * text.len() as u64)?;
        }
        out.finish()
    }
}

/// The files of one table of one run, which are written one after the other.
struct TableOut<'t> {
    table: &'t Table,
    format: TableFormat,
    folder: PathBuf,
    writer: Option<TableWriter>,
    /// Bucket to which the rows in `batch` and `writer` belong.
    bucket: u16,
    batch: Shredder,
    written: RunTable,
}

impl<'t> TableOut<'t> {
    fn new(table: &'t Table, input: &Input, tables: &RunTables<'_>) -> anyhow::Result<Self> {
        let facts = [
            ("cctf.version", "1"),
            ("cctf.file", table.file.name()),
            ("cctf.run_id", &*input.run_id),
        ];
        Ok(Self {
            format: TableFormat::new(table, &facts, tables.group_size)?,
            folder: run_folder(tables.out, table.name(), &input.run_id),
            writer: None,
            bucket: 0,
            batch: Shredder::new(table),
            written: RunTable::default(),
            table,
        })
    }

    fn push(
        &mut self,
        place: Place,
        line: &[u8],
        folders: &[RunFolder],
        damages: &mut Damages,
    ) -> anyhow::Result<()> {
        if place.bucket != self.bucket {
            self.end_file()?;
            self.bucket = place.bucket;
        }
        if let Err(reason) = self.batch.push(line) {
            let file = self.table.file;
            damages.add(|| folders[place.file as usize].path(file), place.line, reason);
            return Ok(());
        }
        let written = &mut self.written;
        if self.table.time.is_some() {
            written.first_ns = Some(written.first_ns.unwrap_or(i64::MAX).min(place.time_ns));
            written.last_ns = Some(written.last_ns.unwrap_or(i64::MIN).max(place.time_ns));
        }
        if self.batch.is_full() {
            let mut writer = self.take_writer()?;
            writer.write(&mut self.batch)?;
            self.writer = Some(writer);
        }
        Ok(())
    }

    /// The writer of the current bucket's file.
    fn take_writer(&mut self) -> anyhow::Result<TableWriter> {
        if let Some(writer) = self.writer.take() {
            return Ok(writer);
        }
        let folder = match self.table.trace {
            Some(_) => self.folder.join(format!("{BUCKET}={:03}", self.bucket)),
            None => self.folder.clone(),
        };
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        TableWriter::create(&folder.join(FILE_NAME), &self.format)
    }

    /// Completes the file of the current bucket if there are rows for it.
    fn end_file(&mut self) -> anyhow::Result<()> {
        if self.writer.is_none() && self.batch.rows() == 0 {
            return Ok(());
        }
        self.write_file()
    }

    fn write_file(&mut self) -> anyhow::Result<()> {
        let written = self.take_writer()?.finish(&mut self.batch)?;
        self.written.files += 1;
        self.written.rows += written.rows;
        self.written.bytes += written.bytes;
        Ok(())
    }

    /// Completes the table. A table without rows gets a file without rows, so that readers find its columns.
    fn finish(mut self) -> anyhow::Result<RunTable> {
        self.end_file()?;
        if self.written.files == 0 {
            self.bucket = 0;
            self.write_file()?;
        }
        Ok(self.written)
    }
}
