//! Creates a known load on a CPU, a disk and a veth pair. Compares the host's rows with this load, and with the kernel's
//! counters over the same intervals. Both the service and the real Collector report the host, as two nodes.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use e2e::collector::Collector;
use e2e::host::counters::{History, Look, Recorder, now_ms};
use e2e::host::load::{DATAGRAM_BYTES, ECHO_EACH, HEADER_BYTES, Load, Veth};
use e2e::host::machine::in_machine;
use e2e::host::rows::{Sample, samples};

use super::finding::Finding;
use super::stack::Stack;

/// Length of the measurement before the load.
const QUIET: Duration = Duration::from_secs(4);
/// Length of the load, and length of the parts at its start and end that are not evaluated.
const LOADED: Duration = Duration::from_secs(24);
const EDGE_MS: f64 = 500.0;
const INTERVAL: &str = "1s";
const INTERVAL_MS: f64 = 1_000.0;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const DATAGRAMS_PER_SECOND: u64 = 1_000;
const DISK_BYTES_PER_SECOND: u64 = 8 << 20;
/// Maximum difference between the measured utilisation and one busy CPU. Other processes use little.
const BURN_DIFFERENCE_MAX: f64 = 5.0;
const CPU_DIFFERENCE_MAX: f64 = 2.0;
const MEMORY_DIFFERENCE_MIB_MAX: f64 = 16.0;
/// Maximum difference of a rate over all intervals, percent.
const RATE_DIFFERENCE_MAX: f64 = 2.0;

/// A rate in a row, and the kernel's counter for it.
type Rate = (fn(&Sample) -> f64, fn(&Look) -> f64);

/// The evaluated part of the load.
struct Window<'a> {
    history: &'a History,
    samples: Vec<Sample>,
    /// Utilisation of all CPUs before the load, percent.
    quiet: f64,
}

/// Runs the load in a network namespace whose only interface is the veth pair, and checks the rows.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    in_machine(|| check_inside(bin_dir))
}

fn check_inside(bin_dir: &Path) -> anyhow::Result<Vec<Finding>> {
    let stack = Stack::start(bin_dir, &[("NODE_ID", "by-service")])?;
    let folder = tempfile::tempdir()?;
    let variables = [
        ("OTELCOL_HOST_INTERVAL", INTERVAL),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "cctf.node_id=by-collector,cctf.stage=edge",
        ),
    ];
    let mut collector = Collector::new(folder.path(), stack.otlp_port()?, &variables)?;
    collector.start()?;
    let veth = Veth::new()?;
    let recorder = Recorder::start(LOOK_EVERY);
    let quiet_from = now_ms()?;
    std::thread::sleep(QUIET);
    let quiet_to = now_ms()?;
    let mut load = Load::new();
    load.write(bin_dir, DISK_BYTES_PER_SECOND)?;
    load.transfer(&veth, DATAGRAMS_PER_SECOND)?;
    load.burn();
    let from = now_ms()?;
    std::thread::sleep(LOADED);
    let to = now_ms()?;
    load.finish()?;
    let arrived = veth.arrived();
    // The last interval is reported one interval later.
    std::thread::sleep(Duration::from_millis(3 * INTERVAL_MS as u64));
    let history = recorder.finish()?;
    drop(collector);
    let logs = stack.stop()?;
    let quiet = history.cpu_util(quiet_from + EDGE_MS, quiet_to - EDGE_MS)?;
    let datagrams = DATAGRAMS_PER_SECOND as f64;
    let mut findings = vec![
        Finding::note(
            "utilization of all CPUs before the load",
            &format!("{quiet:.3} %"),
            "added to that of the load",
        ),
        Finding::between(
            "datagrams that crossed the veth pair",
            arrived as f64 / LOADED.as_secs_f64(),
            (0.98 * datagrams, 1.02 * datagrams),
            "/s",
        ),
    ];
    for node in ["by-service", "by-collector"] {
        let mut samples = samples(&logs.path().join("r/cctf"), node)?;
        samples.retain(|sample| {
            sample.at_ms - sample.interval_ms > from + EDGE_MS && sample.at_ms < to - EDGE_MS
        });
        ensure!(!samples.is_empty(), "{node} has no rows of the time under load");
        let history = &history;
        findings.extend(
            Window {
                history,
                samples,
                quiet,
            }
            .findings(node)?,
        );
    }
    Ok(findings)
}

