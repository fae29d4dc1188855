//! [`History`]: the kernel's counters over time. Tests compare them with rows for the same intervals.
//!
//! If the kernel has more than one source for a counter, this module uses another one than the service.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, ensure};

/// Unit of /proc/diskstats, bytes.
const SECTOR_BYTES: f64 = 512.0;
/// Maximum time between two readings of the counters. Over a longer time, values are not interpolated.
const GAP_MAX_MS: f64 = 3_000.0;

/// The counters at one time. Counters of disks and interfaces are bytes since the machine's start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// Milliseconds since the Unix epoch.
    pub at_ms: f64,
    /// Ticks of all CPUs, without idle time and waits for disks.
    pub cpu_busy: f64,
    /// Ticks of all CPUs.
    pub cpu_all: f64,
    /// MemAvailable, MiB.
    pub available_mib: f64,
    /// MemTotal, MiB.
    pub total_mib: f64,
    pub disk_read: f64,
    pub disk_written: f64,
    /// Bytes that all interfaces except loopback received.
    pub received: f64,
    /// Bytes that all interfaces except loopback sent.
    pub sent: f64,
}

impl Look {
    pub fn take() -> anyhow::Result<Self> {
        let before = now_ms()?;
        let mut look = Self::default();
        look.read_cpu(&read("/proc/stat")?)?;
        look.read_memory(&read("/proc/meminfo")?)?;
        look.read_disks(&read("/proc/diskstats")?)?;
        look.read_interfaces(&read("/proc/thread-self/net/dev")?)?;
        look.at_ms = (before + now_ms()?) / 2.0;
        Ok(look)
    }

    fn read_cpu(&mut self, stat: &str) -> anyhow::Result<()> {
        let ticks = numbers(stat.lines().next().unwrap_or_default());
        ensure!(ticks.len() >= 8, "/proc/stat has no line for all CPUs");
        self.cpu_all = ticks[..8].iter().sum();
        self.cpu_busy = self.cpu_all - ticks[3] - ticks[4];
        Ok(())
    }

    fn read_memory(&mut self, meminfo: &str) -> anyhow::Result<()> {
        let mib_of = |name: &str| {
            let line = meminfo.lines().find(|line| line.starts_with(name));
            let kib = numbers(line.unwrap_or_default()).first().copied();
            kib.map(|kib| kib / 1024.0)
                .with_context(|| format!("no {name} in /proc/meminfo"))
        };
        self.available_mib = mib_of("MemAvailable:")?;
        self.total_mib = mib_of("MemTotal:")?;
        Ok(())
    }

    fn read_disks(&mut self, diskstats: &str) -> anyhow::Result<()> {
        for line in diskstats.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [_, _, name, _, _, read, _, _, _, written, ..] = words[..] else {
                continue;
            };
            if is_disk(name) {
                self.disk_read += read.parse::<f64>()? * SECTOR_BYTES;
                self.disk_written += written.parse::<f64>()? * SECTOR_BYTES;
            }
        }
        Ok(())
    }

    fn read_interfaces(&mut self, dev: &str) -> anyhow::Result<()> {
        let interfaces = dev.lines().filter_map(|line| line.split_once(':'));
        for (name, counters) in interfaces.filter(|(name, _)| name.trim() != "lo") {
            let counters = numbers(counters);
            ensure!(
                counters.len() >= 9,
                "/proc/net/dev has too few columns for {name}"
            );
            self.received += counters[0];
            self.sent += counters[8];
        }
        Ok(())
    }
}

/// Whether a device is a whole disk. Devices on top of another one, and devices in memory, are not.
fn is_disk(name: &str) -> bool {
    let folder = Path::new("/sys/block").join(name.replace('/', "!"));
    let lies_on_another = fs::read_dir(folder.join("slaves")).is_ok_and(|mut below| below.next().is_some());
    let is_made_up = ["loop", "ram", "zram"].iter().any(|kind| name.starts_with(kind));
    folder.is_dir() && !lies_on_another && !is_made_up
}

