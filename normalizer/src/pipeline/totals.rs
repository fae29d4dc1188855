//! [`Totals`]: what has been counted over all runs.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the normalizer has counted since it came up.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Totals {
    pub spans: u64,
    pub points: u64,
    pub logs: u64,
    pub duplicates: u64,
    pub unknown_node: u64,
    pub evicted: u64,
    pub rejected: BTreeMap<Cow<'static, str>, u64>,
    /// Those of the duplicates that are points.
    pub duplicate_points: u64,
    /// Those of the rejected that are no spans: runs account for spans one by one.
    pub rejected_others: BTreeMap<Cow<'static, str>, u64>,
}

impl Totals {
    /// Counts points, or what else is no span, that nothing could be made of.
    pub fn reject(&mut self, reason: &'static str, count: u64) {
        self.reject_spans(reason, count);
        *self.rejected_others.entry(Cow::Borrowed(reason)).or_default() += count;
    }

    /// Counts spans that no row could be made of, which a run accounts for besides.
    pub fn reject_spans(&mut self, reason: &'static str, count: u64) {
        *self.rejected.entry(Cow::Borrowed(reason)).or_default() += count;
    }
}
