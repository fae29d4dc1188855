//! Rules on `placement_events.jsonl`.

use std::collections::HashMap;

use super::known::{Known, Started};
use super::report::{Findings, Place};
use super::rows::check_timestamp;
use super::rules::Broken;
use crate::cctf::{Milliseconds, PlacementEvent, PlacementKind};

/// The first start and all stops of each instance. They are checked at the end because the lines are in no particular order.
#[derive(Debug, Default)]
pub(super) struct Placement {
    instances: HashMap<(String, String), Life>,
}

#[derive(Debug, Default)]
struct Life {
    first_start: Option<Milliseconds>,
    stops: Vec<(Milliseconds, Place)>,
}

impl Placement {
    /// Checks an event by itself and stores it.
    pub fn add(&mut self, row: &PlacementEvent<'_>, known: &Known, place: Place, findings: &mut Findings) {
        check_timestamp("ts", row.ts, place, findings);
        known.check_node(("node_id", &row.node_id), Some(row.stage), place, findings);
        if let Some(from) = &row.from_node_id {
            known.check_node(("from_node_id", from), None, place, findings);
        }
        known.check_module(("module_id", &row.module_id), place, findings);
        if !matches!(row.event, PlacementKind::Start | PlacementKind::Stop) {
            return;
        }
        let Some(instance_id) = &row.instance_id else {
            return findings.add(Broken::LifeOfAnInstance, place, || {
                format!("the {} event has no instance_id", row.event.as_str())
            });
        };
        let life = self
            .instances
            .entry((row.module_id.to_string(), instance_id.to_string()))
            .or_default();
        if row.event == PlacementKind::Stop {
            life.stops.push((row.ts, place));
        } else if life.first_start.is_none_or(|first| row.ts < first) {
            life.first_start = Some(row.ts);
        }
    }

    /// Checks the stops, after all events were added.
    pub fn check_stops(&self, findings: &mut Findings) {
        for ((module, instance), life) in &self.instances {
            let early = |at: Milliseconds| life.first_start.is_none_or(|first| at < first);
            for (_, place) in life.stops.iter().filter(|(at, _)| early(*at)) {
                findings.add(Broken::StopAfterStart, *place, || {
                    format!("instance {instance:?} of module {module:?} has a stop without an earlier start")
                });
            }
        }
    }

    /// The instances that started, by module.
    pub fn started(self) -> Started {
        let mut started = Started::default();
        for ((module, instance), life) in self.instances {
            if life.first_start.is_some() {
                started.entry(module).or_default().insert(instance);
            }
        }
        started
    }
}
