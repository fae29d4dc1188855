//! Compares the CPU time of a span with two Collectors and two normalizers to that with one of each. This shows how well the
//! work scales out.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::collector::Collector;
use e2e::ports::free_ports;
use serde::Serialize;
use tempfile::TempDir;

use super::figures::median;
use super::follow::Follower;
use super::load::{Acknowledged, Load, Until};
use super::process;
use super::requests::Requests;
use super::subject::{Kind, Places, Subject};

/// Time until allocators, tables and connections are warm.
const WARM_UP: Duration = Duration::from_secs(3);
/// Number of pairs of a Collector and a normalizer in the larger setup. Its Collectors choose the normalizer by trace id.
const SHARDS: usize = 2;

/// The load of each pair. Two pairs get twice the load of one pair, as two machines would.
#[derive(Clone, Copy)]
pub struct Pace {
    pub spans_a_request: usize,
    /// Rate for each pair. `None`: full speed.
    pub spans_a_second: Option<u64>,
    pub duration: Duration,
}

/// The results, as medians of the turns.
#[derive(Serialize)]
struct Found {
    part: &'static str,
    spans_a_request: usize,
    spans_a_second_a_pair: Option<u64>,
    turns: usize,
    one_normalizer_us_a_span: f64,
    one_collector_us_a_span: f64,
    one_us_a_span: f64,
    two_normalizers_us_a_span: f64,
    two_collectors_us_a_span: f64,
    two_us_a_span: f64,
    /// Throughput of two normalizers relative to that of one, if each has the same CPU time.
    normalizers_carry: f64,
    /// The same ratio for Collectors.
    collectors_carry: f64,
    /// The same ratio for normalizers and Collectors together.
    pairs_carry: f64,
}

