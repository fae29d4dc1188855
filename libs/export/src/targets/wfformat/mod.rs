//! [`WfFormat`]: exports a run as a workflow for the tools of WfCommons, in their format WfFormat 1.5.
//!
//! [`tasks`] turns a root and everything that it causes into tasks; [`write`](mod@write) writes the file.

mod tasks;
mod write;

use std::path::Path;

use crate::counts::Counts;
use crate::export::Target;
use crate::job::Job;
use crate::source::Source;

/// Name of the file.
const WORKFLOW_FILE: &str = "workflow.json";

/// The target.
#[derive(Debug, Clone, Copy)]
pub struct WfFormat;

impl Target for WfFormat {
    const NAME: &'static str = "wfformat";

    fn write(&self, source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Counts> {
        let (counts, lost) = write::write(source, job, WORKFLOW_FILE)?;
        let assumptions = &mut job.assumptions;
        assumptions.rows(source);
        assumptions.work(source, &counts);
        assumptions.add(
            "quorums",
            true,
            counts.assumed.quorums,
            "call or answer waits for a number of calls, whichever end first: its task waits for all of them",
            "calls or answers wait for a number of calls, whichever end first: their tasks wait for all of them",
        );
        assumptions.add(
            "timeouts",
            true,
            counts.assumed.timeouts,
            "call was given up: its task has the recorded time, also if the invocation below it becomes faster",
            "calls were given up: their tasks have the recorded times, also if the invocations below them become faster",
        );
        assumptions.add(
            "retries",
            false,
            counts.assumed.retries,
            "call is a retry: it is always sent",
            "calls are retries: they are always sent",
        );
        assumptions.add(
            "overlaps",
            false,
            lost.overlaps,
            "invocation has calls that wait for different calls: own time between these can be in two tasks",
            "invocations have calls that wait for different calls: own time between these can be in two tasks",
        );
        assumptions.add(
            "sizes_unknown",
            false,
            lost.sizes_unknown,
            "body has no recorded size and is no file",
            "bodies have no recorded size and are no files",
        );
        Ok(counts)
    }

    fn next(&self, out: &Path) -> String {
        let path = out.join(WORKFLOW_FILE);
        format!(
            "validate {} with the Python package wfcommons: docs/export/wfformat.md",
            path.display()
        )
    }
}
