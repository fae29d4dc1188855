//! The live page: what viewers cost a normalizer that receives spans at a fixed rate.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use serde::Serialize;

use super::interval::{Interval, TURNS_MIN};
use super::load::{Acknowledged, Load};
use super::process;
use super::requests::Requests;
use super::subject::{Kind, Places, Subject};

const VIEWERS: usize = 2;
/// Length of a window with viewers, and of one without. The page is sent once a second.
const WINDOW: Duration = Duration::from_secs(3);
/// Time until tables and connections are warm.
const WARM_UP: Duration = Duration::from_secs(8);
/// Name of the threads that receive spans and serve the live page.
const SERVING: &str = "receiver";

/// CPU time that the viewers cost, in per cent of a core.
#[derive(Debug, Serialize)]
struct Cost {
    part: &'static str,
    threads: &'static str,
    #[serde(flatten)]
    percent: Interval,
    turns: usize,
    /// Bytes that one viewer received each second.
    bytes_a_second: f64,
}

/// CPU time of the serving threads and of the whole process.
#[derive(Clone, Copy)]
struct Used([Duration; 2]);

/// Loads a normalizer. In each turn, a window with viewers and one without follow each other; every second turn begins with
/// the window without.
pub fn measure(
    places: &Places,
    spans_a_request: usize,
    spans_a_second: u64,
    turns: usize,
) -> anyhow::Result<()> {
    ensure!(
        turns >= TURNS_MIN,
        "invalid number of turns {turns}: at least {TURNS_MIN} are needed for an interval"
    );
    let subject = Subject::start(Kind::Fsync, places, &[])?;
    let mut load = Load::new(subject.address(), Arc::new(Requests::new(spans_a_request)?))?;
    let windows = u32::try_from(turns * 2)?;
    let duration = WARM_UP + WINDOW * windows + WINDOW;
    let spans = spans_a_second * duration.as_secs();
    let acknowledged = Acknowledged::of_blocks(spans as usize / spans_a_request + 1);
    let found = std::thread::scope(|scope| {
        let (pid, admin) = (subject.pid(), subject.admin()?);
        let turns = scope.spawn(move || in_turns(pid, admin, turns));
        load.paced(spans_a_second, duration, Duration::ZERO, &acknowledged)?;
        turns
            .join()
            .map_err(|_| anyhow!("the measuring thread panicked"))?
    })?;
    subject.wait_until_quiet()?;
    subject.check_and_stop(load.traces())?;
    let [serving, all] = found.percent;
    for (threads, percent) in [(SERVING, serving), ("all", all)] {
        let cost = Cost {
            part: "live",
            threads,
            percent: Interval::of_median(percent)?,
            turns,
            bytes_a_second: found.bytes_a_second,
        };
        let Interval { median, low, high } = cost.percent;
        eprintln!(
            "{VIEWERS} viewers, threads {threads}: {median:.3}% of a core ({low:.3} to {high:.3}, {turns} turns)"
        );
        println!("{}", serde_json::to_string(&cost)?);
    }
    Ok(())
}

struct Found {
    percent: [Vec<f64>; 2],
    bytes_a_second: f64,
}

fn in_turns(pid: u32, admin: SocketAddr, turns: usize) -> anyhow::Result<Found> {
    std::thread::sleep(WARM_UP);
    let mut percent = [Vec::new(), Vec::new()];
    let mut bytes = 0;
    for turn in 0..turns {
        let mut window = |with: bool| -> anyhow::Result<[f64; 2]> {
            let viewers = Viewers::open(admin, if with { VIEWERS } else { 0 })?;
            let (begun, before) = (Instant::now(), Used::read(pid)?);
            std::thread::sleep(WINDOW);
            let percent = Used::read(pid)?.percent_since(before, begun.elapsed());
            bytes += viewers.close()?;
            Ok(percent)
        };
        let first_with = turn % 2 == 0;
        let (first, second) = (window(first_with)?, window(!first_with)?);
        let (with, without) = if first_with {
            (first, second)
        } else {
            (second, first)
        };
        for (values, (with, without)) in percent.iter_mut().zip(with.into_iter().zip(without)) {
            values.push(with - without);
        }
    }
    ensure!(bytes > 0, "the viewers received nothing");
    Ok(Found {
        percent,
        bytes_a_second: bytes as f64 / (turns * VIEWERS) as f64 / WINDOW.as_secs_f64(),
    })
}

impl Used {
    fn read(pid: u32) -> anyhow::Result<Self> {
        let serving = process::threads_cpu_time(pid, SERVING)?;
        Ok(Self([serving, process::cpu_time(pid)?]))
    }

    fn percent_since(self, before: Self, passed: Duration) -> [f64; 2] {
        let percent = |index: usize| {
            let used = self.0[index].saturating_sub(before.0[index]);
            used.as_secs_f64() / passed.as_secs_f64() * 100.0
        };
        [percent(0), percent(1)]
    }
}

/// Viewers that read the stream of the live page.
struct Viewers(Vec<(TcpStream, std::thread::JoinHandle<usize>)>);

impl Viewers {
    /// Opens `count` viewers, and waits for the first bytes of each.
    fn open(admin: SocketAddr, count: usize) -> anyhow::Result<Self> {
        let open = || {
            let mut stream = TcpStream::connect(admin).context("cannot open the live page")?;
            stream.write_all(format!("GET /events HTTP/1.1\r\nHost: {admin}\r\n\r\n").as_bytes())?;
            let mut head = [0; 64];
            let read = stream.read(&mut head)?;
            ensure!(
                head[..read].starts_with(b"HTTP/1.1 200"),
                "the live page answers {:?}",
                String::from_utf8_lossy(&head[..read])
            );
            let mut reading = stream.try_clone()?;
            let thread = std::thread::spawn(move || {
                let (mut buffer, mut bytes) = (vec![0; 64 << 10], 0);
                // Ends when the stream is shut down below.
                while let Ok(read @ 1..) = reading.read(&mut buffer) {
                    bytes += read;
                }
                bytes
            });
            Ok((stream, thread))
        };
        (0..count)
            .map(|_| open())
            .collect::<anyhow::Result<_>>()
            .map(Self)
    }

    /// Stops the viewers. Returns the number of bytes that they read.
    fn close(self) -> anyhow::Result<usize> {
        let mut bytes = 0;
        for (stream, thread) in self.0 {
            stream.shutdown(Shutdown::Both)?;
            bytes += thread.join().map_err(|_| anyhow!("a viewer panicked"))?;
        }
        Ok(bytes)
    }
}
