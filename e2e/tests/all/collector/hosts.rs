//! The rows of a host under load agree with the kernel's counters: those from the service's metrics, and those through the
//! Collector.
//!
//! The bounds hold on any machine. A counter only grows, so its growth over an interval is between the growth over a shorter
//! and over a longer interval. `make fidelity` checks narrow bounds on a quiet machine.

use std::time::Duration;

use e2e::binaries::bin_dir;
use e2e::child::{Child, wait_for};
use e2e::collector::Collector;
use e2e::exclusive;
use e2e::host::counters::{History, Look, Recorder, now_ms};
use e2e::host::load::{Load, Veth};
use e2e::host::machine::in_machine;
use e2e::host::rows::{Sample, samples};

/// Number of rows of each node that are checked. They cover more than twice the slack, so that double counting is found.
const ROWS: usize = 20;
/// Maximum difference between a timestamp and the time of the measurement.
const SLACK_MS: f64 = 3_000.0;
/// Error of the interpolation between two readings of the counters.
const ROUNDING: f64 = 0.01;
/// Minimum time between two rows. There is one row a second. If an interval had two rows, these would be much closer, even if a
/// sender is late.
const NEAREST_MS: f64 = 300.0;

/// This test fails if the bytes of a disk are counted again under another name.
#[test]
fn host_rows_agree_with_the_kernels_counters() {
    let _machine = exclusive::machine();
    // The only interface apart from loopback is the veth pair.
    in_machine(|| {
        hold_rows_against_counters();
        Ok(())
    })
    .unwrap();
}

fn hold_rows_against_counters() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, bin_dir) = (folder.path().join("logs"), bin_dir().unwrap());
    let normalizer = Child::normalizer(&bin_dir, &logs, &["--run-id", "r"]).unwrap();
    let recorder = Recorder::start(Duration::from_millis(50));
    let veth = Veth::new().unwrap();
    let mut load = Load::new();
    load.write(&bin_dir, 4 << 20).unwrap();
    load.transfer(&veth, 500).unwrap();
    wait_for_slack();
    let service = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", normalizer.url("grpc").unwrap()),
        ("NODE_ID", "by-service".to_owned()),
    ];
    let service = Child::service(
        &bin_dir,
        &service.each_ref().map(|(name, value)| (*name, value.as_str())),
    )
    .unwrap();
    let variables = [
        ("OTELCOL_HOST_INTERVAL", "1s"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "cctf.node_id=by-collector,cctf.stage=edge",
        ),
    ];
    let port = normalizer.address("grpc").unwrap().port();
    let mut collector = Collector::new(folder.path(), port, &variables).unwrap();
    collector.start().unwrap();
    let cctf = logs.join("r/cctf");
    for node in ["by-service", "by-collector"] {
        wait_for("rows of the host", || {
            // A file may not exist yet, or may end with an incomplete line.
            Ok(samples(&cctf, node).ok().filter(|samples| samples.len() > ROWS))
        })
        .unwrap();
    }
    wait_for_slack();
    let history = recorder.finish().unwrap();
    load.finish().unwrap();
    drop(collector);
    assert!(service.stop().unwrap().status.success());
    assert!(normalizer.stop().unwrap().status.success());
    for node in ["by-service", "by-collector"] {
        let samples = samples(&cctf, node).unwrap();
        check(node, &samples[..ROWS], &history);
    }
}

/// Waits until the counters cover this time before the first row and after the last row.
fn wait_for_slack() {
    let from = now_ms().unwrap();
    wait_for("the slack", || Ok((now_ms()? > from + SLACK_MS).then_some(()))).unwrap();
}

fn check(node: &str, samples: &[Sample], history: &History) {
    for pair in samples.windows(2) {
        assert!(pair[1].at_ms - pair[0].at_ms > NEAREST_MS, "{node}: {pair:?}");
    }
    let from = samples[0].at_ms - samples[0].interval_ms;
    let to = samples[ROWS - 1].at_ms;
    let within = |what: &str, found: f64, counter: fn(&Look) -> f64| {
        let least = history.growth(from + SLACK_MS, to - SLACK_MS, counter).unwrap() * (1.0 - ROUNDING);
        let most = history.growth(from - SLACK_MS, to + SLACK_MS, counter).unwrap() * (1.0 + ROUNDING);
        println!("{node}: {what} {found:.0}, between {least:.0} and {most:.0}");
        assert!(least > 0.0 && (least..=most).contains(&found), "{node}: {what}");
    };
    let sum = |rate: fn(&Sample) -> f64| -> f64 {
        samples.iter().map(|row| rate(row) * row.interval_ms / 1e3).sum()
    };
    within("bytes sent", sum(|row| row.sent), |look| look.sent);
    within("bytes received", sum(|row| row.received), |look| look.received);
    within("bytes written", sum(|row| row.disk_written), |look| {
        look.disk_written
    });
    within("bytes read", sum(|row| row.disk_read), |look| look.disk_read);
    // A share of all ticks in the row's interval. Every millisecond has the same number of ticks.
    let ticks_per_ms = history.growth(from, to, |look| look.cpu_all).unwrap() / (to - from);
    let busy = sum(|row| row.cpu_util / 100.0 * 1e3) * ticks_per_ms;
    within("busy ticks", busy, |look| look.cpu_busy);
    for row in samples {
        let (least, most) = history.range(row.at_ms - SLACK_MS, row.at_ms + SLACK_MS, |look| {
            look.available_mib
        });
        // The kernel's value also changes between two readings.
        let spread = 64.0 + most - least;
        assert!(
            (least - spread..=most + spread).contains(&row.mem_free_mb),
            "{node}: {row:?}, {least}, {most}"
        );
    }
}
