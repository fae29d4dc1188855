//! [`sections`]: values in order of time, cut into sections of equal size.

use std::ops::Range;

use super::TooShort;

/// Number of sections. It is the number of batches of a mean (docs/statistics.md). 90% intervals with Student's t are then 5%
/// wider than with the true error, and each section is long compared with the memory of a queue.
pub const SECTIONS: usize = 20;
/// Minimum number of values: 10 for each section. Figures of shorter sections are not distributed symmetrically.
pub const VALUES_MIN: usize = 10 * SECTIONS;

/// The index ranges of the sections.
///
/// # Errors
/// If there are too few values.
pub fn sections(values: usize) -> Result<[Range<usize>; SECTIONS], TooShort> {
    if values < VALUES_MIN {
        return Err(TooShort {
            values: values as u64,
            needed: VALUES_MIN as u64,
        });
    }
    let border = |section: usize| section * values / SECTIONS;
    Ok(std::array::from_fn(|section| {
        border(section)..border(section + 1)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_each_value_once() {
        for values in [200, 201, 219, 12_345] {
            let sections = sections(values).unwrap();
            let mut next = 0;
            for section in sections {
                assert_eq!(section.start, next);
                assert!(section.len() >= values / SECTIONS);
                next = section.end;
            }
            assert_eq!(next, values);
        }
        assert!(sections(199).is_err());
    }
}
