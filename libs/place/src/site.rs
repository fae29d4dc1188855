//! [`Site`]: a recorded run as far as placements need it: its load, its modules, and what their rows lack.

use std::collections::BTreeSet;

use cctf_stack::stand_ins::Recording;
use plan::plan::{Cpu, Plan};
use plan::stations::{Load, load};
use plan::work::{NONE, Waited};

use crate::tiers::error::listed;

/// Why no placement of a run can be predicted.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(
        "cannot predict placements of {0}: it has no request from outside in this time; choose another time"
    )]
    NoRoots(String),
    #[error(
        "cannot predict placements of {0}: none of its invocations has a CPU time, so nobody knows how long they take elsewhere; record \
         cpu_time_ms, or process.cpu.time at a varied load (cctf stats --cpu)"
    )]
    NoCpuTimes(String),
    #[error(
        "cannot predict placements of {run}: module {module:?} processed requests, but module_inventory.json does not have it; cctf \
         validate shows what is wrong (known are {known})"
    )]
    NotInInventory {
        run: String,
        module: String,
        known: String,
    },
}

/// A recorded run.
#[derive(Debug)]
pub struct Site {
    pub recording: Recording,
    pub load: Load,
    /// The modules that get requests, by name. An assignment has a node for each of them.
    pub modules: Vec<Module>,
    /// Calling and called instance of all calls, in order.
    pub pairs: Vec<(u32, u32)>,
    /// The instances that get requests from outside, in order.
    pub entries: Vec<u32>,
    /// Sentences about what the rows lack.
    pub notes: Vec<String>,
}

/// A module that gets requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    pub name: String,
    /// Its recorded nodes.
    pub nodes: BTreeSet<String>,
    pub invocations: u64,
    /// Invocations without a CPU time.
    pub cpu_unknown: u64,
    /// Invocations without a queue time, whose waits are in their own time.
    pub queue_unknown: u64,
    /// Sum of the CPU times, nanoseconds.
    pub cpu_ns: i64,
}

impl Site {
    /// `recording` has the inventories of the same run.
    ///
    /// # Errors
    /// If the run has no roots or no CPU times, or its inventory lacks a module.
    pub fn new(plan: &Plan, recording: Recording) -> Result<Self, SiteError> {
        let load = load(plan);
        if load.arrivals.is_empty() {
            return Err(SiteError::NoRoots(recording.run_id));
        }
        let names = &load.names.modules;
        let mut by_number: Vec<Module> = Vec::with_capacity(names.len());
        for name in names {
            let known = recording.modules.get(name);
            let nodes = known.map(|module| module.instances.iter().map(|instance| instance.node.clone()));
            by_number.push(Module {
                name: name.clone(),
                nodes: nodes.into_iter().flatten().collect(),
                invocations: 0,
                cpu_unknown: 0,
                queue_unknown: 0,
                cpu_ns: 0,
            });
        }
        for tree in plan.trees() {
            for invocation in &tree.invocations {
                let module = &mut by_number[load.names.module_of(invocation.instance) as usize];
                let waited = plan.recorded.works[invocation.work as usize].waited;
                module.invocations += 1;
                module.cpu_unknown += u64::from(invocation.cpu == Cpu::Unknown);
                module.queue_unknown += u64::from(waited == Waited::Unknown);
                module.cpu_ns = module.cpu_ns.saturating_add(invocation.cpu.ns().unwrap_or(0));
            }
        }
        by_number.retain(|module| module.invocations > 0);
        by_number.sort_by(|a, b| a.name.cmp(&b.name));
        check(&by_number, &recording)?;
        let notes = notes(&by_number, &recording);
        Ok(Self {
            pairs: pairs(&load),
            entries: entries(&load),
            modules: by_number,
            notes,
            recording,
            load,
        })
    }

    /// The names of the modules that get requests.
    pub fn names(&self) -> BTreeSet<String> {
        self.modules.iter().map(|module| module.name.clone()).collect()
    }

    /// The module of an instance, and the instance's id.
    pub fn instance(&self, instance: u32) -> (&str, &str) {
        let names = &self.load.names;
        let instance = &names.instances[instance as usize];
        (&names.modules[instance.module as usize], &instance.id)
    }

    /// The recorded node of an instance.
    pub fn recorded_node(&self, instance: u32) -> &str {
        let names = &self.load.names;
        &names.nodes[names.instances[instance as usize].node as usize]
    }
}

fn check(modules: &[Module], recording: &Recording) -> Result<(), SiteError> {
    let is_missing = |module: &&Module| !recording.modules.contains_key(&module.name);
    if let Some(module) = modules.iter().find(is_missing) {
        return Err(SiteError::NotInInventory {
            run: recording.run_id.clone(),
            module: module.name.clone(),
            known: listed(recording.modules.keys()),
        });
    }
    match modules
        .iter()
        .all(|module| module.cpu_unknown == module.invocations)
    {
        true => Err(SiteError::NoCpuTimes(recording.run_id.clone())),
        false => Ok(()),
    }
}

fn notes(modules: &[Module], recording: &Recording) -> Vec<String> {
    let of = |lacks: &dyn Fn(&Module) -> u64| {
        let modules = modules.iter().filter(|module| lacks(module) > 0);
        shown(modules.map(|module| module.name.as_str()))
    };
    let cpu = of(&|module| module.cpu_unknown)
        .map(|modules| format!("invocations of {modules} have no CPU time: these modules cannot be moved"));
    let queue = of(&|module| module.queue_unknown).map(|modules| {
        format!("invocations of {modules} report no queue time: their waits stay as recorded")
    });
    recording.notes.iter().cloned().chain(cpu).chain(queue).collect()
}

/// The first names of a list, for a sentence. `None` without any.
pub fn shown<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    const SHOWN_MAX: usize = 5;
    let names: Vec<&str> = names.collect();
    let first = names[..names.len().min(SHOWN_MAX)].join(", ");
    match names.len().saturating_sub(SHOWN_MAX) {
        _ if names.is_empty() => None,
        0 => Some(first),
        more => Some(format!("{first} and {more} more")),
    }
}

fn pairs(load: &Load) -> Vec<(u32, u32)> {
    let instance = |visit: u32| load.visits[visit as usize].instance;
    let called = load
        .calls
        .iter()
        .filter(|call| call.callee != NONE && !call.is_message);
    let pairs: BTreeSet<_> = called
        .map(|call| (instance(call.visit), instance(call.callee)))
        .collect();
    pairs.into_iter().collect()
}

fn entries(load: &Load) -> Vec<u32> {
    let entries: BTreeSet<u32> = load
        .arrivals
        .iter()
        .map(|arrival| load.visits[arrival.visit as usize].instance)
        .collect();
    entries.into_iter().collect()
}
