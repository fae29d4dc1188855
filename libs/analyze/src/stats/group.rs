//! [`Group`]: the figures of one module, endpoint, node or link; [`By`]: the groupings.

use std::cmp::Reverse;

use crate::intervals::{Interval, NoInterval, RunLength};

use super::arrivals::Gaps;
use super::cells::{Cells, ENDPOINT, Key, MODULE, NODE};
use super::figures::{Sums, Time, per_second};
use super::links::Link;
use super::load::{Load, LoadBuckets, LoadIntervals, Source};
use super::samples::InFlight;
use super::series::{Intervals, Series, TimeIntervals, of_network};
use super::slots::Slots;
use super::stations::Stations;
use super::window::Bounds;

/// A grouping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    Module,
    Endpoint,
    Node,
    Link,
}

impl By {
    pub const ALL: [Self; 4] = [Self::Module, Self::Endpoint, Self::Node, Self::Link];

    pub fn name(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Endpoint => "endpoint",
            Self::Node => "node",
            Self::Link => "link",
        }
    }

    /// Index of the grouping in the groups of a cell. `None` for links, because a link belongs to two nodes.
    pub fn grouping(self) -> Option<usize> {
        match self {
            Self::Module => Some(MODULE),
            Self::Endpoint => Some(ENDPOINT),
            Self::Node => Some(NODE),
            Self::Link => None,
        }
    }

    /// Names of the texts that identify a group, as in the SQL.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Module => &["app_id", "module_id"],
            Self::Endpoint => &["app_id", "module_id", "method", "route"],
            Self::Node => &["node"],
            Self::Link => &["from_node", "node"],
        }
    }
}

impl Key {
    /// A text of the key, by its name in [`By::keys`].
    pub fn text(&self, name: &str) -> Option<&str> {
        let text = match name {
            "app_id" => &self.app_id,
            "module_id" => &self.module_id,
            "method" => &self.method,
            "route" => &self.route,
            "from_node" => &self.from_node,
            _ => &self.node,
        };
        text.as_deref()
    }
}

/// The sums of a group, and the other values from which its figures are computed.
#[derive(Debug, Clone)]
pub struct Group {
    pub by: By,
    pub key: Key,
    pub sums: Sums,
    pub gaps: Gaps,
    /// Length of the period that the figures describe, nanoseconds.
    pub time_ns: u64,
    /// Total busy time of slots, nanoseconds.
    pub busy_ns: u128,
    /// Total lifetime of slots, nanoseconds.
    pub slot_ns: Option<u128>,
    /// Time average of the number of requests in the system, from samples.
    pub in_flight: Option<f64>,
    /// Intervals of times. `None` beyond the maximum number of groups with intervals.
    pub intervals: Option<Box<Intervals>>,
    /// Intervals of the other figures; `None` as above.
    pub load_intervals: Option<Box<LoadIntervals>>,
}

impl Group {
    /// Arrivals per second.
    pub fn rate(&self) -> Option<f64> {
        per_second(self.sums.calls, self.time_ns)
    }

    /// Time average of the number of requests in the system, computed by Little's law.
    pub fn concurrency(&self) -> Option<f64> {
        let response = self.sums.of(Time::Response);
        let is_known = response.count() > 0 && self.time_ns > 0;
        is_known.then(|| response.sum_ns as f64 / self.time_ns as f64)
    }

    /// Time average of the number of slots.
    pub fn slots(&self) -> Option<f64> {
        let slot_ns = self.slot_ns.filter(|_| self.time_ns > 0)?;
        Some(slot_ns as f64 / self.time_ns as f64)
    }

    /// Busy time of slots divided by their lifetime.
    pub fn utilisation(&self) -> Option<f64> {
        utilisation(self.busy_ns, self.slot_ns?)
    }

    pub fn load(&self, load: Load) -> Option<f64> {
        match load {
            Load::Rate => self.rate(),
            Load::Variation => self.gaps.cv(),
            Load::ErrorShare => self.sums.error_share(),
            Load::Concurrency => self.concurrency(),
            Load::Utilisation => self.utilisation(),
            Load::CpuShare => self.sums.cpu_of_service.share(),
            Load::BytesIn => self.sums.bytes_in.mean(),
            Load::BytesOut => self.sums.bytes_out.mean(),
        }
    }

    /// The interval of a figure. `None` if the figure is unknown, or the group is beyond the maximum.
    pub fn load_interval(&self, load: Load) -> Option<&Result<Interval, NoInterval>> {
        self.load_intervals.as_ref()?[load as usize].as_ref()
    }

    /// The intervals of a time; `None` for a group beyond the maximum.
    pub fn time_intervals(&self, time: Time) -> Option<&TimeIntervals> {
        Some(&self.intervals.as_ref()?[time as usize])
    }
}

