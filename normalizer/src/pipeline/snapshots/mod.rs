//! Snapshots: writes nodes.json, links.json, module_inventory.json and run_meta.json of a run from its current state.

mod inventory;
mod links;
mod meta;
mod nodes;

use aggregate::ids::RunId;
use cctf_proto::cctf::{File, Row};

use self::inventory::modules_of;
use self::links::links_of;
use self::meta::meta_of;
use self::nodes::nodes_of;
use super::output::Output;
use super::shared::Shared;
use super::shared::run::Phase;

pub use self::links::write_seconds;

/// Writes the snapshots of the runs that have changed and whose last snapshots are old enough.
pub fn write_due(shared: &mut Shared, output: &mut Output) {
    for run in shared.runs.due_for_snapshot(shared.clock.now) {
        write(run, shared, output);
    }
}

/// Writes the snapshots of all runs that have changed.
pub fn write_all(shared: &mut Shared, output: &mut Output) {
    for run in shared.runs.dirty() {
        write(run, shared, output);
    }
}

/// Writes the snapshots of a run.
pub fn write(run: RunId, shared: &mut Shared, output: &mut Output) {
    let now = shared.clock.now;
    let of = &mut shared.runs[run];
    of.dirty = false;
    of.snapshot_at = now;
    let shared = &*shared;
    let of = &shared.runs[run];
    let sink = output.run(run, &of.part.of);
    sink.replace(File::Nodes, array(&nodes_of(of, shared)));
    sink.replace(File::Links, array(&links_of(of, shared)));
    let modules = modules_of(of, shared);
    sink.replace(File::ModuleInventory, array(&modules));
    sink.replace(File::RunMeta, object(&meta_of(of, &modules, shared)));
    // Late rows open the files of a closed run again. So the files must be closed again each time.
    sink.closed |= matches!(of.phase, Phase::Closed(_));
}

/// Encodes one object per line, so that people can read the file.
fn array<'a, R: Row<'a>>(rows: &[R]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 * rows.len() + 4);
    out.extend_from_slice(b"[\n");
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b",\n");
        }
        row.encode(&mut out);
    }
    out.extend_from_slice(if rows.is_empty() { b"]\n" } else { b"\n]\n" });
    out
}

fn object<'a, R: Row<'a>>(row: &R) -> Vec<u8> {
    let mut out = Vec::new();
    row.encode(&mut out);
    out.push(b'\n');
    out
}
