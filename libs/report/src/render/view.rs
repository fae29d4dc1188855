//! [`View`]: a run in the form in which the parts of the page need it: its groups in the order of the tables, and the ids of
//! its elements.

use analyze::stats::cells::Key;
use analyze::stats::figures::{Sums, Time};
use analyze::stats::group::{By, Group};
use page::charts::axes::TimeAxis;

use super::names::Names;
use crate::model::RunData;

pub const NS_PER_S: f64 = 1e9;

#[derive(Debug)]
pub struct View<'a> {
    pub run: &'a RunData,
    pub names: &'a Names,
    /// Position of the run in the page.
    number: usize,
    /// Modules, nodes and endpoints. Those with the most response time come first.
    pub modules: Vec<&'a Group>,
    pub nodes: Vec<&'a Group>,
    pub endpoints: Vec<&'a Group>,
    /// Links. The link with the most calls comes first.
    pub links: Vec<&'a Group>,
}

impl<'a> View<'a> {
    pub fn new(run: &'a RunData, names: &'a Names, number: usize) -> Self {
        let by = |by: By| run.stats.groups.iter().filter(move |group| group.by == by);
        let by_time = |grouping: By| {
            let mut groups: Vec<&Group> = by(grouping).collect();
            groups.sort_by_key(|group| std::cmp::Reverse(group.sums.of(Time::Response).sum_ns));
            groups
        };
        Self {
            run,
            names,
            number,
            modules: by_time(By::Module),
            nodes: by_time(By::Node),
            endpoints: by_time(By::Endpoint),
            links: by(By::Link).collect(),
        }
    }

    /// The id of an element, which is unique in the page. It contains the number of the run, except for the first run.
    pub fn id(&self, name: &str) -> String {
        match self.number {
            0 => name.to_owned(),
            number => format!("{name}-{}", number + 1),
        }
    }

    /// A link to an element of this run.
    pub fn link(&self, name: &str) -> String {
        format!("#{}", self.id(name))
    }

    /// Id of the row of a module or an endpoint in its table, for the page's script.
    pub fn row_of(&self, key: &Key) -> Option<String> {
        let is_it = |group: &&Group| group.key == *key;
        let module = self.modules.iter().position(is_it);
        let row = module.map(|row| format!("m{row}"));
        row.or_else(|| self.endpoints.iter().position(is_it).map(endpoint_row))
    }

    /// Sums over all invocations.
    pub fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        self.modules.iter().for_each(|group| sums.merge(&group.sums));
        sums
    }

    /// Length of the timeline, which ends with the run. Rows with a wrong clock do not make it longer.
    pub fn length_ns(&self) -> u64 {
        let timeline = &self.run.timeline;
        let length_ns = timeline.end_ns.abs_diff(timeline.begin_ns);
        length_ns.min(self.run.stats.time_ns)
    }

    pub fn seconds(&self) -> f64 {
        self.run.stats.time_ns as f64 / NS_PER_S
    }

    pub fn axis(&self) -> TimeAxis {
        TimeAxis {
            buckets: self.run.timeline.run.buckets.len(),
            bucket_s: self.bucket_s(),
        }
    }

    pub fn bucket_s(&self) -> f64 {
        self.run.timeline.bucket_ns as f64 / NS_PER_S
    }

    /// Number of seconds of a bucket that are within the run. `None` if they are too few for a rate.
    pub fn covered_s(&self, bucket: usize) -> Option<f64> {
        // With a smaller share of a bucket, a few invocations would look like the highest rate of the run.
        const SHARE_MIN: f64 = 0.5;
        let width = self.bucket_s();
        let covered = (self.length_ns() as f64 / NS_PER_S - bucket as f64 * width).min(width);
        (covered >= width * SHARE_MIN).then_some(covered)
    }

    /// Start of a bucket as text for a table.
    pub fn start_of(&self, bucket: usize) -> String {
        page::number::duration(bucket as f64 * self.run.timeline.bucket_ns as f64)
    }
}

/// Name of a row in the table of endpoints, for the page's script.
pub fn endpoint_row(row: usize) -> String {
    format!("e{row}")
}
