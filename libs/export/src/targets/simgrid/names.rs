//! [`names`]: writes `names.tsv`, which has the texts for the simulated rows as JSON. So the drivers (the programs that simulate
//! the export) need not parse or escape texts. [`stations`]: writes `stations.tsv`.

use std::fmt::Write as _;

use cctf_proto::cctf::{self, File, LinkSource, Milliseconds, Row};
use foldhash::{HashMap, HashSet};
use plan::inventory::last_valid;
use plan::work::Label;

use super::picks::Arrivals;
use crate::source::Source;

/// Version of the files, which the drivers check.
const VERSION: u32 = 2;

/// The rows of the run's inventories, encoded for the folder of the simulated run.
#[derive(Debug, Default)]
pub struct Inventories {
    /// Rows of nodes by their ids. They have no clock offset, because simulated clocks are exact.
    nodes: HashMap<String, String>,
    /// Rows of links between nodes of the export, and of the network interfaces of these nodes.
    links: Vec<String>,
    /// For each module: its name, its application as JSON, and its row, without the outer braces and the recorded statistics.
    modules: Vec<(String, String, String)>,
    /// Nodes that share their machine with another node.
    pub shared: Vec<String>,
}

impl Inventories {
    pub fn read(source: &Source<'_>) -> anyhow::Result<Self> {
        let mut found = Self::default();
        let known: HashSet<&str> = source
            .plan
            .recorded
            .names
            .nodes
            .iter()
            .map(String::as_str)
            .collect();
        let instances = &source.plan.recorded.names.instances;
        let nodes = &source.plan.recorded.names.nodes;
        let with_instances = instances
            .iter()
            .map(|instance| nodes[instance.node as usize].as_str());
        let with_instances: HashSet<&str> = with_instances.collect();
        last_valid(source.run, &source.parts, File::Nodes, |bytes| {
            let rows = serde_json::from_slice::<Vec<cctf::Node<'_>>>(bytes).ok()?;
            found.add_nodes(rows, &with_instances);
            Some(())
        })?;
        last_valid(source.run, &source.parts, File::Links, |bytes| {
            let rows = serde_json::from_slice::<Vec<cctf::Link<'_>>>(bytes).ok()?;
            found.links = rows.into_iter().filter_map(|row| link(row, &known)).collect();
            Some(())
        })?;
        last_valid(source.run, &source.parts, File::ModuleInventory, |bytes| {
            let rows = serde_json::from_slice::<Vec<cctf::Module<'_>>>(bytes).ok()?;
            found.modules = rows.into_iter().map(module).collect();
            Some(())
        })?;
        for name in &source.plan.recorded.names.modules {
            if !found.modules.iter().any(|(known, ..)| known == name) {
                let text = json(name);
                let row = format!(
                    r#""app_id":null,"module_id":{text},"name":{text},"type":"MODULE","resources":null"#
                );
                found.modules.push((name.clone(), "null".to_owned(), row));
            }
        }
        Ok(found)
    }

    fn add_nodes(&mut self, rows: Vec<cctf::Node<'_>>, with_instances: &HashSet<&str>) {
        let mut by_machine: HashMap<String, u32> = HashMap::default();
        for row in rows.iter().filter(|row| with_instances.contains(&*row.node_id)) {
            if let Some(machine) = &row.host_id {
                *by_machine.entry(machine.to_string()).or_default() += 1;
            }
        }
        for mut row in rows {
            let name = row.node_id.to_string();
            let machine = row
                .host_id
                .as_ref()
                .and_then(|machine| by_machine.get(&**machine));
            if with_instances.contains(&*name) && machine > Some(&1) {
                self.shared.push(name.clone());
            }
            (row.clock_offset_ms, row.clock_error_ms) = (None, None);
            self.nodes.insert(name, encoded(&row));
        }
    }
}

/// The row of a link or network interface, marked as configured and without measured figures; `None` if its node is unknown.
fn link(mut row: cctf::Link<'_>, known: &HashSet<&str>) -> Option<String> {
    let is_interface = row.v.strip_suffix(".net") == Some(&*row.u);
    let is_known = known.contains(&*row.u) && (is_interface || known.contains(&*row.v));
    row.src = LinkSource::Configured;
    (row.jitter_s, row.samples, row.iface, row.fit_error_ms) = (None, None, None, None);
    is_known.then(|| encoded(&row))
}

fn module(mut row: cctf::Module<'_>) -> (String, String, String) {
    (row.instances, row.endpoints, row.calls) = (None, None, None);
    (row.cpu_ms_mean, row.cpu_src) = (None, None);
    let app_id = row
        .app_id
        .as_ref()
        .map_or_else(|| "null".to_owned(), |app_id| json(app_id));
    let text = encoded(&row);
    let inner = text.trim_start_matches('{').trim_end_matches('}');
    // If the row ends with a nested object, the brace of this object is kept.
    let inner = match text.ends_with("}}") {
        true => format!("{inner}}}"),
        false => inner.to_owned(),
    };
    (row.module_id.to_string(), app_id, inner)
}

