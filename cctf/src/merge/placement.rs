//! Placement events: one life of an instance is told once, however many folders saw a part of it, and what is concluded from
//! lives (scale, migrate) is concluded anew.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::path::Path;

use anyhow::Context;
use cctf_proto::cctf::{Milliseconds, PlacementEvent, PlacementKind};

use super::directory::{Directory, ModuleName};
use super::lives::Lives;
use super::meta::Patience;
use super::sorter::{Record, Sorter, key_of};
use super::values::encoded;

/// The reason of a start that is no beginning, but that of a run or a part of one.
const ALREADY_RUNNING: &str = "already_running";
/// Events of one instance looked at together; with more of them none is taken away.
const EVENTS_OF_INSTANCE_MAX: usize = 4096;
/// Bytes of events held before they are written out.
const HELD_BYTES: usize = 2 << 20;

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

/// An event of one instance, and its line.
struct Event<'l> {
    row: PlacementEvent<'l>,
    line: Cow<'l, [u8]>,
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
            i64::MIN,
        )?;
        self.by_instance.push(&Record {
            key: u64::from(instance),
            identity: &[],
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
        let mut unite = |lines: &[Vec<u8>], instance| {
            unite(lines, instance, patience, directory, &mut by_time, &mut by_notice)
        };
        let mut open: Option<(u64, Vec<Vec<u8>>)> = None;
        by_instance.drain(|record| {
            if open.as_ref().is_none_or(|(instance, _)| *instance != record.key)
                && let Some((instance, lines)) = open.replace((record.key, Vec::new()))
            {
                unite(&lines, instance)?;
            }
            let Some((instance, lines)) = &mut open else {
                return Ok(());
            };
            lines.push(record.line.to_vec());
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
            let instance = instance_of(record.identity);
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

fn instance_of(identity: &[u8]) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&identity[..4]);
    u32::from_be_bytes(four)
}

/// Takes away what one normalizer that had seen everything would not have written of this instance.
fn unite(
    lines: &[Vec<u8>],
    instance: u64,
    patience: Patience,
    directory: &Directory,
    by_time: &mut Sorter,
    by_notice: &mut Sorter,
) -> anyhow::Result<()> {
    let mut events = Vec::new();
    for line in lines {
        let row = serde_json::from_slice::<PlacementEvent<'_>>(line).context("placement_events.jsonl")?;
        events.push(Event {
            row,
            line: Cow::Borrowed(line),
        });
    }
    let (mut lives, others): (Vec<_>, Vec<_>) = events
        .into_iter()
        .partition(|event| matches!(event.row.event, PlacementKind::Start | PlacementKind::Stop));
    for told in others.iter().filter(|event| !event.row.inferred) {
        push(by_time, told.row.ts, &told.line)?;
    }
    lives.sort_by(|left, right| order(left).cmp(&order(right)));
    let last_heard = directory
        .instances
        .get(instance as usize)
        .map_or(i64::MIN, |facts| facts.last);
    for event in each_life_once(lives, last_heard, patience.stale_nanos) {
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
        key: key_of(ts.nanos()),
        identity: &[],
        line,
    })
}

fn order<'e>(event: &'e Event<'_>) -> (i64, bool, &'e [u8]) {
    (
        event.row.ts.nanos(),
        event.row.event == PlacementKind::Stop,
        &event.line,
    )
}

/// When one normalizer would have known of it.
fn noticed(row: &PlacementEvent<'_>, patience: Patience) -> i64 {
    let ts = row.ts.nanos();
    match (row.inferred && !is_going_on(row), row.event) {
        (true, PlacementKind::Stop) => ts.saturating_add(patience.stale_nanos),
        (true, _) => ts.saturating_add(patience.join_nanos),
        (false, _) => ts,
    }
}

pub(super) fn is_going_on(row: &PlacementEvent<'_>) -> bool {
    row.reason.as_deref() == Some(ALREADY_RUNNING)
}

