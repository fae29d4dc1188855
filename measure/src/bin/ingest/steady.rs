//! Sends spans at a fixed rate for a minute. Measures the time to acknowledgements, the delay of rows, and memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use hdrhistogram::Histogram;

use super::figures::{Figures, quantile_ms};
use super::follow::Follower;
use super::load::{Acknowledged, Load};
use super::process;
use super::requests::Requests;
use super::subject::{Kind, Places, Subject};
use super::trace::{request_of, row_needs};

/// Time between two reads of files that do not grow. It is part of the measured delay.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Maximum time to wait for rows after all spans are acknowledged.
const PATIENCE: Duration = Duration::from_secs(60);
const SIGNIFICANT_DIGITS: u8 = 3;
/// Memory limit of a normalizer if callers are late. The rows of some seconds need more than the default limit, and would be
/// written too early.
const MEMORY_LIMIT_LATE: &str = "1GiB";

/// The load of a steady measurement.
#[derive(Clone, Copy)]
pub struct Steady {
    pub spans_a_request: usize,
    pub spans_a_second: u64,
    pub duration: Duration,
    /// Delay of the outermost service's spans after the innermost one's.
    pub callers_late: Duration,
}

/// Loads one receiver at a rate.
pub fn measure(kind: Kind, places: &Places, steady: Steady) -> anyhow::Result<()> {
    let flags: &[&str] = if steady.callers_late.is_zero() {
        &[]
    } else {
        &["--memory-limit", MEMORY_LIMIT_LATE]
    };
    let subject = Subject::start(kind, places, flags)?;
    let requests = Arc::new(Requests::new(steady.spans_a_request)?);
    let mut load = Load::new(subject.address(), requests)?;
    let spans = steady.spans_a_second * steady.duration.as_secs().max(1);
    let acknowledged = Acknowledged::of_blocks(spans as usize / steady.spans_a_request + 1);
    let all_sent = AtomicBool::new(false);
    let (cpu, written) = (subject.cpu_time()?, process::written_bytes(subject.pid())?);
    let (sent, readable_ns) = std::thread::scope(|scope| {
        let reader = follows(kind).then(|| {
            let follower = Follower::new(&subject.run_folder());
            scope.spawn(|| read_along(follower, steady.spans_a_request, &acknowledged, &all_sent))
        });
        let sent = load.paced(
            steady.spans_a_second,
            steady.duration,
            steady.callers_late,
            &acknowledged,
        );
        all_sent.store(true, Ordering::Release);
        let readable_ns = reader.map(|reader| {
            reader
                .join()
                .map_err(|_| anyhow!("the reading thread panicked"))?
        });
        anyhow::Ok((sent?, readable_ns.transpose()?))
    })?;
    let complete = subject.wait_until_quiet()?.max(sent.ended);
    let cpu = subject.cpu_time()? - cpu;
    let written = process::written_bytes(subject.pid())? - written;
    let peak = process::peak_memory(subject.pid())?;
    subject.check_and_stop(load.traces())?;
    let part = if steady.callers_late.is_zero() {
        "steady"
    } else {
        "late"
    };
    let took = complete - sent.begun;
    let figures = Figures::new(
        (part, kind),
        steady.spans_a_request,
        &sent,
        cpu,
        took,
        (written, peak),
    );
    let quantile = |share| readable_ns.as_ref().map(|ns| quantile_ms(ns, share));
    Figures {
        readable_ms_p50: quantile(0.5),
        readable_ms_p99: quantile(0.99),
        ..figures
    }
    .print()
}

fn follows(kind: Kind) -> bool {
    matches!(kind, Kind::Fsync | Kind::Flush)
}

/// Nanoseconds from the acknowledgement of the last span that a row needs until the row is read.
fn read_along(
    mut follower: Follower,
    spans_a_request: usize,
    acknowledged: &Acknowledged,
    all_sent: &AtomicBool,
) -> anyhow::Result<Histogram<u64>> {
    let mut readable_ns = Histogram::new(SIGNIFICANT_DIGITS)?;
    let mut sent_at: Option<Instant> = None;
    loop {
        let any = follower.read(|trace, place, read_at| {
            let block = trace / spans_a_request as u64;
            let in_block = (trace % spans_a_request as u64) as usize;
            let since =
                |place| acknowledged.until(block, request_of(in_block, place, spans_a_request), read_at);
            // The shortest time is that since the last acknowledgement.
            let least = row_needs(place).map(since).min().unwrap_or(0);
            Ok(readable_ns.record(least)?)
        })?;
        if any {
            continue;
        }
        if all_sent.load(Ordering::Acquire) {
            let since = *sent_at.get_or_insert_with(Instant::now);
            if acknowledged.rows(spans_a_request) == follower.rows.count() {
                return Ok(readable_ns);
            }
            ensure!(
                since.elapsed() < PATIENCE,
                "timed out with {} rows",
                follower.rows.count()
            );
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
