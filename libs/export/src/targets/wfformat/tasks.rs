//! [`TaskList`]: a root and everything that it causes, as tasks of a workflow. A task stands for the own work of an invocation
//! before a call or before the answer, or for time that passes without work.

use foldhash::HashMap;
use plan::plan::{Call, Cpu, Ends, Invocation, Tree, Wait, What};

use crate::source::Source;

/// The number of the machine on which tasks are that use no CPU of a node.
pub const OUTSIDE: u32 = u32::MAX;

/// One task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Task {
    pub id: String,
    pub name: Name,
    /// Indices of the tasks of the same root that must end before this task. The arrival is not included.
    pub parents: Vec<u32>,
    pub children: Vec<u32>,
    /// Whether the task begins when its root arrives.
    pub is_first: bool,
    /// Whether the task begins when calls end or when the invocation arrives. Otherwise it begins when an earlier own task has
    /// ended.
    leads: bool,
    pub runtime_ns: i64,
    pub cpu_ns: Option<i64>,
    /// Number of its node, or [`OUTSIDE`].
    pub machine: u32,
    /// Ids of the files that the task reads.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
}

/// The origin of a task, which gives its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Name {
    /// Own work of an invocation, with the number of its endpoint.
    Endpoint(u32),
    /// A call to a peer without telemetry, with the number of its label (receiver, method and path).
    Receiver(u32),
    /// Only time passes.
    #[default]
    Wait,
}

/// A body that one task sends and another one receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyFile {
    pub id: String,
    pub bytes: u64,
}

/// Counts of facts that tasks cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    pub overlaps: u64,
    pub sizes_unknown: u64,
}

/// The tasks of one root.
#[derive(Debug, Default)]
pub struct TaskList {
    pub tasks: Vec<Task>,
    pub files: Vec<BodyFile>,
    pub lost: Lost,
}

/// The tasks of one invocation.
#[derive(Debug, Clone, Default)]
struct Made {
    /// The tasks that begin when the invocation arrives.
    first: Vec<u32>,
    /// For each call, the task with the own work before it.
    before: Vec<u32>,
    answer: u32,
}

/// The own work (the gap) before a call or the answer. Gaps that wait for the ends of the same calls are executed one after the
/// other: a longer gap continues where a shorter one has ended.
#[derive(Debug)]
struct Step<'t> {
    wait: &'t Wait,
    /// Index of the call, or `None` for the answer.
    call: Option<u32>,
}

impl TaskList {
    /// `root` is the number of the root in the export.
    pub fn new(source: &Source<'_>, root: u64, tree: &Tree) -> Self {
        let mut list = Self::default();
        let made: Vec<Made> = (0..)
            .zip(&tree.invocations)
            .map(|(number, invocation)| list.own_work(source, &Place { root, number }, invocation))
            .collect();
        for (number, invocation) in (0..).zip(&tree.invocations) {
            let place = Place { root, number };
            for (index, call) in (0..).zip(&invocation.calls) {
                let ends = list.call(&place, index, call, &made);
                list.wait_for(invocation, index, ends, &made[number as usize]);
            }
        }
        list.add_children();
        for (number, invocation) in (0..).zip(&tree.invocations) {
            list.bodies(
                source,
                &Place { root, number },
                invocation,
                &made[number as usize],
            );
        }
        for task in made.first().map_or(&[][..], |made| made.first.as_slice()) {
            list.tasks[*task as usize].is_first = true;
        }
        list
    }

