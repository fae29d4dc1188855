//! [`PlacementEvents`]: `placement_events.jsonl`. Each life of an instance has one start and one stop, even if several folders
//! have parts of it. Scale and migrate events are inferred again.

use std::borrow::Cow;
use std::path::Path;

use anyhow::Context;
use cctf_proto::cctf::{PlacementEvent, PlacementKind};

use crate::events::event::{Event, push_by_time};
use crate::events::lifetimes::{FolderEvents, one_for_each_life};
use crate::events::scaling::ScalingEvents;
use crate::ids::InstanceId;
use crate::model::Timeouts;
use crate::registry::{EntityRegistry, ModuleName};
use crate::values::encoded;
use cctf_sort::record::{Record, key_of, number_of_key};
use cctf_sort::sorter::Sorter;

/// Maximum number of an instance's events that are united at once.
const EVENTS_PER_INSTANCE_MAX: usize = 4096;
/// Bytes of events in memory, for each of the three orders.
const HELD_BYTES: usize = 2 << 20;

/// The index of a folder, and a line of it.
type Line = (u32, Vec<u8>);

pub struct PlacementEvents {
    timeouts: Timeouts,
    by_instance: Sorter,
    output: Output,
}

struct Output {
    by_time: Sorter,
    /// Starts and stops by the time at which a normalizer would have known of them.
    by_notice: Sorter,
}

impl PlacementEvents {
    /// `scratch` is the folder of temporary files.
    pub fn new(scratch: &Path, timeouts: Timeouts) -> Self {
        let sorter = || Sorter::new(scratch, HELD_BYTES);
        Self {
            timeouts,
            by_instance: sorter(),
            output: Output {
                by_time: sorter(),
                by_notice: sorter(),
            },
        }
    }

    pub fn add(&mut self, line: &[u8], registry: &mut EntityRegistry) -> anyhow::Result<()> {
        let row: PlacementEvent<'_> = serde_json::from_slice(line)?;
        let node = registry.node(&encoded(&row.node_id), row.stage)?;
        let app = row.app_id.as_ref().map(encoded);
        let Some(instance_id) = &row.instance_id else {
            registry.module(&ModuleName {
                module_id: row.module_id.to_string(),
                app_id: row.app_id.as_ref().map(|app| app.to_string()),
            })?;
            return push_by_time(&mut self.output.by_time, row.ts, line);
        };
        // An event does not show that the instance was alive.
        let last_seen = None;
        let instance = registry.instance(
            &encoded(&row.module_id),
            &encoded(instance_id),
            app.as_deref(),
            node,
            last_seen,
        )?;
        self.by_instance.push(&Record {
            key: u64::from(instance.0),
            identity: &registry.reading.to_be_bytes(),
            line,
        })
    }

    /// Passes the lines of the result to `take`, by time.
    pub fn drain(
        self,
        registry: &EntityRegistry,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Self {
            timeouts,
            by_instance,
            mut output,
        } = self;
        unite_instances(by_instance, timeouts, registry, &mut output)?;
        let Output {
            mut by_time,
            mut by_notice,
        } = output;
        let mut scaling = ScalingEvents::new(timeouts);
        by_notice.drain(|record| {
            let row: PlacementEvent<'_> = serde_json::from_slice(record.line)?;
            let instance = InstanceId(number_of(record.identity));
            let noticed = number_of_key(record.key);
            scaling.add(&row, instance, noticed, registry, &mut by_time)
        })?;
        let mut last: Option<Vec<u8>> = None;
        by_time.drain(|record| {
            if last.as_deref() == Some(record.line) {
                return Ok(());
            }
            last = Some(record.line.to_vec());
            take(record.line)
        })
    }
}

fn unite_instances(
    mut by_instance: Sorter,
    timeouts: Timeouts,
    registry: &EntityRegistry,
    output: &mut Output,
) -> anyhow::Result<()> {
    let mut unite = |lines: &[Line], instance: u64| {
        unite_instance(lines, InstanceId(instance as u32), timeouts, registry, output)
    };
    let mut open: Option<(u64, Vec<Line>)> = None;
    by_instance.drain(|record| {
        if open.as_ref().is_none_or(|(instance, _)| *instance != record.key)
            && let Some((instance, lines)) = open.replace((record.key, Vec::new()))
        {
            unite(&lines, instance)?;
        }
        let Some((instance, lines)) = &mut open else {
            return Ok(());
        };
        lines.push((number_of(record.identity), record.line.to_vec()));
        if lines.len() >= EVENTS_PER_INSTANCE_MAX {
            unite(lines, *instance)?;
            lines.clear();
        }
        Ok(())
    })?;
    match open {
        Some((instance, lines)) => unite(&lines, instance),
        None => Ok(()),
    }
}

fn number_of(identity: &[u8]) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&identity[..4]);
    u32::from_be_bytes(four)
}

/// Keeps the events of one instance that a single normalizer would have written. `lines` must be sorted by folder.
fn unite_instance(
    lines: &[Line],
    instance: InstanceId,
    timeouts: Timeouts,
    registry: &EntityRegistry,
    output: &mut Output,
) -> anyhow::Result<()> {
    let facts = registry.instances.get(instance.index());
    let mut folders: Vec<FolderEvents<'_>> = Vec::new();
    for (folder, line) in lines {
        let row = serde_json::from_slice::<PlacementEvent<'_>>(line)
            .context("cannot read a placement event again")?;
        if !matches!(row.event, PlacementKind::Start | PlacementKind::Stop) {
            if !row.inferred {
                push_by_time(&mut output.by_time, row.ts, line)?;
            }
            continue;
        }
        if folders.last().is_none_or(|last| last.folder != *folder) {
            folders.push(FolderEvents {
                folder: *folder,
                last_seen: facts.and_then(|facts| facts.last_seen_in(*folder)),
                events: Vec::new(),
            });
        }
        if let Some(of_folder) = folders.last_mut() {
            let line = Cow::Borrowed(line.as_slice());
            of_folder.events.push(Event { row, line });
        }
    }
    for event in one_for_each_life(folders, timeouts.stale_ns) {
        push_by_time(&mut output.by_time, event.row.ts, &event.line)?;
        output.by_notice.push(&Record {
            key: key_of(noticed(&event, timeouts)),
            identity: &instance.0.to_be_bytes(),
            line: &event.line,
        })?;
    }
    Ok(())
}

/// The time at which a normalizer would have known of the event, nanoseconds.
fn noticed(event: &Event<'_>, timeouts: Timeouts) -> i64 {
    let is_inferred = event.row.inferred && !event.is_already_running();
    match (is_inferred, event.row.event) {
        (true, PlacementKind::Stop) => event.ts().saturating_add(timeouts.stale_ns),
        (true, _) => event.ts().saturating_add(timeouts.join_ns),
        (false, _) => event.ts(),
    }
}
