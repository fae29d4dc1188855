//! [`Finding`]: a line of the result.

use super::steal::Verdict;

/// A measured value and its bounds.
pub struct Finding {
    what: String,
    measured: String,
    wanted: String,
    pub holds: bool,
}

impl Finding {
    pub fn at_most(what: &str, value: f64, most: f64, unit: &str) -> Self {
        Self::new(
            what,
            format!("{value:.3} {unit}"),
            format!("at most {most} {unit}"),
            value <= most,
        )
    }

    pub fn between(what: &str, value: f64, (least, most): (f64, f64), unit: &str) -> Self {
        let wanted = format!("{least:.3} to {most:.3} {unit}");
        Self::new(
            what,
            format!("{value:.3} {unit}"),
            wanted,
            (least..=most).contains(&value),
        )
    }

    /// A value without bounds that helps to judge the others.
    pub fn note(what: &str, measured: &str, wanted: &str) -> Self {
        Self::new(what, measured.to_owned(), wanted.to_owned(), true)
    }

    pub fn new(what: &str, measured: String, wanted: String, holds: bool) -> Self {
        Self {
            what: what.to_owned(),
            measured,
            wanted,
            holds,
        }
    }

    pub fn print(&self, verdict: Verdict) {
        let mark = match verdict {
            _ if self.holds => "ok",
            Verdict::Broken => "BROKEN",
            _ => "not judged",
        };
        println!(
            "{:<66} {:>16}   {:<24} {mark}",
            self.what, self.measured, self.wanted
        );
    }
}

/// A quantile. Sorts the values.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values
        .get(((last as f64) * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}
