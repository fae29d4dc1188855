//! [`xml`]: writes the network in the XML format of the solver LQNS, which LINE also reads. Times are seconds, so that rates are
//! requests a second.

use std::fmt::Write as _;

use super::model::{Entry, Model};
use crate::source::Source;
use crate::xml::escaped;

/// Number of customers of the reference task. The network is closed: a customer sends a request, waits for it, and thinks before
/// the next one. With this many customers, the network behaves like one with arrivals from outside, because each customer who
/// waits lowers the arrival rate by only a ten-thousandth.
pub const CUSTOMERS: u32 = 10_000;
/// The processor of the reference task, and of all tasks that use no node.
const OUTSIDE: &str = "outside";
/// Time slice of processor sharing, seconds. Only simulators that read the format use it.
const QUANTUM: &str = "0.001";

/// The text of the file. The name of an element is a letter and a number: `p` for nodes, `t` for instances, `e` for their
/// endpoints, `a` for activities. An instance that releases its slots during calls has a second task for the slots, whose names
/// end with `s`: `t1s`, `e1s`.
pub fn xml(source: &Source<'_>, model: &Model) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut line = |indent: usize, text: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:indent$}{text}", "");
    };
    let run = escaped(source.run.id());
    line(
        0,
        &format!("<lqn-model name=\"{run}\" description=\"times in seconds, rates a second\">"),
    );
    line(
        1,
        "<solver-params comment=\"\" conv_val=\"1e-06\" it_limit=\"200\" print_int=\"0\" underrelax_coeff=\"0.9\"/>",
    );
    line(1, &format!("<processor name=\"{OUTSIDE}\" scheduling=\"inf\">"));
    clients(model, &mut line);
    let names = &source.plan.recorded.names;
    for instance in with_entries(source, model).filter(|instance| is_released(source, *instance)) {
        task(&format!("t{instance}"), None, &mut line);
        for (number, entry) in entries(model, instance) {
            let slots = format!("<synch-call dest=\"e{number}s\" calls-mean=\"1\"/>");
            activity(
                &number.to_string(),
                0.0,
                entry.away_s(),
                &(slots + &calls(entry)),
                &mut line,
            );
        }
        line(2, "</task>");
    }
    line(1, "</processor>");
    for node in 0..names.nodes.len() as u32 {
        let on_node = |instance: &u32| names.instances[*instance as usize].node == node;
        let instances: Vec<u32> = with_entries(source, model).filter(on_node).collect();
        if instances.is_empty() {
            continue;
        }
        line(1, &processor(node, source.nodes[node as usize].cpu_cores));
        for instance in instances {
            node_task(source, model, instance, &mut line);
        }
        line(1, "</processor>");
    }
    line(0, "</lqn-model>");
    out
}

/// The reference task. In each cycle, a customer thinks, then sends a root. The think time is such that roots arrive at the
/// recorded rate.
fn clients(model: &Model, line: &mut impl FnMut(usize, &str)) {
    let think_s = f64::from(CUSTOMERS) / model.rate();
    line(
        2,
        &format!(
            "<task name=\"clients\" scheduling=\"ref\" multiplicity=\"{CUSTOMERS}\" think-time=\"{think_s}\">"
        ),
    );
    let roots = model.counts.roots.max(1) as f64;
    let mut calls = String::new();
    for (number, entry) in (0..).zip(&model.entries).filter(|(_, entry)| entry.arrivals > 0) {
        calls += &call(number, entry.arrivals as f64 / roots);
    }
    activity("c", 0.0, 0.0, &calls, line);
    line(2, "</task>");
}

fn processor(node: u32, cores: Option<u64>) -> String {
    match cores {
        Some(cores) => {
            let cores = cores.max(1);
            format!(
                "<processor name=\"p{node}\" scheduling=\"ps\" multiplicity=\"{cores}\" quantum=\"{QUANTUM}\">"
            )
        }
        None => format!("<processor name=\"p{node}\" scheduling=\"inf\">"),
    }
}

/// The task of an instance on its node. If the instance releases its slots during calls, this is the task of its slots, without
/// calls.
fn node_task(source: &Source<'_>, model: &Model, instance: u32, line: &mut impl FnMut(usize, &str)) {
    let slots = source.plan.recorded.names.instances[instance as usize]
        .station
        .slots;
    let is_released = is_released(source, instance);
    let suffix = if is_released { "s" } else { "" };
    task(&format!("t{instance}{suffix}"), slots, line);
    for (number, entry) in entries(model, instance) {
        let (cpu_s, other_s) = (entry.mean_s(entry.cpu_ns), entry.mean_s(entry.other_ns));
        match is_released {
            true => activity(&format!("{number}s"), cpu_s, other_s, "", line),
            false => activity(
                &number.to_string(),
                cpu_s,
                other_s + entry.away_s(),
                &calls(entry),
                line,
            ),
        }
    }
    line(2, "</task>");
}

/// Whether the requests of an instance release their slots during calls.
pub fn is_released(source: &Source<'_>, instance: u32) -> bool {
    source.plan.recorded.names.instances[instance as usize]
        .station
        .is_released
}

/// The instances with requests.
fn with_entries<'s>(source: &'s Source<'_>, model: &'s Model) -> impl Iterator<Item = u32> + 's {
    let instances = 0..source.plan.recorded.names.instances.len() as u32;
    instances.filter(|instance| !model.of_instance[*instance as usize].is_empty())
}

fn entries(model: &Model, instance: u32) -> impl Iterator<Item = (u32, &Entry)> {
    let numbers = model.of_instance[instance as usize].iter();
    numbers.map(|number| (*number, &model.entries[*number as usize]))
}

/// Begins a task. If the number of slots is unknown, the task processes any number of requests at once.
fn task(name: &str, slots: Option<u32>, line: &mut impl FnMut(usize, &str)) {
    let kind = match slots {
        Some(slots) => format!("scheduling=\"fcfs\" multiplicity=\"{}\"", slots.max(1)),
        None => "scheduling=\"inf\"".to_owned(),
    };
    line(2, &format!("<task name=\"{name}\" {kind}>"));
}

/// Writes an entry with its only activity, which has a CPU time and a delay in seconds, and calls.
fn activity(name: &str, cpu_s: f64, delay_s: f64, calls: &str, line: &mut impl FnMut(usize, &str)) {
    let delay = match delay_s > 0.0 {
        true => format!(" think-time=\"{delay_s}\""),
        false => String::new(),
    };
    line(
        3,
        &format!("<entry name=\"e{name}\" type=\"PH1PH2\"><entry-phase-activities>"),
    );
    line(
        4,
        &format!(
            "<activity name=\"a{name}\" phase=\"1\" host-demand-mean=\"{cpu_s}\"{delay}>{calls}</activity>"
        ),
    );
    line(3, "</entry-phase-activities></entry>");
}

fn calls(entry: &Entry) -> String {
    let calls = entry.calls.iter();
    calls.map(|edge| call(edge.to, entry.mean_calls(edge))).collect()
}

fn call(to: u32, mean: f64) -> String {
    format!("<synch-call dest=\"e{to}\" calls-mean=\"{mean}\"/>")
}
