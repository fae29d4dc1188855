//! [`Sizes`]: how large bodies are, all alike or evenly spread between two sizes.

use std::fmt;
use std::str::FromStr;

use cli::units;

/// Bodies of different size that a range is made of: enough for a line through them, and few enough to be kept in memory.
const STEPS: usize = 40;
/// Next to one another in time come sizes so many steps apart: every run of [`STEPS`] requests has each size once, and large ones
/// do not follow one another.
const STRIDE: u64 = 17;
/// Largest body of a range: all its bodies are in memory at once.
pub const RANGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The sizes of the bodies of a drive, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    least: usize,
    most: usize,
}

/// What is wrong with a size that a user gave.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SizesError {
    /// No number, or no range.
    #[error("invalid size {0:?}: write it as in 8192 or 64KiB, or a range as in 1000-200000")]
    Unreadable(String),
    /// A range from more to less.
    #[error("the range {0:?} has to go from a lesser size to a greater one")]
    Backwards(String),
    /// Too much for the memory.
    #[error("a range of sizes may go up to {RANGE_BYTES_MAX} bytes, and this one goes to {0}")]
    TooLarge(usize),
}

impl Sizes {
    /// All bodies of one size.
    pub fn one(size_bytes: usize) -> Self {
        Self {
            least: size_bytes,
            most: size_bytes,
        }
    }

    /// The size, if it is one.
    pub fn single(self) -> Option<usize> {
        (self.least == self.most).then_some(self.least)
    }

    /// The least.
    pub fn least(self) -> usize {
        self.least
    }

    /// The greatest.
    pub fn most(self) -> usize {
        self.most
    }

    /// Each size once, the least first.
    pub fn steps(self) -> Vec<usize> {
        if self.least == self.most {
            return vec![self.least];
        }
        let apart = self.most - self.least;
        (0..STEPS)
            .map(|step| self.least + apart * step / (STEPS - 1))
            .collect()
    }
}

/// Which of `count` sizes a request has: the same for the same number.
pub fn step_of(number: u64, count: usize) -> usize {
    let count = count.max(1) as u64;
    (number % count * STRIDE % count) as usize
}

impl FromStr for Sizes {
    type Err = SizesError;

    fn from_str(text: &str) -> Result<Self, SizesError> {
        let unreadable = || SizesError::Unreadable(text.to_owned());
        let number = |text: &str| units::parse_bytes(text).map_err(|_| unreadable());
        let Some((least, most)) = text.split_once('-') else {
            return number(text).map(Self::one);
        };
        match (number(least)?, number(most)?) {
            (least, most) if least >= most => Err(SizesError::Backwards(text.to_owned())),
            (_, most) if most > RANGE_BYTES_MAX => Err(SizesError::TooLarge(most)),
            (least, most) => Ok(Self { least, most }),
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.single() {
            Some(size) => size.fmt(formatter),
            None => write!(formatter, "{}-{}", self.least, self.most),
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
        let mut come = vec![0; STEPS];
        (1000..1000 + 3 * STEPS as u64).for_each(|number| come[step_of(number, STEPS)] += 1);
        assert_eq!(come, vec![3; STEPS]);
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
    fn what_is_no_size_is_refused() {
        for bad in ["", "-", "-1", "1-", "1k", "5-5", "9-1", "1-99999999", "1-2-3"] {
            assert!(bad.parse::<Sizes>().is_err(), "{bad:?}");
        }
    }
}
