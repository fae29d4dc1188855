//! [`Peers`]: finds the module of a root that has no answer, from the peer to which it was sent.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use aggregate::ids::ModuleId;
use aggregate::peers::ModuleNames;
use cctf_proto::cctf::{File, Part};
use foldhash::quality::RandomState;
use rundir::ReadError;
use rundir::parts::Run;

use super::root::{Root, UNKNOWN_MODULE};
use crate::inventory;

/// Maximum number of peers whose module is remembered. Only a client of more than this many server addresses has more.
const PEERS_MAX: usize = 10_000;

/// The modules that answered each peer, and the modules of the inventory.
#[derive(Default)]
pub struct Peers {
    /// The module that answered requests to a peer; `None` if several modules did.
    behind: HashMap<Arc<str>, Option<Arc<str>>, RandomState>,
    /// Application and name of each module in the inventory.
    modules: Vec<(Option<String>, String)>,
    /// Modules in the inventory that processed a request, message or job.
    pub servers: BTreeSet<String>,
    /// A warning if no part has a valid inventory.
    pub note: Option<String>,
}

impl Peers {
    /// Reads the inventory of the last part that has a valid one.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(run: &Run, parts: &[Part]) -> Result<Self, ReadError> {
        let found = inventory::read(run, parts, |modules| {
            let own = modules.iter().filter(|module| module.external != Some(true));
            let named = own.map(|module| {
                let app = module.app_id.as_deref().map(str::to_owned);
                (app, module.module_id.to_string())
            });
            Self {
                behind: HashMap::default(),
                modules: named.collect(),
                servers: inventory::servers(modules),
                note: None,
            }
        })?;
        Ok(found.unwrap_or_else(|| Self {
            note: Some(format!(
                "{} has no valid {}, so calls that modules make on their own may count as requests from outside",
                run.id(),
                File::ModuleInventory.name()
            )),
            ..Self::default()
        }))
    }

    /// Records the module that answered a root, as the module of the root's peer.
    pub fn add(&mut self, root: &Root) {
        let Some(peer) = root.peer.as_ref().filter(|_| !root.module.is_empty()) else {
            return;
        };
        if let Some(known) = self.behind.get_mut(peer) {
            if known.as_ref().is_some_and(|known| *known != root.module) {
                *known = None;
            }
        } else if self.behind.len() < PEERS_MAX {
            self.behind
                .insert(Arc::clone(peer), Some(Arc::clone(&root.module)));
        }
    }

    /// Returns the finder for roots without a module. Call it after all roots were added.
    pub fn finder(&self) -> Finder<'_> {
        let modules = self.modules.iter().enumerate();
        let names =
            modules.map(|(number, (app, name))| (ModuleId::new(number), app.as_deref(), name.as_str()));
        Finder {
            peers: self,
            names: ModuleNames::new(names),
        }
    }
}

/// Finds the module of a root by its peer.
pub struct Finder<'p> {
    peers: &'p Peers,
    names: ModuleNames<'p>,
}

impl Finder<'_> {
    /// Sets the module of a root that has none.
    pub fn complete(&self, root: &mut Root) {
        if !root.module.is_empty() {
            return;
        }
        let Some(peer) = &root.peer else {
            root.module = UNKNOWN_MODULE.into();
            return;
        };
        let behind = self.peers.behind.get(peer).cloned().flatten();
        let named = || {
            let number = self.names.behind(peer, None)?;
            Some(self.peers.modules.get(number.index())?.1.as_str().into())
        };
        root.module = behind.or_else(named).unwrap_or_else(|| Arc::clone(peer));
    }
}
