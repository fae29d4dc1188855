//! Writes counters: CPU usage of nodes, and requests in flight and queue lengths of instances.

use cctf_proto::cctf::{self, File};
use cctf_proto::keys::METRIC_QUEUE_LENGTH;
use foldhash::HashMap;
use rundir::Lines;

use super::chosen::Chosen;
use super::packets::Packets;
use super::tracks::Tracks;
use crate::source::Source;

/// Maximum number of counter tracks.
const COUNTERS_MAX: usize = 16_384;
/// Metric of requests in flight.
const IN_FLIGHT: &str = "in_flight";

/// Result of writing the samples.
#[derive(Debug, Default)]
pub struct Samples {
    pub left_out: u64,
}

/// The quantity that a counter shows, of a node or of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counter {
    Cpu(String),
    InFlight(u32),
    Queue(u32),
}

struct Writing<'w, 's> {
    tracks: &'w mut Tracks<'s>,
    packets: &'w mut Packets,
    counters: HashMap<Counter, u64>,
    samples: Samples,
}

/// Writes the samples of the run. If the user selected a part of the run, only those between the first arrival and the last end.
pub fn write(
    source: &Source<'_>,
    chosen: &Chosen,
    packets: &mut Packets,
    tracks: &mut Tracks<'_>,
) -> anyhow::Result<Samples> {
    let mut writing = Writing {
        tracks,
        packets,
        counters: HashMap::default(),
        samples: Samples::default(),
    };
    let is_chosen = |at_ns: i64| !source.is_part() || (chosen.first_ns..=chosen.last_ns).contains(&at_ns);
    each_line(source, File::HostMetrics, &mut writing, &mut |line, writing| {
        let Ok(row) = serde_json::from_slice::<cctf::HostMetric<'_>>(line) else {
            return Ok(false);
        };
        let at_ns = row.ts_ms.as_ns();
        if let Some(value) = row.cpu_util.filter(|_| is_chosen(at_ns)) {
            writing.sample(&Counter::Cpu(row.node.to_string()), at_ns, value)?;
        }
        Ok(true)
    })?;
    let names = &source.plan.recorded.names;
    each_line(source, File::SystemStats, &mut writing, &mut |line, writing| {
        let Ok(row) = serde_json::from_slice::<cctf::SystemStat<'_>>(line) else {
            return Ok(false);
        };
        let at_ns = row.ts_ms.as_ns();
        let counter: fn(u32) -> Counter = match &*row.metric {
            IN_FLIGHT => Counter::InFlight,
            METRIC_QUEUE_LENGTH => Counter::Queue,
            _ => return Ok(true),
        };
        let module = row
            .module_id
            .as_deref()
            .and_then(|module| names.find_module(module));
        let instance = module.zip(row.instance_id.as_deref());
        let instance = instance.and_then(|(module, id)| names.find_instance(module, id));
        match instance {
            Some(instance) if is_chosen(at_ns) => writing.sample(&counter(instance), at_ns, row.value)?,
            Some(_) => {}
            None => writing.samples.left_out += 1,
        }
        Ok(true)
    })?;
    Ok(writing.samples)
}

impl Writing<'_, '_> {
    fn sample(&mut self, counter: &Counter, at_ns: i64, value: f64) -> anyhow::Result<()> {
        let track = match self.counters.get(counter) {
            Some(&track) => track,
            None if self.counters.len() >= COUNTERS_MAX => {
                self.samples.left_out += 1;
                return Ok(());
            }
            None => self.declare(counter)?,
        };
        self.packets.value(track, at_ns, value)
    }

    fn declare(&mut self, counter: &Counter) -> anyhow::Result<u64> {
        let (packets, tracks) = (&mut *self.packets, &mut *self.tracks);
        let (parent, name, unit) = match counter {
            Counter::Cpu(node) => (tracks.node(packets, node)?, "cpu", Some("%")),
            Counter::InFlight(instance) => {
                (tracks.instance(packets, *instance)?, IN_FLIGHT, Some("requests"))
            }
            Counter::Queue(instance) => (
                tracks.instance(packets, *instance)?,
                "queue_length",
                Some("requests"),
            ),
        };
        let track = packets.counter_track(parent, name.to_owned(), unit)?;
        self.counters.insert(counter.clone(), track);
        Ok(track)
    }
}

/// Passes the lines of a file in all parts to `on_line`, which returns whether the line is a valid row.
fn each_line<'w, 's>(
    source: &Source<'_>,
    file: File,
    writing: &mut Writing<'w, 's>,
    on_line: &mut dyn FnMut(&[u8], &mut Writing<'w, 's>) -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    for part in &source.parts {
        let Some(lines) = Lines::open(source.run.path(part, file))? else {
            continue;
        };
        let mut damaged = 0;
        lines.try_each_row(|line| on_line(line, writing), |_| damaged += 1)?;
        writing.samples.left_out += damaged;
    }
    Ok(())
}
