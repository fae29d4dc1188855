//! `events_client.jsonl`, which the load driver writes: the lines of all folders, sorted by timestamp. Equal lines are written
//! once.

use std::path::Path;

use anyhow::{Context, bail};
use rundir::fields::Fields;
use rundir::output::LinesOut;
use rundir::{EVENTS_CLIENT, Ending};

use crate::model::{Counts, Source};
use crate::reader::check_length;
use cctf_sort::record::Record;
use cctf_sort::sorter::Sorter;

/// Merges the driver's files of all folders into the folder `run`. If no folder has such a file, `run` gets none.
pub fn merge_driver_events(
    source: &Source<'_>,
    scratch: &Path,
    run: &Path,
    counts: &mut Counts,
) -> anyhow::Result<()> {
    let mut sorter = Sorter::new(scratch, source.limits.samples_bytes);
    let mut exists = false;
    for input in source.inputs {
        let Some(mut lines) = input.folder().events_client()? else {
            continue;
        };
        exists = true;
        while let Some(line) = lines.next_line()? {
            if line.ending == Ending::EndOfFile {
                counts.torn += 1;
                continue;
            }
            let taken = check_length(&line).and_then(|()| {
                sorter.push(&Record {
                    key: 0,
                    identity: timestamp_of(line.bytes)?,
                    line: line.bytes,
                })
            });
            if let Err(error) = taken {
                return Err(error.context(lines.place()));
            }
        }
    }
    if exists {
        write(&run.join(EVENTS_CLIENT), sorter)
    } else {
        Ok(())
    }
}

fn write(path: &Path, mut sorter: Sorter) -> anyhow::Result<()> {
    let mut out = LinesOut::create(path)?;
    let mut last: Vec<u8> = Vec::new();
    sorter.drain(|record| {
        if last == record.line {
            return Ok(());
        }
        last.clear();
        last.extend_from_slice(record.line);
        out.write(record.line)
    })?;
    out.finish()?;
    Ok(())
}

/// The timestamp as text. All timestamps have the same form, so the order of their bytes is the order of time.
fn timestamp_of(line: &[u8]) -> anyhow::Result<&[u8]> {
    let mut scan = Fields::new(line).context("invalid line")?;
    while let Some(field) = scan.next_field().context("invalid line")? {
        if field.name == b"timestamp" {
            return Ok(field.value);
        }
    }
    bail!("invalid line: it has no timestamp")
}
