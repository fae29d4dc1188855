//! [`read`]: placement events, which are marked in the charts over time.

use analyze::stats::opened::Opened;
use cctf_proto::cctf::{ALREADY_RUNNING, File, PlacementEvent, PlacementKind};
use page::number::counted;
use rundir::ReadError;

use crate::model::Event;

/// Maximum number of events. A chart could not show more as separate marks.
const EVENTS_MAX: usize = 500;

/// The first [`EVENTS_MAX`] events of the file, sorted by time. Starts that a later part repeats, because the instance was
/// already running, are left out.
///
/// # Errors
/// If a file cannot be read.
pub fn read(opened: &Opened, notes: &mut Vec<String>) -> Result<Vec<Event>, ReadError> {
    let first = opened.parts.first();
    let (mut events, mut left_out) = (Vec::new(), 0_u64);
    let found = super::lines::each_row(opened, File::PlacementEvents, |part, line| {
        let Ok(row) = serde_json::from_slice::<PlacementEvent<'_>>(line) else {
            return false;
        };
        let is_repeated = row.event == PlacementKind::Start
            && row.reason.as_deref() == Some(ALREADY_RUNNING)
            && Some(part) != first;
        if is_repeated {
            return true;
        }
        if events.len() < EVENTS_MAX {
            events.push(event(&row));
        } else {
            left_out += 1;
        }
        true
    })?;
    found.note(
        File::PlacementEvents,
        "starts, stops and migrations are unknown",
        notes,
    );
    if left_out > 0 {
        notes.push(format!(
            "{} left out: only the first {EVENTS_MAX} of the file are read",
            counted(left_out, "placement event is", "placement events are")
        ));
    }
    events.sort_by_key(|event| event.ts_ns);
    Ok(events)
}

fn event(row: &PlacementEvent<'_>) -> Event {
    Event {
        ts_ns: row.ts.as_ns(),
        event: row.event,
        app_id: row.app_id.as_ref().map(|text| text.to_string()),
        module_id: row.module_id.to_string(),
        instance_id: row.instance_id.as_ref().map(|text| text.to_string()),
        node_id: row.node_id.to_string(),
        from_node_id: row.from_node_id.as_ref().map(|text| text.to_string()),
        replicas: row.replicas,
        reason: row.reason.as_ref().map(|text| text.to_string()),
        inferred: row.inferred,
    }
}
