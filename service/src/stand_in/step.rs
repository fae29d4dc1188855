//! [`Step`]: what the executor of an invocation does next.

/// What the executor does next. Times are nanoseconds of its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Start a call now.
    Start { call: usize },
    /// Send a request to a callee of a call that has started. If it is awaited, [`Engine::answered_by`] takes its answer.
    Send {
        call: usize,
        callee: usize,
        is_awaited: bool,
    },
    /// A call has ended at a known time: after its duration or its network time, or because the caller gave up.
    End { call: usize, at_ns: u64, end: Ending },
    /// Use CPU until the invocation's CPU time is `cpu_ns`. Ask again at `until_ns`, or earlier.
    Burn {
        cpu_ns: u64,
        until_ns: u64,
        /// Nothing but the answer comes after it.
        is_last: bool,
    },
    /// Nothing happens before `until_ns`, except that a call is answered.
    Wait {
        until_ns: Option<u64>,
        /// CPU time that the invocation may reach meanwhile.
        spare_cpu_ns: u64,
    },
    /// Answer, and report it to [`Engine::answer_sent`].
    Answer { is_failed: bool },
    /// The answer is out and all calls have ended.
    Done,
}

/// Why a call ended at a known time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its duration is over, with the recorded result.
    Duration,
    /// Its caller gave up.
    Timeout,
    /// Its answer, which came before, has crossed the network.
    Answer,
}