/// One start and one stop for each life. `events` are starts and stops by time.
fn each_life_once<'l>(events: Vec<Event<'l>>, last_heard: i64, stale_nanos: i64) -> Vec<Event<'l>> {
    let beginnings: Vec<i64> = events
        .iter()
        .filter(|event| is_start(event) && !is_going_on(&event.row))
        .map(|event| event.row.ts.nanos())
        .collect();
    let mut kept: Vec<Event<'l>> = Vec::new();
    for mut event in events {
        let ts = event.row.ts.nanos();
        if !is_start(&event) && event.row.inferred {
            let next = beginnings.get(beginnings.partition_point(|&start| start <= ts));
            // Another folder heard of it meanwhile.
            let has_gone_on = match next {
                Some(&start) => start.saturating_sub(ts) < stale_nanos,
                None => last_heard > ts,
            };
            if has_gone_on {
                continue;
            }
        }
        match kept.last_mut() {
            Some(last) if is_start(last) == is_start(&event) => {
                if goes_before(&event, last) {
                    *last = event;
                }
            }
            // A part of a run began before it was known that the instance had stopped.
            Some(stop) if is_going_on(&event.row) && ts.saturating_sub(stop.row.ts.nanos()) < stale_nanos => {
                let stopped = stop.row.ts;
                if kept.len() == 1 {
                    event.row.ts = stopped;
                    event.line = Cow::Owned(encoded(&event.row));
                    kept.insert(0, event);
                }
            }
            _ => kept.push(event),
        }
    }
    kept
}

fn is_start(event: &Event<'_>) -> bool {
    event.row.event == PlacementKind::Start
}

/// Of two starts of one life the told goes before the concluded, a beginning before a going on, the earlier before the later;
/// of two stops the told, then the later.
fn goes_before(this: &Event<'_>, other: &Event<'_>) -> bool {
    let start = |event: &Event<'_>| (event.row.inferred, is_going_on(&event.row), event.row.ts);
    let stop = |event: &Event<'_>| (event.row.inferred, Reverse(event.row.ts));
    match this.row.event {
        PlacementKind::Start => (start(this), &this.line) < (start(other), &other.line),
        _ => (stop(this), &this.line) < (stop(other), &other.line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cctf_proto::cctf::{Stage, Text};

    fn event(
        second: i64,
        kind: PlacementKind,
        inferred: bool,
        reason: Option<&'static str>,
    ) -> Event<'static> {
        let row = PlacementEvent {
            ts: Milliseconds::from_nanos(second * 1_000_000_000),
            app_id: None,
            module_id: "m".into(),
            instance_id: Some("m-1".into()),
            node_id: "n".into(),
            event: kind,
            stage: Stage::Edge,
            inferred,
            workers: None,
            queue_limit: None,
            slot_policy: None,
            replicas: None,
            from_node_id: None,
            image: None,
            cpu_limit: None,
            mem_limit_mb: None,
            reason: reason.map(Text::from),
        };
        let line = Cow::Owned(encoded(&row));
        Event { row, line }
    }

    fn start(second: i64, inferred: bool) -> Event<'static> {
        event(second, PlacementKind::Start, inferred, None)
    }

    fn stop(second: i64, inferred: bool) -> Event<'static> {
        event(second, PlacementKind::Stop, inferred, None)
    }

    fn going_on(second: i64) -> Event<'static> {
        event(second, PlacementKind::Start, false, Some(ALREADY_RUNNING))
    }

    fn lives(events: Vec<Event<'static>>, last_heard: i64) -> Vec<(i64, bool)> {
        let kept = each_life_once(
            events,
            last_heard * 1_000_000_000,
            Patience::default().stale_nanos,
        );
        kept.iter()
            .map(|event| (event.row.ts.nanos() / 1_000_000_000, is_start(event)))
            .collect()
    }

    #[test]
    fn a_life_that_several_folders_saw_is_told_once_by_who_was_told() {
        assert_eq!(
            lives(vec![start(1, true), start(2, false), start(3, true)], 9),
            [(2, true)]
        );
        assert_eq!(
            lives(
                vec![start(1, false), going_on(5), stop(9, true), stop(10, true)],
                10
            ),
            [(1, true), (10, false)]
        );
        assert_eq!(
            lives(vec![start(1, false), stop(8, false), stop(9, true)], 9),
            [(1, true), (8, false)]
        );
    }

    #[test]
    fn a_silence_that_only_one_folder_saw_is_none() {
        assert_eq!(lives(vec![start(1, true), stop(9, true)], 10), [(1, true)]);
        assert_eq!(
            lives(vec![start(1, true), stop(9, true), start(100, true)], 200),
            [(1, true)]
        );
        let apart = vec![start(1, true), stop(9, true), start(900, true)];
        assert_eq!(lives(apart, 901), [(1, true), (9, false), (900, true)]);
    }

    #[test]
    fn a_part_that_began_after_the_last_words_begins_no_life() {
        assert_eq!(
            lives(vec![start(1, true), stop(9, true), going_on(10)], 9),
            [(1, true), (9, false)]
        );
        assert_eq!(
            lives(vec![stop(9, true), going_on(10)], 9),
            [(9, true), (9, false)]
        );
    }
}
