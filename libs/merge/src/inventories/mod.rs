//! [`Inventories`]: `nodes.json`, `links.json` and `module_inventory.json`. Facts from the folders are united, and values that
//! depend on rows are recomputed.
//!
//! - [`union`]: objects and their union.
//! - [`nodes`], [`links`], [`modules`]: the three files; [`callees`]: the modules and peers that a module calls.
//! - [`run_meta`]: the rows of `run_meta.json`.

pub mod callees;
pub mod links;
pub mod modules;
pub mod nodes;
pub mod run_meta;
pub mod union;

use anyhow::Context;
use cctf_proto::cctf::File;

use crate::inputs::Input;
use links::Links;
use modules::Modules;
use nodes::Nodes;
use union::{Conflicts, items};

#[derive(Debug, Default)]
pub struct Inventories {
    pub nodes: Nodes,
    pub links: Links,
    pub modules: Modules,
    pub conflicts: Conflicts,
}

impl Inventories {
    /// Adds the facts of one folder.
    pub fn add(&mut self, input: &Input) -> anyhow::Result<()> {
        let conflicts = &mut self.conflicts;
        for_each_item(input, File::Nodes, |raw| self.nodes.add(raw, conflicts))?;
        for_each_item(input, File::Links, |raw| self.links.add(raw, conflicts))?;
        for_each_item(input, File::ModuleInventory, |raw| {
            self.modules.add(raw, conflicts)
        })
    }
}

fn for_each_item(
    input: &Input,
    file: File,
    mut add: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Some(bytes) = input.whole(file)? else {
        return Ok(());
    };
    let cannot_read = || format!("cannot read {}", input.folder().path(file).display());
    for item in items(&bytes).with_context(cannot_read)? {
        add(item.get().as_bytes()).with_context(cannot_read)?;
    }
    Ok(())
}