    /// Makes a task for the own work before each call, and one for the own work before the answer.
    fn own_work(&mut self, source: &Source<'_>, place: &Place, invocation: &Invocation) -> Made {
        let node = source.plan.recorded.names.instances[invocation.instance as usize].node;
        let mut made = Made {
            before: vec![0; invocation.calls.len()],
            ..Made::default()
        };
        let groups = groups(invocation);
        let mut sum_ns = 0;
        for group in groups {
            let (mut last, mut done_ns) = (None, 0);
            for step in group {
                let runtime_ns = (step.wait.gap_ns - done_ns).max(0);
                sum_ns += runtime_ns;
                let task = self.push(Task {
                    id: match step.call {
                        Some(call) => format!("{place}.{call}"),
                        None => format!("{place}.answer"),
                    },
                    name: Name::Endpoint(invocation.endpoint),
                    leads: last.is_none(),
                    runtime_ns,
                    cpu_ns: (invocation.cpu != Cpu::Unknown).then_some(step.wait.cpu_ns),
                    machine: node,
                    parents: last.into_iter().collect(),
                    ..Task::default()
                });
                let begins = step.wait.after.is_empty() && step.wait.any_of.is_empty();
                let is_late = step
                    .call
                    .is_some_and(|call| invocation.calls[call as usize].is_after_answer);
                let is_retry = step
                    .call
                    .is_some_and(|call| invocation.calls[call as usize].retry_of.is_some());
                if last.is_none() && begins && !is_late && !is_retry {
                    made.first.push(task);
                }
                match step.call {
                    Some(call) => made.before[call as usize] = task,
                    None => made.answer = task,
                }
                (last, done_ns) = (Some(task), step.wait.gap_ns.max(done_ns));
            }
        }
        let cpu_ns = invocation
            .cpu
            .ns()
            .map_or(0, |cpu_ns| cpu_ns - invocation.beside_cpu_ns);
        self.lost.overlaps += u64::from(sum_ns > cpu_ns + invocation.other_ns);
        if invocation.beside_cpu_ns > 0 {
            let beside = self.push(Task {
                id: format!("{place}.beside"),
                name: Name::Endpoint(invocation.endpoint),
                runtime_ns: invocation.beside_cpu_ns,
                cpu_ns: Some(invocation.beside_cpu_ns),
                machine: node,
                ..Task::default()
            });
            made.first.push(beside);
        }
        made
    }

    /// Connects the task before a call with the tasks that the call causes. Returns the task whose end is the end of the call.
    fn call(&mut self, place: &Place, index: u32, call: &Call, made: &[Made]) -> u32 {
        let before = made[place.number as usize].before[index as usize];
        let (name, duration_ns) = match (call.ends, call.label) {
            (Ends::Duration(ns), Some(label)) if call.callees.is_empty() => (Name::Receiver(label), ns),
            (Ends::Duration(ns) | Ends::Timeout(ns), _) => (Name::Wait, ns),
            (Ends::Answer, _) => (Name::Wait, 0),
        };
        let has_end = call.ends != Ends::Answer || call.callees.is_empty();
        let end = has_end.then(|| self.pass(format!("{place}.{index}.wait"), name, duration_ns, before));
        let is_message = call.what == What::Message;
        let mut answer = end;
        for (number, callee) in (0_u32..).zip(&call.callees) {
            let sent = match end {
                Some(end) if is_message => end,
                _ => before,
            };
            let arrives = match callee.delay_ns > 0 {
                true => self.pass(
                    format!("{place}.{index}.delay{number}"),
                    Name::Wait,
                    callee.delay_ns,
                    sent,
                ),
                false => sent,
            };
            let below = &made[callee.invocation as usize];
            for first in &below.first {
                self.tasks[*first as usize].parents.push(arrives);
            }
            answer = answer.or(Some(below.answer));
        }
        answer.unwrap_or(before)
    }

    /// Makes all tasks that wait for a call depend on the task `end`.
    fn wait_for(&mut self, invocation: &Invocation, index: u32, end: u32, made: &Made) {
        let waits = |wait: &Wait| wait.after.contains(&index) || wait.any_of.contains(&index);
        let mut add = |task: u32, waits: bool| {
            let task = &mut self.tasks[task as usize];
            if waits && task.leads && !task.parents.contains(&end) {
                task.parents.push(end);
            }
        };
        let is_response = |call: &Call| call.retry_of == Some(index);
        for (other, call) in (0_u32..).zip(&invocation.calls) {
            let task = made.before[other as usize];
            add(task, waits(&call.wait) || is_response(call));
        }
        add(made.answer, waits(&invocation.answer));
        let late = invocation
            .calls
            .iter()
            .zip(&made.before)
            .filter(|(call, _)| call.is_after_answer);
        for (_, task) in late {
            let task = &mut self.tasks[*task as usize];
            if task.leads && !task.parents.contains(&made.answer) {
                task.parents.push(made.answer);
            }
        }
    }

