//! [`Site`]: the parts of a recorded run that placements need: the load, the groups of instances, and values that rows lack.

use std::collections::BTreeSet;

use cctf_stack::stand_ins::Recording;
use plan::plan::Plan;
use plan::stations::{Load, Platform, kept_cpu_waits, load};

use crate::arrivals::Sample;
use crate::groups::{Group, groups};
use crate::machines::share_cpus;
use crate::tiers::Tiers;
use crate::tiers::error::listed;

/// Maximum number of visits in the simulation that determines the kept waits for CPUs. Such a simulation takes some 0.2 s.
const KEPT_VISITS_MAX: usize = 300_000;

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
    /// The groups that get requests, by name. An assignment has a node for each of them.
    pub groups: Vec<Group>,
    /// The number of the group of each instance; [`plan::work::NONE`] without a group.
    pub group_of: Vec<u32>,
    /// Calling and called instance of all calls, in order.
    pub pairs: Vec<(u32, u32)>,
    /// The instances that get requests from outside, in order.
    pub entries: Vec<u32>,
    /// By the number of the instance: the share of its recorded waits for CPUs that other processes caused, in millionths.
    pub cpu_wait_kept_ppm: Vec<u32>,
    /// Sentences about values that rows lack.
    pub notes: Vec<String>,
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
        let (groups, group_of) = groups(plan, &load, &recording);
        check(&groups, &recording)?;
        let notes = notes(&groups, &recording);
        Ok(Self {
            pairs: pairs(&load),
            entries: entries(&load),
            cpu_wait_kept_ppm: kept(&load, &recording, (&groups, &group_of)),
            groups,
            group_of,
            notes,
            recording,
            load,
        })
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

/// For each instance, the share of its recorded waits for CPUs that other processes caused. It is found by simulating the load on
/// its recorded nodes.
fn kept(load: &Load, recording: &Recording, (groups, group_of): (&[Group], &[u32])) -> Vec<u32> {
    let sample = Sample::new(load, KEPT_VISITS_MAX);
    let mut platform = Platform::recorded(&sample.load);
    let names = &load.names;
    let nodes = names.instances.iter().zip(group_of).map(|(instance, group)| {
        let group = groups.get(*group as usize);
        group.map_or_else(
            || names.nodes[instance.node as usize].clone(),
            |group| group.node.clone(),
        )
    });
    share_cpus(
        &Tiers::recorded(recording, groups),
        &nodes.collect::<Vec<_>>(),
        &mut platform,
    );
    kept_cpu_waits(&sample.load, &platform)
}

fn check(groups: &[Group], recording: &Recording) -> Result<(), SiteError> {
    let is_missing = |group: &&Group| !recording.modules.contains_key(&group.module);
    if let Some(group) = groups.iter().find(is_missing) {
        return Err(SiteError::NotInInventory {
            run: recording.run_id.clone(),
            module: group.module.clone(),
            known: listed(recording.modules.keys()),
        });
    }
    match groups.iter().all(|group| group.cpu_unknown == group.invocations) {
        true => Err(SiteError::NoCpuTimes(recording.run_id.clone())),
        false => Ok(()),
    }
}

fn notes(groups: &[Group], recording: &Recording) -> Vec<String> {
    let of = |lacks: &dyn Fn(&Group) -> u64| {
        let groups = groups.iter().filter(|group| lacks(group) > 0);
        shown(groups.map(|group| group.name.as_str()))
    };
    let cpu = of(&|group| group.cpu_unknown)
        .map(|modules| format!("invocations of {modules} have no CPU time: these modules cannot be moved"));
    let queue = of(&|group| group.queue_unknown).map(|modules| {
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
    let called = load.calls.iter().filter(|call| call.passes_link());
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
