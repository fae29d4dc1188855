//! The process is killed by kill -9 at random moments under load, while a reader follows the files.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::clients::{Clients, Target};
use super::normalizer::{Launch, RUN};
use crate::support::random::Random;

const KILLS: u64 = 20;
const CLIENTS: u64 = 3;

/// Follows a file like a reader, and returns all bytes that it has read.
fn tail(path: PathBuf, stop: &AtomicBool) -> Vec<u8> {
    let mut read = Vec::new();
    let mut file = None;
    loop {
        let is_last = stop.load(Ordering::Relaxed);
        if file.is_none() {
            file = File::open(&path).ok();
        }
        if let Some(file) = &mut file {
            file.read_to_end(&mut read).unwrap();
        }
        if is_last {
            return read;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// This test fails without the protection. With `--durability none`, acknowledged rows are missing. If `Sink::resume` gets an
/// empty map instead of the checkpoint's lengths, files differ or have duplicates.
#[test]
fn twenty_kills_lose_and_duplicate_nothing_and_tear_no_line() {
    let folder = TempDir::new().unwrap();
    let cctf = folder.path().join(RUN).join("cctf");
    let launch = Launch::in_folder(folder.path()).flag("--join-window", "1s");
    let target = Target::default();
    let mut process = launch.start().unwrap();
    target.set(Some(process.address("http")));
    let clients = Clients::start(&target, CLIENTS);
    let stop_tail = Arc::new(AtomicBool::new(false));
    let tails: Vec<_> = ["invocations.jsonl", "calls.jsonl", "system_stats.jsonl"]
        .map(|name| {
            let (path, stop) = (cctf.join(name), Arc::clone(&stop_tail));
            (name, thread::spawn(move || tail(path, &stop)))
        })
        .into_iter()
        .collect();

    let mut random = Random(42);
    for kill in 0..KILLS {
        clients.go_on_for(random.next() % 40);
        thread::sleep(Duration::from_micros(random.next() % 3000));
        process.end(libc::SIGKILL);
        println!("kill {kill} after {} requests", clients.acknowledged());
        process = launch.start().unwrap();
        target.set(Some(process.address("http")));
    }
    let acknowledged = clients.finish();
    process.stop();
    stop_tail.store(true, Ordering::Relaxed);
    for (name, tail) in tails {
        let read = tail.join().unwrap();
        assert!(
            fs::read(cctf.join(name)).unwrap() == read,
            "a tailing reader of {name} has read the whole file, once"
        );
    }
    acknowledged.check(folder.path(), &format!("{KILLS} kills"));
}
