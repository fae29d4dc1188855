//! [`figures`]: the table of all figures. For each figure, it has the code for the value and, next to it, the SQL for the same
//! value. So neither is changed without the other.

use serde::{Serialize, Serializer};

use super::figures::{Bytes, QUANTILES, Time};
use super::group::{By, Group};
use super::load::Load;

/// A figure's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    Unknown,
    /// An exact count.
    Count(u128),
    Number(f64),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Unknown => serializer.serialize_none(),
            Self::Count(count) => serializer.serialize_u128(count),
            Self::Number(number) => serializer.serialize_f64(number),
        }
    }
}

impl From<Option<f64>> for Value {
    fn from(number: Option<f64>) -> Self {
        number.map_or(Self::Unknown, Self::Number)
    }
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count.into())
    }
}

/// The precision with which a figure and its SQL must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Equal.
    Exact,
    /// Equal up to the rounding of doubles.
    Rounded,
    /// Within the sketch's relative error.
    Sketch,
}

/// One figure of a group.
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub meaning: String,
    /// SQL: an aggregate over the invocations of the group.
    pub sql: String,
    pub precision: Precision,
    /// The groupings that have this figure.
    pub on: &'static [By],
    value: Box<dyn Fn(&Group) -> Value + Send + Sync>,
}

impl Figure {
    /// The value; unknown if the grouping does not have the figure.
    pub fn value(&self, group: &Group) -> Value {
        if self.on.contains(&group.by) {
            (self.value)(group)
        } else {
            Value::Unknown
        }
    }
}

const NS_PER_MS: f64 = 1e6;
const ALL: &[By] = &By::ALL;
/// Groupings by the place where invocations run.
const PLACES: &[By] = &[By::Module, By::Endpoint, By::Node];
/// Groupings whose instances sample their number of requests.
const SAMPLED: &[By] = &[By::Module, By::Node];

/// All figures, in the order of the results.
pub fn figures() -> Vec<Figure> {
    let mut figures = load();
    figures.extend(occupancy());
    figures.extend(bytes("bytes_in", "received", |group| &group.sums.bytes_in));
    figures.extend(bytes("bytes_out", "sent", |group| &group.sums.bytes_out));
    for time in Time::ALL {
        figures.extend(times(time));
    }
    figures
}

