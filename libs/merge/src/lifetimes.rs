//! Lives of one instance: each folder tells when it knew the instance alive; the union of these times is what all know together.
//!
//! A union depends neither on the order of the folders nor on what was united before. So a folder's times are told only by
//! what a merge keeps of it: its starts, its stops, and its last row.

use std::borrow::Cow;
use std::cmp::Reverse;

use cctf_proto::cctf::{Milliseconds, PlacementEvent, PlacementKind};

use super::lives::concluded;
use super::values::encoded;

/// The reason of a start that is no beginning, but that of a run or a part of one.
const ALREADY_RUNNING: &str = "already_running";

/// An event of one instance, and its line.
pub struct Event<'l> {
    /// What it tells.
    pub row: PlacementEvent<'l>,
    /// As it is written.
    pub line: Cow<'l, [u8]>,
}

/// The starts and stops of one instance that a folder has.
pub struct FolderEvents<'l> {
    /// The folder's number.
    pub folder: u32,
    /// The end of the instance's last row there.
    pub last_heard: Option<i64>,
    /// In any order.
    pub events: Vec<Event<'l>>,
}

/// A time in which the instance is known to have lived.
struct Life<'l> {
    /// `None` where only the end is told, or a told stop parts it from its start.
    start: Option<Event<'l>>,
    from: i64,
    until: i64,
    /// `None` where nobody told or concluded that it stopped.
    stop: Option<Event<'l>>,
    /// Whether a row tells of it: the start of a part of a run tells nothing of when it was heard.
    is_heard: bool,
}

