//! [`Totals`]: counts over all runs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts since the first record of the journal, over all runs.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Totals {
    pub spans: u64,
    pub points: u64,
    pub logs: u64,
    pub duplicates: u64,
    pub unknown_node: u64,
    pub evicted: u64,
    pub rejected: BTreeMap<Cow<'static, str>, u64>,
    /// The number of points among the duplicates.
    pub duplicate_points: u64,
    /// The number of rejected items that are not spans. Rejected spans are counted by their runs.
    pub rejected_others: BTreeMap<Cow<'static, str>, u64>,
}

impl Totals {
    /// Counts unusable points, or other items that are not spans.
    pub fn reject(&mut self, reason: &'static str, count: u64) {
        self.reject_spans(reason, count);
        *self.rejected_others.entry(Cow::Borrowed(reason)).or_default() += count;
    }

    /// Counts unusable spans. Their run counts them, too.
    pub fn reject_spans(&mut self, reason: &'static str, count: u64) {
        *self.rejected.entry(Cow::Borrowed(reason)).or_default() += count;
    }
}
