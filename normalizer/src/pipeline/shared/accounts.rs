//! [`Accounts`]: counts each span once, in one part of one run, by its outcome.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cctf_proto::cctf::SpanOutcomes;
use serde::{Deserialize, Serialize};

/// Outcome of a span without a row. (`join::Outcome` is another type: the result of the join, with parent and caller, or no
/// row.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Work inside an invocation, or a second report of a request whose invocation has a row.
    Inner,
    /// Neither work nor a call, such as a poll or the lookup of a name.
    Aside,
    /// A control span that was processed.
    Control,
    Duplicate,
}

/// Counts of spans without a row.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Accounts {
    inner: u64,
    asides: u64,
    control: u64,
    duplicates: u64,
    /// Number of unusable spans, by reason.
    pub rejected: BTreeMap<Cow<'static, str>, u64>,
}

impl Accounts {
    pub fn count(&mut self, fate: Fate, spans: u64) {
        let counter = match fate {
            Fate::Inner => &mut self.inner,
            Fate::Aside => &mut self.asides,
            Fate::Control => &mut self.control,
            Fate::Duplicate => &mut self.duplicates,
        };
        *counter += spans;
    }

    pub fn add(&mut self, more: Self) {
        self.inner += more.inner;
        self.asides += more.asides;
        self.control += more.control;
        self.duplicates += more.duplicates;
        for (reason, spans) in more.rejected {
            *self.rejected.entry(reason).or_default() += spans;
        }
    }

    /// These counts, together with `rows`, the number of spans that became rows.
    pub fn outcomes(&self, rows: u64) -> SpanOutcomes {
        SpanOutcomes {
            rows,
            inner: self.inner,
            asides: self.asides,
            control: self.control,
            duplicates: self.duplicates,
            rejected: self.rejected.values().sum(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.outcomes(0).total() == 0
    }
}
