//! Loads two builds of the normalizer in turn with the same spans. The ratio of their user CPU times shows the cost of a
//! change.

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
/// A change fails if its whole interval lies above this.
const RATIO_MAX: f64 = 1.03;

/// The ratio of two builds, over all turns.
#[derive(Debug, Serialize)]
struct Ratio {
    part: &'static str,
    what: &'static str,
    #[serde(flatten)]
    interval: Interval,
    turns: usize,
}

/// In each turn, loads the baseline, the candidate, and the baseline once more, in an order that rotates. Prints two ratios:
/// that of the candidate to the baseline, and that of the second baseline to the first one, which shows the noise of the
/// machine.
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
    let mut found: [Vec<f64>; 2] = Default::default();
    for turn in 0..turns {
        let mut us_a_span = [0.0; 3];
        for step in 0..builds.len() {
            let index = (turn + step) % builds.len();
            us_a_span[index] = user_us_a_span(places, builds[index], spans_a_request, duration)?;
        }
        let [first, candidate, second] = us_a_span;
        eprintln!(
            "turn {}: user us a span: baseline {first:.3}, candidate {candidate:.3}, baseline again {second:.3}",
            turn + 1
        );
        // The candidate is compared with the mean of both baselines, so that one lucky run has less influence.
        found[0].push(candidate / ((first + second) / 2.0));
        found[1].push(second / first);
    }
    let [candidate, baselines] = found;
    let candidate = ratio("candidate / baseline", candidate)?;
    ratio("baseline / baseline", baselines)?;
    ensure!(
        candidate.low <= RATIO_MAX,
        "the candidate needs more user CPU time: its interval {:.3} to {:.3} lies above {RATIO_MAX}",
        candidate.low,
        candidate.high
    );
    Ok(())
}

fn user_us_a_span(
    places: &Places,
    bin_dir: &Path,
    spans_a_request: usize,
    duration: Duration,
) -> anyhow::Result<f64> {
    let places = Places {
        bin_dir: bin_dir.to_owned(),
        collector: places.collector.clone(),
        scratch: places.scratch.clone(),
    };
    let subject = Subject::start(Kind::Fsync, &places, &[])?;
    let mut load = Load::new(subject.address(), Arc::new(Requests::new(spans_a_request)?))?;
    load.full_speed(Until::Passed(WARM_UP))?;
    subject.wait_until_quiet()?;
    let user = process::user_time(subject.pid())?;
    let sent = load.full_speed(Until::Passed(duration))?;
    subject.wait_until_quiet()?;
    let user = process::user_time(subject.pid())? - user;
    subject.check_and_stop(load.traces())?;
    Ok(user.as_secs_f64() * 1e6 / sent.spans as f64)
}

fn ratio(what: &'static str, ratios: Vec<f64>) -> anyhow::Result<Interval> {
    let turns = ratios.len();
    let interval = Interval::of_median(ratios)?;
    let Interval { median, low, high } = interval;
    eprintln!("{what}: {median:.3} ({low:.3} to {high:.3}, {turns} turns)");
    let ratio = Ratio {
        part: "turns",
        what,
        interval,
        turns,
    };
    println!("{}", serde_json::to_string(&ratio)?);
    Ok(interval)
}