fn encoded<'r>(row: &impl Row<'r>) -> String {
    let mut out = Vec::new();
    row.encode(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A text as JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text as JSON without its quotes. This is the form of names in the files of the export.
pub fn name(text: &str) -> String {
    let quoted = json(text);
    quoted[1..quoted.len() - 1].to_owned()
}

fn json_or_null(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), json)
}

/// `names.tsv`.
pub fn names(
    source: &Source<'_>,
    inventories: &Inventories,
    zero_ns: i64,
    arrivals: Option<&Arrivals>,
) -> String {
    let recorded = &source.plan.recorded;
    let mut out = String::from("#what\tvalues: names as in JSON without quotes, and parts of rows as JSON\n");
    let mut line = |fields: &[&str]| {
        out.push_str(&fields.join("\t"));
        out.push('\n');
    };
    line(&["version", &VERSION.to_string()]);
    line(&["run", &name(source.run.id())]);
    line(&["epoch_ns", &zero_ns.to_string()]);
    line(&["replay", &replay(source, arrivals)]);
    for (node, facts) in recorded.names.nodes.iter().zip(&source.nodes) {
        let row = inventories.nodes.get(node).map_or("", String::as_str);
        line(&["node", &name(node), facts.stage.as_str(), row]);
    }
    for link in &inventories.links {
        line(&["link", link]);
    }
    for (module, app_id, row) in &inventories.modules {
        line(&["module", &name(module), app_id, row]);
    }
    for endpoint in &recorded.names.endpoints {
        let module = &recorded.names.modules[endpoint.module as usize];
        let method = json_or_null(endpoint.method.as_deref());
        let route = json_or_null(endpoint.route.as_deref());
        line(&[
            "endpoint",
            &name(module),
            &format!(r#""method":{method},"path":{route}"#),
            &format!(r#""method":{method},"route":{route}"#),
        ]);
    }
    for label in &recorded.texts.labels {
        let method = json_or_null(label.method.as_deref());
        let path = json_or_null(label.path.as_deref());
        let row = format!(r#""method":{method},"path":{path}"#);
        line(&["label", &row, &peer(source, label)]);
    }
    for error in &recorded.texts.errors {
        line(&["error", &json(error)]);
    }
    out
}

/// The receiver of a call as JSON fields, with a comma before them.
fn peer(source: &Source<'_>, label: &Label) -> String {
    let Some(to) = &label.to else {
        return String::new();
    };
    let field = match source.plan.recorded.names.find_module(to) {
        Some(_) => "peer_module",
        None => "peer",
    };
    format!(r#","{field}":{}"#, json(to))
}

/// The fields of `run_meta.json` that mark the simulated run as a replay, with a comma before them.
fn replay(source: &Source<'_>, arrivals: Option<&Arrivals>) -> String {
    let run_id = arrivals.map_or_else(|| source.run.id(), |arrivals| &arrivals.run_id);
    let mut fields = format!(r#","replay_of":{}"#, json(run_id));
    let span = source.plan.span;
    let mut add = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = write!(fields, r#","{name}":{value}"#);
    };
    if arrivals.is_none() {
        let offset = |ns: i64| Milliseconds::from_ns(ns - span.zero_ns).to_string();
        if span.from_ns > i64::MIN {
            add("replay_from_ms", offset(span.from_ns));
        }
        if span.to_ns < i64::MAX {
            add("replay_to_ms", offset(span.to_ns));
        }
    }
    if let Some(limit) = source.limit {
        add("replay_limit", limit.to_string());
    }
    fields
}

/// `stations.tsv`. Users can edit this file to change a deployment. `kept` has the result of [`kept`](super::waits::kept).
pub fn stations(source: &Source<'_>, kept: &[u32]) -> String {
    let names = &source.plan.recorded.names;
    let mut out = String::from(
        "#module\tinstance\tnode\tslots\tslot_policy\tqueue_limit\trecorded_node\tcpu_wait_kept_ppm\n",
    );
    for (instance, kept) in names.instances.iter().zip(kept) {
        let station = instance.station;
        let number = |value: Option<u32>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let node = name(&names.nodes[instance.node as usize]);
        let fields = [
            name(&names.modules[instance.module as usize]),
            name(&instance.id),
            node.clone(),
            number(station.slots),
            (if station.is_released { "released" } else { "held" }).to_owned(),
            number(station.queue_limit.filter(|_| station.slots.is_some())),
            node,
            kept.to_string(),
        ];
        out.push_str(&fields.join("\t"));
        out.push('\n');
    }
    out
}
