//! The live page of a normalizer that receives spans all the time, until the normalizer is killed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use e2e::binaries::bin_dir;
use e2e::child::Child;
use e2e::otlp::export;
use prost::Message;
use serde_json::json;

use super::check;
use super::spans::{self, HOSTILE};

/// Time between two requests. The page shows the last minute.
const SEND_EVERY: Duration = Duration::from_millis(100);

/// A thread that sends spans. It ends when this is dropped.
struct Sender {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    fn start(url: String, names: &'static [&'static str; 4]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                number += 1;
                let body = spans::trace(names, number, e2e::otlp::now_unix_ns());
                // When the check has killed the normalizer, spans are lost on purpose.
                if export(&url, body.encode_to_vec()).is_err() {
                    return;
                }
                std::thread::sleep(SEND_EVERY);
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn normalizer(logs: &Path) -> Child {
    let flags = ["--run-id", "r", "--join-window", "1s"];
    Child::normalizer(&bin_dir().unwrap(), logs, &flags).unwrap()
}

#[test]
fn a_live_page_follows_a_normalizer_until_it_is_killed() {
    let logs = tempfile::tempdir().unwrap();
    let normalizer = normalizer(logs.path());
    let _sender = Sender::start(normalizer.url("grpc").unwrap(), &HOSTILE);
    check(&json!({
        "kind": "live",
        "url": format!("{}/", normalizer.url("admin").unwrap()),
        // Names of modules and nodes. The page does not show peers.
        "names": HOSTILE[..3],
        "texts": ["cctf report "],
        "process": normalizer.id(),
    }));
}
