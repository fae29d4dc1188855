//! [`StackConfig`]: the configuration of all child processes of a run, and commands for this project's programs.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use super::child::ChildError;
use super::environment;
use super::stand_ins::placed::Placed;
use super::tiers::network::Network;

/// The configuration of all child processes.
#[derive(Debug, Clone)]
pub struct StackConfig {
    pub bin_dir: PathBuf,
    /// Absolute path to the folder of all runs.
    pub logs_dir: PathBuf,
    pub run_id: String,
    /// The services that are started.
    pub services: Services,
    /// Network namespaces for the nodes of the services, and their links.
    pub network: Option<Network>,
    /// Worker slots of each service.
    pub workers: Option<u32>,
    /// Maximum queue length of each service.
    pub queue_limit: Option<u32>,
    /// Whether a request keeps its worker slot during calls to other services: `held` or `released`.
    pub slot_policy: Option<String>,
    pub app_id: Option<String>,
    /// Program that starts a third-party application. The application gets the load, and may call the service.
    pub application: Option<PathBuf>,
    /// Path to a Collector between services and normalizer.
    pub collector: Option<PathBuf>,
    /// Further flags of the normalizer: name and value.
    pub normalizer_flags: Vec<(&'static str, String)>,
}

/// The services of a run.
#[derive(Debug, Clone)]
pub enum Services {
    /// One service, on this node of this stage.
    Single { node: String, stage: String },
    /// Three services in a chain.
    Chain,
    /// Stand-ins for the instances of a recorded run. The load driver is on the node `driver`.
    StandIns { placed: Arc<Placed>, driver: String },
}

impl StackConfig {
    /// A command that runs one of this project's programs.
    pub(crate) fn program(&self, name: &str) -> Result<Command, ChildError> {
        let path = self.bin_dir.join(name);
        if !path.is_file() {
            return Err(ChildError::Missing {
                name: name.to_owned(),
                folder: self.bin_dir.clone(),
            });
        }
        let mut command = Command::new(path);
        environment::remove_own(&mut command);
        Ok(command)
    }
}
