//! Compares the CPU time of a request while many rows wait for their callers with that while few rows wait.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;

use super::figures::median;
use super::load::{Load, Until};
use super::requests::Requests;
use super::subject::{Kind, Places, Subject};
use super::trace::REQUESTS_A_BLOCK;

const FEW: usize = 10;
const MANY: usize = 100_000;
/// Number of waiting rows that each request causes.
const HELD_A_REQUEST: usize = 1000;
/// Memory limit that is large enough for all waiting rows.
const MEMORY_LIMIT: &str = "1GiB";
/// Join window. It is longer than the measurement, so that rows wait all the time.
const JOIN_WINDOW: &str = "10m";
const SPANS_A_REQUEST: usize = 512;
/// Blocks of one turn: 49,152 spans. The spans of all turns together are fewer than the join keeps. With more, the join would
/// release the oldest rows.
const BLOCKS_A_TURN: u64 = 12;
/// Number of turns. The two normalizers are loaded in turn, so that other load of the machine affects both.
const TURNS: usize = 14;
/// First number of the waiting rows' traces. All other traces have lower numbers.
const HELD_FROM_BLOCK: u64 = 1 << 32;

/// The result.
#[derive(Serialize)]
struct Found {
    part: &'static str,
    few: usize,
    many: usize,
    few_us_a_request: f64,
    many_us_a_request: f64,
    ratio: f64,
}

/// Loads two normalizers in turn.
pub fn measure(places: &Places) -> anyhow::Result<()> {
    let mut few = Beside::start(places, FEW, FEW)?;
    let mut many = Beside::start(places, MANY, HELD_A_REQUEST)?;
    let (mut few_us, mut many_us, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first turn warms up.
    for turn in 0..=TURNS {
        let (of_few, of_many) = if turn % 2 == 0 {
            (few.turn()?, many.turn()?)
        } else {
            let of_many = many.turn()?;
            (few.turn()?, of_many)
        };
        if turn > 0 {
            few_us.push(of_few);
            many_us.push(of_many);
            ratios.push(of_many / of_few);
        }
    }
    few.stop()?;
    many.stop()?;
    let found = Found {
        part: "held",
        few: FEW,
        many: MANY,
        few_us_a_request: median(&mut few_us)?,
        many_us_a_request: median(&mut many_us)?,
        ratio: median(&mut ratios)?,
    };
    eprintln!(
        "held       a request of {SPANS_A_REQUEST} spans: {:.1} us of CPU beside {MANY} held rows, {:.1} us beside {FEW}, ratio {:.3}",
        found.many_us_a_request, found.few_us_a_request, found.ratio
    );
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

/// A normalizer with a number of waiting rows.
struct Beside {
    subject: Subject,
    load: Load,
    held: usize,
}

impl Beside {
    fn start(places: &Places, held: usize, held_a_request: usize) -> anyhow::Result<Self> {
        let subject = Subject::start(
            Kind::Fsync,
            places,
            &["--join-window", JOIN_WINDOW, "--memory-limit", MEMORY_LIMIT],
        )?;
        let load = Load::new(subject.address(), Arc::new(Requests::new(SPANS_A_REQUEST)?))?;
        // These are spans of the innermost service. The spans of their callers are never sent.
        let orphans = Requests::new(held_a_request)?;
        let blocks = HELD_FROM_BLOCK..HELD_FROM_BLOCK + (held / held_a_request) as u64;
        let mut beside = Self { subject, load, held };
        beside
            .load
            .send_each(blocks.map(|block| orphans.frame(block, 0, 0)))?;
        beside.subject.wait_until_quiet()?;
        beside.ensure_held()?;
        Ok(beside)
    }

    /// CPU time of a request, microseconds.
    fn turn(&mut self) -> anyhow::Result<f64> {
        let before = self.subject.cpu_time()?;
        self.load.full_speed(Until::Blocks(BLOCKS_A_TURN))?;
        self.subject.wait_until_quiet()?;
        let cpu: Duration = self.subject.cpu_time()? - before;
        self.ensure_held()?;
        Ok(cpu.as_secs_f64() * 1e6 / (BLOCKS_A_TURN * REQUESTS_A_BLOCK as u64) as f64)
    }

    fn ensure_held(&self) -> anyhow::Result<()> {
        let held = self.subject.held_rows()?;
        ensure!(
            held == self.held as f64,
            "{held} rows are held, not {}",
            self.held
        );
        Ok(())
    }

    fn stop(self) -> anyhow::Result<()> {
        self.subject.stop()
    }
}
