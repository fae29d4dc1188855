//! Loads two builds of the normalizer in turn with the same spans. The ratios of their CPU times show the cost of a change.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;

use super::interval::{Interval, TURNS_MIN};
use super::load::{Load, Until};
use super::process;
use super::requests::Requests;
use super::subject::{Kind, Places, Subject};

/// Time until allocators, tables and connections are warm.
const WARM_UP: Duration = Duration::from_secs(2);
/// A change fails if its whole interval for the user CPU time lies above this.
const RATIO_MAX: f64 = 1.03;

/// CPU time of one build, us a span.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    user: f64,
    kernel: f64,
}

/// The ratio of two builds, over all turns.
#[derive(Debug, Serialize)]
struct Ratio {
    part: &'static str,
    what: &'static str,
    /// The CPU time that is compared.
    of: &'static str,
    #[serde(flatten)]
    interval: Interval,
    turns: usize,
}

/// In each turn, loads the baseline, the candidate, and the baseline once more, in an order that rotates. Prints two ratios of
/// the user CPU time, and of user and kernel CPU time: that of the candidate to the baseline, and that of the second baseline to
/// the first one, which shows the noise of the machine.
pub fn measure(
    places: &Places,
    baseline: &Path,
    spans_a_request: usize,
    duration: Duration,
    turns: usize,
) -> anyhow::Result<()> {
    ensure!(
        turns >= TURNS_MIN,
        "invalid number of turns {turns}: at least {TURNS_MIN} are needed for an interval"
    );
    let builds = [baseline, &places.bin_dir, baseline];
    let mut found = Vec::with_capacity(turns);
    for turn in 0..turns {
        let mut costs = [Cost::default(); 3];
        for step in 0..builds.len() {
            let index = (turn + step) % builds.len();
            costs[index] = cost(places, builds[index], spans_a_request, duration)?;
        }
        let text = |cost: Cost| format!("{:.3} + {:.3}", cost.user, cost.kernel);
        let [first, candidate, second] = costs.map(text);
        eprintln!(
            "turn {}: us a span, user + kernel: baseline {first}, candidate {candidate}, baseline again {second}",
            turn + 1
        );
        found.push(costs);
    }
    let candidate = ratios("user", &found, |cost| cost.user)?;
    ratios("user and kernel", &found, |cost| cost.user + cost.kernel)?;
    ensure!(
        candidate.low <= RATIO_MAX,
        "the candidate needs more user CPU time: its interval {:.3} to {:.3} lies above {RATIO_MAX}",
        candidate.low,
        candidate.high
    );
    Ok(())
}

/// Prints both ratios of one kind of CPU time. Returns that of the candidate.
fn ratios(of: &'static str, turns: &[[Cost; 3]], time: impl Fn(Cost) -> f64) -> anyhow::Result<Interval> {
    let times = || turns.iter().map(|costs| costs.map(&time));
    // The candidate is compared with the mean of both baselines, so that one lucky run has less influence.
    let candidate = times().map(|[first, candidate, second]| candidate / ((first + second) / 2.0));
    let baselines = times().map(|[first, _, second]| second / first);
    let candidate = ratio("candidate / baseline", of, candidate.collect())?;
    ratio("baseline / baseline", of, baselines.collect())?;
    Ok(candidate)
}

fn cost(places: &Places, bin_dir: &Path, spans_a_request: usize, duration: Duration) -> anyhow::Result<Cost> {
    let places = Places {
        bin_dir: bin_dir.to_owned(),
        collector: places.collector.clone(),
        scratch: places.scratch.clone(),
    };
    let subject = Subject::start(Kind::Fsync, &places, &[])?;
    let mut load = Load::new(subject.address(), Arc::new(Requests::new(spans_a_request)?))?;
    load.full_speed(Until::Passed(WARM_UP))?;
    subject.wait_until_quiet()?;
    let before = process::cpu_times(subject.pid())?;
    let sent = load.full_speed(Until::Passed(duration))?;
    subject.wait_until_quiet()?;
    let after = process::cpu_times(subject.pid())?;
    subject.check_and_stop(load.traces())?;
    let us_a_span = |time: Duration| time.as_secs_f64() * 1e6 / sent.spans as f64;
    Ok(Cost {
        user: us_a_span(after.user - before.user),
        kernel: us_a_span(after.kernel - before.kernel),
    })
}

fn ratio(what: &'static str, of: &'static str, ratios: Vec<f64>) -> anyhow::Result<Interval> {
    let turns = ratios.len();
    let interval = Interval::of_median(ratios)?;
    let Interval { median, low, high } = interval;
    eprintln!("{what}, {of} CPU time: {median:.3} ({low:.3} to {high:.3}, {turns} turns)");
    let ratio = Ratio {
        part: "turns",
        what,
        of,
        interval,
        turns,
    };
    println!("{}", serde_json::to_string(&ratio)?);
    Ok(interval)
}
