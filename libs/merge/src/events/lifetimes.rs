//! Merges the lives of one instance from several folders. A life is the time from a start of the instance to its stop. Each
//! folder shows intervals in which the instance was alive. The result has the union of these intervals.
//!
//! The union must depend neither on the order of the folders nor on earlier merges. So an interval is computed only from data
//! that a merge keeps: the starts, the stops, and the instance's last row.

use std::cmp::Reverse;

use cctf_proto::cctf::{Milliseconds, PlacementEvent, PlacementKind};

use crate::events::event::{Event, inferred_event};

/// The events and the last row of one instance in one folder.
pub struct FolderEvents<'l> {
    /// Index of the folder.
    pub folder: u32,
    /// End of the instance's last row there, nanoseconds.
    pub last_seen: Option<i64>,
    /// The instance's starts and stops, in any order.
    pub events: Vec<Event<'l>>,
}

/// An interval in which the instance was alive.
struct Life<'l> {
    /// `None` if the folder shows only the end, or if a reported stop cut a longer interval, and this is the part after
    /// the stop.
    start: Option<Event<'l>>,
    /// Start of the interval, nanoseconds since the Unix epoch.
    from: i64,
    /// End of the interval, nanoseconds since the Unix epoch.
    until: i64,
    /// `None` if the folder has no stop, neither reported nor inferred.
    stop: Option<Event<'l>>,
    /// Whether a row or an event proves that the instance was alive. A start with the reason `already_running` does not: the
    /// normalizer writes it into each new run or part, for each instance that it considers alive.
    is_seen: bool,
}

