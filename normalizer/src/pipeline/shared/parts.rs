//! Parts: a very long run is divided into parts. When a part is closed, it is complete by itself. The join, the inventories and
//! the waiting rows do not depend on parts.

use cctf_proto::cctf::{File, Part};
use serde::{Deserialize, Serialize};

use super::accounts::Accounts;
use super::clock::ns;
use super::settings::Settings;
use super::totals::Totals;

/// Size and age at which a part is closed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RollLimits {
    bytes: u64,
    age_ns: u64,
}

impl RollLimits {
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            bytes: settings.roll_bytes.unwrap_or(u64::MAX),
            age_ns: settings.roll_age.map_or(u64::MAX, ns),
        }
    }
}

/// The current part of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenPart {
    /// Number and folder of the part.
    pub of: Part,
    /// Start of the part, nanoseconds since the Unix epoch; `None` for the first part, which starts with its run.
    pub started_unix_ns: Option<u64>,
    /// End of the part, if it is closed and the run continues in the next one.
    pub ended_unix_ns: Option<u64>,
    /// Journal time at which it was opened.
    opened_at: u64,
    /// End of the latest row.
    pub last_row_unix_ns: u64,
    /// The totals before the part was opened.
    pub totals_at_open: Totals,
    /// Bytes of its lines, except the lines that are written at the start of every later part. So these lines alone never
    /// cause another part.
    pub bytes: u64,
    /// Lines written, by file.
    pub rows: [u64; File::ALL.len()],
    pub accounts: Accounts,
    /// Rows flagged orphan.
    pub orphans: u64,
    /// Rows that arrived after the run was closed.
    pub late: u64,
}

impl OpenPart {
    pub fn new(of: Part, started_unix_ns: Option<u64>, now: u64) -> Self {
        Self {
            of,
            started_unix_ns,
            ended_unix_ns: None,
            opened_at: now,
            last_row_unix_ns: 0,
            totals_at_open: Totals::default(),
            bytes: 0,
            rows: [0; File::ALL.len()],
            accounts: Accounts::default(),
            orphans: 0,
            late: 0,
        }
    }

    /// Whether the part must be closed. An empty part is not closed because of its age.
    pub fn is_due(&self, now: u64, limits: RollLimits) -> bool {
        let is_old = now >= self.opened_at.saturating_add(limits.age_ns);
        self.bytes > 0 && (self.bytes >= limits.bytes || is_old)
    }
}
