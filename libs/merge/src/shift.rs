//! [`Shift`]: subtracts each node's clock offset from the timestamps of a file's lines.

use std::collections::BTreeMap;

use anyhow::Context;
use cctf_proto::cctf::{
    Call, Field, File, HostMetric, Invocation, LinkMetric, Milliseconds, PlacementEvent, Row, SystemStat,
    Value, field_index,
};
use rundir::fields::{Fields, Order, text};

use crate::model::Offset;

/// Fields of a row type, by index.
struct Columns {
    fields: &'static [Field],
    node: usize,
    /// The timestamps of the row's node.
    timestamps: &'static [usize],
}

static INVOCATION: Columns = Columns {
    fields: Invocation::FIELDS,
    node: field_index(Invocation::FIELDS, "node"),
    timestamps: &[
        field_index(Invocation::FIELDS, "ts_enqueue"),
        field_index(Invocation::FIELDS, "ts_start"),
        field_index(Invocation::FIELDS, "ts_end"),
    ],
};

static CALL: Columns = Columns {
    fields: Call::FIELDS,
    node: field_index(Call::FIELDS, "node"),
    timestamps: &[
        field_index(Call::FIELDS, "ts_start"),
        field_index(Call::FIELDS, "ts_end"),
    ],
};

static PLACEMENT_EVENT: Columns = Columns {
    fields: PlacementEvent::FIELDS,
    node: field_index(PlacementEvent::FIELDS, "node_id"),
    timestamps: &[field_index(PlacementEvent::FIELDS, "ts")],
};

static HOST_METRIC: Columns = Columns {
    fields: HostMetric::FIELDS,
    node: field_index(HostMetric::FIELDS, "node"),
    timestamps: &[field_index(HostMetric::FIELDS, "ts_ms")],
};

static LINK_METRIC: Columns = Columns {
    fields: LinkMetric::FIELDS,
    node: field_index(LinkMetric::FIELDS, "node"),
    timestamps: &[field_index(LinkMetric::FIELDS, "ts_ms")],
};

static SYSTEM_STAT: Columns = Columns {
    fields: SystemStat::FIELDS,
    node: field_index(SystemStat::FIELDS, "node_id"),
    timestamps: &[field_index(SystemStat::FIELDS, "ts_ms")],
};

pub struct Shift<'c> {
    clocks: &'c BTreeMap<String, Offset>,
    columns: &'static Columns,
    line: Vec<u8>,
}

impl<'c> Shift<'c> {
    /// Creates a shift for the lines of `file`, which must be a file of lines.
    pub fn new(file: File, clocks: &'c BTreeMap<String, Offset>) -> Self {
        let columns = match file {
            File::Invocations => &INVOCATION,
            File::Calls => &CALL,
            File::PlacementEvents => &PLACEMENT_EVENT,
            File::HostMetrics => &HOST_METRIC,
            File::LinkMetrics => &LINK_METRIC,
            _ => &SYSTEM_STAT,
        };
        Self {
            clocks,
            columns,
            line: Vec::new(),
        }
    }

    /// The line with its timestamps converted to the reference clock.
    pub fn line<'l>(&'l mut self, line: &'l [u8]) -> anyhow::Result<&'l [u8]> {
        let node = node_of(line, self.columns)?;
        let offset = node.and_then(|node| self.clocks.get(&node));
        let offset = offset.map_or(0, |offset| offset.ns);
        if offset == 0 {
            return Ok(line);
        }
        self.line.clear();
        let (mut scan, mut order) = (Fields::new(line)?, Order::new(self.columns.fields));
        let mut copied = 0;
        while let Some(field) = scan.next_field()? {
            if self.columns.timestamps.contains(&order.index(field.name)) {
                let recorded = std::str::from_utf8(field.value)
                    .ok()
                    .and_then(Milliseconds::parse);
                let recorded = recorded.context("invalid timestamp: it is not a decimal number")?;
                self.line
                    .extend_from_slice(&line[copied..field.end - field.value.len()]);
                Milliseconds::from_ns(recorded.as_ns().saturating_sub(offset)).encode(&mut self.line);
                copied = field.end;
            }
        }
        self.line.extend_from_slice(&line[copied..]);
        Ok(&self.line)
    }
}

fn node_of(line: &[u8], columns: &Columns) -> anyhow::Result<Option<String>> {
    let (mut scan, mut order) = (Fields::new(line)?, Order::new(columns.fields));
    while let Some(field) = scan.next_field()? {
        if order.index(field.name) == columns.node {
            return Ok(text(field.value).map(std::borrow::Cow::into_owned));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_of_a_fast_clock_are_set_back_and_durations_stay() {
        let clocks = BTreeMap::from([(
            "n".to_owned(),
            Offset {
                ns: 3_000_000_001,
                error_ns: 5,
            },
        )]);
        let mut shift = Shift::new(File::Calls, &clocks);
        let line = br#"{"node":"n","ts_start":5000.000002,"ts_end":6000.000000,"net_ms":1.000000}"#;
        assert_eq!(
            String::from_utf8_lossy(shift.line(line).unwrap()),
            r#"{"node":"n","ts_start":2000.000001,"ts_end":2999.999999,"net_ms":1.000000}"#
        );
        let other = br#"{"node":"m","ts_start":5000.000002}"#;
        assert_eq!(shift.line(other).unwrap(), other);
    }
}
