//! [`Notes`]: what the rows of a run left out or contradict, as counts and as sentences.

/// Counts of rows that the work of a run does not describe exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Parts and files that are missing.
    pub missing: Vec<String>,
    /// Lines that are no rows.
    pub damaged_lines: u64,
    /// Invocations whose source reports no queue time.
    pub without_queue_time: u64,
    /// Invocations that a full queue refused.
    pub refused: u64,
    /// Invocations without a valid duration. They take no time.
    pub without_duration: u64,
    /// Invocations and calls whose times contradict each other: a gap was negative and counts as 0.
    pub negative_gaps: u64,
    /// Rows with an id that an earlier row has. They are left out.
    pub duplicates: u64,
    /// Invocations whose caller is missing in these rows. Each arrives at its recorded time.
    pub without_caller: u64,
    /// Invocations with a parent invocation but no row of the call between them. The call is inferred.
    pub inferred_calls: u64,
    /// Root calls without an invocation that answered them. They are left out.
    pub unanswered_roots: u64,
    /// Calls that wait for more than the maximum of other calls. They wait for those that ended last.
    pub shortened_waits: u64,
    /// Rows that represent more than one request. Waits cannot be simulated from a sample.
    pub sampled: u64,
}

impl Notes {
    /// One sentence for each count that is not 0.
    pub fn sentences(&self) -> Vec<String> {
        let counted = [
            (self.damaged_lines, "lines are no rows and are left out"),
            (
                self.without_queue_time,
                "invocations report no queue time: their waits are inside of their own time",
            ),
            (
                self.refused,
                "invocations were refused by a full queue: their own time is the mean of their endpoint",
            ),
            (
                self.without_duration,
                "invocations have no valid duration and take no time",
            ),
            (
                self.negative_gaps,
                "gaps between calls are negative and count as 0",
            ),
            (
                self.duplicates,
                "rows have the id of an earlier row and are left out",
            ),
            (
                self.without_caller,
                "invocations have no caller in these rows and arrive at their recorded time",
            ),
            (
                self.inferred_calls,
                "invocations have a parent but no row of the call: the call is inferred from their times",
            ),
            (
                self.unanswered_roots,
                "root calls have no invocation and are left out",
            ),
            (
                self.shortened_waits,
                "calls wait for too many others: they wait for those that ended last",
            ),
            (
                self.sampled,
                "rows represent several requests: the waits of a sample cannot be simulated",
            ),
        ];
        let sentence = |(count, text): &(u64, &str)| format!("{count} {text}");
        let counted = counted.iter().filter(|(count, _)| *count > 0).map(sentence);
        self.missing.iter().cloned().chain(counted).collect()
    }
}
