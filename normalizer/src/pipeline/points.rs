//! Metric points: each taken once and in the order of their times, then shared out to host metrics, system stats and inventories.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use cctf_proto::cctf::{ATTRIBUTES_BYTES_MAX, File, JsonObject, Milliseconds, SystemStat, bounded};
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::admission::{is_run_id_ok, reject_point};
use cctf_proto::otlp::common::{AnyValue, Attributes};
use cctf_proto::otlp::metrics::{
    DataPoints, Metric, MetricData, MetricsRequest, NumberDataPoint, Temporality,
};

use super::Pipeline;
use super::output::Output;
use super::runs::{Phase, write_row};
use super::series::{Order, rounds};
use super::sources::Source;
use crate::mapping::{MetricRole, role_of_metric};

/// A point of a sum or gauge, with what its series is known by.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    /// Its value.
    pub value: f64,
    /// Its time, nanoseconds since the Unix epoch.
    pub time: u64,
    /// Begin of the sum, nanoseconds since the Unix epoch; zero if not told.
    pub start: u64,
    /// Fingerprint of resource, metric and attributes.
    pub series: u64,
    /// Its attributes.
    pub attributes: Attributes<'a>,
    /// Whether the value is the change since the point before.
    pub is_delta: bool,
}

/// Points for the samples of a node, with their roles.
type Sampled<'a> = Vec<(MetricRole, Point<'a>)>;

/// Series that are remembered; past it all are forgotten, and each begins anew with its next point.
const SERIES_MAX: usize = 262_144;

impl Pipeline {
    /// Takes a request's metrics.
    pub(super) fn take_metrics(&mut self, message: &[u8], output: &mut Output) -> Result<(), WireError> {
        for resource_metrics in MetricsRequest::new(message).resource_metrics() {
            let resource_metrics = resource_metrics?;
            let source = self.sources.of(&resource_metrics.resource)?;
            let run_id_ok = is_run_id_ok(&resource_metrics.resource.attributes());
            let mut sampled = Vec::new();
            for scope_metrics in resource_metrics.scope_metrics() {
                for metric in scope_metrics?.metrics() {
                    self.take_metric(&metric?, &source, run_id_ok, &mut sampled, output)?;
                }
            }
            self.sample_in_order(sampled, &source, output);
        }
        Ok(())
    }

    /// Shares the points of a resource out to samples of its node. All of them are known by then: a collection that has a later point
    /// of a series in the open sample begins the next one with all its points, those of new series included.
    fn sample_in_order(&mut self, mut points: Sampled<'_>, source: &Arc<Source>, output: &mut Output) {
        points.sort_by_key(|(_, point)| point.time);
        for round in rounds(&points, |(_, point)| (point.time, point.series)) {
            if round
                .iter()
                .any(|(_, point)| self.is_in_open_sample(source, point.series))
            {
                self.close_sample_of(source, output);
            }
            for (role, point) in round {
                self.sample_host(*role, point, source, output);
            }
        }
    }

