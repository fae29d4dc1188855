//! [`Stations`]: finds requests that could wait forever, because each holds a slot of a stand-in while it waits for another
//! slot of the same stand-in.

use plan::plan::{Ends, Tree, What};
use standin::{Probe, StandIns};

use super::by_root::ByRoot;

/// The stand-ins by recorded instance, with the slots that requests hold while they wait for calls.
#[derive(Debug)]
pub struct Stations {
    /// For each recorded instance; `None` if its stand-in has unlimited slots, or releases slots during calls.
    held: Vec<Option<Held>>,
}

/// The slots of a stand-in that are held during calls. Two instances with the same key share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    /// One stand-in, or all stand-ins of a module that take turns.
    key: Key,
    /// Number of slots; the smallest one if several stand-ins take turns.
    slots: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    StandIn(usize),
    Module(u32),
}

/// A path of instances from a root to an invocation, on which each instance waits for the next one. The path enters one stand-in
/// more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// The module whose stand-in occurs more than once.
    pub module: String,
    pub slots: u32,
    /// Number of times that the stand-in occurs on the path.
    pub times: u32,
    /// Modules from the root on, such as `front -> cart -> front`.
    pub path: String,
}

impl Repeat {
    /// Whether a single request can wait for itself forever.
    pub fn is_impossible(&self) -> bool {
        self.times > self.slots
    }
}

impl Stations {
    /// `probes` must be in the order of the stand-ins in the file.
    pub fn new(roots: &ByRoot, stand_ins: &StandIns, probes: &[Probe]) -> Self {
        let instances = &roots.plan.recorded.names().instances;
        let one_of = |number: usize| -> &[usize] {
            let (module, instance) = roots.instance(number as u32);
            stand_ins.candidates(module, instance)
        };
        // If an instance has no stand-in of its own, any stand-in of its module may execute its invocations.
        let takes_turns = |module: u32| {
            let mut of_module = (0..instances.len()).filter(|number| instances[*number].module == module);
            of_module.any(|number| one_of(number).len() != 1)
        };
        let modules = roots.plan.recorded.names().modules.len() as u32;
        let turns: Vec<bool> = (0..modules).map(takes_turns).collect();
        let held = instances.iter().enumerate().map(|(number, instance)| {
            let own = one_of(number);
            let shares = turns[instance.module as usize];
            let (module, _) = roots.instance(number as u32);
            // An empty id cannot be that of an instance, so it stands for all stand-ins of the module.
            let all = if shares {
                stand_ins.candidates(module, "")
            } else {
                own
            };
            let probes = all.iter().filter_map(|index| probes.get(*index));
            let slots = probes.filter(|probe| probe.slot_policy != "released");
            let slots = slots.filter_map(|probe| probe.slots).min()?;
            let key = match (shares, own) {
                (false, [index]) => Key::StandIn(*index),
                _ => Key::Module(instance.module),
            };
            Some(Held { key, slots })
        });
        Self { held: held.collect() }
    }

    /// The path of a tree on which one stand-in occurs most often in relation to its slots, if it occurs at least twice.
    pub fn worst(&self, roots: &ByRoot, tree: &Tree) -> Option<Repeat> {
        let callers = waiting_callers(tree);
        let mut worst: Option<(usize, u32, Held)> = None;
        for (index, invocation) in tree.invocations.iter().enumerate() {
            let Some(held) = self.held[invocation.instance as usize] else {
                continue;
            };
            let above = path(&callers, index).skip(1);
            let same = above.filter(|above| {
                let instance = tree.invocations[*above].instance;
                self.held[instance as usize].is_some_and(|other| other.key == held.key)
            });
            let times = 1 + same.count() as u32;
            let is_worse = |(_, most, than): (usize, u32, Held)| {
                u64::from(times) * u64::from(than.slots) > u64::from(most) * u64::from(held.slots)
            };
            if times > 1 && worst.is_none_or(is_worse) {
                worst = Some((index, times, held));
            }
        }
        worst.map(|(index, times, held)| {
            let module = |index: usize| roots.instance(tree.invocations[index].instance).0;
            let mut names: Vec<&str> = path(&callers, index).map(module).collect();
            names.reverse();
            Repeat {
                module: module(index).to_owned(),
                slots: held.slots,
                times,
                path: names.join(" -> "),
            }
        })
    }
}

/// Whether a path of waiting callers contains a module twice. Slots have to be checked only in such trees.
pub fn repeats_a_module(roots: &ByRoot, tree: &Tree) -> bool {
    let names = roots.plan.recorded.names();
    let callers = waiting_callers(tree);
    let module = |index: usize| names.module_of(tree.invocations[index].instance);
    (0..tree.invocations.len()).any(|index| {
        path(&callers, index)
            .skip(1)
            .any(|above| module(above) == module(index))
    })
}

/// For each invocation: the invocation that waits for its answer, if any.
fn waiting_callers(tree: &Tree) -> Vec<Option<usize>> {
    let mut callers = vec![None; tree.invocations.len()];
    for (caller, invocation) in tree.invocations.iter().enumerate() {
        for call in &invocation.calls {
            let waits = call.what == What::Request
                && !call.is_after_answer
                && !matches!(call.ends, Ends::Duration(_));
            if let (true, Some(first)) = (waits, call.callees.first()) {
                callers[first.invocation as usize] = Some(caller);
            }
        }
    }
    callers
}

/// An invocation, followed by all invocations that wait for it, up to the root. The depth of a plan is bounded.
fn path(callers: &[Option<usize>], index: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(index), |index| callers[*index])
}
