//! Calls to the file system that fail: the k-th call of each kind, on each kind of file, for each relevant reason.
//!
//! If a sync fails, or if another error than a full disk occurs, the process ends and names the file and the reason. If the
//! disk is full, requests are refused until space is free. An interrupted or incomplete write has no effect. In all cases, the
//! files contain each acknowledged row once after the next start.

use std::cell::Cell;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

use tempfile::TempDir;

use super::clients::{Clients, Target};
use super::normalizer::{Ended, Launch, wait_until};
use super::shim::{Fault, faults_in};

const CLIENTS: u64 = 2;
/// Number of requests after which the test ends a process without a fault.
const REQUESTS_A_LIFE: u64 = 16;

/// For each process, the number of the call that fails.
const FIRSTS: [u64; 6] = [1, 2, 3, 5, 8, 13];

fn fault(calls: &'static str, path: &'static str, errno: i32) -> Fault {
    Fault {
        calls,
        path,
        errno,
        first: 1,
        every: 0,
        until: 0,
        direct: true,
    }
}

/// The same fault on a file system without direct writes, on which the journal has to be synced.
fn through_the_page_cache(fault: Fault) -> Fault {
    let direct = false;
    Fault { direct, ..fault }
}

/// A normalizer that is started several times, and clients that send all the time.
struct Lives {
    folder: TempDir,
    launch: Launch,
    target: Target,
    clients: Clients,
    ended: Cell<u64>,
}

impl Lives {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        // A segment holds only a few requests, so that segments are created and deleted all the time.
        let launch = Launch::in_folder(&folder.path().join("logs")).flag("--segment-bytes", "4KiB");
        let target = Target::default();
        let clients = Clients::start(&target, CLIENTS);
        Self {
            folder,
            launch,
            target,
            clients,
            ended: Cell::new(0),
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("faults")
    }

    /// Runs a process with this fault until the fault ends it. If the fault does not end it, a shutdown or a kill does, in
    /// turn.
    fn live(&self, fault: Fault) -> Ended {
        self.live_unless(fault, || false)
    }

    /// Like [`Lives::live`], but if `is_ending` returns true, the process gets time to end by itself.
    fn live_unless(&self, fault: Fault, is_ending: impl Fn() -> bool) -> Ended {
        let launch = self.launch.clone().variables(fault.variables(&self.log()));
        let mut normalizer = match launch.start() {
            Ok(normalizer) => normalizer,
            Err(ended) => return ended,
        };
        self.target.set(Some(normalizer.address("http")));
        let goal = self.clients.acknowledged() + REQUESTS_A_LIFE;
        wait_until("its end, or acknowledgements", || {
            self.clients.acknowledged() >= goal || !normalizer.is_running()
        });
        self.target.set(None);
        self.ended.set(self.ended.get() + 1);
        match (normalizer.is_running() && !is_ending(), self.ended.get() % 2) {
            (false, _) => normalizer.ended(),
            (true, 0) => normalizer.end(libc::SIGTERM),
            (true, _) => normalizer.end(libc::SIGKILL),
        }
    }

    /// Runs a last process without faults. Then the files must contain all rows.
    fn end(self, about: &str) {
        let normalizer = self.launch.start().unwrap();
        self.target.set(Some(normalizer.address("http")));
        self.clients.go_on_for(CLIENTS);
        let acknowledged = self.clients.finish();
        normalizer.stop();
        acknowledged.check(&self.launch.folder, about);
    }
}

