//! What a run drives: children that are started for it, or a stack that runs already.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::children::ChildError;
use super::running::{RunningError, RunningStack};
use super::stack::{Stack, StackConfig};
use cctf_load::target::Target;

/// Where the load goes and where telemetry goes, of a stack that runs already.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The service.
    pub target: Target,
    /// OTLP/gRPC receiver: the stack's Collector or normalizer.
    pub otlp_endpoint: String,
}

/// Why a run cannot be driven to its end.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// A child is of no use.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The stack that runs already does not do its part.
    #[error(transparent)]
    Running(#[from] RunningError),
    /// The run's folder cannot be made.
    #[error("cannot make the run's folder in {0}: {1}")]
    Folder(PathBuf, std::io::Error),
}

/// What is driven.
#[derive(Debug)]
pub enum Deployment {
    /// Children of this process, what they were told, and the folder of their logs.
    Children(Box<Stack>, Box<StackConfig>, PathBuf),
    /// Somebody else's.
    Running(RunningStack, Addresses),
}

impl Deployment {
    /// Starts the children.
    pub fn start(config: StackConfig, scratch: &Path, stop: &AtomicBool) -> Result<Self, DeploymentError> {
        let stack = Stack::start(&config, scratch, stop)?;
        Ok(Self::Children(
            Box::new(stack),
            Box::new(config),
            scratch.to_owned(),
        ))
    }

    /// Starts a second service elsewhere, for the load to go to from the next drive on.
    pub fn start_elsewhere(&mut self, stop: &AtomicBool) -> Result<(), DeploymentError> {
        match self {
            Self::Children(stack, config, scratch) => Ok(stack.start_elsewhere(config, scratch, stop)?),
            Self::Running(..) => Ok(()),
        }
    }

    /// Stops the service that the load no longer goes to.
    pub fn stop_first_service(&mut self) -> Result<(), DeploymentError> {
        match self {
            Self::Children(stack, ..) => Ok(stack.stop_first_service()?),
            Self::Running(..) => Ok(()),
        }
    }

    /// Takes what runs already.
    pub fn attach(addresses: Addresses, logs_dir: &Path, run_id: &str) -> Result<Self, DeploymentError> {
        let stack = RunningStack::prepare(logs_dir, run_id)
            .map_err(|error| DeploymentError::Folder(logs_dir.to_owned(), error))?;
        Ok(Self::Running(stack, addresses))
    }

    /// Where the load goes.
    pub fn target(&self) -> &Target {
        match self {
            Self::Children(stack, ..) => &stack.target,
            Self::Running(_, addresses) => &addresses.target,
        }
    }

    /// Where spans go over OTLP/gRPC.
    pub fn otlp_endpoint(&self) -> &str {
        match self {
            Self::Children(stack, ..) => &stack.otlp_endpoint,
            Self::Running(_, addresses) => &addresses.otlp_endpoint,
        }
    }

    /// An error if a child has ended.
    pub fn check_alive(&mut self) -> Result<(), DeploymentError> {
        match self {
            Self::Children(stack, ..) => Ok(stack.check_alive()?),
            Self::Running(..) => Ok(()),
        }
    }

    /// Has the last telemetry of the services go to the normalizer, so that none of it comes after the run's end.
    pub fn settle(&mut self, stop: &AtomicBool) -> Result<(), DeploymentError> {
        match self {
            Self::Children(stack, ..) => {
                stack.stop_services()?;
                Ok(stack.drain()?)
            }
            Self::Running(stack, _) => Ok(stack.settle(stop)?),
        }
    }

    /// Once the end has been told: has the files completed, by stopping what is ours or by waiting.
    pub fn finish(self, stop: &AtomicBool) -> Result<(), DeploymentError> {
        match self {
            Self::Children(stack, ..) => Ok(stack.stop_receivers()?),
            Self::Running(stack, _) => Ok(stack.wait_closed(stop)?),
        }
    }
}
