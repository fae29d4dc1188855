//! CPU time that the host of a virtual machine took from it, and the verdict on a part with a value out of its bounds.

use std::fs;

use anyhow::Context;

/// Maximum attempts per part.
pub const ATTEMPTS_MAX: u32 = 3;
/// Number of fields in the first line of /proc/stat up to the stolen time. Later fields are already contained in the first two.
const FIELDS: usize = 8;

/// The counters of all CPUs since boot, ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ticks {
    stolen: f64,
    all: f64,
}

impl Ticks {
    pub fn read() -> anyhow::Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        Self::of(&stat).context("cannot read /proc/stat: no line for all CPUs")
    }

    fn of(stat: &str) -> Option<Self> {
        let counters = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<f64> = counters
            .split_ascii_whitespace()
            .map_while(|word| word.parse().ok())
            .take(FIELDS)
            .collect();
        (ticks.len() == FIELDS).then(|| Self {
            stolen: ticks[FIELDS - 1],
            all: ticks.iter().sum(),
        })
    }

    /// Percentage of all CPU time since `earlier` that the host took.
    pub fn stolen_since(self, earlier: Self) -> f64 {
        let all = self.all - earlier.all;
        if all > 0.0 {
            100.0 * (self.stolen - earlier.stolen) / all
        } else {
            0.0
        }
    }
}

/// The verdict on a measured part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every line holds.
    Holds,
    /// A line is out of its bounds, and the host took little: this is an error of the service.
    Broken,
    /// A line is out of its bounds, and the host took CPU time. The part is measured again.
    Again,
    /// Like `Again`, but in the last attempt.
    Unjudged,
}

/// Judges an attempt. Attempts are counted from 1.
pub fn judge(all_hold: bool, stolen: f64, stolen_max: f64, attempt: u32) -> Verdict {
    match (all_hold, stolen <= stolen_max) {
        (true, _) => Verdict::Holds,
        (false, true) => Verdict::Broken,
        (false, false) if attempt < ATTEMPTS_MAX => Verdict::Again,
        (false, false) => Verdict::Unjudged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_a_share_of_all_cpu_time() {
        let before = Ticks::of("cpu  100 0 50 800 10 0 0 40 30 0\ncpu0 1 2 3\n").unwrap();
        let after = Ticks::of("cpu  150 0 60 830 10 0 0 50 70 0\n").unwrap();
        assert_eq!(after.stolen_since(before), 10.0);
        assert_eq!(after.stolen_since(after), 0.0);
        assert_eq!(Ticks::of("cpu  1 2 3\n"), None);
        assert_eq!(Ticks::of("intr 1\n"), None);
    }

    #[test]
    fn only_a_line_that_breaks_on_an_undisturbed_machine_is_red() {
        assert_eq!(judge(true, 9.0, 0.5, 1), Verdict::Holds);
        assert_eq!(judge(false, 0.5, 0.5, 1), Verdict::Broken);
        assert_eq!(judge(false, 0.6, 0.5, 1), Verdict::Again);
        assert_eq!(judge(false, 0.6, 0.5, 2), Verdict::Again);
        assert_eq!(judge(false, 0.6, 0.5, ATTEMPTS_MAX), Verdict::Unjudged);
    }
}