/// Runs processes in which the k-th call of this kind fails. Each process must end and log the reason.
fn ends_the_process(kind: Fault, reason: &str) {
    let lives = Lives::new();
    let mut ends = 0;
    for first in FIRSTS {
        let before = faults_in(&lives.log());
        let has_failed = || faults_in(&lives.log()) > before;
        let ended = lives.live_unless(Fault { first, ..kind }, has_failed);
        // The kill can occur just after the call.
        if !has_failed() || ended.status.signal().is_some() {
            assert!(ended.was_told_to_end(), "{kind:?} {first}: {ended:?}");
            continue;
        }
        ends += 1;
        assert_eq!(ended.status.code(), Some(1), "{kind:?} {first}: {ended:?}");
        let last = ended.log.lines().last().unwrap_or_default();
        assert!(
            last.contains(reason) && last.contains(kind.path) && !last.contains("panic"),
            "{kind:?} {first}: the last line has no path or reason: {}",
            ended.log
        );
    }
    assert!(ends > 0, "{kind:?}: no call failed");
    let Fault { calls, path, .. } = kind;
    lives.end(&format!("{calls} on {path}: {reason}, {ends} times"));
}

/// Runs processes whose disk becomes full several times. Requests are refused meanwhile. The process continues, unless the disk
/// becomes full during its start or shutdown.
fn refuses_and_goes_on(kind: Fault) {
    let lives = Lives::new();
    let mut went_on = 0;
    for first in FIRSTS {
        let before = faults_in(&lives.log());
        // First there is space for some calls, then for none, and finally for all.
        let (every, until) = (5, first + 9);
        let ended = lives.live(Fault {
            first,
            every,
            until,
            ..kind
        });
        let has_logged_full = ended.log.contains("cannot create a journal segment")
            || ended.log.contains("requests are refused until space is free");
        if faults_in(&lives.log()) > before && ended.was_told_to_end() {
            // If the process was killed, it may not have logged this.
            assert!(
                has_logged_full || !ended.status.success(),
                "{kind:?} {first}: {ended:?}"
            );
            went_on += u64::from(has_logged_full);
        } else if !ended.was_told_to_end() {
            let last = ended.log.lines().last().unwrap_or_default();
            assert!(last.contains("os error"), "{kind:?} {first}: {ended:?}");
        }
    }
    assert!(went_on > 0, "{kind:?}: it never went on");
    let (Fault { calls, path, .. }, refused) = (kind, lives.clients.told_to_retry());
    lives.end(&format!(
        "{calls} on {path}: no room in {went_on} lives, {refused} requests refused"
    ));
}

/// Runs a process in which every second call is interrupted or incomplete. This must have no effect.
fn is_invisible(kind: Fault) {
    let lives = Lives::new();
    for first in [1, 2] {
        let ended = lives.live(Fault {
            first,
            every: 2,
            ..kind
        });
        assert!(ended.was_told_to_end(), "{kind:?}: {ended:?}");
        assert!(!ended.log.contains("warning"), "{kind:?}: {ended:?}");
    }
    let faults = faults_in(&lives.log());
    assert!(faults > 0, "{kind:?}: no call failed");
    assert_eq!(lives.clients.told_to_retry(), 0, "{kind:?}: a client has noticed");
    let Fault {
        calls, path, errno, ..
    } = kind;
    lives.end(&format!("{calls} on {path}: errno {errno}, {faults} times"));
}

const IO: &str = "Input/output error (os error 5)";
const TOO_MANY: &str = "Too many open files";
const FULL: &str = "No space left on device";

/// This test fails when the result of the sync is ignored (`Store::sync`), and when a failed sync is retried.
#[test]
fn a_failed_sync_of_the_journal_ends_the_process() {
    for (errno, reason) in [(libc::EIO, IO), (libc::ENOSPC, FULL)] {
        ends_the_process(
            through_the_page_cache(fault("fdatasync", ".segment", errno)),
            reason,
        );
    }
    ends_the_process(fault("fsync", ".segment", libc::ENOSPC), FULL);
    ends_the_process(fault("fsync", ".journal/mine", libc::EIO), IO);
}

