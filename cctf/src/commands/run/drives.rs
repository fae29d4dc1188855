//! One endpoint after the other, and what is done in the middle of one.

use std::sync::atomic::{AtomicBool, Ordering};

use super::RunArgs;
use crate::commands::display::ProgressLine;
use cctf_load::session::Session;
use cctf_load::summary::Summary;
use cctf_stack::deployment::{Deployment, DeploymentError};

/// What is done in the middle of an endpoint's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum During {
    Nothing,
    StartElsewhere,
    StopFirst,
}

impl During {
    fn happen(self, deployment: &mut Deployment, stop: &AtomicBool) -> Result<(), DeploymentError> {
        match self {
            Self::Nothing => Ok(()),
            Self::StartElsewhere => deployment.start_elsewhere(stop),
            Self::StopFirst => deployment.stop_first_service(),
        }
    }
}

pub(super) fn drive_one(
    args: &RunArgs,
    endpoint: &str,
    during: During,
    session: &mut Session,
    deployment: &mut Deployment,
    stop: &AtomicBool,
) -> anyhow::Result<Summary> {
    let drive = args.load.drive(deployment.target().clone(), endpoint, None)?;
    let expected = drive.schedule.expected_count();
    let line = ProgressLine::new(endpoint, expected);
    let mut died: Option<DeploymentError> = None;
    let mut happened = during == During::Nothing;
    let outcome = session.drive(&drive, |progress| {
        line.show(progress);
        if died.is_none() {
            died = deployment.check_alive().err();
            if !happened && died.is_none() && progress.due.load(Ordering::Relaxed) * 2 >= expected {
                happened = true;
                died = during.happen(deployment, stop).err();
            }
            if died.is_some() {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    line.clear();
    match died.or_else(|| deployment.check_alive().err()) {
        Some(died) => Err(died.into()),
        None => Ok(outcome?),
    }
}

impl RunArgs {
    /// What is driven, one after the other, and what is done in the middle of each.
    pub(super) fn plan(&self) -> Vec<(&str, During)> {
        let once = || {
            self.endpoints
                .iter()
                .map(|endpoint| (endpoint.as_str(), During::Nothing))
        };
        let mut plan: Vec<_> = once().collect();
        if self.migrate {
            if let Some(last) = plan.last_mut() {
                last.1 = During::StartElsewhere;
            }
            let again = plan.len();
            plan.extend(once());
            if let Some(first) = plan.get_mut(again) {
                first.1 = During::StopFirst;
            }
        }
        plan
    }
}
