//! [`FolderFiles`]: reads all files of one run folder and writes them without names.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, anyhow};
use cctf_proto::cctf::{DriverEvent, File, RunMeta, Shape, WHOLE_BYTES_MAX};
use rundir::output::{LinesOut, write_whole};
use rundir::{CCTF, EVENTS_CLIENT, Ending, Lines, ReadError, RunFolder};
use serde_json::value::RawValue;

use crate::counts::Written;
use crate::rare::Endpoints;
use crate::replacer::Anonymiser;
use crate::rows::{self, Context, Damage, treat, treat_row_of};
use crate::summary::{FileRows, Unknown};

/// The state that all folders of a run share.
pub struct Progressing<'p> {
    pub by: &'p mut Anonymiser,
    pub unknown: &'p mut Unknown,
    pub endpoints: &'p mut Endpoints,
    /// Is called with the size of each line that was read, bytes.
    pub on_bytes: &'p mut dyn FnMut(u64),
    pub stop: &'p AtomicBool,
}

/// The files of one folder.
pub struct FolderFiles<'f> {
    from: &'f RunFolder,
    /// The new run folder.
    to: PathBuf,
    written: Written,
    /// Counts of rows by the file's path within the run folder.
    pub rows: Vec<(String, FileRows)>,
    /// Whether the run has not ended.
    pub is_open: bool,
}

impl<'f> FolderFiles<'f> {
    /// Creates the folder `to`.
    ///
    /// # Errors
    /// An I/O error.
    pub fn new(from: &'f RunFolder, to: &Path) -> anyhow::Result<Self> {
        let cctf = to.join(CCTF);
        std::fs::create_dir_all(&cctf).with_context(|| format!("cannot create {}", cctf.display()))?;
        Ok(Self {
            from,
            to: to.to_owned(),
            written: Written::default(),
            rows: Vec::new(),
            is_open: true,
        })
    }

    /// Reads and writes all files. `run_meta.json` is written last, because its counts follow from the others.
    ///
    /// # Errors
    /// If a file cannot be read or written, or the user has interrupted.
    pub fn write_all(&mut self, with: &mut Progressing<'_>) -> anyhow::Result<()> {
        for &file in File::ALL {
            let rows = match file.shape() {
                Shape::Lines => self.lines(file, with)?,
                Shape::Array => self.array(file, with)?,
                Shape::Object => continue,
            };
            let Some(rows) = rows else { continue };
            self.written.add_file(file, rows.written, rows.damaged);
            self.rows.push((format!("{CCTF}/{}", file.name()), rows));
        }
        self.driver_events(with)?;
        self.run_meta(with)
    }

    fn path(&self, file: File) -> PathBuf {
        self.to.join(CCTF).join(file.name())
    }

    /// Treats a file of lines. Returns `None` if the file is missing.
    fn lines(&mut self, file: File, with: &mut Progressing<'_>) -> anyhow::Result<Option<FileRows>> {
        let Some(lines) = self.from.lines(file)? else {
            return Ok(None);
        };
        let mut out = LinesOut::create(&self.path(file))?;
        let written = &mut self.written;
        let rows = each_line(lines, &mut out, with, |line, with, buffer| {
            let (endpoints, mut context) = split(with);
            treat_row_of(file, line, &mut context, buffer, |facts| {
                written.add(facts);
                if let Some(endpoint) = facts.endpoint {
                    endpoints.add(endpoint);
                }
            })
        })?;
        out.finish()?;
        Ok(Some(rows))
    }

    fn driver_events(&mut self, with: &mut Progressing<'_>) -> anyhow::Result<()> {
        let Some(lines) = self.from.events_client()? else {
            return Ok(());
        };
        let mut out = LinesOut::create(&self.to.join(EVENTS_CLIENT))?;
        let rows = each_line(lines, &mut out, with, |line, with, buffer| {
            treat::<DriverEvent<'_>>(line, &mut split(with).1, buffer, |_| {})
        })?;
        out.finish()?;
        self.rows.push((EVENTS_CLIENT.to_owned(), rows));
        Ok(())
    }

