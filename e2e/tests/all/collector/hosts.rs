//! The rows of a host under load, from the service's own metrics and through the Collector, held against the kernel's counters.
//!
//! However loaded the machine is: a counter only grows, so what rows say of a time lies between what the kernel counted in a
//! shorter and in a longer one. `make fidelity` has the tight bounds, on a quiet machine.

use std::time::Duration;

use e2e::binaries::bin_dir;
use e2e::child::{Child, wait_for};
use e2e::collector::Collector;
use e2e::exclusive;
use e2e::host::counters::{History, Look, Recorder, now_ms};
use e2e::host::load::{Load, Veth};
use e2e::host::machine::in_machine;
use e2e::host::rows::{Sample, samples};

/// Rows of each node that are looked at. Longer than twice the slack, so that what is counted twice is seen.
const ROWS: usize = 20;
/// By how much a stamp may differ from the moment at which the kernel was asked.
const SLACK_MS: f64 = 3_000.0;
/// Of what is spread evenly over the time between two looks.
const ROUNDING: f64 = 0.01;
/// Every second one row. Two of one interval would be far nearer to each other, whatever holds a sender up.
const NEAREST_MS: f64 = 300.0;

/// Seen to fail with the bytes of a disk told once more under another name.
#[test]
fn host_rows_agree_with_the_kernels_counters() {
    let _machine = exclusive::machine();
    // The veth pair is its only way out.
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
            // A file may end in half a line while it is looked at, or not be there yet.
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

/// The counters are known of so much time before the first row and after the last.
fn wait_for_slack() {
    let from = now_ms().unwrap();
    wait_for(
        "time to go by",
        || Ok((now_ms()? > from + SLACK_MS).then_some(())),
    )
    .unwrap();
}

fn check(node: &str, samples: &[Sample], history: &History) {
    for pair in samples.windows(2) {
        assert!(pair[1].at_ms - pair[0].at_ms > NEAREST_MS, "{node}: {pair:?}");
    }
    let from = samples[0].at_ms - samples[0].interval_ms;
    let to = samples[ROWS - 1].at_ms;
    let within = |what: &str, told: f64, counter: fn(&Look) -> f64| {
        let least = history.growth(from + SLACK_MS, to - SLACK_MS, counter).unwrap() * (1.0 - ROUNDING);
        let most = history.growth(from - SLACK_MS, to + SLACK_MS, counter).unwrap() * (1.0 + ROUNDING);
        println!("{node}: {what} {told:.0}, between {least:.0} and {most:.0}");
        assert!(least > 0.0 && (least..=most).contains(&told), "{node}: {what}");
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
    // A share of all ticks of the row's interval, of which there are as many in each ms.
    let ticks_per_ms = history.growth(from, to, |look| look.cpu_all).unwrap() / (to - from);
    let busy = sum(|row| row.cpu_util / 100.0 * 1e3) * ticks_per_ms;
    within("busy ticks", busy, |look| look.cpu_busy);
    for row in samples {
        let (least, most) = history.range(row.at_ms - SLACK_MS, row.at_ms + SLACK_MS, |look| {
            look.available_mib
        });
        // The kernel's figure changes between two looks, too.
        let spread = 64.0 + most - least;
        assert!(
            (least - spread..=most + spread).contains(&row.mem_free_mb),
            "{node}: {row:?}, {least}, {most}"
        );
    }
}
