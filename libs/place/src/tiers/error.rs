//! [`TiersError`]: tiers that cannot be read, or that do not fit the recorded run.

use std::path::PathBuf;

/// Why no placement can be predicted with these tiers.
#[derive(Debug, thiserror::Error)]
pub enum TiersError {
    #[error("cannot read tiers {}: {cause}", path.display())]
    File { path: PathBuf, cause: String },
    #[error(
        "invalid tiers: no node is named; add the nodes on which modules may run, as in \"nodes\": {{\"cloud0\": {{\"cores\": 8}}}}"
    )]
    NoNodes,
    #[error("invalid tiers: node {node:?}, on which the run has {module}, is not named; add it to \"nodes\"")]
    RecordedNode { node: String, module: String },
    #[error(
        "invalid tiers: {place} names the unknown node {node:?}; use one of {known}, or add it to \"nodes\""
    )]
    UnknownNode {
        place: String,
        node: String,
        known: String,
    },
    #[error(
        "invalid tiers: requests from \"outside\" come from node {0:?}, which neither the run nor a node or link of the file has; correct \
         its name, or add its links"
    )]
    Outside(String),
    #[error(
        "invalid tiers: a link leads from node {0:?} to itself; calls inside a node need no link: remove it"
    )]
    LinkToItself(String),
    #[error("invalid tiers: the link {u:?} to {v:?} is there twice; remove one")]
    LinkTwice { u: String, v: String },
    #[error(
        "invalid tiers: {place} names module {module:?}, which processed no request in {run}; its modules are {known}"
    )]
    UnknownModule {
        place: String,
        module: String,
        run: String,
        known: String,
    },
    #[error(
        "invalid tiers: module {module:?} may run on no node, because \"on\" and \"not_on\" leave none of {known}; remove a pin or an exclusion"
    )]
    PinnedNowhere { module: String, known: String },
    #[error("invalid tiers: node {0:?} has no cores, and the run does not have them either; add \"cores\"")]
    NoCores(String),
    #[error(
        "invalid tiers: the nodes of host {host:?} have different cores ({first} and {other}); use the cores of the host for each"
    )]
    HostCores { host: String, first: u32, other: u32 },
    #[error(
        "invalid tiers: \"modules_max\" of all nodes together leaves room for {room} of {modules} modules; raise it"
    )]
    NoRoom { room: u64, modules: usize },
}

/// The first names of a list, for an error.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    const SHOWN_MAX: usize = 10;
    let names: Vec<String> = names.into_iter().map(|name| format!("{name:?}")).collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > SHOWN_MAX => {
            format!("{} and {} more", names[..SHOWN_MAX].join(", "), count - SHOWN_MAX)
        }
        _ => names.join(", "),
    }
}
