//! [`write`]: writes the file of a workflow. The file has separate lists of tasks, files and execution times, so the roots are
//! read three times.

use plan::plan::Tree;
use rundir::output::LinesOut;
use serde::Serialize;
use serde_json::value::RawValue;

use super::tasks::{Lost, Name, OUTSIDE, Task, TaskList};
use crate::counts::Counts;
use crate::job::Job;
use crate::source::Source;

/// Version of WfFormat.
const SCHEMA_VERSION: &str = "1.5";
/// Name of the machine on which all tasks are that use no CPU of a node. If a node already has this name, a number is added.
const OUTSIDE_NAME: &str = "outside";
/// Name of the tasks in which time passes until the next root arrives.
const ARRIVAL: &str = "arrival";
const PASSES: u64 = 3;

#[derive(Serialize)]
struct SpecifiedTask<'a> {
    name: &'a str,
    id: &'a str,
    parents: Vec<&'a str>,
    children: Vec<&'a str>,
    #[serde(rename = "inputFiles")]
    inputs: &'a [String],
    #[serde(rename = "outputFiles")]
    outputs: &'a [String],
}

#[derive(Serialize)]
struct FileLine<'a> {
    id: &'a str,
    #[serde(rename = "sizeInBytes")]
    bytes: u64,
}

#[derive(Serialize)]
struct ExecutedTask<'a> {
    id: &'a str,
    #[serde(rename = "runtimeInSeconds")]
    runtime: Box<RawValue>,
    #[serde(rename = "coreCount")]
    cores: u32,
    #[serde(rename = "avgCPU", skip_serializing_if = "Option::is_none")]
    cpu_percent: Option<f64>,
    machines: [&'a str; 1],
}

#[derive(Serialize)]
struct Machine<'a> {
    #[serde(rename = "nodeName")]
    name: &'a str,
    #[serde(rename = "memoryInBytes", skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<MachineCpu>,
}

#[derive(Serialize)]
struct MachineCpu {
    #[serde(rename = "coreCount", skip_serializing_if = "Option::is_none")]
    cores: Option<u64>,
    #[serde(rename = "speedInMHz", skip_serializing_if = "Option::is_none")]
    speed: Option<u64>,
}

/// A file in progress.
struct Writing<'a> {
    source: &'a Source<'a>,
    out: LinesOut,
    /// Whether the current list has an entry, so that the next entry needs a comma before it.
    has_entry: bool,
    outside: String,
    endpoints: Vec<String>,
    receivers: Vec<String>,
}

/// Writes the workflow of a run.
pub fn write(source: &Source<'_>, job: &mut Job<'_>, name: &str) -> anyhow::Result<(Counts, Lost)> {
    let mut writing = Writing::new(source, job.lines(name)?);
    let (mut counts, mut lost, mut end_ns) = (Counts::default(), Lost::default(), source.plan.span.zero_ns);
    let run = serde_json::to_string(source.run.id())?;
    writing.line(&format!(
        "{{\"name\":{run},\"schemaVersion\":\"{SCHEMA_VERSION}\",\"workflow\":{{\"specification\":{{\"tasks\":["
    ))?;
    writing.each(job, 0, |writing, tree, root| {
        counts.add_tree(source, tree);
        for invocation in &tree.invocations {
            let work = &source.plan.recorded.works[invocation.work as usize];
            end_ns = end_ns.max(work.end_ns());
        }
        let list = TaskList::new(source, root, tree);
        lost.overlaps += list.lost.overlaps;
        lost.sizes_unknown += list.lost.sizes_unknown;
        writing.specified(root, &list)
    })?;
    writing.line("],\"files\":[")?;
    writing.each(job, 1, |writing, tree, root| {
        for file in TaskList::new(source, root, tree).files {
            writing.entry(&FileLine {
                id: &file.id,
                bytes: file.bytes,
            })?;
        }
        Ok(())
    })?;
    let zero_ns = source.plan.span.zero_ns;
    let makespan = seconds(end_ns - zero_ns)?;
    // Times of a plan are within the range of the calendar.
    let at = jiff::Timestamp::from_nanosecond(zero_ns.into())?;
    writing.line(&format!(
        "]}},\"execution\":{{\"makespanInSeconds\":{makespan},\"executedAt\":\"{at}\",\"tasks\":["
    ))?;
    let mut before_ns = zero_ns;
    writing.each(job, 2, |writing, tree, root| {
        let gap_ns = (tree.at_ns - before_ns).max(0);
        before_ns = before_ns.max(tree.at_ns);
        writing.executed(root, gap_ns, &TaskList::new(source, root, tree).tasks)
    })?;
    writing.line("],\"machines\":[")?;
    writing.machines()?;
    writing.line("]}}}")?;
    writing.out.finish()?;
    Ok((counts, lost))
}

impl<'a> Writing<'a> {
    fn new(source: &'a Source<'a>, out: LinesOut) -> Self {
        let recorded = &source.plan.recorded;
        let nodes = &recorded.names.nodes;
        let mut outside = OUTSIDE_NAME.to_owned();
        let mut number = 1;
        while nodes.contains(&outside) {
            number += 1;
            outside = format!("{OUTSIDE_NAME}-{number}");
        }
        let endpoints = (0..).zip(&recorded.names.endpoints).map(|(number, endpoint)| {
            let module = &recorded.names.modules[endpoint.module as usize];
            format!("{module} {}", source.endpoint_name(number))
        });
        let receivers = recorded.texts.labels.iter().map(|label| {
            let parts = [&label.to, &label.method, &label.path].into_iter().flatten();
            let text = parts.map(String::as_str).collect::<Vec<_>>().join(" ");
            if text.is_empty() { "call".to_owned() } else { text }
        });
        Self {
            source,
            out,
            has_entry: false,
            outside,
            endpoints: endpoints.collect(),
            receivers: receivers.collect(),
        }
    }

