//! [`Samples`]: converts the tables of nodes, instances and rates to points of metrics. A node's CPU share becomes `cpu_util`
//! only in 2021. The shares of 2022 are normalised by their minimum and maximum, which are unknown.

use cctf_proto::keys::NODE_ID;

use super::rows::{MS, origin_ns};
use super::{TIME_NS_MAX, Unusable, known};
use crate::decimal::nanoseconds;
use crate::fields::Fields;
use crate::hash::hash64;
use crate::rates::{RATES, Rate};
use crate::tables::{Kind, Table, Year};
use crate::wire::{Batch, Point};

/// CPU share of a node, which the pipeline writes as `cpu_util`.
const NODE_CPU: &str = "system.cpu.utilization";

/// A share of nodes or instances: the name of its metric, and the name of the metric if the share is normalised.
type Share = (&'static str, &'static str);

const NODE_SHARES: [Share; 2] = [
    (NODE_CPU, "alibaba.node.cpu_utilization.normalized"),
    (
        "alibaba.node.memory_utilization",
        "alibaba.node.memory_utilization.normalized",
    ),
];
const INSTANCE_SHARES: [Share; 2] = [
    ("alibaba.cpu_utilization", "alibaba.cpu_utilization.normalized"),
    (
        "alibaba.memory_utilization",
        "alibaba.memory_utilization.normalized",
    ),
];

/// The names of the metrics in `system_stats.jsonl`.
pub fn metrics() -> impl Iterator<Item = &'static str> {
    let shares = NODE_SHARES.iter().chain(&INSTANCE_SHARES);
    let shares = shares.flat_map(|(name, normalized)| [*name, *normalized]);
    let rates = RATES.iter().flat_map(|rate| [rate.metric, rate.normalized]);
    shares.chain(rates).filter(|name| *name != NODE_CPU)
}

/// Collects points until they are a request.
#[derive(Default)]
pub struct Samples {
    pub batch: Batch,
    /// Buffer for the names of a resource.
    key: Vec<u8>,
}

/// The sender of a row's values.
struct Sender<'f> {
    module: &'f [u8],
    instance: &'f [u8],
    node: &'f [u8],
}

impl Samples {
    /// Takes a row. `wanted` is the year if the user states it; otherwise, the id of the node shows it. Returns the year.
    ///
    /// # Errors
    /// The reason why the row cannot be used.
    pub fn take(&mut self, table: &Table, fields: &Fields, wanted: Option<Year>) -> Result<Year, Unusable> {
        let get = |column| table.get(fields, column);
        let time_ns = nanoseconds(get(0), MS).ok_or("the timestamp is not a number")?;
        if !(0..=TIME_NS_MAX).contains(&time_ns) {
            return Err("the timestamp is negative or exceeds ten years");
        }
        let (sender, year, values_from) = match table.kind {
            Kind::Nodes => (Sender::new(b"", b"", get(1)), year_of(get(1), wanted), 2),
            Kind::Instances => (Sender::new(get(4), get(5), get(1)), year_of(get(1), wanted), 2),
            Kind::Rates => (Sender::new(get(1), get(2), b""), Year::Y2021, 3),
            _ => (Sender::new(get(1), get(2), get(3)), Year::Y2022, 4),
        };
        if sender.node.is_empty() && sender.instance.is_empty() {
            return Err("the row has no id of a node or instance");
        }
        let time_ns = origin_ns(year).saturating_add(time_ns).cast_unsigned();
        let mut writing = Writing {
            resource: self.resource(&sender),
            batch: &mut self.batch,
            is_normalized: year == Year::Y2022,
            time_ns,
            points: 0,
        };
        match table.kind {
            Kind::Nodes => writing.shares(&NODE_SHARES, |index| get(values_from + index)),
            Kind::Instances => writing.shares(&INSTANCE_SHARES, |index| get(values_from + index)),
            Kind::Rates => {
                let name = get(values_from);
                let rate = RATES
                    .iter()
                    .find(|rate| rate.column.as_bytes().eq_ignore_ascii_case(name))
                    .ok_or("the metric is unknown")?;
                writing.rate(rate, get(values_from + 1));
            }
            _ => {
                for (index, rate) in RATES.iter().enumerate() {
                    writing.rate(rate, get(values_from + index));
                }
            }
        }
        match writing.points {
            0 => Err("the row has no value that is a number"),
            _ => Ok(year),
        }
    }

    fn resource(&mut self, sender: &Sender<'_>) -> usize {
        let parts = [sender.module, sender.instance, sender.node];
        self.key.clear();
        for part in parts {
            self.key.extend_from_slice(part);
            self.key.push(0);
        }
        let [module, instance, node] = parts;
        self.batch.resource(hash64(&self.key), || {
            [
                ("service.name", module),
                ("service.instance.id", instance),
                (NODE_ID, node),
            ]
        })
    }
}

impl<'f> Sender<'f> {
    fn new(module: &'f [u8], instance: &'f [u8], node: &'f [u8]) -> Self {
        Self {
            module: known(module),
            instance: known(instance),
            node: known(node),
        }
    }
}

/// The values of a row that is written.
struct Writing<'b> {
    resource: usize,
    batch: &'b mut Batch,
    is_normalized: bool,
    time_ns: u64,
    points: u32,
}

impl Writing<'_> {
    fn shares<'f>(&mut self, shares: &[Share], get: impl Fn(usize) -> &'f [u8]) {
        for (index, (metric, normalized)) in shares.iter().enumerate() {
            let metric = if self.is_normalized { normalized } else { metric };
            self.value(metric, "1", get(index));
        }
    }

    fn rate(&mut self, rate: &Rate, value: &[u8]) {
        let unit = match (rate.column.ends_with("_rt"), self.is_normalized) {
            (true, _) => "ms",
            (false, true) => "1",
            (false, false) => "{call}/s",
        };
        let metric = if self.is_normalized {
            rate.normalized
        } else {
            rate.metric
        };
        self.value(metric, unit, value);
    }

    fn value(&mut self, metric: &str, unit: &str, text: &[u8]) {
        let value = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        let Some(value) = value.filter(|value: &f64| value.is_finite()) else {
            return;
        };
        self.points += 1;
        let point = Point {
            metric,
            unit,
            value,
            time_ns: self.time_ns,
        };
        self.batch.push_point(self.resource, &point);
    }
}

/// The year of a table of nodes or instances. Only the data set of 2021 has hashes as ids of nodes, so every other id counts as
/// one of 2022.
fn year_of(node: &[u8], wanted: Option<Year>) -> Year {
    wanted.unwrap_or(match node.len() == 64 && node.iter().all(u8::is_ascii_hexdigit) {
        true => Year::Y2021,
        false => Year::Y2022,
    })
}