/// Busy time of slots divided by their lifetime; `None` without slots.
pub fn utilisation(busy_ns: u128, slot_ns: u128) -> Option<f64> {
    (slot_ns > 0).then(|| busy_ns as f64 / slot_ns as f64)
}

/// The data from which the figures of groups are computed.
pub struct Sources<'s> {
    pub cells: &'s Cells,
    /// By grouping and group.
    pub gaps: &'s [Vec<Gaps>],
    pub slots: Option<&'s Slots>,
    pub in_flight: &'s InFlight,
    pub series: &'s Series,
    pub stations: &'s Stations,
    pub bounds: Bounds,
    /// The origin of the sums in time intervals.
    pub origin: i64,
    pub time_ns: u64,
}

impl Sources<'_> {
    /// The groups of a grouping other than links, sorted by descending number of invocations.
    pub fn groups(&self, by: By) -> Vec<Group> {
        let Some(grouping) = by.grouping() else {
            return Vec::new();
        };
        let keys = self.cells.keys(grouping);
        let empty = |(number, key): (usize, &Key)| {
            let gaps = self.gaps.get(grouping).and_then(|gaps| gaps.get(number));
            self.group(by, key.clone(), gaps.cloned().unwrap_or_default())
        };
        let mut groups: Vec<Group> = keys.iter().enumerate().map(empty).collect();
        let modules = self.cells.keys(MODULE);
        let mut cells_of = vec![Vec::new(); groups.len()];
        for (sums, numbers) in self.cells.iter() {
            let group = &mut groups[numbers[grouping] as usize];
            group.sums.merge(sums);
            let module = &modules[numbers[MODULE] as usize];
            let is_released = self.slots.is_some_and(|slots| slots.is_released(module));
            let free = if is_released { sums.waits_ns } else { 0 };
            group.busy_ns += sums.of(Time::Service).sum_ns.saturating_sub(free);
            cells_of[numbers[grouping] as usize].push(numbers);
        }
        for (number, group) in groups.iter_mut().enumerate() {
            let length = self.stations.shortest(cells_of[number].iter().copied());
            group.intervals = self.series.intervals(grouping, number, length);
            let buckets = self.series.load(grouping, number);
            group.load_intervals = buckets.map(|buckets| self.load_intervals(group, buckets, length));
        }
        sort(&mut groups);
        groups
    }

    pub fn links(&self, links: Vec<Link>) -> Vec<Group> {
        let mut groups: Vec<Group> = links
            .into_iter()
            .map(|link| {
                let mut group = self.group(By::Link, link.key, link.gaps);
                group.sums = link.sums;
                if let Some(series) = &link.series {
                    group.intervals = Some(of_network(&series.network));
                    let load = self.load_intervals(&group, &series.load, RunLength::Unknown);
                    group.load_intervals = Some(load);
                }
                group
            })
            .collect();
        sort(&mut groups);
        groups
    }

    /// Total lifetime of slots of a group within a period.
    fn slot_ns(&self, by: By, key: &Key, bounds: Bounds) -> Option<u128> {
        let slots = self.slots.filter(|_| !key.is_other || by == By::Endpoint)?;
        match by {
            By::Module | By::Endpoint => slots.of_module(key, bounds),
            By::Node => slots.of_node(key, bounds),
            By::Link => None,
        }
    }

    fn load_intervals(&self, group: &Group, buckets: &LoadBuckets, length: RunLength) -> Box<LoadIntervals> {
        let source = Source {
            sums: &group.sums,
            gaps: &group.gaps,
            buckets,
            bounds: self.bounds,
            origin: self.origin,
            length,
            busy_ns: group.busy_ns,
            slots: &|bounds| self.slot_ns(group.by, &group.key, bounds),
        };
        Box::new(source.intervals())
    }

    fn group(&self, by: By, key: Key, gaps: Gaps) -> Group {
        let module = key.module_id.as_deref().unwrap_or_default();
        let node = key.node.as_deref().unwrap_or_default();
        Group {
            by,
            sums: Sums::default(),
            gaps,
            time_ns: self.time_ns,
            busy_ns: 0,
            slot_ns: self.slot_ns(by, &key, self.bounds),
            in_flight: match by {
                By::Module => self.in_flight.of_module(module, self.time_ns),
                By::Node => self.in_flight.of_node(node, self.time_ns),
                By::Endpoint | By::Link => None,
            },
            intervals: None,
            load_intervals: None,
            key,
        }
    }
}

/// Sorts groups by descending number of calls. The sort is stable, so groups with equal numbers stay in the order of their
/// first rows. A run with other names has the same order.
fn sort(groups: &mut [Group]) {
    groups.sort_by_key(|group| (group.key.is_other, Reverse(group.sums.calls)));
}