/// This test fails when a write error counts as an interruption (`Segment::write_all`). The next record overwrites a torn one
/// here, so the tests of recovery check that a torn record is zeroed at the next start.
#[test]
fn a_failed_write_of_the_journal_ends_the_process() {
    ends_the_process(fault("write", ".segment", libc::EIO), IO);
    ends_the_process(through_the_page_cache(fault("write", ".segment", libc::EIO)), IO);
    ends_the_process(fault("fallocate", ".segment", libc::EIO), IO);
    ends_the_process(fault("open", ".segment", libc::EMFILE), TOO_MANY);
    ends_the_process(fault("open", ".segment", libc::ENFILE), TOO_MANY);
    ends_the_process(fault("read", ".segment", libc::EIO), IO);
}

#[test]
fn a_checkpoint_that_cannot_be_written_ends_the_process() {
    for calls in ["write", "open", "fsync", "rename"] {
        ends_the_process(fault(calls, "checkpoint", libc::EIO), IO);
    }
    ends_the_process(fault("read", "checkpoint", libc::EIO), IO);
    ends_the_process(fault("mkdir", ".journal", libc::EIO), IO);
}

/// This test fails when every error of the sink counts as a full disk (`Worker::write`): the process does not end.
#[test]
fn a_file_of_rows_that_cannot_be_written_ends_the_process() {
    ends_the_process(fault("write", "/cctf/", libc::EIO), IO);
    ends_the_process(fault("open", "/cctf/", libc::EMFILE), TOO_MANY);
    ends_the_process(fault("fdatasync", "/cctf/", libc::EIO), IO);
    ends_the_process(fault("fdatasync", "/cctf/", libc::ENOSPC), FULL);
    ends_the_process(fault("rename", "/cctf/", libc::EIO), IO);
}

/// This test fails with the same change of the code.
#[test]
fn a_run_folder_that_cannot_be_created_ends_the_process() {
    ends_the_process(fault("mkdir", "mine", libc::EIO), IO);
    ends_the_process(fault("write,open,rename,fdatasync", ".base", libc::EIO), IO);
    ends_the_process(fault("open", "mine/.lock", libc::EMFILE), TOO_MANY);
    ends_the_process(fault("flock", "mine/.lock", libc::EIO), IO);
    ends_the_process(fault("symlink", "logs/", libc::EIO), IO);
    ends_the_process(fault("fsync", "mine/cctf", libc::EIO), IO);
}

/// This test fails when no error of the store counts as a full disk: the process ends.
#[test]
fn without_room_for_the_journal_requests_are_refused() {
    for errno in [libc::ENOSPC, libc::EDQUOT] {
        refuses_and_goes_on(fault("fallocate", ".segment", errno));
        refuses_and_goes_on(fault("write", ".segment", errno));
        refuses_and_goes_on(through_the_page_cache(fault("write", ".segment", errno)));
    }
    refuses_and_goes_on(fault("open", ".segment", libc::ENOSPC));
}

/// This test fails when no error of the sink counts as a full disk: the process ends.
#[test]
fn without_room_for_rows_requests_are_refused() {
    for errno in [libc::ENOSPC, libc::EDQUOT] {
        refuses_and_goes_on(fault("write", "/cctf/", errno));
        refuses_and_goes_on(fault("write", "/.tmp-", errno));
    }
    refuses_and_goes_on(fault("open", "/cctf/", libc::ENOSPC));
    refuses_and_goes_on(fault("open", "/.tmp-", libc::ENOSPC));
    refuses_and_goes_on(fault("rename", "/cctf/", libc::ENOSPC));
}

/// This test fails when an interrupted write of the journal is an error.
#[test]
fn interrupted_and_short_calls_have_no_effect() {
    for path in [".segment", "/cctf/", "checkpoint", "/.tmp-"] {
        is_invisible(fault("write", path, libc::EINTR));
        is_invisible(fault("write", path, 0));
    }
    for errno in [libc::EINTR, 0] {
        is_invisible(through_the_page_cache(fault("write", ".segment", errno)));
    }
    is_invisible(fault("open,read,fsync,fdatasync,ftruncate", "logs/", libc::EINTR));
    is_invisible(fault("fallocate", ".segment", libc::EINTR));
    is_invisible(fault("fallocate", ".segment", libc::EOPNOTSUPP));
}
