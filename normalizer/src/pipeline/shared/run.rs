//! [`Run`]: the state of one run: its phase, its figures for the inventories, and its current part.

use aggregate::ids::{InstanceId, ModuleId, NameId, NodeId};
use aggregate::links::LinkStats;
use aggregate::maps::{Map, Set};
use aggregate::modules::ModuleStats;
use cctf_proto::cctf::{File, Part};
use serde::{Deserialize, Serialize};

use super::parts::OpenPart;
use super::totals::Totals;

/// Minimum interval between two snapshots of a run whose state changes.
const SNAPSHOT_INTERVAL_NS: u64 = 1_000_000_000;
/// Maximum number of snapshot entries written per second. All entries are rewritten, whether or not they have changed.
const SNAPSHOT_ENTRIES_A_SECOND: u64 = 1_000;

/// Bytes of the fixed part of a run, and of one entry.
const RUN_BYTES: u64 = 2048;
const ENTRY_BYTES: u64 = 64;

/// Properties of a run that its driver reported.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Reported {
    pub rate: Option<f64>,
    pub duration: Option<String>,
    pub scen: Option<String>,
    pub img: Option<String>,
    pub git_sha: Option<String>,
    pub workers: Option<u64>,
    pub endpoint: Option<String>,
    pub target: Option<String>,
    pub payload_bytes: Option<u64>,
    pub replay_of: Option<String>,
    pub replay_speed: Option<f64>,
    pub replay_scale: Option<f64>,
    pub replay_by: Option<String>,
    pub replay_from_ns: Option<u64>,
    pub replay_to_ns: Option<u64>,
    pub replay_limit: Option<u64>,
    pub replay_network: Option<String>,
    pub seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Rows are expected.
    Open,
    /// The driver reported the end, at this journal time. Rows may still arrive.
    Ending(u64),
    /// Closed, at this journal time. Rows that arrive now are late.
    Closed(u64),
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    pub id: String,
    pub phase: Phase,
    /// Whether the run was closed only because the normalizer shut down.
    pub is_suspended: bool,
    /// Whether a driver reported its start.
    pub driven: bool,
    /// Whether a span named the run. Otherwise a resource named it, or it is the normalizer's own run.
    pub explicit: bool,
    pub reported: Reported,
    /// Start, nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// End, nanoseconds since the Unix epoch.
    pub ended_unix_ns: Option<u64>,
    /// Journal time of the latest invocation or call, or of the latest span that named the run.
    pub last_activity: u64,
    pub totals_at_close: Option<Totals>,
    /// The part that is being written.
    pub part: OpenPart,
    /// Nodes that appear in the run's rows.
    pub nodes: Set<NodeId>,
    /// Network interfaces seen on its nodes.
    pub interfaces: Set<(NodeId, String)>,
    /// Instances whose start is in the run's placement events.
    pub announced: Set<InstanceId>,
    pub modules: Map<ModuleId, ModuleStats>,
    /// Number of calls without an answer, by calling module and peer.
    pub external_calls: Map<(ModuleId, NameId), u64>,
    /// The module behind each peer that answered a call. Unanswered calls to the peer also count for this module.
    pub modules_by_peer: Map<NameId, ModuleId>,
    /// Links, by the nodes of caller and callee.
    pub links: Map<(NodeId, NodeId), LinkStats>,
    /// Whether the snapshots are out of date.
    pub dirty: bool,
    /// Journal time of the last snapshots.
    pub snapshot_at: u64,
}

impl Run {
    pub fn new(id: &str, explicit: bool, now: u64) -> Self {
        Self {
            id: id.to_owned(),
            phase: Phase::Open,
            is_suspended: false,
            driven: false,
            explicit,
            reported: Reported::default(),
            started_unix_ns: now,
            ended_unix_ns: None,
            last_activity: now,
            totals_at_close: None,
            part: OpenPart::new(Part::first(id), None, now),
            nodes: Set::default(),
            interfaces: Set::default(),
            announced: Set::default(),
            modules: Map::default(),
            external_calls: Map::default(),
            modules_by_peer: Map::default(),
            links: Map::default(),
            dirty: true,
            snapshot_at: 0,
        }
    }

