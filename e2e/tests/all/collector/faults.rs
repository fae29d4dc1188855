//! The Collector, its senders or its receivers are killed or fail. The files must contain all data that the Collector has
//! acknowledged, and each row only once.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::child::wait_for;

use super::client::{Client, assert_whole};
use e2e::collector::Collector;

use super::processes::Normalizer;

/// Number of traces between two kills.
const BETWEEN: u64 = 40;
const ROUNDS: u32 = 3;
/// Time for which the normalizer is unreachable.
const OUTAGE: Duration = Duration::from_secs(60);

/// Starts a Collector and a normalizer.
fn pair(folder: &Path, variables: &[(&'static str, &str)], flags: &[&str]) -> (Collector, Normalizer) {
    let mut normalizer = Normalizer::new(&folder.join("logs"), flags);
    normalizer.start();
    let mut collector = Collector::new(folder, normalizer.port(), variables).unwrap();
    collector.start().unwrap();
    (collector, normalizer)
}

/// This test fails if the queue is in memory (no `storage`): rows are then missing after 60 s.
#[test]
fn kills_of_either_or_both_lose_and_duplicate_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut collector, mut normalizer) = pair(folder.path(), &[], &[]);
    let client = Client::start(collector.url());
    for round in 0..ROUNDS {
        client.wait_for_more(BETWEEN);
        println!(
            "round {round}: kill -9 of the normalizer after {} traces",
            client.acknowledged()
        );
        normalizer.kill();
        client.wait_for_more(BETWEEN);
        normalizer.start();
        client.wait_for_more(BETWEEN);
        println!(
            "round {round}: kill -9 of the Collector after {} traces",
            client.acknowledged()
        );
        collector.kill();
        collector.start().unwrap();
        client.wait_for_more(BETWEEN);
        println!(
            "round {round}: kill -9 of both after {} traces",
            client.acknowledged()
        );
        collector.kill();
        normalizer.kill();
        normalizer.start();
        collector.start().unwrap();
    }
    client.wait_for_more(BETWEEN);
    assert_whole(&normalizer.run_dir(), client.finish());
}

/// This test fails if the Collector stops its retries (`max_elapsed_time: 10s`).
#[test]
fn an_outage_and_a_full_queue_make_senders_wait_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let small = [("OTELCOL_QUEUE_BYTES", "60000")];
    let (collector, mut normalizer) = pair(folder.path(), &small, &[]);
    let client = Client::start(collector.url());
    client.wait_for_more(BETWEEN);
    normalizer.kill();
    let outage = Instant::now();
    // The symptoms of docs/operations.md: a queue near its capacity, a healthy Collector, and a log line with the reason.
    wait_for("a full queue", || {
        Ok((collector.metric("otelcol_exporter_queue_size")? > 0.8 * 60_000.0).then_some(()))
    })
    .unwrap();
    // Each signal has its own queue.
    assert!(collector.metric("otelcol_exporter_queue_capacity").unwrap() >= 60_000.0);
    wait_for_words(&collector, &["Will retry", "connection refused"]);
    assert_eq!(collector.health(), 200);
    println!("the queue is full after {} traces", client.acknowledged());
    std::thread::sleep(OUTAGE.saturating_sub(outage.elapsed()));
    normalizer.start();
    client.wait_for_more(BETWEEN);
    assert_whole(&normalizer.run_dir(), client.finish());
}

/// Waits for a line of the Collector's log that contains all these words.
fn wait_for_words(collector: &Collector, words: &[&str]) {
    wait_for(&format!("a line of the Collector's log with {words:?}"), || {
        let log = collector.log()?;
        let found = log
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        Ok(found.then_some(()))
    })
    .unwrap();
}

/// A separate disk. It is unmounted when this is dropped. Needs root.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(disk.0.path())
            .status();
        assert!(
            mounted.unwrap().success(),
            "cannot mount a tmpfs; run this test as root"
        );
        disk
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// The normalizer answers UNAVAILABLE: answers.rs shows that the Collector would drop the data on INTERNAL.
#[test]
fn a_full_disk_delays_rows_and_shows_in_the_readiness() {
    let disk = Disk::new();
    let folder = tempfile::tempdir().unwrap();
    let mut normalizer = Normalizer::new(
        &disk.0.path().join("logs"),
        &["--segment-bytes", "1MiB", "--disk-free-min", "8MiB"],
    );
    normalizer.start();
    let mut collector = Collector::new(folder.path(), normalizer.port(), &[]).unwrap();
    collector.start().unwrap();
    let client = Client::start(collector.url());
    client.wait_for_more(BETWEEN);
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![0; 15 << 20]).unwrap();
    wait_for(
        "a full disk",
        || Ok((normalizer.readiness() == 503).then_some(())),
    )
    .unwrap();
    client.wait_for_more(BETWEEN);
    wait_for("a queue that grows", || {
        Ok((collector.metric("otelcol_exporter_queue_size")? > 0.0).then_some(()))
    })
    .unwrap();
    println!("the disk is full after {} traces", client.acknowledged());
    // These are the symptoms that docs/operations.md describes.
    wait_for("refused requests", || {
        let refused = normalizer.ask("/metrics")?;
        Ok((refused.metric("cctf_refused_requests_total", "reason=\"disk_full\"") > 0.0).then_some(()))
    })
    .unwrap();
    // When segments are deleted, there is room for a moment. So each symptom may appear and disappear.
    wait_for("a metric that says so", || {
        Ok((normalizer.ask("/metrics")?.metric("cctf_disk_full", "") == 1.0).then_some(()))
    })
    .unwrap();
    for page in ["/readyz", "/"] {
        wait_for("a page that says so", || {
            let page = normalizer.ask(page)?.text();
            Ok(page.contains("the disk is full").then_some(()))
        })
        .unwrap();
    }
    assert_eq!(normalizer.ask("/livez").unwrap().status, 200);
    let log = normalizer.log();
    for message in [
        "less than --disk-free-min (8388608)",
        "refused a request, reason disk_full",
    ] {
        assert!(
            log.contains(message),
            "{message:?} is not in the normalizer's log: {log}"
        );
    }
    wait_for_words(&collector, &["Will retry", "Unavailable", "disk"]);
    fs::remove_file(&ballast).unwrap();
    wait_for("room", || Ok((normalizer.readiness() == 200).then_some(()))).unwrap();
    assert!(
        normalizer.log().contains("has enough free space again"),
        "{}",
        normalizer.log()
    );
    assert_eq!(
        normalizer.ask("/metrics").unwrap().metric("cctf_disk_full", ""),
        0.0
    );
    client.wait_for_more(BETWEEN);
    assert_whole(&normalizer.run_dir(), client.finish());
}
