//! A chain whose services compute for 20% of their time and sleep for the rest, at three utilisations of its last station.
//! SimGrid and our own simulator of stations get the recording with the lowest utilisation, and the arrivals of the other two.
//! From these they predict the other two. [`line`] has the answer of an analytic model, which gets only their rates; [`program`]
//! runs third-party programs. Our simulator also simulates each busier recording with that recording's own service times. An
//! error that remains is its own; the rest of the prediction's error comes from service times that change with the load.
//!
//! All services are on one node, because they share the machine.

mod line;
mod program;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use cctf_proto::cctf::Part;
use e2e::binaries::{Done, command_in};
use e2e::child::Child;
use e2e::rows;
use export::Source;
use export::targets::simgrid::{Arrivals, picks};
use plan::plan::{Plan, Regressed, Window, read};
use plan::stations::{Load, State, at_arrivals, load, simulate};
use rundir::parts::{Run, Target};
use tempfile::TempDir;

use super::finding::{Finding, quantile};
use super::stack::Stack;
use line::Answer;
use program::finish;

/// Utilisations of the last station's slots. The simulators get the recording of the first one.
const BUSY: [f64; 3] = [0.3, 0.5, 0.7];
/// Module, slots and work, from the first station to the last.
const CHAIN: [(&str, &str, &str); 3] = [
    ("front", "16", "/work?cpu_ms=1&sleep_ms=4"),
    ("middle", "12", "/work?cpu_ms=1&sleep_ms=4"),
    ("back", "2", "/work?cpu_ms=2&sleep_ms=8"),
];
/// Service time of the last station including its overhead. The rates are computed from it.
const BACK_MS: f64 = 10.2;
const BACK_SLOTS: f64 = 2.0;
/// Length of each load as a share of `--duration`.
const SHARE: f64 = 0.5;
const SEED: u64 = 1;
/// Maximum utilisation of the other stations and of the machine. Above it, a recording is not valid.
const OTHERS_BUSY_MAX: f64 = 0.3;
const CPU_PERCENT_MAX: f64 = 60.0;
/// Maximum errors of a prediction.
const QUEUE_ERROR_MAX: f64 = 0.15;
const QUEUE_MS_MAX: f64 = 0.1;
/// Our simulator with the service times of the run itself instead of the first recording's.
const INFORMED: &str = "our stations, with this run's services,";
const QUANTILES: [(&str, f64, f64); 3] = [("p50", 0.5, 0.05), ("p95", 0.95, 0.05), ("p99", 0.99, 0.2)];

/// Records three loads, predicts two of them, and compares the predictions with the recordings.
pub fn check(bin_dir: &Path, duration: &str) -> anyhow::Result<Vec<Finding>> {
    let seconds: f64 = duration
        .strip_suffix('s')
        .and_then(|seconds| seconds.parse().ok())
        .with_context(|| format!("the part simgrid takes a duration in seconds, not {duration}"))?;
    let duration = format!("{:.0}ms", 1e3 * SHARE * seconds);
    let mut findings = Vec::new();
    let mut runs: Vec<TempDir> = Vec::new();
    for (number, busy) in (SEED..).zip(BUSY) {
        let logs = record(bin_dir, busy, &duration, number)?;
        findings.extend(conditions(busy, &logs.path().join("r"))?);
        runs.push(logs);
    }
    let known = runs[0].path().join("r");
    let scratch = tempfile::tempdir()?;
    let mut driver = None;
    for (busy, logs) in BUSY.into_iter().zip(&runs).skip(1) {
        let busier = logs.path().join("r");
        let recorded = Times::of_rows(&busier)?;
        let folder = scratch.path().join(format!("{busy}"));
        let export = export(bin_dir, &known, &busier, &folder)?;
        let driver: &PathBuf = match &driver {
            Some(driver) => driver,
            None => driver.insert(build(&export)?),
        };
        let simulated = folder.join("simulated");
        finish(Command::new(driver).arg(&export).arg("--out").arg(&simulated))?;
        let simgrid = Times::of_rows(&simulated)?;
        let ours = ours(&known, &busier)?;
        let line = Answer::of(bin_dir, &known, rate_of(&busier)?, &folder)?;
        findings.extend(compared(busy, recorded, simgrid, ours, &line));
    }
    Ok(findings)
}

