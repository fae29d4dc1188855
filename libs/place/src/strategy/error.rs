//! [`StrategyError`]: the reason why a strategy gave no placements.

use std::time::Duration;

/// One sentence about a program, with what to do.
#[derive(Debug, thiserror::Error)]
pub enum StrategyError {
    #[error(
        "cannot start strategy {program}: {source}; check that it exists and is executable, and write a program of this folder as ./NAME"
    )]
    Start { program: String, source: std::io::Error },
    #[error("strategy {program} did not end within {} s and was stopped; make it faster, or raise --strategy-timeout", .limit.as_secs_f64())]
    Endless { program: String, limit: Duration },
    #[error("strategy {program} wrote more than {} MiB and was stopped; it must write one JSON object with its placements", .limit >> 20)]
    TooMuch { program: String, limit: u64 },
    #[error(
        "strategy {program} failed ({status}){stderr}; run it by hand with the input that --strategy-input prints"
    )]
    Failed {
        program: String,
        status: String,
        /// Its last words, with a colon before them; or empty.
        stderr: String,
    },
    #[error("cannot run strategy {program}: {source}")]
    Io { program: String, source: std::io::Error },
    #[error(
        "strategy {program} wrote no placements: {cause}; it must write an object such as {{\"placements\": [{{\"modules\": {{\"cart\": \"cloud0\"}}}}]}}"
    )]
    Garbage { program: String, cause: String },
    #[error("strategy {program} wrote {count} placements, and the maximum is {max}; write the best ones")]
    TooMany {
        program: String,
        count: usize,
        max: usize,
    },
    #[error("strategy {program} places the unknown module {module:?}; use one of {known}")]
    UnknownModule {
        program: String,
        module: String,
        known: String,
    },
    #[error("strategy {program} places module {module:?} on the unknown node {node:?}; use one of {known}")]
    UnknownNode {
        program: String,
        module: String,
        node: String,
        known: String,
    },
    #[error(
        "strategy {program} proposes {name:?}, which the tiers do not allow; keep to \"may_run_on\" of each module and to \"modules_max\" of each node"
    )]
    NotAllowed { program: String, name: String },
    #[error("interrupted")]
    Interrupted,
}
