//! What is measured: a receiver as a process of its own, with its files in a folder of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use cctf_proto::cctf::File;
use clap::ValueEnum;
use e2e::child::Child;
use tempfile::TempDir;

use super::collector;
use super::discard;
use super::follow::Follower;
use super::process;

/// The run that spans without one of their own belong to.
pub const RUN_ID: &str = "bench";
/// Output that has not grown for so long is all there is; above the second after which the Collector flushes.
const QUIET_FOR: Duration = Duration::from_millis(1500);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longest wait for the output to be complete.
const PATIENCE: Duration = Duration::from_secs(120);

/// Kinds of receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The normalizer, an acknowledgement survives a power loss.
    Fsync,
    /// The normalizer, an acknowledgement survives the process.
    Flush,
    /// A tonic server that throws all away.
    Discard,
    /// The real Collector with its file exporter.
    Collector,
}

impl Kind {
    /// Its name in results.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Fsync => "fsync",
            Kind::Flush => "flush",
            Kind::Discard => "discard",
            Kind::Collector => "collector",
        }
    }
}

/// Where binaries are, and where files may be made.
pub struct Places {
    /// Folder of the normalizer.
    pub bin_dir: PathBuf,
    /// The Collector.
    pub collector: PathBuf,
    /// Folder in which each subject gets one of its own; on a real disk.
    pub scratch: PathBuf,
}

/// A running receiver.
pub struct Subject {
    kind: Kind,
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Subject {
    /// Starts one; `args` go to a normalizer.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(kind: Kind, places: &Places, args: &[&str]) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(&places.scratch)
            .with_context(|| format!("cannot make a folder in {}", places.scratch.display()))?;
        let (child, address) = match kind {
            Kind::Fsync | Kind::Flush => {
                let own = ["--run-id", RUN_ID, "--durability", kind.name()];
                let child = Child::normalizer(&places.bin_dir, folder.path(), &[&own, args].concat())?;
                let address = child.address("grpc")?;
                (child, address)
            }
            Kind::Discard => {
                let mut command = std::process::Command::new(std::env::current_exe()?);
                command.arg(discard::COMMAND);
                let child = Child::start("raw discard", command)?;
                let address = child.address("grpc")?;
                (child, address)
            }
            Kind::Collector => collector::start(&places.collector, folder.path())?,
        };
        Ok(Self {
            kind,
            child,
            address,
            folder,
        })
    }

    /// Where it takes OTLP/gRPC.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// CPU time so far.
    ///
    /// # Errors
    /// If it has ended.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        process::cpu_time(self.pid())
    }

    /// The folder that it has for itself.
    pub fn out_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Where a normalizer writes the run.
    pub fn run_folder(&self) -> PathBuf {
        self.folder.path().join(RUN_ID).join("cctf")
    }

    /// Rows that a normalizer holds back.
    ///
    /// # Errors
    /// If its metrics cannot be read.
    pub fn held_rows(&self) -> anyhow::Result<f64> {
        self.child.metric("cctf_rows_held", "")
    }

    /// Bytes of the files that grow with the spans.
    ///
    /// # Errors
    /// If they cannot be looked at.
    pub fn output_len(&self) -> anyhow::Result<u64> {
        let len = |path: &Path| match fs::metadata(path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
        };
        match self.kind {
            Kind::Fsync | Kind::Flush => {
                let run = self.run_folder();
                Ok(len(&run.join(File::Invocations.name()))? + len(&run.join(File::Calls.name()))?)
            }
            Kind::Discard => Ok(0),
            Kind::Collector => len(&self.folder.path().join(collector::FILE)),
        }
    }

    /// Waits until the output grows no more; tells when it last did.
    ///
    /// # Errors
    /// If it grows without end.
    pub fn wait_until_quiet(&self) -> anyhow::Result<Instant> {
        let begun = Instant::now();
        let (mut len, mut grown_at) = (self.output_len()?, begun);
        while self.kind != Kind::Discard && grown_at.elapsed() < QUIET_FOR {
            ensure!(begun.elapsed() < PATIENCE, "the output grows without end");
            std::thread::sleep(LOOK_EVERY);
            let now = self.output_len()?;
            if now != len {
                (len, grown_at) = (now, Instant::now());
            }
        }
        Ok(grown_at)
    }

    /// Checks that the files hold all of so many traces, each once and right, and stops it.
    ///
    /// # Errors
    /// If they do not, or it does not end in order.
    pub fn check_and_stop(self, traces: u64) -> anyhow::Result<()> {
        match self.kind {
            Kind::Fsync | Kind::Flush => {
                let mut follower = Follower::new(&self.run_folder());
                while follower.read(|_, _, _| Ok(()))? {}
                follower.rows.ensure_whole(traces)?;
            }
            Kind::Discard => {}
            Kind::Collector => collector::check(self.folder.path(), traces)?,
        }
        self.stop()
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// If it does not end so.
    pub fn stop(self) -> anyhow::Result<()> {
        let ended = self.child.stop()?;
        if self.kind != Kind::Discard && !ended.status.success() {
            bail!(
                "{} ended with {}: {}",
                self.kind.name(),
                ended.status,
                ended.stderr
            );
        }
        Ok(())
    }
}