/// Starts three services, of which each one calls the next one, loads the first one, and returns the folder of the run.
fn record(bin_dir: &Path, busy: f64, duration: &str, seed: u64) -> anyhow::Result<TempDir> {
    let of = |place: usize| {
        let (module, slots, _) = CHAIN[place];
        [
            ("OTEL_SERVICE_NAME", module),
            ("WORKERS", slots),
            ("QUEUE_LIMIT", "100000"),
        ]
    };
    let mut stack = Stack::start(bin_dir, &of(2))?;
    let otlp = format!("http://127.0.0.1:{}", stack.otlp_port()?);
    let mut behind = Vec::new();
    for place in [1, 0] {
        let origin = stack.service.url("listening")?;
        let next = format!("{origin}{}", CHAIN[place + 1].2);
        let own = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str()),
            ("NODE_ID", "n1"),
            ("STAGE", "edge"),
            ("DEFAULT_NEXT_URL", &next),
            ("NEXT_URL_ALLOW", &origin),
        ];
        let service = Child::service(bin_dir, &[own.as_slice(), &of(place)].concat())?;
        behind.push(std::mem::replace(&mut stack.service, service));
    }
    let rate = 1e3 * busy * BACK_SLOTS / BACK_MS;
    stack.load_poisson(bin_dir, CHAIN[0].2, rate, duration, &seed.to_string())?;
    for service in behind.into_iter().rev() {
        service.stop()?;
    }
    stack.stop()
}

/// Findings about the stations, with their mean service times, and about the machine.
fn conditions(busy: f64, run: &Path) -> anyhow::Result<Vec<Finding>> {
    let rows = rows::lines(&run.join("cctf/invocations.jsonl"))?;
    let mut findings = Vec::new();
    for (module, slots, _) in CHAIN {
        let of = rows.iter().filter(|row| row["module_id"] == module);
        let times = of.filter_map(|row| Some((row["ts_start"].as_f64()?, row["service_time_ms"].as_f64()?)));
        let (mut first, mut last, mut served, mut count) = (f64::MAX, f64::MIN, 0.0, 0.0);
        for (start, service) in times {
            (first, last) = (first.min(start), last.max(start));
            served += service;
            count += 1.0;
        }
        let name = format!("simgrid at {:.0} %: mean service time of {module}", 100.0 * busy);
        findings.push(Finding::note(&name, &format!("{:.3} ms", served / count), ""));
        let share = served / (last - first) / slots.parse::<f64>()?;
        let name = format!("simgrid at {:.0} %: busy slots of {module}", 100.0 * busy);
        findings.push(match module {
            "back" => Finding::between(&name, share, (busy - 0.03, busy + 0.03), ""),
            _ => Finding::at_most(&name, share, OTHERS_BUSY_MAX, ""),
        });
    }
    let samples = rows::lines(&run.join("cctf/host_metrics.jsonl"))?;
    let used: Vec<f64> = samples
        .iter()
        .filter_map(|row| row["cpu_util"].as_f64())
        .collect();
    let mean = used.iter().sum::<f64>() / used.len() as f64;
    let name = format!("simgrid at {:.0} %: CPU of the machine", 100.0 * busy);
    findings.push(Finding::at_most(&name, mean, CPU_PERCENT_MAX, "%"));
    Ok(findings)
}

/// Exports the work of one run with the arrivals of another run.
fn export(bin_dir: &Path, known: &Path, busier: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let out = folder.join("export");
    let mut command = command_in(bin_dir, "cctf")?;
    command.args(["export", "simgrid"]).arg(known);
    command.arg("--arrivals").arg(busier).arg("--out").arg(&out);
    Done::success("export", &mut command)?;
    Ok(out)
}

fn build(export: &Path) -> anyhow::Result<PathBuf> {
    let build = export.join("build");
    finish(
        Command::new("cmake")
            .arg("-S")
            .arg(export.join("cpp"))
            .arg("-B")
            .arg(&build),
    )?;
    finish(Command::new("cmake").arg("--build").arg(&build))?;
    Ok(build.join("replay"))
}

/// Waiting times by module, and response times of the first module, milliseconds.
#[derive(Default)]
struct Times {
    queues: BTreeMap<String, Vec<f64>>,
    responses: Vec<f64>,
}

impl Times {
    fn add(&mut self, module: &str, queue_ms: f64, response_ms: f64) {
        self.queues.entry(module.to_owned()).or_default().push(queue_ms);
        if module == CHAIN[0].0 {
            self.responses.push(response_ms);
        }
    }

    fn of_rows(run: &Path) -> anyhow::Result<Self> {
        let mut times = Self::default();
        for row in rows::lines(&run.join("cctf/invocations.jsonl"))? {
            let ms = |field: &str| row[field].as_f64().with_context(|| format!("no {field}: {row}"));
            let module = row["module_id"].as_str().context("no module")?;
            times.add(module, ms("queue_time_ms")?, ms("rt_ms")?);
        }
        Ok(times)
    }

