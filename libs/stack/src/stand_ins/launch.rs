//! [`launch`]: the processes of all stand-ins, and the files with their addresses.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cctf_load::plan::target::Target;
use standin::{Instance, StandIns};

use super::placed::Placed;
use super::placement::QUEUE_LIMIT_MAX;
use super::stand_in::StandIn;
use crate::child::{Child, ChildError};
use crate::config::StackConfig;
use crate::service::{Service, start_service};
use crate::tiers::Tiers;

/// Variables that a stand-in must not inherit, because they would change its recorded behaviour.
const NOT_INHERITED: [&str; 10] = [
    "APP_ID",
    "DEFAULT_NEXT_URL",
    "HOP_LIMIT",
    "MAX_BODY_BYTES",
    "MIPS_PER_CORE",
    "NEXT_TIMEOUT_MS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
    "REGION",
    "ZONE",
];

/// All stand-ins of a run.
#[derive(Debug)]
pub struct Launched {
    /// The processes in the order of the placement.
    pub children: Vec<Child>,
    /// The file with the stand-ins' addresses, for the load driver.
    pub file: PathBuf,
    /// The address of the first stand-in.
    pub first: Target,
}

/// Starts the stand-ins one after the other. When all listen, writes the files with their addresses. In a network, each node has
/// its own file, because its links lead to other addresses.
pub fn launch(
    config: &StackConfig,
    placed: &Placed,
    driver: &str,
    tiers: Option<&Tiers>,
    otlp_endpoint: &str,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<Launched, ChildError> {
    let files = Files::new(placed, scratch)?;
    let (mut children, mut urls) = (Vec::new(), Vec::new());
    let mut on_node: BTreeMap<&str, u16> = BTreeMap::new();
    for (number, stand_in) in placed.stand_ins.iter().enumerate() {
        let service = on_node.entry(&stand_in.node).or_default();
        let mut variables = variables(stand_in);
        let file = files.of(&stand_in.node, tiers.is_some());
        variables.push(("STAND_IN", file.to_string_lossy().into_owned()));
        let service_of = Service {
            name: format!(
                "stand-in {} ({}, {})",
                number + 1,
                stand_in.module,
                stand_in.instance
            ),
            variables,
            removed: &NOT_INHERITED,
            network: tiers.and_then(|tiers| tiers.network_of(&stand_in.node, *service)),
        };
        let (child, url) = start_service(config, service_of, otlp_endpoint, scratch, stop)?;
        children.push(child);
        urls.push((url, *service));
        *service += 1;
    }
    files.write(placed, driver, &urls, tiers)?;
    let first = urls.swap_remove(0).0;
    Ok(Launched {
        children,
        file: files.driver,
        first,
    })
}

/// The environment variables with the settings in which stand-ins differ.
fn variables(stand_in: &StandIn) -> Vec<(&'static str, String)> {
    let station = &stand_in.station;
    let slots = stand_in.counted_slots();
    let queue_limit = station
        .queue_limit
        .unwrap_or(QUEUE_LIMIT_MAX)
        .min(QUEUE_LIMIT_MAX);
    let mut variables = vec![
        ("MODULE_ID", stand_in.module.clone()),
        ("INSTANCE_ID", stand_in.instance.clone()),
        ("NODE_ID", stand_in.node.clone()),
        ("STAGE", stand_in.stage.clone()),
        (
            "WORKERS",
            slots.map_or_else(|| "unlimited".to_owned(), |slots| slots.to_string()),
        ),
        ("SLOT_POLICY", stand_in.slot_policy().to_owned()),
        ("QUEUE_LIMIT", queue_limit.to_string()),
    ];
    if let Some(mips) = stand_in.mips_per_core {
        variables.push(("MIPS_PER_CORE", mips.to_string()));
    }
    if let Some(app_id) = &stand_in.app_id {
        variables.push(("APP_ID", app_id.clone()));
    }
    variables
}

/// The files with the addresses of the stand-ins.
struct Files {
    /// The file with the addresses at which the load driver reaches the stand-ins. Without a network, stand-ins also use it.
    driver: PathBuf,
    by_node: BTreeMap<String, PathBuf>,
}

impl Files {
    /// The paths are absolute, because stand-ins have another working directory.
    fn new(placed: &Placed, scratch: &Path) -> Result<Self, ChildError> {
        let scratch = std::path::absolute(scratch).map_err(|source| ChildError::StandInsFile {
            path: scratch.to_owned(),
            source,
        })?;
        let nodes = placed.nodes().into_iter().enumerate();
        let file = |(number, node): (usize, &str)| {
            let path = scratch.join(format!("stand-ins-of-node-{number}.json"));
            (node.to_owned(), path)
        };
        Ok(Self {
            driver: scratch.join("stand-ins.json"),
            by_node: nodes.map(file).collect(),
        })
    }

    fn of(&self, node: &str, has_network: bool) -> &Path {
        let own = self.by_node.get(node).filter(|_| has_network);
        own.unwrap_or(&self.driver)
    }

    fn write(
        &self,
        placed: &Placed,
        driver: &str,
        urls: &[(Target, u16)],
        tiers: Option<&Tiers>,
    ) -> Result<(), ChildError> {
        let seen_from = |from: &str| -> Vec<Instance> {
            let each = placed.stand_ins.iter().zip(urls);
            each.map(|(stand_in, (url, service))| {
                let link = tiers.and_then(|tiers| tiers.by_link(from, &stand_in.node, *service));
                Instance {
                    module: stand_in.module.clone(),
                    instance: stand_in.instance.clone(),
                    url: link.as_ref().unwrap_or(url).to_string(),
                }
            })
            .collect()
        };
        if tiers.is_some() {
            for (node, path) in &self.by_node {
                write(path, seen_from(node))?;
            }
        }
        // In a network, the driver does not share a loopback interface with the stand-ins of its node.
        let is_apart = tiers.is_some() && self.by_node.contains_key(driver);
        write(&self.driver, seen_from(if is_apart { "" } else { driver }))
    }
}

/// Writes a file. It appears complete, by a rename.
fn write(path: &Path, instances: Vec<Instance>) -> Result<(), ChildError> {
    let failed = |source| ChildError::StandInsFile {
        path: path.to_owned(),
        source,
    };
    let stand_ins = StandIns::new(instances).map_err(|cause| failed(io::Error::other(cause)))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(&stand_ins.to_json()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
