//! The processes of a run: either child processes that are started for it, or a stack that already runs.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cctf_load::plan::target::Target;

use super::child::ChildError;
use super::config::StackConfig;
use super::running::{RunningError, RunningStack};
use super::stack::Stack;

/// The addresses of a stack that already runs.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// The service under load.
    pub target: Target,
    /// OTLP receiver: the stack's Collector or normalizer.
    pub otlp_endpoint: String,
}

/// The reason why a run cannot be completed.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Running(#[from] RunningError),
    #[error("cannot create the run's folder in {0}: {1}")]
    Folder(PathBuf, std::io::Error),
}

#[derive(Debug)]
pub enum Deployment {
    /// Children of this process, their configuration, and the folder of their logs.
    Children(Box<Stack>, Box<StackConfig>, PathBuf),
    /// Processes that somebody else has started.
    Running(RunningStack, Addresses),
}

impl Deployment {
    pub fn start(config: StackConfig, scratch: &Path, stop: &AtomicBool) -> Result<Self, DeploymentError> {
        let stack = Stack::start(&config, scratch, stop)?;
        Ok(Self::Children(
            Box::new(stack),
            Box::new(config),
            scratch.to_owned(),
        ))
    }

    /// Starts a second service on another node. The next load of the driver goes to this service.
    pub fn start_elsewhere(&mut self, stop: &AtomicBool) -> Result<(), DeploymentError> {
        match self {
            Self::Children(stack, config, scratch) => Ok(stack.start_elsewhere(config, scratch, stop)?),
            Self::Running(..) => Ok(()),
        }
    }

    /// Stops the service that is no longer under load.
    pub fn stop_first_service(&mut self) -> Result<(), DeploymentError> {
        match self {
            Self::Children(stack, ..) => Ok(stack.stop_first_service()?),
            Self::Running(..) => Ok(()),
        }
    }

    /// Uses a stack that already runs.
    pub fn attach(addresses: Addresses, logs_dir: &Path, run_id: &str) -> Result<Self, DeploymentError> {
        let stack = RunningStack::prepare(logs_dir, run_id)
            .map_err(|error| DeploymentError::Folder(logs_dir.to_owned(), error))?;
        Ok(Self::Running(stack, addresses))
    }

    pub fn target(&self) -> &Target {
        match self {
            Self::Children(stack, ..) => &stack.target,
            Self::Running(_, addresses) => &addresses.target,
        }
    }

    /// The file with the addresses of the stand-ins that were started.
    pub fn stand_ins(&self) -> Option<&Path> {
        match self {
            Self::Children(stack, ..) => stack.stand_ins.as_deref(),
            Self::Running(..) => None,
        }
    }

    /// The OTLP endpoint for the driver's spans.
    pub fn otlp_endpoint(&self) -> &str {
        match self {
            Self::Children(stack, ..) => &stack.otlp_endpoint,
            Self::Running(_, addresses) => &addresses.otlp_endpoint,
        }
    }

    /// URL of the normalizer's live page, if the normalizer is a child process and a browser can reach it.
    pub fn live_page(&self) -> Option<&str> {
        match self {
            Self::Children(stack, ..) => stack.live_page.as_deref(),
            Self::Running(..) => None,
        }
    }

    /// Fails if a child has exited.
    pub fn check_alive(&mut self) -> Result<(), DeploymentError> {
        match self {
            Self::Children(stack, ..) => Ok(stack.check_alive()?),
            Self::Running(..) => Ok(()),
        }
    }

    /// Stops services that are child processes. Waits until the normalizer has the services' last telemetry, so that none of it
    /// arrives after the run's end.
    pub fn settle(&mut self, stop: &AtomicBool) -> Result<(), DeploymentError> {
        match self {
            Self::Children(stack, ..) => {
                stack.stop_services()?;
                Ok(stack.drain()?)
            }
            Self::Running(stack, _) => Ok(stack.settle(stop)?),
        }
    }

    /// Completes the files after the run's end: stops the normalizer, or waits until the normalizer of a running stack closes the
    /// run.
    pub fn finish(self, stop: &AtomicBool) -> Result<(), DeploymentError> {
        match self {
            Self::Children(stack, ..) => Ok(stack.stop_receivers()?),
            Self::Running(stack, _) => Ok(stack.wait_closed(stop)?),
        }
    }
}