impl Window<'_> {
    fn findings(&self, node: &str) -> anyhow::Result<Vec<Finding>> {
        let title = |what: &str| format!("{node}: {what}");
        let mut findings = self.intervals(&title);
        findings.extend(self.cpu_and_memory(&title)?);
        findings.extend(self.rates(&title)?);
        Ok(findings)
    }

    fn intervals(&self, title: &dyn Fn(&str) -> String) -> Vec<Finding> {
        let gaps = self.samples.windows(2).map(|pair| pair[1].at_ms - pair[0].at_ms);
        let (least, most) = gaps.fold((f64::INFINITY, 0.0_f64), |(least, most), gap| {
            (least.min(gap), most.max(gap))
        });
        let bounds = (0.9 * INTERVAL_MS, 1.1 * INTERVAL_MS);
        let name = title(&format!("{} rows, shortest interval", self.samples.len()));
        vec![
            Finding::between(&name, least, bounds, "ms"),
            Finding::between(&title("longest interval"), most, bounds, "ms"),
        ]
    }

    fn cpu_and_memory(&self, title: &dyn Fn(&str) -> String) -> anyhow::Result<Vec<Finding>> {
        let burn = self.quiet + 100.0 / std::thread::available_parallelism()?.get() as f64;
        Ok(vec![
            Finding::between(
                &title("cpu_util with one busy CPU, mean"),
                self.mean(|row| row.cpu_util),
                (burn - BURN_DIFFERENCE_MAX, burn + BURN_DIFFERENCE_MAX),
                "%",
            ),
            Finding::at_most(
                &title("cpu_util against /proc/stat, greatest difference"),
                self.greatest(|row, history| {
                    let known = history.cpu_util(row.at_ms - row.interval_ms, row.at_ms)?;
                    Ok(row.cpu_util - known)
                })?,
                CPU_DIFFERENCE_MAX,
                "points",
            ),
            Finding::at_most(
                &title("mem_free_mb against MemAvailable, greatest difference"),
                self.greatest(|row, history| {
                    Ok(row.mem_free_mb - history.at(row.at_ms, |look| look.available_mib)?)
                })?,
                MEMORY_DIFFERENCE_MIB_MAX,
                "MiB",
            ),
            Finding::at_most(
                &title("mem_used_mb against the rest of MemTotal, greatest"),
                self.greatest(|row, history| {
                    Ok(
                        row.mem_used_mb
                            - history.at(row.at_ms, |look| look.total_mib - look.available_mib)?,
                    )
                })?,
                MEMORY_DIFFERENCE_MIB_MAX,
                "MiB",
            ),
        ])
    }

    fn rates(&self, title: &dyn Fn(&str) -> String) -> anyhow::Result<Vec<Finding>> {
        let sent = DATAGRAMS_PER_SECOND as f64 * (DATAGRAM_BYTES + HEADER_BYTES) as f64;
        let echo = sent / ECHO_EACH as f64;
        let disk = DISK_BYTES_PER_SECOND as f64;
        // The measured rates can be higher, because the file system writes more than the load does, and other processes write,
        // too.
        let rates: [(&str, Rate, (f64, f64)); 4] = [
            (
                "tx_Bps",
                (|row| row.sent, |look| look.sent),
                (0.98 * sent, 1.03 * sent),
            ),
            (
                "rx_Bps",
                (|row| row.received, |look| look.received),
                (0.98 * echo, 1.05 * echo),
            ),
            (
                "disk_write_Bps",
                (|row| row.disk_written, |look| look.disk_written),
                (0.98 * disk, 1.15 * disk),
            ),
            (
                "disk_read_Bps",
                (|row| row.disk_read, |look| look.disk_read),
                (0.98 * disk / 2.0, 1.15 * disk / 2.0),
            ),
        ];
        let mut findings = Vec::new();
        for (name, rate, known) in rates {
            findings.extend(self.rate(&title(name), rate, known)?);
        }
        Ok(findings)
    }

    fn mean(&self, value: fn(&Sample) -> f64) -> f64 {
        self.samples.iter().map(value).sum::<f64>() / self.samples.len() as f64
    }

    fn greatest(&self, difference: fn(&Sample, &History) -> anyhow::Result<f64>) -> anyhow::Result<f64> {
        self.samples.iter().try_fold(0.0_f64, |greatest, row| {
            let difference = difference(row, self.history)?;
            // max() would ignore NaN.
            Ok(if difference.is_nan() {
                f64::INFINITY
            } else {
                greatest.max(difference.abs())
            })
        })
    }

    /// Compares the mean of a rate with the known load, and with its counter over the same time.
    fn rate(&self, name: &str, (row, counter): Rate, known: (f64, f64)) -> anyhow::Result<[Finding; 2]> {
        let (bytes, ms) = self.samples.iter().fold((0.0, 0.0), |(bytes, ms), sample| {
            (
                bytes + row(sample) * sample.interval_ms / 1e3,
                ms + sample.interval_ms,
            )
        });
        let counted = self.samples.iter().try_fold(0.0, |counted, sample| {
            let grown = self
                .history
                .growth(sample.at_ms - sample.interval_ms, sample.at_ms, counter)?;
            anyhow::Ok(counted + grown)
        })?;
        let megabytes = 1e-6 * 1e3 / ms;
        Ok([
            Finding::between(
                &format!("{name}, mean, against the load"),
                bytes * megabytes,
                (known.0 * 1e-6, known.1 * 1e-6),
                "MB/s",
            ),
            Finding::at_most(
                &format!("{name} against its counter"),
                100.0 * (bytes / counted - 1.0).abs(),
                RATE_DIFFERENCE_MAX,
                "%",
            ),
        ])
    }
}