/// Returns one start and one stop for each life, by time.
pub fn one_for_each_life(folders: Vec<FolderEvents<'_>>, stale_ns: i64) -> Vec<Event<'_>> {
    let cuts = reported_ends(&folders);
    let mut segments: Vec<Vec<Life<'_>>> = Vec::new();
    segments.resize_with(cuts.len() + 1, Vec::new);
    for folder in folders {
        for mut life in lives_of(folder, stale_ns) {
            // Rows after a reported stop are late rows of this life, or belong to the next one.
            while let Some(index) = cuts.iter().position(|&cut| life.from < cut && cut < life.until) {
                let rest = Life {
                    start: None,
                    from: cuts[index],
                    stop: life.stop.take(),
                    ..life
                };
                life.until = cuts[index];
                segments[index].push(std::mem::replace(&mut life, rest));
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

/// Times of the reported stops. Each ends the life in all folders. If several have no start between them, only the last counts.
fn reported_ends(folders: &[FolderEvents<'_>]) -> Vec<i64> {
    let times = |is_wanted: fn(&Event<'_>) -> bool| {
        let events = folders.iter().flat_map(|folder| &folder.events);
        let mut times: Vec<i64> = events.filter(|event| is_wanted(event)).map(Event::ts).collect();
        times.sort_unstable();
        times.dedup();
        times
    };
    let stops = times(|event| !event.is_start() && !event.row.inferred);
    let starts = times(|event| event.is_start() && !event.is_already_running());
    let is_last = |index: usize| {
        let next_start = starts.get(starts.partition_point(|&start| start < stops[index]));
        stops
            .get(index + 1)
            .is_none_or(|next_stop| next_start.is_some_and(|start| start <= next_stop))
    };
    (0..stops.len())
        .filter(|&index| is_last(index))
        .map(|index| stops[index])
        .collect()
}

/// The lives that one folder shows, by time.
fn lives_of(folder: FolderEvents<'_>, stale_ns: i64) -> Vec<Life<'_>> {
    let mut events = folder.events;
    events.sort_by(|left, right| order(left).cmp(&order(right)));
    let mut lives: Vec<Life<'_>> = Vec::new();
    for mut event in events {
        let ts = event.ts();
        let is_only = lives.len() == 1;
        match lives.last_mut() {
            Some(open) if open.stop.is_none() && event.is_start() => open.restart(event),
            Some(open) if open.stop.is_none() => {
                (open.until, open.stop) = (ts, Some(event));
            }
            // The instance stopped before this part of the run began, but the normalizer inferred the stop only later. So the
            // part's `already_running` start belongs to the ended life.
            Some(ended)
                if is_only
                    && ended.start.is_none()
                    && event.is_already_running()
                    && ts.saturating_sub(ended.until) < stale_ns =>
            {
                event.set_ts(Milliseconds::from_ns(ended.until));
                ended.start = Some(event);
            }
            _ => lives.push(Life::from_event(event)),
        }
    }
    if let Some(last) = lives.last_mut() {
        last.extend_to(folder.last_seen);
    }
    lives
}

/// Unites lives that overlap, and lives between which less than the stale time passed.
fn united(mut lives: Vec<Life<'_>>, stale_ns: i64) -> Vec<Life<'_>> {
    lives.sort_by_key(|life| (life.from, life.is_already_running()));
    let mut united: Vec<Life<'_>> = Vec::new();
    for life in lives {
        match united.last_mut() {
            Some(last)
                if life.from.saturating_sub(last.until) < stale_ns
                    || life.is_already_running() && last.stop.is_none() =>
            {
                last.unite(life);
            }
            _ => united.push(life),
        }
    }
    united
}

/// Appends a life's events to the events of the previous life, which ended at `last_until`.
fn put<'l>(life: Life<'l>, last_until: i64, kept: &mut Vec<Event<'l>>) {
    let Some(mut start) = life.start else {
        let Some(stop) = life.stop else { return };
        match kept.last_mut() {
            Some(last) if !last.is_start() => {
                if has_priority(&stop, last) {
                    *last = stop;
                }
            }
            _ => kept.push(stop),
        }
        return;
    };
    // A part of a run may begin after the instance's last row, but before the normalizer infers the stop. The inferred stop has
    // the time of the last telemetry, so the part's `already_running` start is later than the stop. The start gets the stop's
    // time.
    if let Some(stop) = life.stop.as_ref().filter(|stop| stop.row.ts < start.row.ts) {
        start.set_ts(stop.row.ts);
    }
    // The previous life has no stop, so it gets one at the end of its last row.
    if let Some(open) = kept.last().filter(|last| last.is_start()) {
        let ts = Milliseconds::from_ns(last_until.max(open.ts()));
        let stop = Event::from_row(PlacementEvent {
            image: None,
            cpu_limit: None,
            mem_limit_mb: None,
            ..inferred_event(&open.row, ts, PlacementKind::Stop)
        });
        kept.push(stop);
    }
    kept.push(start);
    kept.extend(life.stop);
}

impl<'l> Life<'l> {
    fn from_event(event: Event<'l>) -> Self {
        let ts = event.ts();
        let is_seen = !event.is_already_running();
        let (start, stop) = if event.is_start() {
            (Some(event), None)
        } else {
            (None, Some(event))
        };
        Self {
            start,
            from: ts,
            until: ts,
            stop,
            is_seen,
        }
    }

    fn is_already_running(&self) -> bool {
        self.start.as_ref().is_some_and(Event::is_already_running)
    }

    /// Replaces the start if `event` has priority over it.
    fn offer_start(&mut self, event: Event<'l>) {
        if self
            .start
            .as_ref()
            .is_none_or(|start| has_priority(&event, start))
        {
            self.start = Some(event);
        }
    }

    /// Adds another start of the same life in the same folder.
    fn restart(&mut self, event: Event<'l>) {
        self.offer_start(event);
        if let Some(start) = &self.start {
            self.is_seen |= !start.is_already_running();
            self.from = start.ts();
            self.until = self.until.max(self.from);
        }
    }

    /// Extends the life to the end of the folder's last row. Removes an inferred stop that is earlier than this, because it was
    /// wrong.
    fn extend_to(&mut self, last_seen: Option<i64>) {
        let Some(seen) = last_seen else { return };
        match &self.stop {
            None => {
                if !self.is_seen {
                    (self.from, self.until) = (self.from.min(seen), seen);
                }
                self.is_seen = true;
                self.until = self.until.max(seen);
            }
            Some(stop) if stop.row.inferred && seen > self.until => {
                (self.until, self.stop) = (seen, None);
            }
            Some(_) => {}
        }
    }

    /// Unites this interval with another one of the same life. Keeps the start that has priority, and the later end. If both end
    /// at the same time, keeps the stop that has priority; any stop has priority over none.
    fn unite(&mut self, other: Self) {
        if let Some(event) = other.start {
            self.offer_start(event);
        }
        if !other.is_seen && other.stop.is_none() || other.until < self.until {
            return;
        }
        let is_later = other.until > self.until;
        self.until = other.until;
        self.is_seen |= other.is_seen;
        match (&self.stop, other.stop) {
            (Some(this), Some(stop)) if is_later || has_priority(&stop, this) => self.stop = Some(stop),
            (None, Some(stop)) => self.stop = Some(stop),
            (_, None) if is_later => self.stop = None,
            _ => {}
        }
    }
}

fn order<'e>(event: &'e Event<'_>) -> (i64, bool, &'e [u8]) {
    (event.ts(), !event.is_start(), &event.line)
}

/// Whether `this` start or stop is kept instead of the `other` one. `already_running` starts come last. Otherwise, a reported
/// event has priority over an inferred one. Among equals, the earlier start and the later stop have priority.
fn has_priority(this: &Event<'_>, other: &Event<'_>) -> bool {
    let start = |event: &Event<'_>| (event.is_already_running(), event.row.inferred, event.row.ts);
    let stop = |event: &Event<'_>| (event.row.inferred, Reverse(event.row.ts));
    if this.is_start() {
        (start(this), &this.line) < (start(other), &other.line)
    } else {
        (stop(this), &this.line) < (stop(other), &other.line)
    }
}

#[cfg(test)]
mod tests;
