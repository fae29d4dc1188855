//! Sends many spans to one normalizer, whose run has many parts. Each part is checked and deleted as soon as it is closed, as
//! an operator with a small disk would do.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use cctf_proto::cctf::{File, Part};
use e2e::rows::document;
use serde::Serialize;

use super::follow::Follower;
use super::load::{Load, Until};
use super::process;
use super::requests::Requests;
use super::subject::{Kind, Places, RUN_ID, Subject};
use super::trace::{REQUESTS_A_BLOCK, ROWS_A_TRACE};

const SPANS_A_REQUEST: usize = 512;
/// Size of a part. It is small, so that even the smallest load creates several parts.
const PART_BYTES: &str = "256MiB";
/// Number of equal pieces of a load. The last piece is compared with the whole load.
const PIECES: u64 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Maximum time to wait for the rows of acknowledged spans.
const PATIENCE: Duration = Duration::from_secs(120);
const MIB: f64 = (1 << 20) as f64;

/// The result.
#[derive(Serialize)]
struct Found {
    part: &'static str,
    spans: u64,
    seconds: f64,
    cpu_us_a_span: f64,
    last_tenth_us_a_span: f64,
    peak_mib: f64,
    deleted_parts: u64,
}

/// Loads a normalizer with at least `spans` spans.
pub fn measure(places: &Places, spans: u64) -> anyhow::Result<()> {
    let subject = Subject::start(Kind::Fsync, places, &["--roll-bytes", PART_BYTES])?;
    let mut load = Load::new(subject.address(), Arc::new(Requests::new(SPANS_A_REQUEST)?))?;
    let spans_a_piece = PIECES * (REQUESTS_A_BLOCK * SPANS_A_REQUEST) as u64;
    let blocks_a_piece = spans.div_ceil(spans_a_piece);
    let parts = Parts::new(subject.out_dir());
    let traces = AtomicU64::new(u64::MAX);
    let begun = Instant::now();
    let mut piece_cpu = Duration::ZERO;
    let deleted_parts = std::thread::scope(|scope| {
        let reader = scope.spawn(|| parts.read_and_delete(&traces));
        let mut sent = Ok(());
        for _ in 0..PIECES {
            let before = subject.cpu_time()?;
            sent = load.full_speed(Until::Blocks(blocks_a_piece)).map(|_| ());
            piece_cpu = subject.cpu_time()? - before;
            if sent.is_err() || reader.is_finished() {
                break;
            }
        }
        traces.store(load.traces(), Ordering::Release);
        let read = reader
            .join()
            .map_err(|_| anyhow!("the reading thread panicked"))?;
        sent.and(read)
    })?;
    let (cpu, seconds) = (subject.cpu_time()?, begun.elapsed().as_secs_f64());
    let sent = blocks_a_piece * spans_a_piece;
    let found = Found {
        part: "scale",
        spans: sent,
        seconds,
        cpu_us_a_span: cpu.as_secs_f64() * 1e6 / sent as f64,
        last_tenth_us_a_span: piece_cpu.as_secs_f64() * 1e6 / (sent / PIECES) as f64,
        peak_mib: process::peak_memory(subject.pid())? as f64 / MIB,
        deleted_parts,
    };
    subject.stop()?;
    eprintln!(
        "scale      {} spans in {:.0} s: {:.3} us of CPU a span, {:.3} in the last tenth, peak {:.0} MiB, {} parts checked and deleted",
        found.spans,
        found.seconds,
        found.cpu_us_a_span,
        found.last_tenth_us_a_span,
        found.peak_mib,
        found.deleted_parts
    );
    println!("{}", serde_json::to_string(&found)?);
    Ok(())
}

/// The parts of the run, in order.
struct Parts {
    out_dir: PathBuf,
    part: Part,
    follower: Follower,
    rows_before: u64,
}

impl Parts {
    fn new(out_dir: &Path) -> Self {
        Self {
            out_dir: out_dir.to_owned(),
            part: Part::first(RUN_ID),
            follower: Follower::new(&out_dir.join(RUN_ID).join("cctf")),
            rows_before: 0,
        }
    }

    /// Reads until all rows of `traces` traces were read (`u64::MAX`: the number is not known yet). Returns the number of
    /// deleted parts.
    fn read_and_delete(mut self, traces: &AtomicU64) -> anyhow::Result<u64> {
        let mut grown_at = Instant::now();
        loop {
            let is_closed = self.is_closed()?;
            if self.follower.read(|_, _, _| Ok(()))? {
                grown_at = Instant::now();
            } else if is_closed {
                self.check_and_delete()?;
            } else {
                let traces = traces.load(Ordering::Acquire);
                if self.follower.rows.count() == traces.saturating_mul(ROWS_A_TRACE) {
                    self.follower.rows.ensure_whole(traces)?;
                    return Ok(self.part.number() - 1);
                }
                let rows = self.follower.rows.count();
                ensure!(
                    grown_at.elapsed() < PATIENCE,
                    "timed out with {rows} rows of {traces} traces"
                );
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }

    /// Whether the part is finished: its run_meta.json has an end, and the next part exists.
    fn is_closed(&self) -> anyhow::Result<bool> {
        let is_followed = self.out_dir.join(self.part.next().folder()).exists();
        Ok(is_followed && !self.meta()?["ended_ts"].is_null())
    }

    fn meta(&self) -> anyhow::Result<serde_json::Value> {
        document(&self.out_dir.join(self.part.folder()).join("cctf/run_meta.json"))
    }

    fn check_and_delete(&mut self) -> anyhow::Result<()> {
        let folder = self.out_dir.join(self.part.folder());
        let rows = self.follower.rows.count() - self.rows_before;
        let meta = self.meta()?;
        let counted = |file: File| meta["counts"]["rows"][file.name()].as_u64();
        let counted = counted(File::Invocations).zip(counted(File::Calls));
        let counted = counted.map(|(invocations, calls)| invocations + calls);
        ensure!(
            counted == Some(rows),
            "run_meta.json of {} counts {counted:?} rows, but there are {rows}",
            folder.display()
        );
        fs::remove_dir_all(&folder).with_context(|| format!("cannot delete {}", folder.display()))?;
        self.rows_before += rows;
        self.part = self.part.next();
        let next = self.out_dir.join(self.part.folder());
        self.follower.go_on_in(&next.join("cctf"))
    }
}
