//! [`Dependents`]: for each call, the calls that wait for it.

use std::ops::Range;

use crate::work::Works;

/// The inverse of [`Works::waits_for`], as one list with a range for each call.
pub struct Dependents {
    pub list: Vec<u32>,
    /// Begins of the ranges, and the end of the last one. Empty if no call waits for another one.
    begins: Vec<u32>,
}

impl Dependents {
    pub fn new(works: &Works) -> Self {
        if works.waits_for.is_empty() {
            return Self {
                list: Vec::new(),
                begins: Vec::new(),
            };
        }
        let mut begins = vec![0_u32; works.calls.len() + 1];
        for &call in &works.waits_for {
            begins[call as usize + 1] += 1;
        }
        for call in 0..works.calls.len() {
            begins[call + 1] += begins[call];
        }
        let mut next = begins.clone();
        let mut list = vec![0; works.waits_for.len()];
        for (dependent, call) in works.calls.iter().enumerate() {
            for &cause in &works.waits_for[call.waits()] {
                let place = &mut next[cause as usize];
                list[*place as usize] = dependent as u32;
                *place += 1;
            }
        }
        Self { list, begins }
    }

    /// The range in `list` of the calls that wait for a call.
    pub fn of(&self, call: u32) -> Range<usize> {
        match self.begins.get(call as usize..call as usize + 2) {
            Some(&[begin, end]) => begin as usize..end as usize,
            _ => 0..0,
        }
    }
}
