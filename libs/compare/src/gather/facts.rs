//! [`Facts`]: the facts in the `.json` files of a run.

use std::collections::{BTreeMap, BTreeSet};

use cctf_proto::cctf::{File, Milliseconds, Module, Part, RunMeta, WHOLE_BYTES_MAX};
use plan::inventory;
use rundir::RunFolder;
use rundir::parts::Run;

use super::read::CompareError;

/// Facts about the replay and the deployment of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    pub run_id: String,
    pub replay_of: Option<String>,
    /// Factor by which recorded times were divided: 2 means twice as fast.
    pub replay_speed: Option<f64>,
    /// Factor and method by which the load was scaled.
    pub replay_scale: Option<(f64, String)>,
    /// Beginning and end of the replayed part, nanoseconds after the first root of the recorded run.
    pub replay_from_ns: Option<i64>,
    pub replay_to_ns: Option<i64>,
    /// Maximum number of replayed requests.
    pub replay_limit: Option<u64>,
    /// `loopback` if the replay lacks the links of the recorded run.
    pub replay_network: Option<String>,
    /// Name of the simulator, if one computed this run.
    pub simulated_by: Option<String>,
    /// Random seed of the driver.
    pub seed: Option<u64>,
    pub started_ms: Option<f64>,
    /// By module, in the order of their ids.
    pub modules: BTreeMap<String, Deployment>,
    /// Modules that process requests.
    pub servers: BTreeSet<String>,
}

/// The instances of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployment {
    /// Slots, queue limit and slot policy of each instance, sorted. `None` for values that were not reported.
    pub stations: Vec<(Option<u64>, Option<u64>, Option<String>)>,
    pub nodes: BTreeSet<String>,
}

impl Deployment {
    /// Total number of slots of the module; `None` if one of its instances does not report them.
    pub fn slots(&self) -> Option<u64> {
        let mut slots = self.stations.iter().map(|station| station.0);
        slots.try_fold(0_u64, |sum, slots| Some(sum.saturating_add(slots?)))
    }
}

impl Facts {
    /// Reads the files of the last part that has them. Its inventories include everything from earlier parts.
    ///
    /// # Errors
    /// If a file cannot be read, or a `run_meta.json` is invalid.
    pub fn read(run: &Run, parts: &[Part]) -> Result<Self, CompareError> {
        let mut facts = Self {
            run_id: run.id().to_owned(),
            ..Self::default()
        };
        for part in parts {
            let folder = RunFolder::open(&run.folder(part))?;
            if let Some(bytes) = folder.whole(File::RunMeta, WHOLE_BYTES_MAX)? {
                let meta = serde_json::from_slice::<RunMeta<'_>>(&bytes);
                facts.add_meta(&meta.map_err(|source| CompareError::Meta {
                    path: folder.path(File::RunMeta),
                    source,
                })?);
            }
        }
        let found = inventory::read(run, parts, |modules| {
            let deployments = modules.iter().filter_map(deployment).collect();
            (deployments, inventory::servers(modules))
        })?;
        (facts.modules, facts.servers) = found.unwrap_or_default();
        Ok(facts)
    }

    fn add_meta(&mut self, meta: &RunMeta<'_>) {
        let text = |text: &str| text.to_owned();
        self.run_id = text(&meta.run_id);
        self.replay_of = meta.replay_of.as_deref().map(text);
        self.replay_speed = meta.replay_speed;
        let by = meta.replay_by.as_deref().unwrap_or("-");
        self.replay_scale = meta.replay_scale.map(|factor| (factor, text(by)));
        self.replay_from_ns = meta.replay_from_ms.map(Milliseconds::as_ns);
        self.replay_to_ns = meta.replay_to_ms.map(Milliseconds::as_ns);
        self.replay_limit = meta.replay_limit;
        self.replay_network = meta.replay_network.as_deref().map(text);
        self.simulated_by = meta.simulated_by.as_deref().map(text);
        self.seed = meta.seed;
        let started = meta.started_ts.as_ns() as f64 / 1e6;
        self.started_ms = Some(self.started_ms.map_or(started, |first| first.min(started)));
    }
}

/// `None` for a module without instances, such as an external peer.
fn deployment(module: &Module<'_>) -> Option<(String, Deployment)> {
    let instances = module
        .instances
        .as_deref()
        .filter(|instances| !instances.is_empty())?;
    let mut deployment = Deployment::default();
    for instance in instances {
        deployment.nodes.insert(instance.node_id.0.clone().into_owned());
        let policy = instance.slot_policy.as_deref().map(str::to_owned);
        let slots = inventory::reported_slots(instance);
        deployment.stations.push((slots, instance.queue_limit, policy));
    }
    deployment.stations.sort();
    Some((module.module_id.0.clone().into_owned(), deployment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_any_number_have_a_sum() {
        let deployment = |slots: &[Option<u64>]| Deployment {
            stations: slots.iter().map(|slots| (*slots, None, None)).collect(),
            nodes: BTreeSet::new(),
        };
        assert_eq!(deployment(&[Some(2), Some(3)]).slots(), Some(5));
        assert_eq!(deployment(&[Some(u64::MAX), Some(1)]).slots(), Some(u64::MAX));
        assert_eq!(deployment(&[Some(2), None]).slots(), None);
    }
}
