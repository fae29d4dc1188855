//! Sends load to one endpoint after the other, and performs actions during the load.

use std::sync::atomic::{AtomicBool, Ordering};

use cctf_load::record::summary::Summary;
use cctf_load::session::LoadSession;
use cctf_stack::deployment::{Deployment, DeploymentError};

use crate::commands::display::ProgressLine;
use crate::commands::flags::LoadFlags;

/// An action halfway through the load of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MidLoadAction {
    None,
    StartElsewhere,
    StopFirst,
}

impl MidLoadAction {
    fn run(self, deployment: &mut Deployment, stop: &AtomicBool) -> Result<(), DeploymentError> {
        match self {
            Self::None => Ok(()),
            Self::StartElsewhere => deployment.start_elsewhere(stop),
            Self::StopFirst => deployment.stop_first_service(),
        }
    }
}

/// Sends the whole load to one endpoint. Stops early with an error if a child process exits.
pub(super) fn drive_one(
    load: &LoadFlags,
    (endpoint, action): (&str, MidLoadAction),
    session: &mut LoadSession,
    deployment: &mut Deployment,
    stop: &AtomicBool,
) -> anyhow::Result<Summary> {
    let drive = load.drive(deployment.target().clone(), endpoint, None)?;
    let expected = drive.schedule.expected_count();
    let line = ProgressLine::new(endpoint, expected, drive.schedule.duration);
    let mut failure: Option<DeploymentError> = None;
    let mut is_action_due = action != MidLoadAction::None;
    let outcome = session.drive(&drive, |progress| {
        line.show(progress);
        if failure.is_none() {
            failure = deployment.check_alive().err();
            if is_action_due && failure.is_none() && progress.due.load(Ordering::Relaxed) * 2 >= expected {
                is_action_due = false;
                failure = action.run(deployment, stop).err();
            }
            if failure.is_some() {
                stop.store(true, Ordering::Relaxed);
            }
        }
    });
    line.clear();
    match failure.or_else(|| deployment.check_alive().err()) {
        Some(failure) => Err(failure.into()),
        None => Ok(outcome?),
    }
}

/// The endpoints in order, each with its action. For a migration, each endpoint gets load twice.
pub(super) fn plan(endpoints: &[String], migrate: bool) -> Vec<(&str, MidLoadAction)> {
    let once = || {
        endpoints
            .iter()
            .map(|endpoint| (endpoint.as_str(), MidLoadAction::None))
    };
    let mut plan: Vec<_> = once().collect();
    if migrate {
        if let Some(last) = plan.last_mut() {
            last.1 = MidLoadAction::StartElsewhere;
        }
        let again = plan.len();
        plan.extend(once());
        if let Some(first) = plan.get_mut(again) {
            first.1 = MidLoadAction::StopFirst;
        }
    }
    plan
}
