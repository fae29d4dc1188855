//! [`Event`]: a placement event and its line. Also creates the events that a merge infers.

use std::borrow::Cow;

use cctf_proto::cctf::{ALREADY_RUNNING, Milliseconds, PlacementEvent, PlacementKind};

use crate::values::encoded;
use cctf_sort::record::{Record, key_of};
use cctf_sort::sorter::Sorter;

pub struct Event<'l> {
    pub row: PlacementEvent<'l>,
    /// The line as it is written.
    pub line: Cow<'l, [u8]>,
}

impl<'l> Event<'l> {
    /// An event that no folder contains.
    pub fn from_row(row: PlacementEvent<'l>) -> Self {
        let line = Cow::Owned(encoded(&row));
        Self { row, line }
    }

    pub fn is_start(&self) -> bool {
        self.row.event == PlacementKind::Start
    }

    pub fn is_already_running(&self) -> bool {
        is_already_running(&self.row)
    }

    pub fn ts(&self) -> i64 {
        self.row.ts.as_ns()
    }

    pub fn set_ts(&mut self, ts: Milliseconds) {
        self.row.ts = ts;
        self.line = Cow::Owned(encoded(&self.row));
    }
}

pub fn is_already_running(row: &PlacementEvent<'_>) -> bool {
    row.reason.as_deref() == Some(ALREADY_RUNNING)
}

/// An inferred event of the instance that `row` is about.
pub fn inferred_event<'a>(
    row: &PlacementEvent<'a>,
    ts: Milliseconds,
    event: PlacementKind,
) -> PlacementEvent<'a> {
    PlacementEvent {
        ts,
        event,
        inferred: true,
        workers: None,
        queue_limit: None,
        slot_policy: None,
        replicas: None,
        from_node_id: None,
        reason: None,
        ..row.clone()
    }
}

/// Adds a line to those that will be written in order of time.
pub fn push_by_time(by_time: &mut Sorter, ts: Milliseconds, line: &[u8]) -> anyhow::Result<()> {
    by_time.push(&Record {
        key: key_of(ts.as_ns()),
        identity: &[],
        line,
    })
}
