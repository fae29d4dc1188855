//! Reads the lines of one file of all folders, in the order of the folders.

use std::fmt::Display;

use anyhow::ensure;
use cctf_proto::cctf::{File, LINE_BYTES_MAX};
use rundir::{Ending, Line};

use crate::inputs::LineLocation;
use crate::model::{Counts, Source};
use crate::registry::EntityRegistry;
use crate::rows::span_file::SpanFile;
use crate::shift::Shift;

/// Maximum number of bytes of a line that an error shows.
const SHOWN_BYTES: usize = 200;

/// Passes each line of `file` and its location to `take`. If the source has clock offsets, the timestamps of the line are
/// shifted. The location is always that of the recorded line. If the source has a bucket, invocations and calls of other buckets
/// are left out.
pub fn for_each_line(
    source: &Source<'_>,
    file: File,
    registry: &mut EntityRegistry,
    counts: &mut Counts,
    mut take: impl FnMut(&mut EntityRegistry, &[u8], LineLocation) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut shift = source.clocks.map(|clocks| Shift::new(file, clocks));
    let bucket = source
        .bucket
        .filter(|_| SpanFile::ALL.iter().any(|of| of.file() == file));
    for (folder, input) in (0..).zip(source.inputs) {
        registry.reading = folder;
        let Some(mut lines) = input.folder_of(file).lines(file)? else {
            continue;
        };
        while let Some(line) = lines.next_line()? {
            if line.ending == Ending::EndOfFile && is_torn(line.bytes) {
                counts.torn += 1;
                continue;
            }
            match bucket.map_or(Ok(true), |bucket| bucket.has(line.bytes)) {
                Ok(true) => counts.read[file as usize] += 1,
                Ok(false) => {
                    counts.skipped += 1;
                    continue;
                }
                Err(error) => {
                    let error = unusable(error, line.bytes);
                    return Err(error.context(lines.place()));
                }
            }
            registry.row = Some((file as u8, folder, line.offset));
            let location = LineLocation {
                folder,
                offset: line.offset,
                length: line.bytes.len() as u32,
            };
            let taken = check_length(&line).and_then(|()| {
                let shifted = match &mut shift {
                    Some(shift) => shift.line(line.bytes)?,
                    None => line.bytes,
                };
                take(registry, shifted, location)
            });
            if let Err(error) = taken {
                return Err(error.context(lines.place()));
            }
        }
    }
    Ok(())
}

/// An error that shows the row.
#[cold]
pub fn unusable(error: impl Display, line: &[u8]) -> anyhow::Error {
    let shown = String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]);
    anyhow::anyhow!("cannot use the row: {error}; `cctf validate` shows what is wrong with it: {shown}")
}

/// Whether the last line of a file is incomplete, because its run was killed or is still being written.
fn is_torn(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err()
}

/// Returns an error for a line above the limit. It cannot be merged, and leaving it out would lose a row.
pub fn check_length(line: &Line<'_>) -> anyhow::Result<()> {
    ensure!(
        line.ending != Ending::TooLong,
        "the line has more than {LINE_BYTES_MAX} bytes"
    );
    Ok(())
}
