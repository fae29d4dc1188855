//! [`Recording`]: modules, nodes and links of a recorded run, from its inventories.

use std::collections::{BTreeMap, BTreeSet};

use cctf_proto::cctf::{self, File, Part};
use plan::inventory::{last_valid, read, servers};
use plan::work::Station;
use rundir::ReadError;
use rundir::parts::Run;

/// Node of an instance whose node is unknown.
const UNKNOWN: &str = "unknown";

/// The recorded deployment, which stand-ins replace.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    pub run_id: String,
    /// The modules that processed requests, messages or jobs, by name. Only these get stand-ins.
    pub modules: BTreeMap<String, Module>,
    pub nodes: BTreeMap<String, Node>,
    /// Delay and rate by calling and called node.
    pub links: BTreeMap<(String, String), Link>,
    /// Notes about files that the run lacks.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Module {
    pub app_id: Option<String>,
    /// Instances in the order of the inventory. There is at least one.
    pub instances: Vec<Instance>,
    /// Names of the modules that this module calls.
    pub calls: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub id: String,
    pub node: String,
    pub station: Station,
}

/// A recorded node. A figure is `None` if the recording does not contain it. Units are those of `nodes.json`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    pub stage: String,
    /// Speed of a core, million instructions per second.
    pub mips_per_core: Option<f64>,
    pub cpu_score: Option<f64>,
    pub cpu_cores: Option<u64>,
    pub power_idle_w: Option<f64>,
    pub power_max_w: Option<f64>,
    /// Id of the machine. Nodes of one machine share its CPUs.
    pub host_id: Option<String>,
}

/// A recorded link. A figure is `None` if the recording does not contain it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Link {
    /// One-way delay, seconds.
    pub delay_s: Option<f64>,
    pub rate_bps: Option<f64>,
}

impl Recording {
    /// Reads a run from the part `first` on. `None` if it has no valid inventory of its modules.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(run: &Run, first: &Part) -> Result<Option<Self>, ReadError> {
        let parts = run.parts_from(first)?;
        let Some(modules) = read(run, &parts, modules)? else {
            return Ok(None);
        };
        let nodes = last_valid(run, &parts, File::Nodes, |bytes| {
            let rows = serde_json::from_slice::<Vec<cctf::Node<'_>>>(bytes).ok()?;
            Some(rows.iter().map(node).collect())
        })?;
        let links = last_valid(run, &parts, File::Links, |bytes| {
            let rows = serde_json::from_slice::<Vec<cctf::Link<'_>>>(bytes).ok()?;
            Some(rows.iter().map(link).collect())
        })?;
        let missing = [
            (
                nodes.is_none(),
                File::Nodes,
                "stages and speeds of its nodes are unknown",
            ),
            (
                links.is_none(),
                File::Links,
                "delays and rates of its links are unknown",
            ),
        ];
        let note = |(is_missing, file, effect): (bool, File, &str)| {
            is_missing.then(|| format!("{} has no valid {}: {effect}", run.id(), file.name()))
        };
        Ok(Some(Self {
            notes: missing.into_iter().filter_map(note).collect(),
            run_id: run.id().to_owned(),
            modules,
            nodes: nodes.unwrap_or_default(),
            links: links.unwrap_or_default(),
        }))
    }
}

