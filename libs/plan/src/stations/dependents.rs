//! [`Dependents`]: for each call, the calls and answers that wait for it.

use std::ops::Range;

use super::model::{Load, Wait};
use crate::work::NONE;

/// The inverse of [`Load::waits_for`], as one list with a range for each call.
pub struct Dependents {
    list: Vec<Dependent>,
    /// Begins of the ranges, and the end of the last one. Empty if nothing waits for a call.
    begins: Vec<u32>,
}

/// Something that waits for a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dependent {
    /// A call of the same visit; [`NONE`] for its answer.
    pub call: u32,
    /// Whether it waits for a number of calls, and this is one of them.
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

    /// The places in the list of what waits for a call.
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
