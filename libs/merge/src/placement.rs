//! Placement events: one life of an instance is told once, however many folders saw a part of it, and what is concluded from
//! lives (scale, migrate) is concluded anew.

use std::borrow::Cow;
use std::path::Path;

use anyhow::Context;
use cctf_proto::cctf::{Milliseconds, PlacementEvent, PlacementKind};

use super::directory::{Directory, ModuleName};
use super::lifetimes::{Event, FolderEvents, is_going_on, one_for_each_life};
use super::lives::Lives;
use super::meta::Patience;
use super::sorter::{Record, Sorter, key_of};
use super::values::encoded;

/// Events of one instance looked at together; with more of them none is taken away.
const EVENTS_OF_INSTANCE_MAX: usize = 4096;
/// Bytes of events held before they are written out.
const HELD_BYTES: usize = 2 << 20;

/// A line, and the number of the folder that it is of.
type Line = (u32, Vec<u8>);

/// The events on their way.
pub struct Placement {
    /// An instance that was heard again within the stale time had not stopped, and a start that nobody told becomes known
    /// after the join window.
    patience: Patience,
    by_instance: Sorter,
    by_time: Sorter,
    /// Starts and stops by the time at which one normalizer would have known of them.
    by_notice: Sorter,
}

impl Placement {
    /// No event yet.
    pub fn new(folder: &Path, patience: Patience) -> Self {
        let sorter = || Sorter::new(folder, HELD_BYTES);
        Self {
            patience,
            by_instance: sorter(),
            by_time: sorter(),
            by_notice: sorter(),
        }
    }

    /// Takes a line.
    pub fn add(&mut self, line: &[u8], directory: &mut Directory) -> anyhow::Result<()> {
        let row: PlacementEvent<'_> = serde_json::from_slice(line)?;
        let node = directory.node(&encoded(&row.node_id), row.stage)?;
        let app = row.app_id.as_ref().map(encoded);
        let Some(instance_id) = &row.instance_id else {
            directory.module(&ModuleName {
                module_id: row.module_id.to_string(),
                app_id: row.app_id.as_ref().map(|app| app.to_string()),
            })?;
            return push(&mut self.by_time, row.ts, line);
        };
        // An event is no sign of life.
        let instance = directory.instance(
            &encoded(&row.module_id),
            &encoded(instance_id),
            app.as_deref(),
            node,
            None,
        )?;
        self.by_instance.push(&Record {
            key: u64::from(instance),
            identity: &directory.reading.to_be_bytes(),
            line,
        })
    }

    /// Hands out the events of all folders by time.
    pub fn drain(
        self,
        directory: &Directory,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Self {
            patience,
            mut by_instance,
            mut by_time,
            mut by_notice,
        } = self;
        let mut unite = |lines: &[Line], instance| {
            unite(lines, instance, patience, directory, &mut by_time, &mut by_notice)
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
            if lines.len() >= EVENTS_OF_INSTANCE_MAX {
                unite(lines, *instance)?;
                lines.clear();
            }
            Ok(())
        })?;
        if let Some((instance, lines)) = open {
            unite(&lines, instance)?;
        }
        let mut lives = Lives::new(patience);
        by_notice.drain(|record| {
            let row: PlacementEvent<'_> = serde_json::from_slice(record.line)?;
            let instance = number_of(record.identity);
            lives.note(&row, instance, record.key, directory, &mut by_time)
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

fn number_of(identity: &[u8]) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&identity[..4]);
    u32::from_be_bytes(four)
}

/// Takes away what one normalizer that had seen everything would not have written of this instance.
fn unite(
    lines: &[Line],
    instance: u64,
    patience: Patience,
    directory: &Directory,
    by_time: &mut Sorter,
    by_notice: &mut Sorter,
) -> anyhow::Result<()> {
    let facts = directory.instances.get(instance as usize);
    let mut folders: Vec<FolderEvents<'_>> = Vec::new();
    for (folder, line) in lines {
        let row = serde_json::from_slice::<PlacementEvent<'_>>(line).context("placement_events.jsonl")?;
        if !matches!(row.event, PlacementKind::Start | PlacementKind::Stop) {
            if !row.inferred {
                push(by_time, row.ts, line)?;
            }
            continue;
        }
        // The lines come folder by folder.
        if folders.last().is_none_or(|last| last.folder != *folder) {
            folders.push(FolderEvents {
                folder: *folder,
                last_heard: facts.and_then(|facts| facts.last_in(*folder)),
                events: Vec::new(),
            });
        }
        if let Some(of_folder) = folders.last_mut() {
            let line = Cow::Borrowed(line.as_slice());
            of_folder.events.push(Event { row, line });
        }
    }
    for event in one_for_each_life(folders, patience.stale_ns) {
        push(by_time, event.row.ts, &event.line)?;
        by_notice.push(&Record {
            key: key_of(noticed(&event.row, patience)),
            identity: &(instance as u32).to_be_bytes(),
            line: &event.line,
        })?;
    }
    Ok(())
}

pub(super) fn push(by_time: &mut Sorter, ts: Milliseconds, line: &[u8]) -> anyhow::Result<()> {
    by_time.push(&Record {
        key: key_of(ts.as_ns()),
        identity: &[],
        line,
    })
}

/// When one normalizer would have known of it.
fn noticed(row: &PlacementEvent<'_>, patience: Patience) -> i64 {
    let ts = row.ts.as_ns();
    match (row.inferred && !is_going_on(row), row.event) {
        (true, PlacementKind::Stop) => ts.saturating_add(patience.stale_ns),
        (true, _) => ts.saturating_add(patience.join_ns),
        (false, _) => ts,
    }
}
