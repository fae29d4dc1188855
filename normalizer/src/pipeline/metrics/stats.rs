//! Writes rows of system_stats.jsonl: the points of the metrics that are kept.

use cctf_proto::cctf::{File, JsonObject, Milliseconds, SystemStat, bounded};
use cctf_proto::otlp::metrics::Metric;

use super::points::{Point, attributes_json};
use crate::pipeline::output::Output;
use crate::pipeline::shared::Shared;
use crate::pipeline::shared::source::Source;

/// A value to be written.
pub struct Stat<'a> {
    metric: &'a str,
    unit: Option<&'a str>,
    value: f64,
    /// Nanoseconds since the Unix epoch.
    time: u64,
    attributes: Option<String>,
}

impl<'a> Stat<'a> {
    /// A point of a metric that is kept.
    pub fn from_point(metric: &Metric<'a>, point: &Point<'_>) -> Self {
        Self {
            metric: metric.name,
            unit: Some(metric.unit),
            value: point.value,
            time: point.time,
            attributes: attributes_json(point.attributes),
        }
    }

    /// The number of active requests of an instance: the sum over the points of one collection.
    pub fn in_flight(round: &[Point<'_>]) -> Self {
        Self {
            metric: "in_flight",
            unit: None,
            value: round.iter().map(|point| point.value).sum(),
            time: round.iter().map(|point| point.time).max().unwrap_or(0),
            attributes: None,
        }
    }

    pub fn value(&self) -> f64 {
        self.value
    }

    /// Writes the row to the runs that were open at its time.
    pub fn write(self, source: &Source, shared: &mut Shared, output: &mut Output) {
        if !self.value.is_finite() {
            return shared.totals.reject("not_finite", 1);
        }
        let identity = &source.identity;
        let row = SystemStat {
            ts_ms: Milliseconds::from_ns(self.time as i64),
            node_id: identity.node.as_str().into(),
            stage: identity.stage(),
            metric: self.metric.into(),
            value: self.value,
            instance_id: identity.is_service.then(|| identity.instance_id.as_str().into()),
            module_id: identity.is_service.then(|| identity.module_id.as_str().into()),
            unit: self
                .unit
                .filter(|unit| !unit.is_empty())
                .map(|unit| bounded(unit).into()),
            attributes: self.attributes.map(|json| JsonObject(json.into())),
        };
        for run in shared.runs_at(self.time, output) {
            let of = &mut shared.runs[run];
            of.nodes.extend(source.node);
            if let Some(instance) = source.instance {
                let module = shared.sources.instance(instance).module;
                of.modules.entry(module).or_default().instances.insert(instance);
            }
            shared
                .runs
                .write_row(run, File::SystemStats, &row, self.time, output);
        }
    }
}