    /// Size in memory, bytes.
    pub fn bytes(&self) -> u64 {
        let entries = self.nodes.len()
            + self.interfaces.len()
            + self.announced.len()
            + self.external_calls.len()
            + self.modules_by_peer.len();
        RUN_BYTES
            + entries as u64 * ENTRY_BYTES
            + self.modules.values().map(ModuleStats::bytes).sum::<u64>()
            + self.links.values().map(LinkStats::bytes).sum::<u64>()
    }

    /// Start of the current part.
    pub fn started(&self) -> u64 {
        self.part.started_unix_ns.unwrap_or(self.started_unix_ns)
    }

    /// End of the current part, if it is known. A run whose end was reported stays open for rows that still arrive.
    pub fn ended(&self) -> Option<u64> {
        let of_run = self.ended_unix_ns.filter(|_| !self.is_live());
        let ended = self.part.ended_unix_ns.or(of_run)?;
        // The end must not be before the start, even if the driver's clock is wrong.
        Some(ended.max(self.started()))
    }

    /// Records that something in the run happened at this time. A run without a driver, and a later part, started at this time
    /// at the latest.
    pub fn begin_by(&mut self, unix_ns: u64) {
        if let Some(started) = &mut self.part.started_unix_ns {
            *started = unix_ns.min(*started);
        } else if !self.driven {
            self.started_unix_ns = self.started_unix_ns.min(unix_ns);
        }
    }

    /// Called before [`Self::close`] when the normalizer shuts down: marks the run to continue after the restart, unless its end
    /// was reported.
    pub fn suspend(&mut self) {
        self.is_suspended = self.phase == Phase::Open;
    }

    /// Opens the run again, after a shutdown had suspended and closed it.
    pub fn resume(&mut self) {
        self.is_suspended = false;
        self.phase = Phase::Open;
        self.ended_unix_ns = None;
        self.totals_at_close = None;
        self.dirty = true;
    }

    pub fn close(&mut self, now: u64, totals: Totals) {
        let last = self.part.last_row_unix_ns.max(self.started());
        self.ended_unix_ns.get_or_insert(last);
        self.phase = Phase::Closed(now);
        self.totals_at_close = Some(totals);
    }

    pub fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Closed(_))
    }

    /// Whether the run was open at the time of a sample. Samples before the start of a driven run, or after its reported end,
    /// do not belong to the run.
    pub fn covers(&self, unix_ns: u64) -> bool {
        let has_begun = !self.driven || unix_ns >= self.started_unix_ns;
        let is_over = self.phase != Phase::Open && self.ended_unix_ns.is_none_or(|end| unix_ns > end);
        has_begun && !is_over
    }

    /// Whether the snapshots are outdated, and the last ones are old enough.
    pub fn is_snapshot_due(&self, now: u64) -> bool {
        let entries = self.modules.len() + self.nodes.len() + self.links.len();
        let nanos_each = SNAPSHOT_INTERVAL_NS / SNAPSHOT_ENTRIES_A_SECOND;
        let interval_ns = SNAPSHOT_INTERVAL_NS.max(entries as u64 * nanos_each);
        self.dirty && now >= self.snapshot_at.saturating_add(interval_ns)
    }

    /// Counts a row of `file` that ends at `ends_unix_ns`. Returns true if the row is late.
    pub fn count_row(&mut self, file: File, ends_unix_ns: u64, now: u64) -> bool {
        self.part.rows[file as usize] += 1;
        self.dirty = true;
        self.last_activity = now;
        self.part.last_row_unix_ns = self.part.last_row_unix_ns.max(ends_unix_ns);
        if self.is_live() {
            return false;
        }
        self.part.late += 1;
        self.ended_unix_ns = Some(self.ended_unix_ns.unwrap_or(0).max(ends_unix_ns));
        true
    }
}
