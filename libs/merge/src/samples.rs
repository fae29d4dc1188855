//! [`Samples`]: samples of hosts, interfaces and services from all folders. They are sorted, and each point is kept once.

use std::path::Path;

use anyhow::{Context, bail};
use cctf_proto::cctf::{
    Field, File, HostMetric, LinkMetric, Milliseconds, Row, Stage, SystemStat, field_index,
};
use rundir::fields::{Fields, Order, text};

use crate::registry::EntityRegistry;
use cctf_sort::record::{Record, key_of};
use cctf_sort::sorter::Sorter;

/// Fields of a row type, by index.
struct Columns {
    fields: &'static [Field],
    time: usize,
    node: usize,
    stage: usize,
    /// Fields that distinguish points with the same time.
    identity: &'static [usize],
    /// A field that only rows derived from other rows have.
    derived: Option<usize>,
    /// The fields for module and instance.
    instance: Option<(usize, usize)>,
}

const HOST: Columns = Columns {
    fields: HostMetric::FIELDS,
    time: field_index(HostMetric::FIELDS, "ts_ms"),
    node: field_index(HostMetric::FIELDS, "node"),
    stage: field_index(HostMetric::FIELDS, "stage"),
    identity: &[field_index(HostMetric::FIELDS, "node")],
    derived: None,
    instance: None,
};

const LINK: Columns = Columns {
    fields: LinkMetric::FIELDS,
    time: field_index(LinkMetric::FIELDS, "ts_ms"),
    node: field_index(LinkMetric::FIELDS, "node"),
    stage: field_index(LinkMetric::FIELDS, "stage"),
    identity: &[
        field_index(LinkMetric::FIELDS, "link"),
        field_index(LinkMetric::FIELDS, "iface"),
    ],
    derived: Some(field_index(LinkMetric::FIELDS, "calls")),
    instance: None,
};

const STAT: Columns = Columns {
    fields: SystemStat::FIELDS,
    time: field_index(SystemStat::FIELDS, "ts_ms"),
    node: field_index(SystemStat::FIELDS, "node_id"),
    stage: field_index(SystemStat::FIELDS, "stage"),
    identity: &[
        field_index(SystemStat::FIELDS, "node_id"),
        field_index(SystemStat::FIELDS, "metric"),
        field_index(SystemStat::FIELDS, "instance_id"),
        field_index(SystemStat::FIELDS, "module_id"),
        field_index(SystemStat::FIELDS, "attributes"),
    ],
    derived: None,
    instance: Some((
        field_index(SystemStat::FIELDS, "module_id"),
        field_index(SystemStat::FIELDS, "instance_id"),
    )),
};

/// A number above the number of fields in any of these files.
const FIELDS_MAX: usize = 24;

/// The rows of one file.
pub struct Samples {
    columns: &'static Columns,
    sorter: Sorter,
    identity: Vec<u8>,
}

impl Samples {
    /// Creates the rows of `file`: `host_metrics.jsonl`, `link_metrics.jsonl` or `system_stats.jsonl`.
    pub fn new(file: File, folder: &Path, held_bytes: usize) -> Self {
        let columns = match file {
            File::HostMetrics => &HOST,
            File::LinkMetrics => &LINK,
            _ => &STAT,
        };
        Self {
            columns,
            sorter: Sorter::new(folder, held_bytes),
            identity: Vec::new(),
        }
    }

    /// Adds a line. A line that was derived from other rows is left out, because it is recomputed.
    pub fn add(&mut self, line: &[u8], registry: &mut EntityRegistry) -> anyhow::Result<()> {
        let columns = self.columns;
        let mut values: [&[u8]; FIELDS_MAX] = [b"null"; FIELDS_MAX];
        let (mut scan, mut order) = (Fields::new(line)?, Order::new(columns.fields));
        while let Some(field) = scan.next_field()? {
            if let Some(value) = values.get_mut(order.index(field.name)) {
                *value = field.value;
            }
        }
        if columns.derived.is_some_and(|index| values[index] != b"null") {
            return Ok(());
        }
        let time = std::str::from_utf8(values[columns.time])
            .ok()
            .and_then(Milliseconds::parse);
        let time = time.context("field ts_ms is missing or invalid")?;
        let stage = text(values[columns.stage]).and_then(|stage| Stage::parse(&stage));
        let (Some(stage), true) = (stage, values[columns.node] != b"null") else {
            bail!("the node or the stage is missing or invalid");
        };
        let node = registry.node(values[columns.node], stage)?;
        if let Some((module, instance)) = columns.instance
            && values[module] != b"null"
            && values[instance] != b"null"
        {
            registry.instance(values[module], values[instance], None, node, Some(time.as_ns()))?;
        }
        self.identity.clear();
        for &index in columns.identity {
            self.identity.extend_from_slice(values[index]);
            self.identity.push(0);
        }
        self.push(time.as_ns(), line)
    }

    /// Adds a row that was recomputed.
    pub fn add_derived<'a, R: Row<'a>>(&mut self, ns: i64, row: &R) -> anyhow::Result<()> {
        let mut line = Vec::new();
        row.encode(&mut line);
        // The identity of a recomputed row is its whole line, which never equals the identity of a recorded sample.
        self.identity.clear();
        self.identity.extend_from_slice(&line);
        self.push(ns, &line)
    }

    fn push(&mut self, ns: i64, line: &[u8]) -> anyhow::Result<()> {
        self.sorter.push(&Record {
            key: key_of(ns),
            identity: &self.identity,
            line,
        })
    }

    /// Passes the lines to `take` in order of time. If several lines describe the same point, only the first one by its bytes
    /// is passed. Returns the number of duplicates that were left out.
    pub fn drain(mut self, mut take: impl FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<u64> {
        let mut last: Option<(u64, Vec<u8>)> = None;
        let mut duplicates = 0;
        self.sorter.drain(|record| {
            let is_same = |last: &(u64, Vec<u8>)| (last.0, &last.1[..]) == (record.key, record.identity);
            if last.as_ref().is_some_and(is_same) {
                duplicates += 1;
                return Ok(());
            }
            let (key, identity) = last.get_or_insert_with(Default::default);
            *key = record.key;
            identity.clear();
            identity.extend_from_slice(record.identity);
            take(record.line)
        })?;
        Ok(duplicates)
    }
}