/// The modules by name. Modules of different applications with the same name count as one, as in a plan.
fn modules(rows: &[cctf::Module<'_>]) -> BTreeMap<String, Module> {
    let servers = servers(rows);
    let mut modules: BTreeMap<String, Module> = BTreeMap::new();
    for row in rows.iter().filter(|row| servers.contains(&*row.module_id)) {
        let module = modules.entry(row.module_id.to_string()).or_default();
        module.app_id = module
            .app_id
            .take()
            .or_else(|| row.app_id.as_deref().map(str::to_owned));
        for instance in row.instances.iter().flatten() {
            let id = &*instance.instance_id;
            if !module.instances.iter().any(|known| known.id == id) {
                module.instances.push(Instance {
                    id: id.to_owned(),
                    node: instance.node_id.to_string(),
                    station: Station::reported(instance),
                });
            }
        }
        let called = row.calls.iter().flatten().map(|call| call.to.to_string());
        module
            .calls
            .extend(called.filter(|to| servers.contains(to.as_str())));
    }
    for (name, module) in &mut modules {
        if module.instances.is_empty() {
            module.instances.push(Instance {
                id: format!("{name}-1"),
                node: UNKNOWN.to_owned(),
                station: Station::default(),
            });
        }
    }
    modules
}

fn node(row: &cctf::Node<'_>) -> (String, Node) {
    let node = Node {
        stage: row.stage.as_str().to_owned(),
        mips_per_core: row.mips_per_core,
        cpu_score: row.cpu_score,
        cpu_cores: row.cpu_cores,
        power_idle_w: row.power_idle_w,
        power_max_w: row.power_max_w,
        host_id: row.host_id.as_deref().map(str::to_owned),
    };
    (row.node_id.to_string(), node)
}

fn link(row: &cctf::Link<'_>) -> ((String, String), Link) {
    let link = Link {
        delay_s: row.PR_s,
        rate_bps: row.BW_bps,
    };
    ((row.u.to_string(), row.v.to_string()), link)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MODULES: &str = r#"[
      {"app_id":null,"module_id":"driver","name":"driver","type":"SOURCE","resources":null,
       "instances":[{"instance_id":"d","node_id":"driver0","workers":null}],"calls":[{"to":"front","per_invocation":null}]},
      {"app_id":"shop","module_id":"front","name":"front","type":"MODULE","resources":null,"endpoints":[],
       "instances":[{"instance_id":"f1","node_id":"ep0","workers":4,"slot_policy":"released","queue_limit":9,"slots_src":"told"},
                    {"instance_id":"f2","node_id":"ep0","workers":3,"slot_policy":"released","slots_src":"inferred"}],
       "calls":[{"to":"cart","per_invocation":1.0},{"to":"postgres","per_invocation":2.0}]},
      {"app_id":null,"module_id":"cart","name":"cart","type":"SINK","resources":null,"endpoints":[]},
      {"app_id":null,"module_id":"postgres","name":"postgres","type":"SINK","resources":null,"external":true}]"#;

    fn recording(files: &[(&str, &str)]) -> Option<Recording> {
        let logs = tempfile::tempdir().unwrap();
        let cctf = logs.path().join("r/cctf");
        fs::create_dir_all(&cctf).unwrap();
        for (name, text) in files {
            fs::write(cctf.join(name), text).unwrap();
        }
        Recording::read(&Run::new(logs.path(), "r"), &Part::first("r")).unwrap()
    }

    #[test]
    fn only_modules_that_answered_are_recorded_with_what_they_reported() {
        let nodes =
            r#"[{"node_id":"ep0","stage":"endpoint","cpu_cores":2,"mem_mb":null,"mips_per_core":900.0}]"#;
        let links = r#"[{"u":"ep0","v":"edge0","BW_bps":5e7,"PR_s":0.0049,"src":"estimated"}]"#;
        let found = recording(&[
            ("module_inventory.json", MODULES),
            ("nodes.json", nodes),
            ("links.json", links),
        ])
        .unwrap();
        let names: Vec<&str> = found.modules.keys().map(String::as_str).collect();
        assert_eq!(names, ["cart", "front"]);
        let front = &found.modules["front"];
        assert_eq!(front.app_id.as_deref(), Some("shop"));
        assert_eq!(front.calls, BTreeSet::from(["cart".to_owned()]));
        let stations: Vec<Station> = front.instances.iter().map(|instance| instance.station).collect();
        let reported = Station {
            slots: Some(4),
            is_released: true,
            queue_limit: Some(9),
        };
        assert_eq!(
            stations,
            [reported, Station::default()],
            "inferred slots do not count"
        );
        let cart = &found.modules["cart"].instances[0];
        assert_eq!((cart.id.as_str(), cart.node.as_str()), ("cart-1", "unknown"));
        assert_eq!(
            found.nodes["ep0"],
            Node {
                stage: "endpoint".to_owned(),
                mips_per_core: Some(900.0),
                cpu_cores: Some(2),
                ..Node::default()
            }
        );
        let link = found.links[&("ep0".to_owned(), "edge0".to_owned())];
        assert_eq!((link.delay_s, link.rate_bps), (Some(0.0049), Some(5e7)));
    }

    #[test]
    fn a_run_without_a_valid_inventory_has_no_recording() {
        assert!(recording(&[]).is_none());
        assert!(recording(&[("module_inventory.json", "[{")]).is_none());
        let found = recording(&[("module_inventory.json", MODULES), ("nodes.json", "no")]).unwrap();
        assert!(found.nodes.is_empty() && found.links.is_empty());
        assert_eq!(
            found.notes,
            [
                "r has no valid nodes.json: stages and speeds of its nodes are unknown",
                "r has no valid links.json: delays and rates of its links are unknown"
            ]
        );
    }
}