    /// Makes files for the bodies of an invocation.
    fn bodies(&mut self, source: &Source<'_>, place: &Place, invocation: &Invocation, made: &Made) {
        let facts = &source.plan.recorded.works[invocation.work as usize].facts;
        if let Some(id) = self.file(format!("{place}.in"), facts.bytes_in) {
            for first in &made.first {
                let task = &mut self.tasks[*first as usize];
                task.inputs.push(id.clone());
                // Between the sender and the receiver of a message, there can be tasks in which time passes. The last of them
                // counts as the sender of the file.
                if let Some(&sender) = task.parents.first() {
                    let outputs = &mut self.tasks[sender as usize].outputs;
                    if !outputs.contains(&id) {
                        outputs.push(id.clone());
                    }
                }
            }
        }
        if let Some(id) = self.file(format!("{place}.out"), facts.bytes_out) {
            self.tasks[made.answer as usize].outputs.push(id.clone());
            for child in self.tasks[made.answer as usize].children.clone() {
                self.tasks[child as usize].inputs.push(id.clone());
            }
        }
    }

    fn file(&mut self, id: String, bytes: Option<u32>) -> Option<String> {
        self.lost.sizes_unknown += u64::from(bytes.is_none());
        let bytes = u64::from(bytes?);
        self.files.push(BodyFile {
            id: id.clone(),
            bytes,
        });
        Some(id)
    }

    /// Adds a task that follows the task `after`, and in which only time passes.
    fn pass(&mut self, id: String, name: Name, runtime_ns: i64, after: u32) -> u32 {
        self.push(Task {
            id,
            name,
            runtime_ns: runtime_ns.max(0),
            machine: OUTSIDE,
            parents: vec![after],
            ..Task::default()
        })
    }

    fn push(&mut self, task: Task) -> u32 {
        self.tasks.push(task);
        self.tasks.len() as u32 - 1
    }

    fn add_children(&mut self) {
        for child in 0..self.tasks.len() {
            for index in 0..self.tasks[child].parents.len() {
                let parent = self.tasks[child].parents[index];
                self.tasks[parent as usize].children.push(child as u32);
            }
        }
    }
}

/// An invocation, as the number of its root and its own number among the invocations of this root.
struct Place {
    root: u64,
    number: u32,
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}", self.root, self.number)
    }
}

/// The gaps of an invocation, grouped by the calls for whose ends they wait. Each group is sorted by the length of the gaps.
fn groups(invocation: &Invocation) -> Vec<Vec<Step<'_>>> {
    let calls = (0..).zip(&invocation.calls).map(|(index, call)| {
        let key = (
            &call.wait.after,
            &call.wait.any_of,
            call.retry_of,
            call.is_after_answer,
        );
        (
            key,
            Step {
                wait: &call.wait,
                call: Some(index),
            },
        )
    });
    let answer = &invocation.answer;
    let key = (&answer.after, &answer.any_of, None, false);
    let steps = calls.chain([(
        key,
        Step {
            wait: answer,
            call: None,
        },
    )]);
    let mut numbers = HashMap::default();
    let mut groups: Vec<Vec<Step<'_>>> = Vec::new();
    for (key, step) in steps {
        let number = *numbers.entry(key).or_insert(groups.len());
        match groups.get_mut(number) {
            Some(group) => group.push(step),
            None => groups.push(vec![step]),
        }
    }
    for group in &mut groups {
        // If the answer and a call have equal gaps, the answer comes last.
        group.sort_by_key(|step| (step.wait.gap_ns, step.call.is_none(), step.call));
    }
    groups
}
