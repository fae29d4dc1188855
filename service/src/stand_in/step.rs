//! [`Step`]: the next action of the program that executes an invocation.

/// The next action of the executor. Times are nanoseconds on its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Start a call now.
    Start { call: usize },
    /// Send a request to a callee of a call that has started. If a call waits for the answer, pass it to
    /// [`Engine::answered_by`].
    Send {
        call: usize,
        callee: usize,
        is_awaited: bool,
    },
    /// A call has ended at a known time: its duration or network time is over, or it timed out.
    End { call: usize, at_ns: u64, end: Ending },
    /// Use CPU time until the invocation has used `cpu_ns`. At `until_ns` or earlier, ask for the next step.
    Burn {
        cpu_ns: u64,
        until_ns: u64,
        /// Whether only the answer comes after this step.
        is_last: bool,
    },
    /// Wait until `until_ns`, or until a call is answered.
    Wait {
        until_ns: Option<u64>,
        /// CPU time that the invocation may have used by then.
        spare_cpu_ns: u64,
    },
    /// Send the answer, and report this to [`Engine::answer_sent`].
    Answer { is_failed: bool },
    /// The answer has been sent, and all calls have ended.
    Done,
}

/// The reason why a call ended at a known time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The duration of the call is over. The call gets its recorded result.
    Duration,
    /// The call timed out.
    Timeout,
    /// The answer of the call had arrived early, and the planned network time is over now.
    Answer,
}
