//! [`TraceRuns`]: which run a trace belongs to.

use serde::{Deserialize, Serialize};

use aggregate::maps::Map;

/// Which run a trace belongs to, for one to two turns.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TraceRuns {
    young: Map<[u8; 16], u32>,
    old: Map<[u8; 16], u32>,
    last: Option<([u8; 16], usize)>,
    /// Traces of one generation; past it the older generation leaves early.
    max: usize,
}

impl TraceRuns {
    /// No trace yet.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            ..Self::default()
        }
    }

    /// Changes how many a generation has at most.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// The run of a trace.
    pub fn get(&self, trace_id: &[u8; 16]) -> Option<usize> {
        if let Some((last, run)) = &self.last
            && last == trace_id
        {
            return Some(*run);
        }
        self.young
            .get(trace_id)
            .or_else(|| self.old.get(trace_id))
            .map(|&run| run as usize)
    }

    /// Says the run of a trace; true if it was unknown.
    pub fn set(&mut self, trace_id: &[u8; 16], run: usize) -> bool {
        if self.last.is_some_and(|(last, _)| last == *trace_id) {
            return false;
        }
        if self.young.len() >= self.max {
            self.turn();
        }
        let known = self.get(trace_id).is_some();
        if !known {
            self.young.insert(*trace_id, run as u32);
        }
        self.last = Some((*trace_id, self.get(trace_id).unwrap_or(run)));
        !known
    }

    /// Forgets the older generation.
    pub fn turn(&mut self) {
        self.old = std::mem::take(&mut self.young);
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_of_a_trace_is_known_for_one_to_two_turns() {
        let mut traces = TraceRuns::new(2);
        assert!(traces.set(&[1; 16], 5));
        assert!(!traces.set(&[1; 16], 6), "the first wins");
        traces.turn();
        assert_eq!(traces.get(&[1; 16]), Some(5));
        traces.turn();
        assert_eq!(traces.get(&[1; 16]), None);
        assert!(traces.set(&[1; 16], 6));
    }
}