fn read(path: &str) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

fn numbers(text: &str) -> Vec<f64> {
    text.split_ascii_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// The current time, milliseconds since the Unix epoch.
pub fn now_ms() -> anyhow::Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1e3)
}

/// A thread that reads the counters at a fixed interval.
pub struct Recorder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Vec<Look>>>,
}

impl Recorder {
    pub fn start(every: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let mut looks = vec![Look::take()?];
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(every);
                    looks.push(Look::take()?);
                }
                Ok(looks)
            }
        });
        Self { stop, thread }
    }

    pub fn finish(self) -> anyhow::Result<History> {
        self.stop.store(true, Ordering::Relaxed);
        let looks = self
            .thread
            .join()
            .map_err(|_| anyhow!("the recorder panicked"))??;
        Ok(History(looks))
    }
}

/// Counters over time.
#[derive(Debug)]
pub struct History(Vec<Look>);

impl History {
    /// Value of a counter at a time, interpolated between two readings.
    pub fn at(&self, ms: f64, counter: fn(&Look) -> f64) -> anyhow::Result<f64> {
        let after = self.0.partition_point(|look| look.at_ms < ms);
        let (Some(before), Some(after)) = (
            after.checked_sub(1).map(|place| &self.0[place]),
            self.0.get(after),
        ) else {
            return Err(anyhow!("no look at the counters around {ms}"));
        };
        let length = after.at_ms - before.at_ms;
        ensure!(
            length < GAP_MAX_MS,
            "no look at the counters for {length} ms around {ms}"
        );
        let share = (ms - before.at_ms) / length;
        Ok(counter(before) + share * (counter(after) - counter(before)))
    }

    /// Growth of a counter over an interval.
    pub fn growth(&self, from_ms: f64, to_ms: f64, counter: fn(&Look) -> f64) -> anyhow::Result<f64> {
        Ok(self.at(to_ms, counter)? - self.at(from_ms, counter)?)
    }

    /// Utilization of all CPUs over an interval, percent.
    pub fn cpu_util(&self, from_ms: f64, to_ms: f64) -> anyhow::Result<f64> {
        let busy = self.growth(from_ms, to_ms, |look| look.cpu_busy)?;
        Ok(100.0 * busy / self.growth(from_ms, to_ms, |look| look.cpu_all)?)
    }

    /// Minimum and maximum of a value in an interval.
    pub fn range(&self, from_ms: f64, to_ms: f64, value: fn(&Look) -> f64) -> (f64, f64) {
        let inside = self
            .0
            .iter()
            .filter(|look| (from_ms..=to_ms).contains(&look.at_ms));
        inside
            .map(value)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
                (least.min(value), most.max(value))
            })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]
mod tests {
    use super::*;

    fn look(at_ms: f64, sent: f64) -> Look {
        Look {
            at_ms,
            sent,
            ..Look::default()
        }
    }

    #[test]
    fn between_two_looks_a_counter_lies_on_the_line() {
        let history = History(vec![look(0.0, 10.0), look(100.0, 20.0), look(5_000.0, 20.0)]);
        assert_eq!(history.at(25.0, |look| look.sent).unwrap(), 12.5);
        assert_eq!(history.growth(25.0, 75.0, |look| look.sent).unwrap(), 5.0);
        assert!(history.at(-1.0, |look| look.sent).is_err());
        assert!(history.at(1_000.0, |look| look.sent).is_err());
        assert_eq!(history.range(0.0, 200.0, |look| look.sent), (10.0, 20.0));
    }

    #[test]
    fn a_look_finds_everything_on_this_machine() {
        let look = Look::take().unwrap();
        assert!(look.cpu_all > look.cpu_busy && look.cpu_busy > 0.0, "{look:?}");
        assert!(look.total_mib > look.available_mib && look.available_mib > 0.0);
    }
}