/// One start and one stop for each life, by time.
pub fn one_for_each_life(folders: Vec<FolderEvents<'_>>, stale_ns: i64) -> Vec<Event<'_>> {
    let cuts = told_ends(&folders);
    let mut segments: Vec<Vec<Life<'_>>> = Vec::new();
    segments.resize_with(cuts.len() + 1, Vec::new);
    for folder in folders {
        for mut life in lives_of(folder, stale_ns) {
            // What is heard after a told stop are last words, or another life.
            while let Some(at) = cuts.iter().position(|&cut| life.from < cut && cut < life.until) {
                let rest = Life {
                    start: None,
                    from: cuts[at],
                    stop: life.stop.take(),
                    ..life
                };
                life.until = cuts[at];
                segments[at].push(std::mem::replace(&mut life, rest));
            }
            segments[cuts.partition_point(|&cut| cut < life.until)].push(life);
        }
    }
    let mut kept = Vec::new();
    let mut last_until = i64::MIN;
    for segment in segments {
        for life in united(segment, stale_ns) {
            let until = life.until;
            put(life, last_until, &mut kept);
            last_until = until;
        }
    }
    kept
}

/// The told stops that end what every folder knows; of several without a beginning between them the last.
fn told_ends(folders: &[FolderEvents<'_>]) -> Vec<i64> {
    let stamps = |is_wanted: fn(&Event<'_>) -> bool| {
        let events = folders.iter().flat_map(|folder| &folder.events);
        let mut stamps: Vec<i64> = events
            .filter(|event| is_wanted(event))
            .map(|event| event.row.ts.as_ns())
            .collect();
        stamps.sort_unstable();
        stamps.dedup();
        stamps
    };
    let stops = stamps(|event| !is_start(event) && !event.row.inferred);
    let beginnings = stamps(|event| is_start(event) && !is_going_on(&event.row));
    let is_last = |at: usize| {
        let next_start = beginnings.get(beginnings.partition_point(|&start| start < stops[at]));
        stops
            .get(at + 1)
            .is_none_or(|next_stop| next_start.is_some_and(|start| start <= next_stop))
    };
    (0..stops.len())
        .filter(|&at| is_last(at))
        .map(|at| stops[at])
        .collect()
}

/// The lives that a folder tells of, by time.
fn lives_of(folder: FolderEvents<'_>, stale_ns: i64) -> Vec<Life<'_>> {
    let mut events = folder.events;
    events.sort_by(|left, right| order(left).cmp(&order(right)));
    let mut lives: Vec<Life<'_>> = Vec::new();
    for mut event in events {
        let ts = event.row.ts.as_ns();
        let is_alone = lives.len() == 1;
        match lives.last_mut() {
            Some(open) if open.stop.is_none() && is_start(&event) => open.begin(event),
            Some(open) if open.stop.is_none() => {
                (open.until, open.stop) = (ts, Some(event));
            }
            // A part of a run began before it was known that the instance had stopped.
            Some(ended)
                if is_alone
                    && ended.start.is_none()
                    && is_going_on(&event.row)
                    && ts.saturating_sub(ended.until) < stale_ns =>
            {
                event.row.ts = Milliseconds::from_ns(ended.until);
                event.line = Cow::Owned(encoded(&event.row));
                ended.start = Some(event);
            }
            _ => lives.push(Life::of(event)),
        }
    }
    if let Some(last) = lives.last_mut() {
        last.hear(folder.last_heard);
    }
    lives
}

/// Lives less than the stale time apart are one.
fn united(mut lives: Vec<Life<'_>>, stale_ns: i64) -> Vec<Life<'_>> {
    lives.sort_by_key(|life| {
        (
            life.from,
            life.start.as_ref().is_some_and(|start| is_going_on(&start.row)),
        )
    });
    let mut united: Vec<Life<'_>> = Vec::new();
    for life in lives {
        let goes_on = life.start.as_ref().is_some_and(|start| is_going_on(&start.row));
        match united.last_mut() {
            Some(last)
                if life.from.saturating_sub(last.until) < stale_ns || goes_on && last.stop.is_none() =>
            {
                last.unite(life);
            }
            _ => united.push(life),
        }
    }
    united
}

/// Puts a life's events behind those of the life before, which ended at `last_until`.
fn put<'l>(life: Life<'l>, last_until: i64, kept: &mut Vec<Event<'l>>) {
    if let Some(mut start) = life.start {
        // A part of a run that began after the last words.
        if let Some(stop) = life.stop.as_ref().filter(|stop| stop.row.ts < start.row.ts) {
            start.row.ts = stop.row.ts;
            start.line = Cow::Owned(encoded(&start.row));
        }
        // Nobody told how the life before ended, as its folder did: with its last row.
        if let Some(open) = kept.last().filter(|last| is_start(last)) {
            let ts = Milliseconds::from_ns(last_until.max(open.row.ts.as_ns()));
            let row = PlacementEvent {
                image: None,
                cpu_limit: None,
                mem_limit_mb: None,
                ..concluded(&open.row, ts, PlacementKind::Stop)
            };
            let line = Cow::Owned(encoded(&row));
            kept.push(Event { row, line });
        }
        kept.push(start);
        kept.extend(life.stop);
    } else if let Some(stop) = life.stop {
        match kept.last_mut() {
            Some(last) if !is_start(last) => {
                if goes_before(&stop, last) {
                    *last = stop;
                }
            }
            _ => kept.push(stop),
        }
    }
}

impl<'l> Life<'l> {
    fn of(event: Event<'l>) -> Self {
        let ts = event.row.ts.as_ns();
        let is_heard = !is_going_on(&event.row);
        let (start, stop) = if is_start(&event) {
            (Some(event), None)
        } else {
            (None, Some(event))
        };
        Self {
            start,
            from: ts,
            until: ts,
            stop,
            is_heard,
        }
    }

    /// Takes a further start of the same life.
    fn begin(&mut self, event: Event<'l>) {
        if self.start.as_ref().is_none_or(|start| goes_before(&event, start)) {
            self.start = Some(event);
        }
        if let Some(start) = &self.start {
            self.is_heard |= !is_going_on(&start.row);
            self.from = start.row.ts.as_ns();
            self.until = self.until.max(self.from);
        }
    }

    /// Takes the end of the folder's last row: who was heard after a stop that was only concluded had not stopped.
    fn hear(&mut self, last_heard: Option<i64>) {
        let Some(heard) = last_heard else { return };
        match &self.stop {
            None => {
                if !self.is_heard {
                    (self.from, self.until) = (self.from.min(heard), heard);
                }
                self.is_heard = true;
                self.until = self.until.max(heard);
            }
            Some(stop) if stop.row.inferred && heard > self.until => {
                (self.until, self.stop) = (heard, None);
            }
            Some(_) => {}
        }
    }

    /// Takes in another of the same life: the best start, the latest end; of two ends at one time that which was noticed.
    fn unite(&mut self, other: Self) {
        if let Some(event) = other.start
            && self.start.as_ref().is_none_or(|start| goes_before(&event, start))
        {
            self.start = Some(event);
        }
        if !other.is_heard && other.stop.is_none() || other.until < self.until {
            return;
        }
        let is_later = other.until > self.until;
        self.until = other.until;
        self.is_heard |= other.is_heard;
        match (&self.stop, other.stop) {
            (Some(this), Some(stop)) if is_later || goes_before(&stop, this) => self.stop = Some(stop),
            (None, Some(stop)) => self.stop = Some(stop),
            (_, None) if is_later => self.stop = None,
            _ => {}
        }
    }
}

fn order<'e>(event: &'e Event<'_>) -> (i64, bool, &'e [u8]) {
    (event.row.ts.as_ns(), !is_start(event), &event.line)
}

/// Whether it is the start of a run, or of a part of one, in which the instance already lived.
pub fn is_going_on(row: &PlacementEvent<'_>) -> bool {
    row.reason.as_deref() == Some(ALREADY_RUNNING)
}

fn is_start(event: &Event<'_>) -> bool {
    event.row.event == PlacementKind::Start
}

/// Of two starts of one life a beginning goes before a going on, the told before the concluded, the earlier before the later;
/// of two stops the told, then the later.
fn goes_before(this: &Event<'_>, other: &Event<'_>) -> bool {
    let start = |event: &Event<'_>| (is_going_on(&event.row), event.row.inferred, event.row.ts);
    let stop = |event: &Event<'_>| (event.row.inferred, Reverse(event.row.ts));
    match this.row.event {
        PlacementKind::Start => (start(this), &this.line) < (start(other), &other.line),
        _ => (stop(this), &this.line) < (stop(other), &other.line),
    }
}

#[cfg(test)]
mod tests;
