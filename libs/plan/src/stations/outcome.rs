//! [`Outcome`]: the simulated times of one invocation; [`Simulation`]: the times of all invocations, and how long slots and
//! servers were busy.

/// The simulated times of one invocation, nanoseconds. They use the clock of the arrivals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    pub enqueue_ns: i64,
    /// Time from the arrival until it got its first slot.
    pub wait_ns: i64,
    /// Start of its own work, after the wait and the wake-up of the slot's thread.
    pub start_ns: i64,
    pub end_ns: i64,
    /// Time without a slot after calls during which the slot was released.
    pub slot_wait_ns: i64,
    pub state: State,
}

/// The result of a simulation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simulation {
    /// One for each visit of the load.
    pub outcomes: Vec<Outcome>,
    /// Time for which the slots of each instance were busy, of all its slots together.
    pub held_ns: Vec<i64>,
    /// Work of each server of the platform: the time for which its jobs would have needed one unit of its capacity.
    pub worked_ns: Vec<i64>,
    /// Time for which the jobs of each server took longer than alone. Jobs that delay no request do not count.
    pub waited_ns: Vec<i64>,
}

/// The state that an invocation reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// The invocation did not start or did not end. Perhaps its caller was refused, or it belongs to a retry that was not
    /// needed. Or requests that have slots wait for each other forever.
    #[default]
    Unfinished,
    Served,
    /// A full queue refused it.
    Refused,
}

impl Outcome {
    /// Time from arrival to end.
    pub fn response_ns(&self) -> i64 {
        self.end_ns - self.enqueue_ns
    }
}
