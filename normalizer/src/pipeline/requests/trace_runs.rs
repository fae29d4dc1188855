//! [`TraceRuns`]: remembers the run of each trace.

use serde::{Deserialize, Serialize};

use aggregate::ids::RunId;
use aggregate::maps::Map;

/// The run of each trace, remembered for one to two generations. A generation lasts until [`Self::rotate_generations`] is called.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TraceRuns {
    young: Map<[u8; 16], RunId>,
    old: Map<[u8; 16], RunId>,
    last: Option<([u8; 16], RunId)>,
    /// Maximum number of traces in one generation. Beyond it, the older generation is forgotten early.
    max: usize,
}

impl TraceRuns {
    pub fn new(max: usize) -> Self {
        Self {
            max,
            ..Self::default()
        }
    }

    /// Changes the maximum number of traces of one generation.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// The run of a trace.
    pub fn get(&self, trace_id: &[u8; 16]) -> Option<RunId> {
        if let Some((last, run)) = &self.last
            && last == trace_id
        {
            return Some(*run);
        }
        self.young
            .get(trace_id)
            .or_else(|| self.old.get(trace_id))
            .copied()
    }

    /// Sets the run of a trace if it is unknown. Returns true if it was unknown.
    pub fn set(&mut self, trace_id: &[u8; 16], run: RunId) -> bool {
        if self.last.is_some_and(|(last, _)| last == *trace_id) {
            return false;
        }
        if self.young.len() >= self.max {
            self.rotate_generations();
        }
        let known = self.get(trace_id).is_some();
        if !known {
            self.young.insert(*trace_id, run);
        }
        self.last = Some((*trace_id, self.get(trace_id).unwrap_or(run)));
        !known
    }

    /// Forgets the older generation.
    pub fn rotate_generations(&mut self) {
        self.old = std::mem::take(&mut self.young);
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_of_a_trace_is_known_for_one_to_two_generations() {
        let mut traces = TraceRuns::new(2);
        assert!(traces.set(&[1; 16], RunId::new(5)));
        assert!(!traces.set(&[1; 16], RunId::new(6)), "the first wins");
        traces.rotate_generations();
        assert_eq!(traces.get(&[1; 16]), Some(RunId::new(5)));
        traces.rotate_generations();
        assert_eq!(traces.get(&[1; 16]), None);
        assert!(traces.set(&[1; 16], RunId::new(6)));
    }
}
