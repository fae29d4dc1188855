//! The stage for metrics. It processes each point once, in the order of its time, for host metrics, system stats and
//! inventories.

mod points;
mod process_cpu;
mod sample;
mod sampler;
mod samplers;
mod series;
mod stats;

use std::collections::HashMap;
use std::sync::Arc;

use cctf_proto::otlp::WireError;
use cctf_proto::otlp::admission::{is_run_id_ok, reject_point};
use cctf_proto::otlp::metrics::{
    DataPoints, Metric, MetricData, NumberDataPoint, ResourceMetrics, Temporality,
};
use serde::{Deserialize, Serialize};

use self::points::{Point, SeriesHasher};
use self::process_cpu::ProcessCpu;
use self::samplers::Samplers;
use self::series::{Order, Recent, rounds};
use self::stats::Stat;
use super::output::Output;
use super::shared::Shared;
use super::shared::facts::Activity;
use super::shared::memory::{COUNTER_BYTES, SERIES_BYTES};
use super::shared::source::Source;
use crate::mapping::{MetricRole, role_of_metric};

/// Maximum number of series that are remembered. Beyond it, all are forgotten, and each starts again with its next point.
const SERIES_MAX: usize = 262_144;

/// The state for turning points into rows and inventories.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Metrics {
    /// Times of each series' latest points.
    series: HashMap<u64, Recent>,
    #[serde(skip)]
    series_hasher: SeriesHasher,
    process_cpu: ProcessCpu,
    samplers: Samplers,
}

/// A resource whose points are being processed.
struct Taking<'a> {
    source: Arc<Source>,
    run_id_ok: bool,
    /// Points for samples of the node, each with its role.
    sampled: Vec<(MetricRole, Point<'a>)>,
    activity: Option<Activity>,
}

impl Metrics {
    /// Size of its tables, bytes.
    pub fn bytes(&self) -> u64 {
        let counters = self.process_cpu.len() + self.samplers.counters();
        self.series.len() as u64 * SERIES_BYTES + counters as u64 * COUNTER_BYTES
    }

    /// Processes the metrics of a resource. Returns the activity of its instance, as far as the metrics were readable.
    pub fn take(
        &mut self,
        metrics: &ResourceMetrics<'_>,
        shared: &mut Shared,
        output: &mut Output,
    ) -> (Option<Activity>, Result<(), WireError>) {
        let source = match shared.sources.source(&metrics.resource) {
            Ok(source) => source,
            Err(error) => return (None, Err(error)),
        };
        let mut taking = Taking {
            source,
            run_id_ok: is_run_id_ok(&metrics.resource.attributes()),
            sampled: Vec::new(),
            activity: None,
        };
        let taken = self.take_scopes(metrics, &mut taking, shared, output);
        if taken.is_ok() {
            self.sample_in_order(&mut taking, shared, output);
        }
        (taking.activity, taken)
    }

