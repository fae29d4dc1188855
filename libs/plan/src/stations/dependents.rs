//! [`Dependents`]: for each call, the calls and answers that wait for it.

use std::ops::Range;

use super::model::{Load, Wait};
use crate::work::NONE;

/// The inverse of [`Load::waits_for`], stored as one list with a range for each call.
pub struct Dependents {
    list: Vec<Dependent>,
    /// The start of each call's range, followed by the end of the last range. Empty if nothing waits for any call.
    begins: Vec<u32>,
}

/// A call or answer that waits for another call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dependent {
    /// Index of the waiting call, which belongs to the same visit; [`NONE`] for the visit's answer.
    pub call: u32,
    /// Whether the call for which it waits belongs to a group of which only some calls must end (a quorum).
    pub is_any: bool,
}

impl Dependents {
    pub fn new(load: &Load) -> Self {
        if load.waits_for.is_empty() {
            return Self {
                list: Vec::new(),
                begins: Vec::new(),
            };
        }
        let mut begins = vec![0_u32; load.calls.len() + 1];
        for &call in &load.waits_for {
            begins[call as usize + 1] += 1;
        }
        for call in 0..load.calls.len() {
            begins[call + 1] += begins[call];
        }
        let mut next = begins.clone();
        let mut list = vec![Dependent::default(); load.waits_for.len()];
        let mut add = |call: u32, wait: &Wait| {
            let (after, any_of) = wait.of(&load.waits_for);
            for (causes, is_any) in [(after, false), (any_of, true)] {
                for &cause in causes {
                    let place = &mut next[cause as usize];
                    list[*place as usize] = Dependent { call, is_any };
                    *place += 1;
                }
            }
        };
        for (number, call) in (0..).zip(&load.calls) {
            add(number, &call.wait);
        }
        for visit in &load.visits {
            add(NONE, &visit.answer);
        }
        Self { list, begins }
    }

    /// The range of a call in the list of dependents.
    pub fn of(&self, call: u32) -> Range<usize> {
        match self.begins.get(call as usize..call as usize + 2) {
            Some(&[begin, end]) => begin as usize..end as usize,
            _ => 0..0,
        }
    }

    pub fn at(&self, place: usize) -> Dependent {
        self.list[place]
    }
}
