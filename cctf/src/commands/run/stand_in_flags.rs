//! [`StandInFlags`]: the flags of `cctf run --stand-in`.

use std::path::PathBuf;

use clap::Args;

use crate::commands::UsageError;
use crate::commands::replay::{Keep, SelectionFlags};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Stand-ins")]
pub struct StandInFlags {
    /// Repeat a recorded run (run id, or path to its folder): start a stand-in for each recorded instance, and send the recorded requests again.
    ///
    /// A stand-in is a service that does the recorded work of one instance, so the application itself is not needed. By default, each
    /// stand-in has the recorded node, number of slots (concurrent requests) and slot policy.
    #[arg(long, value_name = "DIR|RUN_ID", conflicts_with_all = [
        "endpoints", "rate", "duration", "size", "arrivals", "seed", "headers", "link_delay", "link_rate", "migrate", "target",
        "application", "node_id", "stage", "workers", "queue_limit", "slot_policy",
    ])]
    pub stand_in: Option<String>,
    /// With --stand-in: path to a JSON file that overrides nodes, slots, slot policies, instances or links, or changes them during the run (docs/stand-ins.md).
    #[arg(long, value_name = "FILE")]
    pub placement: Option<PathBuf>,
    /// With --stand-in: what stays as recorded if a stand-in's node is faster or slower than the recorded node.
    #[arg(long, value_enum, default_value = "time")]
    pub keep: Keep,
    #[command(flatten)]
    pub selection: SelectionFlags,
}

impl StandInFlags {
    /// Refuses flags that have no effect without stand-ins.
    pub fn check(&self) -> Result<(), UsageError> {
        let flag = match self.keep {
            Keep::Time => self.selection.first_set(),
            Keep::Work => Some("--keep"),
        };
        let flag = flag.or(self.placement.as_ref().map(|_| "--placement"));
        match flag {
            Some(flag) if self.stand_in.is_none() => Err(UsageError(format!(
                "cannot use {flag} without --stand-in: the flag is for the requests of a recorded run; add --stand-in, or remove {flag}"
            ))),
            _ => Ok(()),
        }
    }
}
