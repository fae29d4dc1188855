//! Measures receivers of OTLP as whole processes, with the same spans: `make bench` and `make bench-scale`.
//!
//! - [`trace`], [`ids`], [`requests`]: what is sent.
//! - [`connection`], [`load`]: how it is sent.
//! - [`subject`], [`collector`], [`discard`]: to whom.
//! - [`rows`], [`follow`]: whether all of it is in the files, once.
//! - [`compare`], [`turns`], [`steady`], [`held`], [`scale`], [`pairs`]: the measurements; [`process`] and [`figures`] are their means.

mod collector;
mod compare;
mod connection;
mod discard;
mod figures;
mod follow;
mod held;
mod ids;
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

/// Measures receivers of OTLP as whole processes and checks what they wrote. JSON goes to standard output, words to standard error.
#[derive(Parser)]
struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// As fast as each takes the spans, one receiver after the other.
    Compare {
        #[command(flatten)]
        common: Common,
        /// Whom to measure.
        #[arg(long, value_delimiter = ',', default_value = "fsync,flush,discard,collector")]
        subjects: Vec<Kind>,
        /// Spans of each request.
        #[arg(long, value_delimiter = ',', default_value = "512,32")]
        sizes: Vec<usize>,
        /// How long each is loaded.
        #[arg(long, default_value_t = 6)]
        seconds: u64,
        /// How often.
        #[arg(long, default_value_t = 1)]
        rounds: u32,
    },
    /// Two builds of the normalizer in turns: the ratio of their user CPU time, with an interval.
    Turns {
        #[command(flatten)]
        common: Common,
        /// Folder of the release binaries before the change.
        #[arg(long)]
        baseline: PathBuf,
        /// Spans of each request.
        #[arg(long, default_value_t = 512)]
        size: usize,
        /// How long each is loaded.
        #[arg(long, default_value_t = 6)]
        seconds: u64,
        /// Number of turns; at least 6.
        #[arg(long, default_value_t = 7)]
        turns: usize,
    },
    /// At a rate: acknowledgements, rows that are read along, memory.
    Steady {
        #[command(flatten)]
        common: Common,
        /// Whom to measure.
        #[arg(long, value_delimiter = ',', default_value = "fsync,collector")]
        subjects: Vec<Kind>,
        /// Spans of each request.
        #[arg(long, default_value_t = 512)]
        size: usize,
        /// Spans a second.
        #[arg(long, default_value_t = 50_000)]
        rate: u64,
        /// How long each is loaded.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// How much later the outermost services' spans come.
        #[arg(long, default_value_t = 0)]
        callers_late_seconds: u64,
    },
    /// A request's CPU time beside 100,000 held rows, and beside 10.
    Held {
        #[command(flatten)]
        common: Common,
    },
    /// Many spans, while the run's closed parts are checked and deleted.
    Scale {
        #[command(flatten)]
        common: Common,
        /// How many, each by a normalizer of its own.
        #[arg(long, value_delimiter = ',', default_value = "1000000,10000000,100000000")]
        spans: Vec<u64>,
    },
    /// Two normalizers behind two Collectors against one behind one: what a span costs each.
    Pairs {
        #[command(flatten)]
        common: Common,
        /// Spans of each request.
        #[arg(long, default_value_t = 512)]
        size: usize,
        /// Spans a second for each pair; as many as they take if not given.
        #[arg(long)]
        rate: Option<u64>,
        /// How long a turn is.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Turns of each set-up.
        #[arg(long, default_value_t = 8)]
        turns: usize,
    },
    /// The floor, for the bench itself.
    #[command(name = discard::COMMAND, hide = true)]
    Discard,
}

#[derive(Args)]
struct Common {
    /// Folder of the release binaries.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The Collector that `make collector` builds.
    #[arg(long, default_value = "target/tools/bin/otelcol")]
    collector: PathBuf,
    /// Folder for what receivers write; on a real disk.
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
            for _ in 0..rounds {
                for &size in &sizes {
                    eprintln!(
                        "{size} spans a request, {:.0} bytes a span",
                        Requests::new(size)?.bytes_a_span()
                    );
                    for &kind in &subjects {
                        compare::measure(kind, &places, size, Duration::from_secs(seconds))?;
                    }
                }
            }
            Ok(())
        }
        Command::Turns {
            common,
            baseline,
            size,
            seconds,
            turns,
        } => {
            let baseline = std::path::absolute(baseline)?;
            turns::measure(
                &common.places()?,
                &baseline,
                size,
                Duration::from_secs(seconds),
                turns,
            )
        }
        Command::Steady {
            common,
            subjects,
            size,
            rate,
            seconds,
            callers_late_seconds,
        } => {
            let places = common.places()?;
            let steady = Steady {
                spans_a_request: size,
                spans_a_second: rate,
                duration: Duration::from_secs(seconds),
                callers_late: Duration::from_secs(callers_late_seconds),
            };
            subjects
                .iter()
                .try_for_each(|&kind| steady::measure(kind, &places, steady))
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
        Command::Held { common } => held::measure(&common.places()?),
        Command::Discard => discard::serve(),
    }
}
