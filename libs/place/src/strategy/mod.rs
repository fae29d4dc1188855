//! Strategies: programs that read a summary of the run and the tiers on standard input, and write placements on standard output.
//!
//! - [`summary`]: the input of programs; [`answer`]: their output; [`process`]: one run of a program, with bounds on time and
//!   output.
//! - [`error`]: reasons why a program gave no placements.

mod answer;
mod error;
mod process;
mod summary;

use std::path::Path;

pub use answer::{PLACEMENTS_MAX, parse};
pub use error::StrategyError;
pub use process::{Limits, OUTPUT_BYTES_MAX};
pub use summary::summary;

use crate::predictor::Predictor;
use crate::ranking::Proposal;

/// Runs a strategy and returns its placements.
///
/// # Errors
/// If the program cannot be started, fails, takes too long, writes too much, or proposes something impossible.
pub fn propose(
    program: &Path,
    predictor: &Predictor<'_>,
    input: &[u8],
    limits: &Limits<'_>,
) -> Result<Vec<Proposal>, StrategyError> {
    let output = process::run(program, input, limits)?;
    let name = program.display().to_string();
    parse(&name, &output, predictor.site, predictor.choices)
}
