//! [`check`]: checks whether the small files about nodes and links exist and are valid.

use analyze::stats::opened::Opened;
use cctf_proto::cctf::{File, Link, LinkMetric, Node, WHOLE_BYTES_MAX};
use rundir::{ReadError, RunFolder};

/// Adds a sentence to the notes for each file that is missing or damaged.
///
/// # Errors
/// If a file cannot be read.
pub fn check(opened: &Opened, notes: &mut Vec<String>) -> Result<(), ReadError> {
    let nodes = |bytes: &[u8]| serde_json::from_slice::<Vec<Node<'_>>>(bytes).is_ok();
    let links = |bytes: &[u8]| serde_json::from_slice::<Vec<Link<'_>>>(bytes).is_ok();
    let without_nodes = "CPUs and memory of its nodes are unknown";
    whole(opened, File::Nodes, nodes, without_nodes, notes)?;
    whole(opened, File::Links, links, "its links are unknown", notes)?;
    let found = super::lines::each_row(opened, File::LinkMetrics, |_, line| {
        serde_json::from_slice::<LinkMetric<'_>>(line).is_ok()
    })?;
    found.note(File::LinkMetrics, "the traffic of its links is unknown", notes);
    Ok(())
}

fn whole(
    opened: &Opened,
    file: File,
    is_valid: impl Fn(&[u8]) -> bool,
    without_it: &str,
    notes: &mut Vec<String>,
) -> Result<(), ReadError> {
    let (mut first, mut others) = (None, 0_u64);
    for part in &opened.parts {
        let folder = RunFolder::open(&opened.run.folder(part))?;
        let state = match folder.whole(file, WHOLE_BYTES_MAX)? {
            Some(bytes) if is_valid(&bytes) => continue,
            Some(_) => "an invalid",
            None => "no",
        };
        others += u64::from(first.is_some());
        first.get_or_insert((part, state));
    }
    if let Some((part, state)) = first {
        let others = match others {
            0 => String::new(),
            others => format!(", nor have {others} more parts a valid one"),
        };
        notes.push(format!(
            "{} has {state} {}{others}, so {without_it}",
            part.folder(),
            file.name()
        ));
    }
    Ok(())
}
