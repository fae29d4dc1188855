//! [`factors`]: the factors by which CPU times change on nodes of another speed (`--keep work`).

use std::collections::HashMap;

use standin::{Probe, StandIns};

use super::by_root::ByRoot;

/// The reason why CPU times cannot be converted.
#[derive(Debug, thiserror::Error)]
pub enum SpeedError {
    #[error(
        "cannot keep the work of module {module:?}: the recording has no mips_per_core of its node {node:?}; use --keep time"
    )]
    Recorded { module: String, node: String },
    #[error(
        "cannot keep the work of module {module:?}: the stand-in at {url} has no speed; set its MIPS_PER_CORE, or use --keep time"
    )]
    StandIn {
        module: String,
        url: String,
        /// Index of the stand-in in the file.
        index: usize,
    },
    #[error(
        "cannot keep the work of module {module:?}: its stand-ins take turns, but have different speeds; use --keep time, or give each recorded instance a stand-in"
    )]
    Mixed { module: String },
}

/// For each instance: the speed of its recorded node divided by the speed of its stand-in's node. 1 for instances that no
/// request reaches.
///
/// `recorded` has the speed of each node, in million instructions per second and core. `probes` has the stand-ins in the order
/// of the file.
///
/// # Errors
/// If one of these speeds is unknown.
pub fn factors(
    roots: &ByRoot,
    is_used: &[bool],
    recorded: &HashMap<String, f64>,
    stand_ins: &StandIns,
    probes: &[Probe],
) -> Result<Vec<f64>, SpeedError> {
    let names = roots.plan.recorded.names();
    let one = |(number, is_used): (usize, &bool)| {
        if !is_used {
            return Ok(1.0);
        }
        let (module, instance) = roots.instance(number as u32);
        let module_name = || module.to_owned();
        let node = &names.nodes[names.instances[number].node as usize];
        let before = valid(recorded.get(node).copied()).ok_or_else(|| SpeedError::Recorded {
            module: module_name(),
            node: node.clone(),
        })?;
        let mut now = None;
        for index in stand_ins.candidates(module, instance) {
            let probe = probes.get(*index);
            let speed = valid(probe.and_then(|probe| probe.mips_per_core));
            let speed = speed.ok_or_else(|| SpeedError::StandIn {
                module: module_name(),
                url: stand_ins.instances()[*index].url.clone(),
                index: *index,
            })?;
            if now.is_some_and(|now| now != speed) {
                return Err(SpeedError::Mixed {
                    module: module_name(),
                });
            }
            now = Some(speed);
        }
        Ok(now.map_or(1.0, |now| before / now))
    };
    is_used.iter().enumerate().map(one).collect()
}

/// A speed that can be a divisor.
fn valid(speed: Option<f64>) -> Option<f64> {
    speed.filter(|speed| speed.is_finite() && *speed > 0.0)
}
