//! [`fitted`] and [`kept`]: make a part of a page fit into a number of bytes. [`Budget`] shares the bytes among parts.

use page::html::Html;
use page::summary::{Verdict, notice};

/// Bytes that remain, and the sum of the weights of the remaining parts.
#[derive(Debug)]
pub struct Budget {
    bytes: usize,
    weights: usize,
}

impl Budget {
    pub fn new(bytes: usize, weights: usize) -> Self {
        Self { bytes, weights }
    }

    /// The share of the next part. Bytes of it that the part does not use remain for later parts.
    pub fn share(&mut self, weight: usize) -> usize {
        let share = match self.weights {
            0 => self.bytes,
            weights => self.bytes / weights * weight,
        };
        self.weights = self.weights.saturating_sub(weight);
        share.min(self.bytes)
    }

    pub fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// Builds a part with as many rows as fit into a number of bytes. Each try has half as many rows as the one before. If the part
/// is too large even without rows, a sentence says that it is left out.
pub fn fitted(bytes_max: usize, rows_max: usize, build: impl Fn(usize) -> Html) -> Html {
    let html = kept(bytes_max, rows_max, build);
    if html.as_str().len() <= bytes_max {
        return html;
    }
    let text = "Left out: the page has no room for it. Write a page of this run alone.";
    notice(Verdict::Warning, text)
}

/// Like [`fitted`], but a part that is too large even without rows is returned nevertheless.
pub fn kept(bytes_max: usize, rows_max: usize, build: impl Fn(usize) -> Html) -> Html {
    let mut rows = rows_max;
    loop {
        let html = build(rows);
        if rows == 0 || html.as_str().len() <= bytes_max {
            return html;
        }
        rows /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_rows_that_fit_are_shown_or_the_part_is_left_out() {
        let build = |rows: usize| Html::text(&"x".repeat(100 + rows));
        assert_eq!(fitted(200, 400, build).as_str().len(), 200);
        assert_eq!(fitted(199, 400, build).as_str().len(), 150);
        assert_eq!(fitted(100, 3, build).as_str().len(), 100);
        assert!(fitted(99, 3, build).as_str().contains("Left out"));
        assert_eq!(kept(99, 3, build).as_str().len(), 100);
    }

    #[test]
    fn what_a_part_leaves_goes_to_those_behind_it() {
        let mut budget = Budget::new(1000, 10);
        assert_eq!(budget.share(5), 500);
        budget.spend(100);
        assert_eq!(budget.share(4), 720);
        budget.spend(720);
        assert_eq!(budget.share(1), 180);
        budget.spend(500);
        assert_eq!(budget.share(1), 0);
    }
}