    /// Passes each root with its number to a function, and reports the progress of this pass.
    fn each(
        &mut self,
        job: &mut Job<'_>,
        pass: u64,
        mut on_root: impl FnMut(&mut Self, &Tree, u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.has_entry = false;
        let (source, roots) = (self.source, self.source.roots());
        for (number, tree) in (0..).zip(source.trees()) {
            on_root(self, &tree, number)?;
            job.advance((pass * roots + number + 1) / PASSES, roots)?;
        }
        Ok(())
    }

    fn specified(&mut self, root: u64, list: &TaskList) -> anyhow::Result<()> {
        let arrival = arrival_id(root);
        let (before, after) = (root.checked_sub(1).map(arrival_id), arrival_id(root + 1));
        let has_next = root + 1 < self.source.roots();
        let first = list.tasks.iter().filter(|task| task.is_first);
        let children = first.map(|task| task.id.as_str());
        self.entry(&SpecifiedTask {
            name: ARRIVAL,
            id: &arrival,
            parents: before.iter().map(String::as_str).collect(),
            children: children.chain(has_next.then_some(after.as_str())).collect(),
            inputs: &[],
            outputs: &[],
        })?;
        for task in &list.tasks {
            let ids = |indices: &[u32]| -> Vec<&str> {
                indices
                    .iter()
                    .map(|&index| list.tasks[index as usize].id.as_str())
                    .collect()
            };
            let mut parents = ids(&task.parents);
            parents.extend(task.is_first.then_some(arrival.as_str()));
            let name = self.name(task.name).to_owned();
            self.entry(&SpecifiedTask {
                name: &name,
                id: &task.id,
                parents,
                children: ids(&task.children),
                inputs: &task.inputs,
                outputs: &task.outputs,
            })?;
        }
        Ok(())
    }

    fn executed(&mut self, root: u64, gap_ns: i64, tasks: &[Task]) -> anyhow::Result<()> {
        let outside = self.outside.clone();
        self.entry(&ExecutedTask {
            id: &arrival_id(root),
            runtime: seconds(gap_ns)?,
            cores: 1,
            cpu_percent: Some(0.0),
            machines: [&outside],
        })?;
        let source = self.source;
        for task in tasks {
            let is_outside = task.machine == OUTSIDE;
            let cpu_ns = if is_outside { Some(0) } else { task.cpu_ns };
            let percent = |cpu_ns: i64| match task.runtime_ns {
                0 => 0.0,
                runtime_ns => 100.0 * cpu_ns as f64 / runtime_ns as f64,
            };
            self.entry(&ExecutedTask {
                id: &task.id,
                runtime: seconds(task.runtime_ns)?,
                cores: 1,
                cpu_percent: cpu_ns.map(percent),
                machines: [match is_outside {
                    true => outside.as_str(),
                    false => source.plan.recorded.names.nodes[task.machine as usize].as_str(),
                }],
            })?;
        }
        Ok(())
    }

    fn machines(&mut self) -> anyhow::Result<()> {
        self.has_entry = false;
        let source = self.source;
        for (name, facts) in source.plan.recorded.names.nodes.iter().zip(&source.nodes) {
            let whole = |value: f64| (value >= 1.0).then_some(value as u64);
            let cores = facts.cpu_cores.filter(|cores| *cores > 0);
            let speed = facts.cpu_freq_mhz.and_then(whole);
            self.entry(&Machine {
                name,
                memory: facts.mem_mb.and_then(|mib| whole(mib * f64::from(1 << 20))),
                cpu: (cores.is_some() || speed.is_some()).then_some(MachineCpu { cores, speed }),
            })?;
        }
        let outside = self.outside.clone();
        self.entry(&Machine {
            name: &outside,
            memory: None,
            cpu: None,
        })
    }

    fn name(&self, name: Name) -> &str {
        match name {
            Name::Endpoint(number) => &self.endpoints[number as usize],
            Name::Receiver(number) => &self.receivers[number as usize],
            Name::Wait => "wait",
        }
    }

    fn line(&mut self, text: &str) -> anyhow::Result<()> {
        self.out.write(text.as_bytes())
    }

    /// Writes an entry of a list on its own line.
    fn entry(&mut self, entry: &impl Serialize) -> anyhow::Result<()> {
        let comma = std::mem::replace(&mut self.has_entry, true);
        self.out.write_with(|line| {
            if comma {
                line.push(b',');
            }
            Ok(serde_json::to_writer(line, entry)?)
        })
    }
}

fn arrival_id(root: u64) -> String {
    format!("{root}.{ARRIVAL}")
}

/// Nanoseconds as a decimal number of seconds, without rounding.
fn seconds(ns: i64) -> serde_json::Result<Box<RawValue>> {
    let ns = ns.max(0);
    RawValue::from_string(format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000))
}
