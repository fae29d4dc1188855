//! Facts that one stage returns, and that the pipeline passes to another stage.

use aggregate::ids::{InstanceId, RunId};

use super::source::Source;

/// A sign that an instance is alive: the time of its telemetry, nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct Activity {
    pub instance: InstanceId,
    pub first_unix_ns: u64,
    pub last_unix_ns: u64,
}

impl Activity {
    /// The activity of a source; `None` if the source has no instance.
    pub fn from_source(source: &Source, first_unix_ns: u64, last_unix_ns: u64) -> Option<Self> {
        source.instance.map(|instance| Self {
            instance,
            first_unix_ns,
            last_unix_ns,
        })
    }

    /// Combines two activities of the same instance.
    pub fn and(self, other: Option<Self>) -> Self {
        other.map_or(self, |other| Self {
            first_unix_ns: self.first_unix_ns.min(other.first_unix_ns),
            last_unix_ns: self.last_unix_ns.max(other.last_unix_ns),
            ..self
        })
    }
}

/// A run that was opened. Its file of placement events does not list the running instances yet.
#[derive(Debug, Clone, Copy)]
pub struct OpenedRun {
    pub run: RunId,
    /// Nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
}
