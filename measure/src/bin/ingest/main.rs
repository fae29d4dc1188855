//! Measures receivers of OTLP as whole processes. All get the same spans. Used by `make bench` and `make bench-scale`.
//!
//! - [`trace`], [`ids`], [`requests`]: the spans and their requests.
//! - [`connection`], [`load`]: the clients.
//! - [`subject`], [`collector`], [`discard`]: the receivers.
//! - [`rows`], [`follow`]: check that the files contain each span once.
//! - [`compare`], [`turns`], [`steady`], [`live`], [`held`], [`scale`], [`pairs`]: the measurements, which use [`process`], [`figures`]
//!   and [`interval`].

mod collector;
mod compare;
mod connection;
mod discard;
mod figures;
mod follow;
mod held;
mod ids;
mod interval;
mod live;
mod load;
mod pairs;
mod process;
mod requests;
mod rows;
mod scale;
mod steady;
mod subject;
mod trace;
mod turns;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use pairs::Pace;
use requests::Requests;
use steady::Steady;
use subject::{Kind, Places};

/// Measure receivers of OTLP as whole processes, and check their files. JSON goes to standard output, text to standard error.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure several receivers at full speed, one after the other.
    Compare {
        #[command(flatten)]
        common: Common,
        /// Receivers to measure.
        #[arg(long, value_delimiter = ',', default_value = "fsync,flush,discard,collector")]
        subjects: Vec<Kind>,
        /// Spans per request.
        #[arg(long, value_delimiter = ',', default_value = "512,32")]
        sizes: Vec<usize>,
        /// Length of each load, in seconds.
        #[arg(long, default_value_t = 6)]
        seconds: u64,
        /// Number of rounds.
        #[arg(long, default_value_t = 1)]
        rounds: u32,
    },
    /// Run two builds of the normalizer in turns and print the ratios of their CPU times, with confidence intervals.
    Turns {
        #[command(flatten)]
        common: Common,
        /// Folder of the release binaries before the change.
        #[arg(long)]
        baseline: PathBuf,
        /// Spans per request.
        #[arg(long, default_value_t = 512)]
        size: usize,
        /// Length of each load, in seconds.
        #[arg(long, default_value_t = 6)]
        seconds: u64,
        /// Number of turns; at least 6.
        #[arg(long, default_value_t = 7)]
        turns: usize,
    },
    /// Measure at a fixed rate: latency of acknowledgements, delay of rows, and memory.
    Steady {
        #[command(flatten)]
        common: Common,
        /// Receivers to measure.
        #[arg(long, value_delimiter = ',', default_value = "fsync,collector")]
        subjects: Vec<Kind>,
        /// Spans per request.
        #[arg(long, default_value_t = 512)]
        size: usize,
        /// Spans per second.
        #[arg(long, default_value_t = 50_000)]
        rate: u64,
        /// Length of each load, in seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Delay of the outermost services' spans, in seconds.
        #[arg(long, default_value_t = 0)]
        callers_late_seconds: u64,
    },
    /// Measure what two viewers of the live page cost: windows with and without them in turns, at a fixed rate of spans.
    Live {
        #[command(flatten)]
        common: Common,
        /// Spans per request.
        #[arg(long, default_value_t = 512)]
        size: usize,
        /// Spans per second.
        #[arg(long, default_value_t = 50_000)]
        rate: u64,
        /// Number of turns; at least 6.
        #[arg(long, default_value_t = 16)]
        turns: usize,
    },
    /// Measure the CPU time of a request twice: while 10 rows wait, and while 100,000 rows wait.
    Held {
        #[command(flatten)]
        common: Common,
    },
    /// Measure many spans. The run's finished folders are checked and deleted meanwhile.
    Scale {
        #[command(flatten)]
        common: Common,
        /// Numbers of spans to send; each number is a separate measurement.
        #[arg(long, value_delimiter = ',', default_value = "1000000,10000000,100000000")]
        spans: Vec<u64>,
    },
    /// Measure the CPU time per span of two Collectors with two normalizers, and of one Collector with one normalizer.
    Pairs {
        #[command(flatten)]
        common: Common,
        /// Spans per request.
        #[arg(long, default_value_t = 512)]
        size: usize,
        /// Spans per second for each pair. Default: full speed.
        #[arg(long)]
        rate: Option<u64>,
        /// Length of a turn, in seconds.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Turns of each setup.
        #[arg(long, default_value_t = 8)]
        turns: usize,
    },
    /// Run the baseline receiver. The other commands start it.
    #[command(name = discard::COMMAND, hide = true)]
    Discard,
}

#[derive(Args)]
struct Common {
    /// Folder of the release binaries.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// Path to the Collector of `make collector`.
    #[arg(long, default_value = "target/tools/bin/otelcol")]
    collector: PathBuf,
    /// Folder for the receivers' files, on a real disk.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    scratch: PathBuf,
}

impl Common {
    fn places(self) -> anyhow::Result<Places> {
        Ok(Places {
            bin_dir: std::path::absolute(self.bin_dir)?,
            collector: std::path::absolute(self.collector)?,
            scratch: std::path::absolute(self.scratch)?,
        })
    }
}

fn main() -> ExitCode {
    match measure(Flags::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ingest: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Compare {
            common,
            subjects,
            sizes,
            seconds,
            rounds,
        } => {
            let places = common.places()?;
            (0..rounds).try_for_each(|_| compare_all(&places, &subjects, &sizes, seconds))
        }
        Command::Turns {
            common,
            baseline,
            size,
            seconds,
            turns,
        } => {
            let (baseline, duration) = (std::path::absolute(baseline)?, Duration::from_secs(seconds));
            turns::measure(&common.places()?, &baseline, size, duration, turns)
        }
        Command::Steady {
            common,
            subjects,
            size,
            rate,
            seconds,
            callers_late_seconds,
        } => {
            let steady = Steady {
                spans_a_request: size,
                spans_a_second: rate,
                duration: Duration::from_secs(seconds),
                callers_late: Duration::from_secs(callers_late_seconds),
            };
            measure_steady(&common.places()?, &subjects, steady)
        }
        Command::Scale { common, spans } => {
            let places = common.places()?;
            spans.iter().try_for_each(|&spans| scale::measure(&places, spans))
        }
        Command::Pairs {
            common,
            size,
            rate,
            seconds,
            turns,
        } => {
            let pace = Pace {
                spans_a_request: size,
                spans_a_second: rate,
                duration: Duration::from_secs(seconds),
            };
            pairs::measure(&common.places()?, pace, turns)
        }
        Command::Live {
            common,
            size,
            rate,
            turns,
        } => live::measure(&common.places()?, size, rate, turns),
        Command::Held { common } => held::measure(&common.places()?),
        Command::Discard => discard::serve(),
    }
}

fn measure_steady(places: &Places, subjects: &[Kind], steady: Steady) -> anyhow::Result<()> {
    subjects
        .iter()
        .try_for_each(|&kind| steady::measure(kind, places, steady))
}

fn compare_all(places: &Places, subjects: &[Kind], sizes: &[usize], seconds: u64) -> anyhow::Result<()> {
    for &size in sizes {
        let bytes_a_span = Requests::new(size)?.bytes_a_span();
        eprintln!("{size} spans a request, {bytes_a_span:.0} bytes a span");
        for &kind in subjects {
            compare::measure(kind, places, size, Duration::from_secs(seconds))?;
        }
    }
    Ok(())
}
