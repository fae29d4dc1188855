//! A stack that already runs, in containers or on other machines. It cannot be stopped, so its files are watched to find out
//! when they are complete.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cctf_proto::cctf::File;
use serde_json::Value;

/// Time without a new row after which the rows count as complete. Services send spans and metrics within a second.
const QUIET: Duration = Duration::from_secs(3);
/// Maximum time until the rows are complete, and until the normalizer closes the run, which takes a join window.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Interval between two checks of the files.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// The reason why a run in such a stack cannot be completed.
#[derive(Debug, thiserror::Error)]
pub enum RunningError {
    #[error(
        "cannot complete the run: no rows in {0}; check that the stack's normalizer writes to this folder (--logs-dir), and that telemetry reaches it"
    )]
    NoFiles(PathBuf),
    #[error("cannot complete the run: the normalizer has not closed {0} within {seconds} s; see its live page", seconds = TIMEOUT.as_secs())]
    NotClosed(PathBuf),
    #[error("interrupted")]
    Interrupted,
}

/// A run's folder, which the stack's normalizer fills.
#[derive(Debug)]
pub struct RunningStack {
    run_dir: PathBuf,
}

impl RunningStack {
    /// Creates the folder of run `run_id` with the owner of `logs_dir`, who is the normalizer's user.
    pub fn prepare(logs_dir: &Path, run_id: &str) -> std::io::Result<Self> {
        let run_dir = logs_dir.join(run_id);
        fs::create_dir_all(&run_dir)?;
        let owner = fs::metadata(logs_dir)?;
        if fs::metadata(&run_dir)?.uid() != owner.uid() {
            chown(&run_dir, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(Self { run_dir })
    }

    /// Waits until the rows of the load are written.
    pub fn settle(&self, stop: &AtomicBool) -> Result<(), RunningError> {
        let deadline = Instant::now() + TIMEOUT;
        let (mut last, mut since) = (self.rows_bytes(), Instant::now());
        while since.elapsed() < QUIET || last == 0 {
            if Instant::now() >= deadline {
                return if last == 0 {
                    Err(RunningError::NoFiles(self.run_dir.clone()))
                } else {
                    // Other users may send load to the stack, too, so rows may never stop.
                    Ok(())
                };
            }
            pause(stop)?;
            let now = self.rows_bytes();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Waits until the run has ended.
    pub fn wait_closed(&self, stop: &AtomicBool) -> Result<(), RunningError> {
        let deadline = Instant::now() + TIMEOUT;
        while !self.has_ended() {
            if Instant::now() >= deadline {
                return Err(RunningError::NotClosed(self.run_dir.clone()));
            }
            pause(stop)?;
        }
        Ok(())
    }

    fn has_ended(&self) -> bool {
        let text = fs::read(self.run_dir.join("cctf").join(File::RunMeta.name())).unwrap_or_default();
        let meta: Value = serde_json::from_slice(&text).unwrap_or_default();
        meta["ended_ts"].is_number()
    }

    /// Bytes of the rows of requests. Host metrics do not count, because they are written as long as the run is open.
    fn rows_bytes(&self) -> u64 {
        let files = [File::Invocations, File::Calls];
        files
            .iter()
            .map(|file| {
                fs::metadata(self.run_dir.join("cctf").join(file.name())).map_or(0, |found| found.len())
            })
            .sum()
    }
}

fn pause(stop: &AtomicBool) -> Result<(), RunningError> {
    if stop.load(Ordering::Relaxed) {
        return Err(RunningError::Interrupted);
    }
    std::thread::sleep(CHECK_INTERVAL);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_belongs_to_the_owner_of_all_runs_and_its_end_is_seen() {
        let logs = tempfile::tempdir().unwrap();
        let owner = fs::metadata(logs.path()).unwrap();
        let stack = RunningStack::prepare(logs.path(), "r").unwrap();
        let run_dir = logs.path().join("r");
        assert_eq!(fs::metadata(&run_dir).unwrap().uid(), owner.uid());
        fs::create_dir(run_dir.join("cctf")).unwrap();
        let write_meta = |ended: &str| {
            fs::write(
                run_dir.join("cctf/run_meta.json"),
                format!(r#"{{"ended_ts":{ended}}}"#),
            )
            .unwrap()
        };
        write_meta("null");
        assert!(!stack.has_ended());
        write_meta("1.000000");
        assert!(stack.has_ended());
        stack.wait_closed(&AtomicBool::new(false)).unwrap();
    }

    #[test]
    fn an_interrupt_ends_the_wait() {
        let logs = tempfile::tempdir().unwrap();
        let stack = RunningStack::prepare(logs.path(), "r").unwrap();
        assert!(matches!(
            stack.settle(&AtomicBool::new(true)),
            Err(RunningError::Interrupted)
        ));
    }
}
