//! Formats figures of a comparison: three digits, a unit, and a sign for differences.

use compare::model::{Unit, Voter};
use page::number;

/// Nanoseconds in a millisecond.
pub const NS_PER_MS: f64 = 1e6;
/// A difference below this part of its margin is shown as 0.
const NOTHING: f64 = 1e-3;

/// A figure with its unit.
pub fn value(value: f64, unit: Unit) -> String {
    match unit {
        // The clock counts nanoseconds, so a smaller value is a rounding error of a difference.
        Unit::Ms if value.abs() * NS_PER_MS < 0.5 => "0".to_owned(),
        Unit::Ms => number::duration(value * NS_PER_MS),
        Unit::Share => number::share(value),
        Unit::PerSecond => number::rate(value),
        Unit::Count | Unit::Number => number::count(value),
        Unit::Bytes => number::bytes(value),
    }
}

/// A figure or a dash.
pub fn optional(found: Option<f64>, unit: Unit) -> String {
    found.map_or_else(|| number::NONE.to_owned(), |found| value(found, unit))
}

/// A difference with its sign, such as `+1.02 ms`. Differences of shares are in percentage points.
pub fn signed(difference: f64, unit: Unit) -> String {
    let text = match unit {
        // Without a sign, because the value is 0.
        Unit::Ms if difference.abs() * NS_PER_MS < 0.5 => return "0".to_owned(),
        Unit::Share => points(difference),
        unit => value(difference, unit),
    };
    match difference > 0.0 {
        true => format!("+{text}"),
        false => text,
    }
}

/// A voter's difference, such as `+1.02 ms (+14.8%)`. The share of A's figure is shown if it is informative.
pub fn difference(voter: &Voter) -> String {
    let Some(difference) = voter.difference else {
        return number::NONE.to_owned();
    };
    let difference = without_rounding(difference, voter);
    let text = signed(difference, voter.unit);
    match share_of(difference, voter) {
        Some(share) => format!("{text} ({})", signed_percent(share)),
        None => text,
    }
}

/// Removes differences that are so small compared with the margin that they are rounding errors.
fn without_rounding(difference: f64, voter: &Voter) -> f64 {
    let is_nothing = voter
        .margin
        .is_some_and(|margin| difference.abs() < margin * NOTHING);
    if is_nothing { 0.0 } else { difference }
}

/// Both ends of the interval of a voter's difference.
pub fn interval(voter: &Voter) -> String {
    let Some(ends) = voter.interval else {
        return number::NONE.to_owned();
    };
    let [low, high] = ends.map(|end| signed(without_rounding(end, voter), voter.unit));
    format!("{low}..{high}")
}

/// A voter's margin, and its share of A's figure: `138 µs (2%)`.
pub fn margin(voter: &Voter) -> String {
    let Some(margin) = voter.margin else {
        return number::NONE.to_owned();
    };
    let size = match voter.unit {
        Unit::Share => points(margin),
        unit => value(margin, unit),
    };
    match share_of(margin, voter) {
        Some(share) => format!("{size} ({})", number::share(share)),
        None => size,
    }
}

/// A number of requests to two digits, because it is an estimate: `12,000`.
pub fn about(requests: u64) -> String {
    let digits = requests.checked_ilog10().unwrap_or(0);
    let step = 10_u64.pow(digits.saturating_sub(1));
    // The largest numbers cannot be rounded up to a multiple of the step.
    let rounded = requests.div_ceil(step).checked_mul(step).unwrap_or(requests);
    number::exact(rounded)
}

/// The difference as a share of A's figure. `None` if A's figure is 0; for shares, because a percentage of a percentage is
/// misleading; and for facts such as lateness, whose margin is an absolute limit. Also `None` if the margin exceeds A's figure,
/// because a share of such a small figure means little.
fn share_of(found: f64, voter: &Voter) -> Option<f64> {
    let margin = voter.margin.unwrap_or(0.0);
    let a = voter.a.filter(|a| *a > 0.0 && *a >= margin)?;
    let is_limit = voter.is_exact && voter.unit != Unit::PerSecond;
    (voter.unit != Unit::Share && !is_limit && found != 0.0).then_some(found / a)
}

fn signed_percent(ratio: f64) -> String {
    let text = number::share(ratio);
    match ratio > 0.0 && text != "0%" && !text.starts_with('<') {
        true => format!("+{text}"),
        false => text,
    }
}

/// A difference of shares in percentage points.
fn points(difference: f64) -> String {
    match number::count(difference * 100.0) {
        none if none == number::NONE => none,
        text => format!("{text} points"),
    }
}

#[cfg(test)]
mod tests {
    use compare::model::{Topic, Vote};

    use super::*;

    fn voter(unit: Unit, a: Option<f64>, difference: Option<f64>, margin: Option<f64>) -> Voter {
        Voter {
            topic: Topic::ServiceMean,
            module: None,
            unit,
            a,
            b: None,
            explained: None,
            difference,
            margin,
            interval: None,
            adjusted: None,
            is_exact: false,
            vote: Vote::Same,
            reason: None,
            requests: 1,
            needed: None,
        }
    }

    /// The texts of the difference and of the margin.
    fn texts(unit: Unit, a: Option<f64>, difference: Option<f64>, margin: Option<f64>) -> [String; 2] {
        let voter = voter(unit, a, difference, margin);
        [super::difference(&voter), super::margin(&voter)]
    }

    #[test]
    fn differences_have_a_sign_and_their_share_of_the_first_figure() {
        for (unit, a, difference, margin, expected) in [
            (Unit::Ms, 6.9, 1.02, 0.138, ["+1.02 ms (+14.8%)", "138 µs (2%)"]),
            (Unit::Ms, 4.0, -1.0, 2.0, ["-1 ms (-25%)", "2 ms (50%)"]),
            (Unit::Ms, 0.0, 0.5, 0.1, ["+500 µs", "100 µs"]),
            (Unit::Ms, 0.001, 0.5, 5.0, ["+500 µs", "5 ms"]),
            (Unit::Ms, 4.0, 0.0, 0.08, ["0", "80 µs (2%)"]),
            (Unit::PerSecond, 38.5, -8e-5, 0.1925, ["0/s", "0.193/s (0.5%)"]),
            (Unit::Share, 0.01, 0.004, 0.005, ["+0.400 points", "0.500 points"]),
        ] {
            assert_eq!(texts(unit, Some(a), Some(difference), Some(margin)), expected);
        }
        assert_eq!(texts(Unit::Ms, Some(4.0), None, None), [number::NONE; 2]);
        assert_eq!(signed(-1e-12, Unit::Ms), "0");
    }

    #[test]
    fn rounding_errors_at_the_ends_of_an_interval_are_0() {
        for (unit, ends, expected) in [
            (Unit::Ms, [-0.5, 1.5], "-500 µs..+1.50 ms"),
            (Unit::PerSecond, [-5.5e-14, 5.5e-14], "0/s..0/s"),
            (Unit::PerSecond, [-0.01, 5.5e-14], "-0.0100/s..0/s"),
        ] {
            let voter = Voter {
                interval: Some(ends),
                ..voter(unit, Some(100.0), Some(0.0), Some(0.5))
            };
            assert_eq!(interval(&voter), expected);
        }
    }

    #[test]
    fn a_number_of_requests_has_two_digits_and_is_never_too_small() {
        for (requests, text) in [
            (0, "0"),
            (7, "7"),
            (99, "99"),
            (12_001, "13,000"),
            (12_000, "12,000"),
            (995, "1,000"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(about(requests), text);
        }
    }
}