    fn take_scopes<'a>(
        &mut self,
        metrics: &ResourceMetrics<'a>,
        taking: &mut Taking<'a>,
        shared: &mut Shared,
        output: &mut Output,
    ) -> Result<(), WireError> {
        for scope_metrics in metrics.scope_metrics() {
            for metric in scope_metrics?.metrics() {
                self.take_metric(&metric?, taking, shared, output)?;
            }
        }
        Ok(())
    }

    /// Adds the points of a resource to samples of its node, after all metrics of the resource have been read. The points are
    /// split into collections ([`rounds`]). If the open sample already contains a series of a collection, all points of the
    /// collection go to the next sample, including points of new series.
    fn sample_in_order(&mut self, taking: &mut Taking<'_>, shared: &mut Shared, output: &mut Output) {
        let source = &taking.source;
        taking.sampled.sort_by_key(|(_, point)| point.time);
        for round in rounds(&taking.sampled, |(_, point)| (point.time, point.series)) {
            if round
                .iter()
                .any(|(_, point)| self.samplers.has_sampled(source, point.series))
            {
                self.samplers.close_sample_of(source, shared, output);
            }
            for (role, point) in round {
                self.sample(*role, point, source, shared, output);
            }
        }
    }

    fn sample(
        &mut self,
        role: MetricRole,
        point: &Point<'_>,
        source: &Arc<Source>,
        shared: &mut Shared,
        output: &mut Output,
    ) {
        if role == MetricRole::ProcessCpuTime {
            self.process_cpu.take(point, source, shared);
        } else {
            self.samplers.take(role, point, source, shared, output);
        }
    }

    fn take_metric<'a>(
        &mut self,
        metric: &Metric<'a>,
        taking: &mut Taking<'a>,
        shared: &mut Shared,
        output: &mut Output,
    ) -> Result<(), WireError> {
        let (points, is_delta) = match metric.data {
            MetricData::Gauge(points) => (points, false),
            MetricData::Sum {
                points, temporality, ..
            } => (points, temporality == Temporality::Delta),
            // No file of CCTF contains distributions, so the points are only counted.
            MetricData::Histogram { points, .. } => return count_points(points.iter(), shared),
            MetricData::ExponentialHistogram { points, .. } => return count_points(points.iter(), shared),
            MetricData::Summary(points) => return count_points(points.iter(), shared),
            MetricData::Empty => return Ok(()),
        };
        let points = self.numbers_of(metric.name, points, is_delta, taking, shared)?;
        self.take_numbers(metric, points, taking, shared, output);
        Ok(())
    }

    /// The usable points of a metric in the order of their times.
    fn numbers_of<'a>(
        &self,
        metric: &str,
        points: DataPoints<'a, NumberDataPoint<'a>>,
        is_delta: bool,
        taking: &Taking<'a>,
        shared: &mut Shared,
    ) -> Result<Vec<Point<'a>>, WireError> {
        const NO_RECORDED_VALUE: u32 = 1;
        shared.begin_item();
        let mut numbers = Vec::new();
        for point in points.iter() {
            let point = point?;
            shared.totals.points += 1;
            if let Some(rejection) = reject_point(point.time_unix_nano, taking.run_id_ok) {
                shared.totals.reject(rejection.as_str(), 1);
                continue;
            }
            let Some(value) = point.value.filter(|_| point.flags & NO_RECORDED_VALUE == 0) else {
                continue;
            };
            let attributes = point.attributes();
            numbers.push(Point {
                value: value.as_f64(),
                time: point.time_unix_nano,
                start: point.start_time_unix_nano,
                series: self.series_hasher.series(&taking.source, metric, attributes),
                attributes,
                is_delta,
            });
        }
        numbers.sort_by_key(|point| point.time);
        Ok(numbers)
    }

    fn take_numbers<'a>(
        &mut self,
        metric: &Metric<'a>,
        points: Vec<Point<'a>>,
        taking: &mut Taking<'a>,
        shared: &mut Shared,
        output: &mut Output,
    ) {
        let role = role_of_metric(metric.name);
        let mut kept = shared.settings.kept_metrics.iter();
        let is_kept = kept.any(|name| name == metric.name);
        let mut in_flight = Vec::new();
        for point in points {
            let order = self.order_of(&point);
            if order == Order::Duplicate {
                shared.totals.duplicates += 1;
                shared.totals.duplicate_points += 1;
                continue;
            }
            if !point.value.is_finite() {
                shared.totals.reject("not_finite", 1);
                continue;
            }
            let is_sampled = role.is_some_and(|role| role != MetricRole::ActiveRequests);
            // A late value can still be a separate row. But the sample of its time is closed, and counters have already
            // advanced.
            if order == Order::TooLate || (order == Order::Late && is_sampled && !is_kept) {
                shared.totals.reject("out_of_order", 1);
                continue;
            }
            let activity = Activity::from_source(&taking.source, point.time, point.time);
            taking.activity = activity.map(|activity| activity.and(taking.activity));
            match role {
                Some(MetricRole::ActiveRequests) => in_flight.push(point),
                Some(role) if order == Order::Next && role.is_sampled() => {
                    taking.sampled.push((role, point));
                }
                Some(role) if order == Order::Next => {
                    self.sample(role, &point, &taking.source, shared, output);
                }
                _ => {}
            }
            if is_kept {
                Stat::from_point(metric, &point).write(&taking.source, shared, output);
            }
        }
        for round in rounds(&in_flight, |point| (point.time, point.series)) {
            let stat = Stat::in_flight(round);
            if let Some(instance) = taking.source.instance {
                let now = shared.clock.now;
                shared.figures.sample_in_flight(instance, stat.value(), now);
            }
            stat.write(&taking.source, shared, output);
        }
    }

    fn order_of(&mut self, point: &Point<'_>) -> Order {
        if self.series.len() >= SERIES_MAX && !self.series.contains_key(&point.series) {
            self.series.clear();
        }
        self.series.entry(point.series).or_default().insert(point.time)
    }

    /// Writes the samples that were opened before `opened_before`.
    pub fn expire_samples(&mut self, opened_before: u64, shared: &mut Shared, output: &mut Output) {
        self.samplers.expire(opened_before, shared, output);
    }
}

fn count_points<T>(
    points: impl Iterator<Item = Result<T, WireError>>,
    shared: &mut Shared,
) -> Result<(), WireError> {
    for point in points {
        point?;
        shared.totals.points += 1;
    }
    Ok(())
}
