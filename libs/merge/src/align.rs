//! Aligned clocks: the stamps of each node less what its clock was ahead by, and all that follows from stamps made anew.

use std::collections::BTreeMap;

use anyhow::Context;
use cctf_proto::cctf::{File, Milliseconds, Value};

use super::clocks::Offset;
use super::inputs::Input;
use super::session::{Session, Source};
use super::{Progress, Summary};
use rundir::fields::Fields;
use rundir::output::OutFolder;

/// Where the recorded stamps lie, merged, until the aligned ones are written.
const RECORDED: &str = "recorded";

/// Merges as recorded, which tells the offsets, then once more what came out, with these taken from the stamps.
pub fn merge_aligned(
    folder: &OutFolder,
    source: &Source<'_>,
    on_progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Summary> {
    let inputs_are_aligned = source.inputs.iter().any(|input| {
        let meta = input.run_meta();
        meta.is_ok_and(|meta| meta.clocks_aligned == Some(true))
    });
    if inputs_are_aligned {
        return Err(rundir::UsageError("the stamps of these folders are aligned already".to_owned()).into());
    }
    let recorded = folder.scratch().join(RECORDED);
    let session = Session::new(folder, recorded.clone())?;
    let (summary, offsets) = session.run(source, on_progress)?;
    let merged = [Input::open(&recorded)?];
    let again = Source {
        inputs: &merged,
        run_id: source.run_id,
        clocks: Some(&offsets),
        limits: source.limits,
    };
    let (aligned, _) = Session::new(folder, folder.run())?.run(&again, on_progress)?;
    std::fs::remove_dir_all(&recorded).with_context(|| format!("remove {}", recorded.display()))?;
    Ok(Summary {
        rows: aligned.rows,
        aligned: true,
        ..summary
    })
}

/// Takes each node's offset from the stamps of a file's lines.
pub struct Shift<'c> {
    clocks: &'c BTreeMap<String, Offset>,
    /// The fields that are stamps of the row's node.
    stamps: &'static [&'static str],
    line: Vec<u8>,
}

impl<'c> Shift<'c> {
    /// For the lines of a file.
    pub fn new(file: File, clocks: &'c BTreeMap<String, Offset>) -> Self {
        let stamps: &[&str] = match file {
            File::Invocations => &["ts_enqueue", "ts_start", "ts_end"],
            File::Calls => &["ts_start", "ts_end"],
            File::PlacementEvents => &["ts"],
            _ => &["ts_ms"],
        };
        Self {
            clocks,
            stamps,
            line: Vec::new(),
        }
    }

    /// The line as the reference's clock would have had it.
    pub fn line<'l>(&'l mut self, line: &'l [u8]) -> anyhow::Result<&'l [u8]> {
        let node = node_of(line)?;
        let offset = node
            .and_then(|node| self.clocks.get(&node))
            .map_or(0, |offset| offset.ns);
        if offset == 0 {
            return Ok(line);
        }
        self.line.clear();
        let (mut scan, mut copied) = (Fields::new(line)?, 0);
        while let Some(field) = scan.next_field()? {
            if self.stamps.iter().any(|stamp| stamp.as_bytes() == field.name) {
                let text = std::str::from_utf8(field.value).context("a stamp")?;
                let stamp = Milliseconds::parse(text).context("a stamp is no decimal")?;
                self.line
                    .extend_from_slice(&line[copied..field.end - field.value.len()]);
                Milliseconds::from_ns(stamp.as_ns().saturating_sub(offset)).encode(&mut self.line);
                copied = field.end;
            }
        }
        self.line.extend_from_slice(&line[copied..]);
        Ok(&self.line)
    }
}

fn node_of(line: &[u8]) -> anyhow::Result<Option<String>> {
    let mut scan = Fields::new(line)?;
    while let Some(field) = scan.next_field()? {
        if field.name == b"node" || field.name == b"node_id" {
            return Ok(rundir::fields::text(field.value).map(std::borrow::Cow::into_owned));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamps_of_a_node_that_is_ahead_are_set_back_and_durations_stay() {
        let clocks = BTreeMap::from([(
            "n".to_owned(),
            Offset {
                ns: 3_000_000_001,
                error_ns: 5,
            },
        )]);
        let mut shift = Shift::new(File::Calls, &clocks);
        let line = br#"{"node":"n","ts_start":5000.000002,"ts_end":6000.000000,"net_ms":1.000000}"#;
        assert_eq!(
            String::from_utf8_lossy(shift.line(line).unwrap()),
            r#"{"node":"n","ts_start":2000.000001,"ts_end":2999.999999,"net_ms":1.000000}"#
        );
        let other = br#"{"node":"m","ts_start":5000.000002}"#;
        assert_eq!(shift.line(other).unwrap(), other);
    }
}