    /// The content of a `.json` file. `None` if the file is missing, or if it is too long, which is counted.
    fn whole(&mut self, file: File) -> anyhow::Result<Option<Vec<u8>>> {
        match self.from.whole(file, WHOLE_BYTES_MAX) {
            Err(ReadError::TooLarge { .. }) => {
                self.damaged_whole(file);
                Ok(None)
            }
            read => Ok(read?),
        }
    }

    /// Counts a `.json` file as left out.
    fn damaged_whole(&mut self, file: File) {
        let rows = FileRows {
            written: 0,
            damaged: 1,
        };
        self.rows.push((format!("{CCTF}/{}", file.name()), rows));
    }

    /// Treats a file that contains a JSON array. The entries keep their order. Returns `None` if the file is missing or has no
    /// JSON array.
    fn array(&mut self, file: File, with: &mut Progressing<'_>) -> anyhow::Result<Option<FileRows>> {
        let Some(bytes) = self.whole(file)? else {
            return Ok(None);
        };
        let Ok(entries) = serde_json::from_slice::<Vec<&RawValue>>(&bytes) else {
            self.damaged_whole(file);
            return Ok(None);
        };
        let (mut rows, mut out) = (FileRows::default(), b"[\n".to_vec());
        for entry in entries {
            let begin = out.len();
            if rows.written > 0 {
                out.extend_from_slice(b",\n");
            }
            let treated = treat_row_of(file, entry.get().as_bytes(), &mut split(with).1, &mut out, |_| {});
            match treated {
                Ok(()) => rows.written += 1,
                Err(_) => {
                    out.truncate(begin);
                    rows.damaged += 1;
                }
            }
        }
        out.extend_from_slice(if rows.written > 0 { b"\n]\n" } else { b"]\n" });
        write_whole(&self.path(file), &out)?;
        Ok(Some(rows))
    }

    fn run_meta(&mut self, with: &mut Progressing<'_>) -> anyhow::Result<()> {
        let Some(bytes) = self.whole(File::RunMeta)? else {
            return Ok(());
        };
        let Ok(mut meta) = serde_json::from_slice::<RunMeta<'_>>(&bytes) else {
            self.damaged_whole(File::RunMeta);
            return Ok(());
        };
        self.is_open = meta.ended_ts.is_none();
        self.written.correct(&mut meta.counts);
        let mut context = split(with).1;
        rows::note_unknown::<RunMeta<'_>>(&bytes, context.unknown);
        let mut out = Vec::new();
        if rows::append(&meta, &mut context, &mut out).is_err() {
            self.damaged_whole(File::RunMeta);
            return Ok(());
        }
        out.push(b'\n');
        write_whole(&self.path(File::RunMeta), &out)?;
        let rows = FileRows {
            written: 1,
            damaged: 0,
        };
        self.rows.push((format!("{CCTF}/{}", File::RunMeta.name()), rows));
        Ok(())
    }
}

fn split<'s>(with: &'s mut Progressing<'_>) -> (&'s mut Endpoints, Context<'s>) {
    let context = Context {
        by: &mut *with.by,
        unknown: &mut *with.unknown,
    };
    (&mut *with.endpoints, context)
}

/// Passes each line to `treated`, which appends the line without names. Lines that cannot be read are dropped and counted.
fn each_line<'p>(
    mut lines: Lines,
    out: &mut LinesOut,
    with: &mut Progressing<'p>,
    mut treated: impl FnMut(&[u8], &mut Progressing<'p>, &mut Vec<u8>) -> Result<(), Damage>,
) -> anyhow::Result<FileRows> {
    let mut rows = FileRows::default();
    let mut buffer = Vec::new();
    while let Some(line) = lines.next_line()? {
        (with.on_bytes)(line.bytes.len() as u64 + 1);
        if with.stop.load(Ordering::Relaxed) {
            return Err(anyhow!("interrupted; nothing was written"));
        }
        buffer.clear();
        if line.ending == Ending::Newline && treated(line.bytes, with, &mut buffer).is_ok() {
            out.write(&buffer)?;
            rows.written += 1;
        } else {
            rows.damaged += 1;
        }
    }
    Ok(rows)
}