    /// The answer of our own simulator of stations.
    fn simulated(load: &Load) -> Self {
        let mut times = Self::default();
        let served = load.visits.iter().zip(simulate(load));
        for (visit, outcome) in served.filter(|(_, outcome)| outcome.state == State::Served) {
            let module = load.names.module_of(visit.instance) as usize;
            let queue_ns = outcome.start_ns - outcome.enqueue_ns;
            times.add(
                &load.names.modules[module],
                queue_ns as f64 / 1e6,
                outcome.response_ns() as f64 / 1e6,
            );
        }
        times
    }

    fn mean_queue_ms(&self, module: &str) -> f64 {
        mean(self.queues.get(module).map_or(&[][..], Vec::as_slice))
    }
}

fn plan_of(folder: &Path) -> anyhow::Result<(Run, Part, Plan)> {
    let found = Target::Folder(folder.to_owned()).find()?;
    let (run, first) = found.context("the load left no run")?;
    let (recorded, span) = read(&run, &first, Window::default(), &mut |_| {})?;
    Ok((run, first, Plan::new(recorded, span, &Regressed::default())))
}

/// The prediction of our own simulator of stations, and its answer with the service times of the busier run itself.
fn ours(known: &Path, busier: &Path) -> anyhow::Result<[Times; 2]> {
    let (run, first, plan) = plan_of(known)?;
    let (other, _, other_plan) = plan_of(busier)?;
    let arrivals = Arrivals::of(other.id(), &other_plan);
    let recorded = load(&plan);
    let source = Source::new(&run, &first, &plan, None)?;
    let picked = picks(&source, Some(&arrivals))?;
    let list: Vec<(u32, i64)> = picked
        .list
        .iter()
        .map(|pick| (pick.arrival, pick.at_ns))
        .collect();
    let predicted = at_arrivals(&recorded, &list);
    Ok([predicted, load(&other_plan)].map(|load| Times::simulated(&load)))
}

/// Requests a second from outside: the only figure of a busier run that the analytic model gets.
fn rate_of(run: &Path) -> anyhow::Result<f64> {
    let rows = rows::lines(&run.join("cctf/invocations.jsonl"))?;
    let of_first = rows.iter().filter(|row| row["module_id"] == CHAIN[0].0);
    let mut times: Vec<f64> = of_first.filter_map(|row| row["ts_enqueue"].as_f64()).collect();
    times.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        bail!("the load left no requests");
    };
    Ok(1e3 * (times.len() - 1) as f64 / (last - first))
}

/// Compares the predictions with the recording. Only SimGrid's are judged. Those of our own simulator, and LINE's means, are
/// shown beside them.
fn compared(
    busy: f64,
    mut recorded: Times,
    mut simgrid: Times,
    [mut own, mut informed]: [Times; 2],
    line: &Answer,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = |who: &str, what: &str| format!("{who} at {:.0} %: {what}", 100.0 * busy);
    let note = |who: &str, what: &str, value: f64, recorded: f64| {
        let wanted = format!("{recorded:.3} ms recorded");
        Finding::note(&name(who, what), &format!("{value:.3} ms"), &wanted)
    };
    let judged = |what: &str, value: f64, recorded: f64, error: f64| {
        let bounds = (recorded - error, recorded + error);
        Finding::between(&name("SimGrid", what), value, bounds, "ms")
    };
    for (module, ..) in CHAIN {
        let what = format!("mean queue of {module}");
        let [recorded, simgrid, own, informed] =
            [&recorded, &simgrid, &own, &informed].map(|times| times.mean_queue_ms(module));
        let error = (QUEUE_ERROR_MAX * recorded).max(QUEUE_MS_MAX);
        findings.push(judged(&what, simgrid, recorded, error));
        findings.push(note("our stations", &what, own, recorded));
        findings.push(note(INFORMED, &what, informed, recorded));
        findings.push(note("LINE", &what, line.mean_ms(module, "queue_ms"), recorded));
    }
    let what = "mean response";
    let means = [&recorded, &simgrid, &own, &informed].map(|times| mean(&times.responses));
    findings.push(note("SimGrid", what, means[1], means[0]));
    findings.push(note("our stations", what, means[2], means[0]));
    findings.push(note(INFORMED, what, means[3], means[0]));
    let predicted = line.mean_ms(CHAIN[0].0, "response_ms");
    findings.push(note("LINE", what, predicted, means[0]));
    for (quantile_name, share, error) in QUANTILES {
        let what = format!("response {quantile_name}");
        let [recorded, simgrid, own, informed] = [&mut recorded, &mut simgrid, &mut own, &mut informed]
            .map(|times| quantile(&mut times.responses, share));
        findings.push(judged(&what, simgrid, recorded, error * recorded));
        findings.push(note("our stations", &what, own, recorded));
        findings.push(note(INFORMED, &what, informed, recorded));
    }
    findings
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
