//! Body sizes: either one size, or sizes that are evenly spread over a range.

use std::fmt;
use std::str::FromStr;

use cli::units;

/// Number of different sizes in a range. This many sizes are enough to fit a line through the results, and few enough to keep all
/// bodies in memory.
const STEPS: usize = 40;
/// The sizes of consecutive requests are this many steps apart. Any [`STEPS`] consecutive requests have each size once, and
/// large sizes do not follow each other.
const STRIDE: u64 = 17;
/// Maximum size in a range. All bodies of a range are in memory at the same time.
pub const RANGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The body sizes of a drive, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    min: usize,
    max: usize,
}

/// An invalid size from the command line.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SizesError {
    #[error("invalid size {0:?}: write it as in 8192 or 64KiB, or a range as in 1000-200000")]
    Unreadable(String),
    #[error("invalid range {0:?}: the first size must be less than the second")]
    Backwards(String),
    #[error("invalid range of sizes: its maximum is {RANGE_BYTES_MAX} bytes, not {0}")]
    TooLarge(usize),
}

impl Sizes {
    pub fn one(size_bytes: usize) -> Self {
        Self {
            min: size_bytes,
            max: size_bytes,
        }
    }

    /// The size, if there is only one.
    pub fn single(self) -> Option<usize> {
        (self.min == self.max).then_some(self.min)
    }

    pub fn min(self) -> usize {
        self.min
    }

    pub fn max(self) -> usize {
        self.max
    }

    /// Each size once, in ascending order.
    pub fn steps(self) -> Vec<usize> {
        if self.min == self.max {
            return vec![self.min];
        }
        let range = self.max - self.min;
        (0..STEPS)
            .map(|step| self.min + range * step / (STEPS - 1))
            .collect()
    }
}

/// The index of a request's size among `count` sizes. It depends only on the number of the request.
pub fn step_of(number: u64, count: usize) -> usize {
    let count = count.max(1) as u64;
    (number % count * STRIDE % count) as usize
}

impl FromStr for Sizes {
    type Err = SizesError;

    fn from_str(text: &str) -> Result<Self, SizesError> {
        let unreadable = || SizesError::Unreadable(text.to_owned());
        let number = |text: &str| units::parse_bytes(text).map_err(|_| unreadable());
        let Some((min, max)) = text.split_once('-') else {
            return number(text).map(Self::one);
        };
        match (number(min)?, number(max)?) {
            (min, max) if min >= max => Err(SizesError::Backwards(text.to_owned())),
            (_, max) if max > RANGE_BYTES_MAX => Err(SizesError::TooLarge(max)),
            (min, max) => Ok(Self { min, max }),
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.single() {
            Some(size) => size.fmt(formatter),
            None => write!(formatter, "{}-{}", self.min, self.max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_both_ends_and_each_size_comes_as_often_as_any_other() {
        assert_eq!("1KiB-1MiB".parse(), "1024-1048576".parse::<Sizes>());
        let sizes: Sizes = "1000-200000".parse().unwrap();
        let steps = sizes.steps();
        assert_eq!((steps.first(), steps.last()), (Some(&1000), Some(&200_000)));
        assert_eq!(steps.len(), STEPS);
        let mut counts = vec![0; STEPS];
        (1000..1000 + 3 * STEPS as u64).for_each(|number| counts[step_of(number, STEPS)] += 1);
        assert_eq!(counts, vec![3; STEPS]);
        assert_eq!(
            (sizes.single(), sizes.to_string()),
            (None, "1000-200000".to_owned())
        );
    }

    #[test]
    fn one_number_is_one_size() {
        let sizes: Sizes = "8192".parse().unwrap();
        assert_eq!((sizes.steps(), sizes.single()), (vec![8192], Some(8192)));
        assert_eq!(step_of(u64::MAX, 1), 0);
    }

    #[test]
    fn invalid_sizes_are_refused() {
        for bad in ["", "-", "-1", "1-", "1k", "5-5", "9-1", "1-99999999", "1-2-3"] {
            assert!(bad.parse::<Sizes>().is_err(), "{bad:?}");
        }
    }
}