fn figure(
    (name, unit, meaning): (&str, &'static str, &str),
    sql: impl Into<String>,
    precision: Precision,
    on: &'static [By],
    value: impl Fn(&Group) -> Value + Send + Sync + 'static,
) -> Figure {
    Figure {
        name: name.to_owned(),
        unit,
        meaning: meaning.to_owned(),
        sql: sql.into(),
        precision,
        on,
        value: Box::new(value),
    }
}

/// Figures of arrivals.
fn load() -> Vec<Figure> {
    use Precision::{Exact, Rounded};
    vec![
        figure(("calls", "", "invocations"), "count(*)", Exact, ALL, |group| {
            group.sums.calls.into()
        }),
        figure(
            (
                "errors",
                "",
                "invocations with a status of 500 or more, or with an error_type",
            ),
            "count(*) FILTER (WHERE is_error)",
            Exact,
            ALL,
            |group| group.sums.errors.into(),
        ),
        figure(
            ("error_share", "", "errors, divided by calls"),
            "count(*) FILTER (WHERE is_error) / count(*)",
            Rounded,
            ALL,
            |group| group.sums.error_share().into(),
        ),
        figure(
            ("rate_per_s", "1/s", "arrivals per second"),
            "count(*) / (any_value(time_ns) / 1e9)",
            Rounded,
            ALL,
            |group| group.rate().into(),
        ),
        figure(
            (
                "interarrival_cv",
                "",
                "standard deviation of the gaps between arrivals, divided by their mean",
            ),
            "CASE WHEN count(gap) > 1 AND sum(gap) > 0 THEN stddev_pop(gap) / avg(gap) END",
            Rounded,
            ALL,
            |group| group.load(Load::Variation).into(),
        ),
    ]
}

/// Figures of requests in the system and of slots.
fn occupancy() -> Vec<Figure> {
    use Precision::Rounded;
    vec![
        figure(
            (
                "concurrency",
                "",
                "time average of requests in the system, by Little's law from the rows",
            ),
            "sum(response_ns) / any_value(time_ns)",
            Rounded,
            PLACES,
            |group| group.concurrency().into(),
        ),
        figure(
            (
                "in_flight",
                "",
                "time average of requests in the system, as instances sampled them",
            ),
            "any_value(in_flight)",
            Rounded,
            SAMPLED,
            |group| group.in_flight.into(),
        ),
        figure(
            ("slots", "", "time average of worker slots"),
            "any_value(slot_ns) / any_value(time_ns)",
            Rounded,
            PLACES,
            |group| group.slots().into(),
        ),
        figure(
            ("utilisation", "", "busy time of slots, divided by slots and time"),
            "CASE WHEN any_value(slot_ns) > 0 THEN sum(busy_ns) / any_value(slot_ns) END",
            Rounded,
            PLACES,
            |group| group.utilisation().into(),
        ),
        figure(
            (
                "cpu_share",
                "",
                "cpu_time_ms, divided by service_time_ms, of invocations with both",
            ),
            "sum(cpu_ns) FILTER (WHERE service_ns IS NOT NULL) / nullif(sum(service_ns) FILTER (WHERE cpu_ns IS NOT NULL), 0)",
            Rounded,
            PLACES,
            |group| group.load(Load::CpuShare).into(),
        ),
    ]
}

fn bytes(name: &'static str, way: &str, of: fn(&Group) -> &Bytes) -> [Figure; 3] {
    use Precision::{Exact, Rounded};
    let meaning = |what: &str| format!("{what} of the body {way}");
    [
        figure(
            (
                &format!("{name}_count"),
                "",
                &format!("invocations with known bytes {way}"),
            ),
            format!("count({name})"),
            Exact,
            ALL,
            move |group| of(group).count.into(),
        ),
        figure(
            (&format!("{name}_sum"), "bytes", &meaning("sum")),
            format!("coalesce(sum({name}), 0)"),
            Exact,
            ALL,
            move |group| Value::Count(of(group).sum),
        ),
        figure(
            (&format!("{name}_mean"), "bytes", &meaning("mean")),
            format!("sum({name}) / count({name})"),
            Rounded,
            ALL,
            move |group| of(group).mean().into(),
        ),
    ]
}

/// Figures of one time.
fn times(time: Time) -> Vec<Figure> {
    use Precision::{Exact, Rounded, Sketch};
    let name = time.name();
    let field = time.field();
    let on = if time == Time::Network { ALL } else { PLACES };
    let of = move |part: &str| format!("{name}_{part}");
    let mut figures = vec![
        figure(
            (&of("count"), "", &format!("invocations with a known {field}")),
            format!("count({name}_ns)"),
            Exact,
            on,
            move |group| group.sums.of(time).count().into(),
        ),
        figure(
            (&of("sum_ns"), "ns", &format!("sum of {field}")),
            format!("coalesce(sum({name}_ns), 0)"),
            Exact,
            on,
            move |group| Value::Count(group.sums.of(time).sum_ns),
        ),
        figure(
            (&of("zeros"), "", &format!("invocations whose {field} is zero")),
            format!("count(*) FILTER (WHERE {name}_ns = 0)"),
            Exact,
            on,
            move |group| group.sums.of(time).sketch.zeros().into(),
        ),
        figure(
            (&of("mean_ms"), "ms", &format!("mean of {field}")),
            format!("sum({name}_ns) / count({name}_ns) / 1e6"),
            Rounded,
            on,
            move |group| group.sums.of(time).mean_ns().map(|ns| ns / NS_PER_MS).into(),
        ),
    ];
    figures.extend(QUANTILES.iter().enumerate().map(|(index, (quantile, fraction))| {
        figure(
            (
                &of(&format!("{quantile}_ms")),
                "ms",
                &format!("{fraction} quantile of {field}"),
            ),
            format!("quantile_disc({name}_ns, {fraction}) / 1e6"),
            Sketch,
            on,
            move |group| {
                let quantile = group.sums.of(time).quantile_ns(index);
                quantile.map(|ns| ns / NS_PER_MS).into()
            },
        )
    }));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_figures_and_keys_are_distinct() {
        let mut names: Vec<String> = figures().into_iter().map(|figure| figure.name).collect();
        names.extend(
            [
                "app_id",
                "module_id",
                "method",
                "route",
                "from_node",
                "node",
                "by",
            ]
            .map(String::from),
        );
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_count_is_written_with_every_digit() {
        let values = [
            Value::Count(u128::from(u64::MAX) * 10),
            Value::Number(0.5),
            Value::Unknown,
        ];
        let text = serde_json::to_string(&values).unwrap();
        assert_eq!(text, "[184467440737095516150,0.5,null]");
    }
}
