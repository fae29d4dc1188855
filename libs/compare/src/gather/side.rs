//! [`Side`]: one of the two runs of a comparison.

use std::collections::BTreeSet;

use cctf_proto::cctf::Part;
use rundir::parts::Run;

use super::facts::Facts;
use super::names::Names;
use super::read::{CompareError, Inputs, MODULES_MAX, Progress, read};
use super::rows::{Rows, known};
use super::tree::Tree;

/// One of the two runs.
#[derive(Debug, Default)]
pub struct Side {
    pub facts: Facts,
    pub rows: Rows,
    pub tree: Tree,
    /// Whether more rows may follow.
    pub is_open: bool,
    /// Number of calls that have a row. Inferred calls follow them in the list.
    pub calls: u64,
    /// Modules for which both runs report waits for a CPU.
    pub cpu_wait_modules: BTreeSet<u32>,
    pub notes: Vec<String>,
}

impl Side {
    /// Start of a root, nanoseconds since the Unix epoch.
    pub fn root_start_ns(&self, root: u32) -> i64 {
        self.rows.calls[root as usize].start_ns
    }

    /// Time from the first root to the last one.
    pub fn duration_ns(&self) -> i64 {
        let ends = self.tree.roots.first().zip(self.tree.roots.last());
        ends.map_or(0, |(&first, &last)| {
            self.root_start_ns(last).saturating_sub(self.root_start_ns(first))
        })
    }
}

/// Reads both runs, each from the given part on.
///
/// # Errors
/// If a file cannot be read, or a run has no or too many rows.
pub fn both(
    runs: [(&Run, &Part); 2],
    threads: usize,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<([Side; 2], Names), CompareError> {
    let mut parts = Vec::new();
    let mut inputs = Vec::new();
    for (run, first) in runs {
        let of_run = run.parts_from(first)?;
        inputs.push(Inputs::open(run, &of_run)?);
        parts.push(of_run);
    }
    let mut progress = Progress {
        done: 0,
        total: inputs.iter().map(Inputs::bytes).sum(),
    };
    let mut on_bytes = |bytes: u64| {
        progress.done += bytes;
        on_progress(progress);
    };
    let mut names = Names::default();
    let mut sides = [Side::default(), Side::default()];
    for (place, side) in sides.iter_mut().enumerate() {
        side.facts = Facts::read(runs[place].0, &parts[place])?;
        side.rows = read(&inputs[place], &mut names, threads, &mut on_bytes)?;
        let modules: BTreeSet<u32> = side.rows.invocations.iter().map(|row| row.module).collect();
        if modules.len() > MODULES_MAX {
            return Err(CompareError::TooManyModules {
                path: runs[place].0.folder(runs[place].1),
            });
        }
        // The live service makes its own calls again by itself, such as polls for messages, so a replay does not send them.
        let servers = side.facts.servers.iter().filter_map(|server| names.find(server));
        let servers: BTreeSet<u32> = servers.collect();
        for call in &mut side.rows.calls {
            call.clues.is_background = call.is_root && servers.contains(&call.module);
        }
        side.calls = side.rows.calls.len() as u64;
        side.is_open = inputs[place].is_open;
        side.notes.append(&mut inputs[place].notes);
    }
    let reporting = sides.each_ref().map(cpu_wait_modules);
    let common: BTreeSet<u32> = &reporting[0] & &reporting[1];
    sides
        .iter_mut()
        .for_each(|side| side.cpu_wait_modules.clone_from(&common));
    let [a, b] = &mut sides;
    std::thread::scope(|scope| {
        scope.spawn(|| a.tree = Tree::new(&mut a.rows));
        b.tree = Tree::new(&mut b.rows);
    });
    Ok((sides, names))
}

/// Modules whose rows have waits for a CPU.
fn cpu_wait_modules(side: &Side) -> BTreeSet<u32> {
    let rows = side.rows.invocations.iter();
    rows.filter(|row| known(row.cpu_wait_ns).is_some())
        .map(|row| row.module)
        .collect()
}