/// Loads the two setups in turn, so that other load of the machine affects both.
pub fn measure(places: &Places, pace: Pace, count: usize) -> anyhow::Result<()> {
    let mut one = SetUp::start(places, 1, pace)?;
    let mut two = SetUp::start(places, SHARDS, pace)?;
    one.turn(WARM_UP)?;
    two.turn(WARM_UP)?;
    let mut turns = Vec::with_capacity(count);
    for turn in 0..count {
        turns.push(if turn % 2 == 0 {
            (one.turn(pace.duration)?, two.turn(pace.duration)?)
        } else {
            let of_two = two.turn(pace.duration)?;
            (one.turn(pace.duration)?, of_two)
        });
    }
    one.check_and_stop()?;
    two.check_and_stop()?;
    let over_turns = |of: fn(&(Cost, Cost)) -> f64| median(&mut turns.iter().map(of).collect::<Vec<_>>());
    let found = Found {
        part: "pairs",
        spans_a_request: pace.spans_a_request,
        spans_a_second_a_pair: pace.spans_a_second,
        turns: count,
        one_normalizer_us_a_span: over_turns(|(one, _)| one.normalizers_us)?,
        one_collector_us_a_span: over_turns(|(one, _)| one.collectors_us)?,
        one_us_a_span: over_turns(|(one, _)| one.all_us())?,
        two_normalizers_us_a_span: over_turns(|(_, two)| two.normalizers_us)?,
        two_collectors_us_a_span: over_turns(|(_, two)| two.collectors_us)?,
        two_us_a_span: over_turns(|(_, two)| two.all_us())?,
        normalizers_carry: over_turns(|(one, two)| carried(one.normalizers_us, two.normalizers_us))?,
        collectors_carry: over_turns(|(one, two)| carried(one.collectors_us, two.collectors_us))?,
        pairs_carry: over_turns(|(one, two)| carried(one.all_us(), two.all_us()))?,
    };
    eprintln!(
        "pairs      {} a request: two normalizers carry {:.2} times as much as one ({:.2} and {:.2} us of CPU a span), two Collectors \
         {:.2} times ({:.2} and {:.2} us), all {:.2} times",
        found.spans_a_request,
        found.normalizers_carry,
        found.two_normalizers_us_a_span,
        found.one_normalizer_us_a_span,
        found.collectors_carry,
        found.two_collectors_us_a_span,
        found.one_collector_us_a_span,
        found.pairs_carry
    );
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

/// Throughput of two relative to that of one, computed from the CPU time of a span. It is 2 if a span needs the same time in
/// both.
fn carried(of_one_us: f64, of_two_us: f64) -> f64 {
    SHARDS as f64 * of_one_us / of_two_us
}

/// CPU time of a span, microseconds.
struct Cost {
    normalizers_us: f64,
    collectors_us: f64,
}

impl Cost {
    fn all_us(&self) -> f64 {
        self.normalizers_us + self.collectors_us
    }
}

/// A setup with an equal number of Collectors and normalizers.
struct SetUp {
    collectors: Vec<Collector>,
    normalizers: Vec<Subject>,
    load: Load,
    pace: Pace,
    /// Folder of the Collectors' queues.
    _folder: TempDir,
}

impl SetUp {
    fn start(places: &Places, pairs: usize, pace: Pace) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(&places.scratch)?;
        let normalizers = (0..pairs)
            .map(|_| Subject::start(Kind::Fsync, places, &[]))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let ports: Vec<u16> = normalizers
            .iter()
            .map(|normalizer| normalizer.address().port())
            .collect();
        let mut collectors = Vec::with_capacity(pairs);
        for number in 0..pairs {
            let own = folder.path().join(number.to_string());
            std::fs::create_dir(&own)?;
            let collector = match ports.as_slice() {
                [port] => Collector::new(&own, *port, &[])?,
                [first, second] => {
                    let second = format!("127.0.0.1:{second}");
                    let inner = free_ports::<SHARDS>()?.map(|port| format!("127.0.0.1:{port}"));
                    let variables = [
                        ("NORMALIZER_ENDPOINT_2", second.as_str()),
                        ("OTELCOL_SHARD_1", &inner[0]),
                        ("OTELCOL_SHARD_2", &inner[1]),
                    ];
                    Collector::new(&own, *first, &variables)?.with_configuration("otel-collector.scale.yaml")
                }
                _ => anyhow::bail!("no configuration for {pairs} shards"),
            };
            collectors.push(collector.with_binary(&places.collector));
        }
        collectors.iter_mut().try_for_each(Collector::start)?;
        let addresses: Vec<_> = collectors.iter().map(Collector::grpc).collect();
        // All spans of a trace go to the same Collector. On separate machines, a trace could go to any Collector, because all
        // have the same list of normalizers. On one machine, the ports of their inner receivers differ, and so do their lists.
        let load = Load::shared(&addresses, Arc::new(Requests::new(pace.spans_a_request)?))?;
        Ok(Self {
            collectors,
            normalizers,
            load,
            pace,
            _folder: folder,
        })
    }

    /// One turn of the load and its results.
    fn turn(&mut self, duration: Duration) -> anyhow::Result<Cost> {
        let before = self.cpu_times()?;
        let sent = match self.pace.spans_a_second {
            Some(rate) => {
                let rate = rate * self.normalizers.len() as u64;
                let nobody = Acknowledged::of_blocks(0);
                self.load.paced(rate, duration, Duration::ZERO, &nobody)?
            }
            None => self.load.full_speed(Until::Passed(duration))?,
        };
        for normalizer in &self.normalizers {
            normalizer.wait_until_quiet()?;
        }
        let after = self.cpu_times()?;
        let us_a_span = |spent: Duration| spent.as_secs_f64() * 1e6 / sent.spans as f64;
        Ok(Cost {
            normalizers_us: us_a_span(after.0 - before.0),
            collectors_us: us_a_span(after.1 - before.1),
        })
    }

    /// CPU time of all normalizers, and of all Collectors.
    fn cpu_times(&self) -> anyhow::Result<(Duration, Duration)> {
        let of_normalizers = self.normalizers.iter().map(Subject::cpu_time);
        let of_collectors = self
            .collectors
            .iter()
            .map(|collector| process::cpu_time(collector.id().context("a Collector has ended")?));
        Ok((
            of_normalizers.sum::<anyhow::Result<_>>()?,
            of_collectors.sum::<anyhow::Result<_>>()?,
        ))
    }

    /// Checks that no trace is missing, that each trace is complete in one run folder, and that the normalizers got similar
    /// shares. Then stops all processes.
    fn check_and_stop(mut self) -> anyhow::Result<()> {
        let mut follower: Option<Follower> = None;
        let mut counts = Vec::with_capacity(self.normalizers.len());
        for normalizer in &self.normalizers {
            let folder = normalizer.run_folder();
            let follower = match &mut follower {
                Some(follower) => {
                    follower.go_on_in(&folder)?;
                    follower
                }
                None => follower.insert(Follower::new(&folder)),
            };
            let before = follower.rows.count();
            while follower.read(|_, _, _| Ok(()))? {}
            counts.push(follower.rows.count() - before);
        }
        let follower = follower.context("no normalizer")?;
        follower.rows.ensure_whole(self.load.traces())?;
        let fewest = counts.iter().min().copied().unwrap_or(0);
        ensure!(
            fewest * 4 * counts.len() as u64 > follower.rows.count(),
            "rows of the shards are far from equal: {counts:?}"
        );
        self.collectors.iter_mut().for_each(Collector::kill);
        self.normalizers.into_iter().try_for_each(Subject::stop)
    }
}
