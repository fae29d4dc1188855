//! A measured receiver: a process with its own folder.

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

/// The run of all spans.
pub const RUN_ID: &str = "bench";
/// Time after which files that have not grown count as complete. The Collector flushes after one second.
const QUIET_FOR: Duration = Duration::from_millis(1500);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Maximum time to wait until the output is complete.
const PATIENCE: Duration = Duration::from_secs(120);

/// Kinds of receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The normalizer. What it has acknowledged survives a power loss.
    Fsync,
    /// The normalizer. What it has acknowledged survives the end of the process, but not a power loss.
    Flush,
    /// A tonic server that drops everything.
    Discard,
    /// The real Collector with its file exporter.
    Collector,
}

impl Kind {
    /// Name of the receiver in results.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Fsync => "fsync",
            Kind::Flush => "flush",
            Kind::Discard => "discard",
            Kind::Collector => "collector",
        }
    }
}

/// Folders of binaries and of files.
pub struct Places {
    pub bin_dir: PathBuf,
    pub collector: PathBuf,
    /// Parent of the subjects' folders, on a real disk.
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
    /// Starts a receiver. `args` are further arguments for a normalizer.
    pub fn start(kind: Kind, places: &Places, args: &[&str]) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(&places.scratch)
            .with_context(|| format!("cannot create a folder in {}", places.scratch.display()))?;
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

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Address of a normalizer's live page.
    pub fn admin(&self) -> anyhow::Result<SocketAddr> {
        self.child.address("admin")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        process::cpu_time(self.pid())
    }

    pub fn out_dir(&self) -> &Path {
        self.folder.path()
    }

    /// Run folder of a normalizer.
    pub fn run_folder(&self) -> PathBuf {
        self.folder.path().join(RUN_ID).join("cctf")
    }

    /// Number of rows that wait in a normalizer.
    pub fn held_rows(&self) -> anyhow::Result<f64> {
        self.child.metric("cctf_rows_held", "")
    }

    /// Total size of all files that grow with the number of spans, bytes.
    pub fn output_len(&self) -> anyhow::Result<u64> {
        let len = |path: &Path| match fs::metadata(path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error).with_context(|| format!("cannot read the size of {}", path.display())),
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

    /// Waits until the output stops growing. Returns the time of its last growth.
    pub fn wait_until_quiet(&self) -> anyhow::Result<Instant> {
        let begun = Instant::now();
        let (mut len, mut grown_at) = (self.output_len()?, begun);
        while self.kind != Kind::Discard && grown_at.elapsed() < QUIET_FOR {
            ensure!(begun.elapsed() < PATIENCE, "the output does not stop growing");
            std::thread::sleep(LOOK_EVERY);
            let now = self.output_len()?;
            if now != len {
                (len, grown_at) = (now, Instant::now());
            }
        }
        Ok(grown_at)
    }

    /// Checks that the files have all rows of `traces` traces, each one once. Then stops the receiver.
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

    /// Stops the receiver and lets it complete its files.
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
