//! [`Outcome`]: the simulated times of one invocation.

/// The simulated times of one invocation, nanoseconds on the clock of the arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    pub enqueue_ns: i64,
    /// Time without a slot before its start.
    pub wait_ns: i64,
    /// Start of its own time: after the wait and the set-up time of the slot.
    pub start_ns: i64,
    pub end_ns: i64,
    /// Time without a slot after calls during which it was released.
    pub slot_wait_ns: i64,
    pub state: State,
}

/// How far an invocation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It was never called, because its caller was refused or its call was a retry that was not needed. Or it waits forever: requests
    /// that hold slots wait for one another.
    #[default]
    Unfinished,
    Served,
    /// The queue was full.
    Refused,
}

impl Outcome {
    /// Time from its arrival to its end.
    pub fn response_ns(&self) -> i64 {
        self.end_ns - self.enqueue_ns
    }
}
