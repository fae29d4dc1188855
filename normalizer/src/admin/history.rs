//! [`History`]: counts of the last minute, from which the page's rates are computed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::sources::Totals;
use crate::pipeline::{Figure, LiveFigures, Sums};

/// The period that the live page shows.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Interval between two samples of the totals.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// Number of rates: one for each interval of the window.
pub const SECONDS: usize = 60;
/// Interval between two marks (samples of all figures). One figure takes 856 bytes. So a mark takes at most 1 MB, and 20 kB for
/// a dozen modules and nodes.
const MARK_INTERVAL: Duration = Duration::from_secs(10);

/// Increase of the totals per second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    pub spans: f64,
    pub requests: f64,
    pub rows: f64,
    pub bytes: f64,
}

/// The figures of all modules and nodes at one time, in the order of [`LiveFigures`].
#[derive(Debug)]
pub struct Mark {
    pub at: Instant,
    pub modules: Vec<Sums>,
    pub nodes: Vec<Sums>,
}

/// One sample of the totals for each second, and a mark for every ten seconds.
#[derive(Debug, Default)]
pub struct History {
    samples: VecDeque<(Instant, Totals)>,
    marks: VecDeque<Mark>,
}

impl History {
    /// Adds a sample of the totals. If the history is full, the oldest sample is dropped.
    pub fn sample(&mut self, now: Instant, totals: Totals) {
        if self.samples.len() > SECONDS {
            self.samples.pop_front();
        }
        self.samples.push_back((now, totals));
    }

    /// Adds a mark, unless the last one is recent.
    pub fn mark(&mut self, at: Instant, figures: &LiveFigures) {
        let last = self.marks.back();
        if last.is_some_and(|last| at.saturating_duration_since(last.at) < MARK_INTERVAL) {
            return;
        }
        let sums = |of: &[Figure]| of.iter().map(|figure| figure.sums.clone()).collect();
        self.marks.push_back(Mark {
            at,
            modules: sums(&figures.modules),
            nodes: sums(&figures.nodes),
        });
        // Of the marks that are at least as old as the window, only the youngest is kept: the window starts at it.
        let is_old = |mark: &Mark| at.saturating_duration_since(mark.at) >= WINDOW;
        while self.marks.get(1).is_some_and(is_old) {
            self.marks.pop_front();
        }
    }

    /// The rates of each interval, oldest first.
    pub fn rates(&self) -> Vec<Rates> {
        let pairs = self.samples.iter().zip(self.samples.iter().skip(1));
        pairs.map(|(from, to)| rates(from, to)).collect()
    }

    /// The figures at the beginning of the window. `None` before the pipeline's thread has started.
    pub fn window_start(&self) -> Option<&Mark> {
        self.marks.front()
    }
}

fn rates((begin, from): &(Instant, Totals), (end, to): &(Instant, Totals)) -> Rates {
    let seconds = end.saturating_duration_since(*begin).as_secs_f64();
    let rate = |from: u64, to: u64| match seconds > 0.0 {
        true => to.saturating_sub(from) as f64 / seconds,
        false => 0.0,
    };
    Rates {
        spans: rate(from.spans, to.spans),
        requests: rate(from.requests, to.requests),
        rows: rate(from.rows, to.rows),
        bytes: rate(from.bytes, to.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(spans: u64) -> Totals {
        Totals {
            spans,
            ..Totals::default()
        }
    }

    #[test]
    fn the_last_sixty_intervals_are_kept() {
        let (mut history, start) = (History::default(), Instant::now());
        for second in 0..100 {
            history.sample(start + second * INTERVAL, spans(u64::from(second * second)));
        }
        let rates: Vec<f64> = history.rates().iter().map(|rates| rates.spans).collect();
        assert_eq!((rates.len(), rates[0], rates[59]), (60, 79.0, 197.0));
    }

    #[test]
    fn a_rate_is_per_second_whatever_the_interval_is() {
        let (mut history, start) = (History::default(), Instant::now());
        for (milliseconds, count) in [(0, 0), (2_500, 10), (2_500, 20)] {
            history.sample(start + Duration::from_millis(milliseconds), spans(count));
        }
        let rates: Vec<f64> = history.rates().iter().map(|rates| rates.spans).collect();
        assert_eq!(rates, [4.0, 0.0]);
    }

    #[test]
    fn the_window_starts_at_the_youngest_mark_that_is_a_minute_old() {
        let (mut history, start) = (History::default(), Instant::now());
        let figures = LiveFigures::default();
        for second in 0..=200 {
            history.mark(start + second * INTERVAL, &figures);
            let from = history.window_start().unwrap().at.duration_since(start).as_secs();
            let last = u64::from(second) / 10 * 10;
            assert_eq!(from, last.saturating_sub(60), "at {second} s");
        }
        assert_eq!(history.marks.len(), 7);
    }
}
