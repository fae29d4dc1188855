//! [`stations`]: reads the slots, slot policies and queue limits of a run's instances from its inventory.

use cctf_proto::cctf::{Instance, Part};
use rundir::ReadError;
use rundir::parts::Run;

use super::collect::Collector;
use super::names::Station;
use crate::inventory;

/// Sets the stations of the instances as they are reported in the last valid inventory. Inferred slots are ignored, because
/// they are only the highest observed concurrency.
///
/// # Errors
/// If a file cannot be read.
pub fn stations(run: &Run, parts: &[Part], collector: &mut Collector) -> Result<(), ReadError> {
    let found = inventory::read(run, parts, |modules| {
        for module in modules {
            for instance in module.instances.iter().flatten() {
                let number = collector
                    .names()
                    .find_module(&module.module_id)
                    .and_then(|module| collector.names().find_instance(module, &instance.instance_id));
                if let Some(number) = number {
                    collector.instances()[number as usize].station = Station::reported(instance);
                }
            }
        }
    })?;
    if found.is_none() {
        collector.missing(format!(
            "{} has no valid module_inventory.json: slots are unknown",
            run.id()
        ));
    }
    Ok(())
}

impl Station {
    /// The station that an instance reported.
    pub fn reported(instance: &Instance<'_>) -> Self {
        let slots = inventory::reported_slots(instance).filter(|slots| *slots > 0);
        let saturated = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Self {
            slots: slots.map(saturated),
            is_released: slots.is_some() && instance.slot_policy.as_deref() == Some("released"),
            queue_limit: instance.queue_limit.map(saturated),
        }
    }
}
