//! [`PlacementError`]: the reason why a placement of stand-ins is impossible.

use std::path::PathBuf;

use crate::tiers::network::NODES_MAX;

/// Maximum number of stand-ins on one machine. Each one is a process with some ten threads.
pub const STAND_INS_MAX: usize = 256;

/// The placement does not fit its recording, or is too large for one machine.
#[derive(Debug, thiserror::Error)]
pub enum PlacementError {
    #[error("cannot read placement {}: {cause}", path.display())]
    File { path: PathBuf, cause: String },
    #[error("invalid placement: {run} has no module {module:?}; its modules are {known}")]
    NoModule {
        run: String,
        module: String,
        known: String,
    },
    #[error(
        "invalid placement: an event names {module:?}, but must name a single group of the run; use one of {known}, but no module with several groups"
    )]
    EventModule { module: String, known: String },
    #[error(
        "invalid placement: module {0:?} has \"instances\" and an event; remove one of them, because an event moves the recorded instances"
    )]
    EventOfListed(String),
    #[error(
        "invalid placement: an event gives stand-in {instance:?} of module {module:?} {wanted} slots, but it starts with {started}; slots \
         only differ between nodes: omit \"slots\", or name another node"
    )]
    EventSlots {
        module: String,
        instance: String,
        started: String,
        wanted: String,
    },
    #[error("invalid placement: it has {count} events, and the maximum is {max}; remove some")]
    TooManyEvents { count: usize, max: usize },
    #[error(
        "invalid placement: {0:?} is a part of a module and has \"instances\"; list the instances in the entry of the module"
    )]
    InstancesOfGroup(String),
    #[error(
        "invalid placement: module {module:?} is on the unknown node {node:?}; use one of {known}, or declare {node:?} in \"nodes\""
    )]
    NoNode {
        module: String,
        node: String,
        known: String,
    },
    #[error(
        "invalid placement: node {0:?} is not in the recording, and no module is on it; correct its name, or remove it"
    )]
    UnusedNode(String),
    #[error("invalid placement: the link {u:?} to {v:?} has the unknown node {node:?}")]
    NoLinkNode { u: String, v: String, node: String },
    #[error(
        "invalid placement: a link leads from node {0:?} to itself; calls inside a node need no link: remove it"
    )]
    LinkToItself(String),
    #[error("invalid placement: the link {u:?} to {v:?} is there twice; remove one")]
    LinkTwice { u: String, v: String },
    #[error("invalid placement: {place} has {what}; use {remedy}")]
    Value {
        place: String,
        what: String,
        remedy: String,
    },
    #[error(
        "cannot start stand-ins for {run}: it has {count} instances of {modules} modules, and one machine takes {STAND_INS_MAX}; {}",
        too_many_remedy(*.modules)
    )]
    TooMany {
        run: String,
        count: usize,
        modules: usize,
    },
    #[error(
        "cannot create the network: the stand-ins are on {0} nodes, and the maximum is {NODES_MAX}; place them on fewer nodes, or omit --netns"
    )]
    TooManyNodes(usize),
    #[error("cannot start stand-ins for {run}: the name {name:?} of its {what} is empty or has a NUL byte")]
    Name {
        run: String,
        what: &'static str,
        name: String,
    },
    #[error("cannot start stand-ins for {0}: no module processed a request")]
    NoModules(String),
}

/// Advice for a placement with too many stand-ins. Each module needs at least one, so the user can only remove instances.
fn too_many_remedy(modules: usize) -> &'static str {
    match modules > STAND_INS_MAX {
        true => "start them on several machines, and use cctf replay --stand-in",
        false => {
            "name fewer in \"instances\" of a placement, or start them on several machines and use cctf replay --stand-in"
        }
    }
}
