//! [`merge_rows`]: the rows of all buckets in one file, by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rundir::fields::Fields;
use rundir::output::LinesOut;
use rundir::{Ending, Lines};

use crate::rows::span_file::SpanFile;
use crate::values::{InvalidField, ns};

/// Buffers of all buckets together, bytes: 64 KiB for each of 512.
const BUFFERS_BYTES: usize = 32 << 20;

/// Names of the fields by which the rows of a file are sorted.
const fn time_of(file: SpanFile) -> &'static str {
    match file {
        SpanFile::Invocations => "ts_enqueue",
        SpanFile::Calls => "ts_start",
    }
}

/// Merges a file of all buckets in `folders` into `out`. `on_bytes` gets the bytes of each line. Returns the number of lines.
pub fn merge_rows(
    folders: &[PathBuf],
    file: SpanFile,
    out: &Path,
    on_bytes: &mut dyn FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut out = LinesOut::create(out)?;
    let mut cursors = Vec::new();
    let mut heap = BinaryHeap::new();
    for folder in folders {
        let path = folder.join(file.file().name());
        let missing = || format!("cannot read {}: it is missing", path.display());
        let lines = Lines::open(path.clone())?.with_context(missing)?;
        cursors.push(lines.with_buffer(BUFFERS_BYTES / folders.len()));
    }
    // A line of each bucket: its time, the line, and the number of the bucket.
    for (bucket, lines) in cursors.iter_mut().enumerate() {
        if let Some((time, line)) = next(lines, file, Vec::new())? {
            heap.push(Reverse((time, line, bucket)));
        }
    }
    while let Some(Reverse((_, line, bucket))) = heap.pop() {
        out.write(&line)?;
        on_bytes(line.len() as u64 + 1)?;
        if let Some((time, line)) = next(&mut cursors[bucket], file, line)? {
            heap.push(Reverse((time, line, bucket)));
        }
    }
    out.finish()
}

/// The next line of a bucket, in the memory of an earlier one, and its time.
fn next(lines: &mut Lines, file: SpanFile, mut held: Vec<u8>) -> anyhow::Result<Option<(i64, Vec<u8>)>> {
    let Some(line) = lines.next_line()? else {
        return Ok(None);
    };
    held.clear();
    held.extend_from_slice(line.bytes);
    let is_complete = line.ending == Ending::Newline;
    let time = match is_complete {
        true => time_in(&held, file),
        false => Err(anyhow::anyhow!("the line is incomplete or too long")),
    };
    match time {
        Ok(time) => Ok(Some((time, held))),
        Err(error) => Err(error.context(lines.place())),
    }
}

fn time_in(line: &[u8], file: SpanFile) -> anyhow::Result<i64> {
    let wanted = time_of(file);
    let mut scan = Fields::new(line)?;
    while let Some(field) = scan.next_field()? {
        if field.name == wanted.as_bytes() {
            return Ok(ns(field.value, wanted)?);
        }
    }
    Err(InvalidField(wanted).into())
}