    fn take_metric<'a>(
        &mut self,
        metric: &Metric<'a>,
        source: &Arc<Source>,
        run_id_ok: bool,
        sampled: &mut Sampled<'a>,
        output: &mut Output,
    ) -> Result<(), WireError> {
        match metric.data {
            MetricData::Gauge(points) => {
                let points = self.numbers_of(metric.name, points, false, source, run_id_ok)?;
                self.take_numbers(metric, points, source, sampled, output);
                Ok(())
            }
            MetricData::Sum {
                points, temporality, ..
            } => {
                let is_delta = temporality == Temporality::Delta;
                let points = self.numbers_of(metric.name, points, is_delta, source, run_id_ok)?;
                self.take_numbers(metric, points, source, sampled, output);
                Ok(())
            }
            // No file of the contract holds a distribution; they are counted.
            MetricData::Histogram { points, .. } => self.count_points(points.iter()),
            MetricData::ExponentialHistogram { points, .. } => self.count_points(points.iter()),
            MetricData::Summary(points) => self.count_points(points.iter()),
            MetricData::Empty => Ok(()),
        }
    }

    fn count_points<T>(
        &mut self,
        points: impl Iterator<Item = Result<T, WireError>>,
    ) -> Result<(), WireError> {
        for point in points {
            point?;
            self.totals.points += 1;
        }
        Ok(())
    }

    /// The usable points of a metric in the order of their times.
    fn numbers_of<'a>(
        &mut self,
        metric: &str,
        points: DataPoints<'a, NumberDataPoint<'a>>,
        is_delta: bool,
        source: &Source,
        run_id_ok: bool,
    ) -> Result<Vec<Point<'a>>, WireError> {
        const NO_RECORDED_VALUE: u32 = 1;
        self.counted_before = (self.totals.spans, self.totals.points);
        let mut numbers = Vec::new();
        for point in points.iter() {
            let point = point?;
            self.totals.points += 1;
            if let Some(rejection) = reject_point(point.time_unix_nano, run_id_ok) {
                self.totals.reject(rejection.as_str(), 1);
                continue;
            }
            let Some(value) = point.value.filter(|_| point.flags & NO_RECORDED_VALUE == 0) else {
                continue;
            };
            numbers.push(Point {
                value: value.as_f64(),
                time: point.time_unix_nano,
                start: point.start_time_unix_nano,
                series: self.series_of(source, metric, point.attributes()),
                attributes: point.attributes(),
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
        source: &Arc<Source>,
        sampled: &mut Sampled<'a>,
        output: &mut Output,
    ) {
        let role = role_of_metric(metric.name);
        let is_kept = self.settings.kept_metrics.iter().any(|name| name == metric.name);
        let mut in_flight = Vec::new();
        for point in points {
            let order = self.order_of(&point);
            if order == Order::Duplicate {
                self.totals.duplicates += 1;
                self.totals.duplicate_points += 1;
                continue;
            }
            if !point.value.is_finite() {
                self.totals.reject("not_finite", 1);
                continue;
            }
            let is_sampled = role.is_some_and(|role| role != MetricRole::ActiveRequests);
            // A value alone can be a row later. The sample of its time is closed, and counters have gone on.
            if order == Order::TooLate || (order == Order::Late && is_sampled && !is_kept) {
                self.totals.reject("out_of_order", 1);
                continue;
            }
            self.hear(source, point.time, point.time);
            match role {
                Some(MetricRole::ActiveRequests) => in_flight.push(point),
                Some(role) if order == Order::Next && role.is_sampled() => sampled.push((role, point)),
                Some(role) if order == Order::Next => self.sample_host(role, &point, source, output),
                _ => {}
            }
            if is_kept {
                self.write_stat(metric, &point, source, output);
            }
        }
        for round in rounds(&in_flight, |point| (point.time, point.series)) {
            let value = round.iter().map(|point| point.value).sum();
            let time = round.iter().map(|point| point.time).max().unwrap_or(0);
            self.write_stat_row("in_flight", None, value, time, None, source, output);
        }
    }

    fn series_of(&self, source: &Source, metric: &str, attributes: Attributes<'_>) -> u64 {
        let mut hasher = self.series_hasher.build_hasher();
        source.number.hash(&mut hasher);
        metric.hash(&mut hasher);
        // Attribute order is not part of a series' identity.
        let mut of_attributes = 0_u64;
        for attribute in attributes.iter().map_while(Result::ok) {
            let mut one = self.series_hasher.build_hasher();
            attribute.key.hash(&mut one);
            hash_value(attribute.value, &mut one);
            of_attributes = of_attributes.wrapping_add(one.finish());
        }
        of_attributes.hash(&mut hasher);
        hasher.finish()
    }

    fn order_of(&mut self, point: &Point<'_>) -> Order {
        if self.series.len() >= SERIES_MAX && !self.series.contains_key(&point.series) {
            self.series.clear();
        }
        self.series.entry(point.series).or_default().insert(point.time)
    }

    fn write_stat(
        &mut self,
        metric: &Metric<'_>,
        point: &Point<'_>,
        source: &Arc<Source>,
        output: &mut Output,
    ) {
        let attributes = attributes_json(point.attributes);
        self.write_stat_row(
            metric.name,
            Some(metric.unit),
            point.value,
            point.time,
            attributes,
            source,
            output,
        );
    }

    #[allow(clippy::too_many_arguments, reason = "each is a field of the row")]
    fn write_stat_row(
        &mut self,
        metric: &str,
        unit: Option<&str>,
        value: f64,
        time: u64,
        attributes: Option<String>,
        source: &Arc<Source>,
        output: &mut Output,
    ) {
        if !value.is_finite() {
            return self.totals.reject("not_finite", 1);
        }
        let identity = &source.identity;
        let row = SystemStat {
            ts_ms: Milliseconds::from_ns(time as i64),
            node_id: identity.node.as_str().into(),
            stage: identity.stage(),
            metric: metric.into(),
            value,
            instance_id: identity.is_service.then(|| identity.instance_id.as_str().into()),
            module_id: identity.is_service.then(|| identity.module_id.as_str().into()),
            unit: unit
                .filter(|unit| !unit.is_empty())
                .map(|unit| bounded(unit).into()),
            attributes: attributes.map(|json| JsonObject(json.into())),
        };
        for slot in self.runs_at(time, output) {
            let run = self.runs.at(slot);
            run.nodes.extend(source.node);
            if let Some(instance) = source.instance {
                run.modules
                    .entry(self.sources.instance(instance).module)
                    .or_default()
                    .instances
                    .insert(instance);
            }
            write_row(run, output, slot, File::SystemStats, &row, time);
        }
    }

    /// The runs that are open at the time of a sample: what was sampled before a driven run's start or after its told
    /// end is not its. Where there is none, the normalizer's own.
    pub(super) fn runs_at(&mut self, time: u64, output: &mut Output) -> Vec<usize> {
        let live: Vec<usize> = self.runs.live().collect();
        let mut open: Vec<usize> = live
            .into_iter()
            .filter(|&slot| {
                let run = self.runs.at(slot);
                let has_begun = !run.driven || time >= run.started_unix_ns;
                let is_over = run.phase != Phase::Open && run.ended_unix_ns.is_none_or(|end| time > end);
                has_begun && !is_over
            })
            .collect();
        if open.is_empty() {
            let own = self.runs.own_id().to_owned();
            let own = self.open_run(&own, false, time, output);
            let own = own.map_err(|reason| self.totals.reject(reason, 1)).ok();
            open.extend(own.filter(|&slot| self.runs.at(slot).phase == Phase::Open));
        }
        open
    }
}

fn hash_value(value: AnyValue<'_>, hasher: &mut impl Hasher) {
    match value {
        AnyValue::String(text) => text.hash(hasher),
        AnyValue::Bool(truth) => truth.hash(hasher),
        AnyValue::Int(number) => number.hash(hasher),
        AnyValue::Double(number) => number.to_bits().hash(hasher),
        AnyValue::Bytes(bytes) => bytes.hash(hasher),
        // A point's attributes are scalars in every SDK; a nested one counts by its presence.
        AnyValue::Empty | AnyValue::Array(_) | AnyValue::KeyValueList(_) => 0_u8.hash(hasher),
    }
}

/// A point's scalar attributes as a JSON object, keys sorted, as many as a row may hold; `None` if there are none.
fn attributes_json(attributes: Attributes<'_>) -> Option<String> {
    /// Most bytes of a scalar, a key's or value's quotes and what separates them.
    const BESIDES_TEXT: usize = 32;
    /// Most bytes in JSON of one byte of text.
    const ESCAPED: usize = 6;

    let mut object = std::collections::BTreeMap::new();
    let mut bytes = 0;
    for attribute in attributes.iter().map_while(Result::ok) {
        let (key, mut text_bytes) = (bounded(attribute.key), 0);
        let value = match attribute.value {
            AnyValue::String(text) => {
                let text = bounded(text);
                text_bytes = text.len();
                serde_json::Value::from(text)
            }
            AnyValue::Bool(truth) => truth.into(),
            AnyValue::Int(number) => number.into(),
            AnyValue::Double(number) if number.is_finite() => number.into(),
            _ => continue,
        };
        bytes += (key.len() + text_bytes) * ESCAPED + BESIDES_TEXT;
        if bytes > ATTRIBUTES_BYTES_MAX {
            break;
        }
        object.insert(key, value);
    }
    if object.is_empty() {
        None
    } else {
        serde_json::to_string(&object).ok()
    }
}
