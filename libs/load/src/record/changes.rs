//! [`StatusChanges`]: counts the requests of a replay that were answered with another status than recorded.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::exchange::Exchange;

/// Maximum number of pairs of recorded and new status that are counted separately. A service has a few; a recording can contain
/// any number.
const PAIRS_MAX: usize = 256;
/// Number of pairs in the summary.
const PAIRS_SHOWN: usize = 5;

/// Counts answers by recorded and new status.
#[derive(Debug, Default)]
pub struct StatusChanges {
    compared: u64,
    changed: u64,
    pairs: BTreeMap<(i64, u16), u64>,
}

impl StatusChanges {
    /// Counts one exchange, if it replays a request whose status was recorded.
    pub fn record(&mut self, exchange: &Exchange) {
        let Some(recorded) = exchange.original.and_then(|original| original.status) else {
            return;
        };
        self.compared += 1;
        if recorded == i64::from(exchange.status) {
            return;
        }
        self.changed += 1;
        let pair = (recorded, exchange.status);
        if self.pairs.contains_key(&pair) || self.pairs.len() < PAIRS_MAX {
            *self.pairs.entry(pair).or_default() += 1;
        }
    }

    /// The figures; `None` if no request was compared.
    pub fn build(&self) -> Option<Changes> {
        let mut pairs: Vec<ChangedStatus> = self
            .pairs
            .iter()
            .map(|((recorded, answered), requests)| ChangedStatus {
                recorded: *recorded,
                answered: *answered,
                requests: *requests,
            })
            .collect();
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.requests));
        pairs.truncate(PAIRS_SHOWN);
        (self.compared > 0).then_some(Changes {
            compared: self.compared,
            changed: self.changed,
            pairs,
        })
    }
}

/// Answers compared with recorded statuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Requests whose status was recorded.
    pub compared: u64,
    /// The number of compared requests whose new status is different, or that got no response.
    pub changed: u64,
    /// The most frequent changes.
    pub pairs: Vec<ChangedStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangedStatus {
    pub recorded: i64,
    /// 0 means no response.
    pub answered: u16,
    pub requests: u64,
}

impl Changes {
    pub fn text(&self) -> String {
        let mut out = format!("{} of {} other than recorded", self.changed, self.compared);
        let mut separator = ": ";
        for pair in &self.pairs {
            out += &format!(
                "{separator}{} instead of {} ({})",
                pair.answered, pair.recorded, pair.requests
            );
            separator = ", ";
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exchange::{Request, Sent};
    use crate::facts::RequestFacts;
    use crate::plan::target::Target;
    use crate::stream::Original;

    fn exchange(recorded: Option<Option<i64>>, answered: u16) -> Exchange {
        let target = Target::parse("http://127.0.0.1:1").unwrap();
        let request = Request {
            number: 0,
            intended_ns: 0,
        };
        Exchange {
            facts: Arc::new(RequestFacts::new("x", "GET", &target, "/", "r")),
            original: recorded.map(|status| Original {
                trace_id: [1; 16],
                span_id: [1; 8],
                status,
            }),
            body_bytes_out: 0,
            sent: Sent {
                request,
                monotonic_ns: 0,
                unix_ns: 0,
            },
            latency_ns: 0,
            status: answered,
            body_bytes_in: 0,
            failure: None,
            resends: 0,
        }
    }

    #[test]
    fn only_recorded_statuses_are_compared_and_frequent_changes_come_first() {
        let mut changes = StatusChanges::default();
        assert_eq!(changes.build(), None);
        changes.record(&exchange(None, 200));
        changes.record(&exchange(Some(None), 200));
        assert_eq!(changes.build(), None);
        changes.record(&exchange(Some(Some(200)), 200));
        changes.record(&exchange(Some(Some(200)), 0));
        for _ in 0..3 {
            changes.record(&exchange(Some(Some(503)), 200));
        }
        let built = changes.build().unwrap();
        assert_eq!((built.compared, built.changed), (5, 4));
        assert_eq!(
            built.text(),
            "4 of 5 other than recorded: 200 instead of 503 (3), 0 instead of 200 (1)"
        );
    }

    #[test]
    fn the_pairs_are_bounded_and_the_counts_are_not() {
        let mut changes = StatusChanges::default();
        for recorded in 1..=2 * PAIRS_MAX as i64 {
            changes.record(&exchange(Some(Some(-recorded)), 200));
        }
        assert_eq!(changes.pairs.len(), PAIRS_MAX);
        let built = changes.build().unwrap();
        assert_eq!(built.changed, 2 * PAIRS_MAX as u64);
        assert_eq!(built.pairs.len(), PAIRS_SHOWN);
    }
}
