//! [`Notes`]: counts of problems in the rows of a run, and sentences that report them; [`counted`]: one such sentence.

/// Counts of rows that the recorded work does not describe exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Parts and files that are missing.
    pub missing: Vec<String>,
    /// Damaged lines.
    pub damaged_lines: u64,
    /// Invocations whose source reports no queue time.
    pub without_queue_time: u64,
    /// Invocations that a full queue refused.
    pub refused: u64,
    /// Invocations without a valid duration. They take no time.
    pub without_duration: u64,
    /// Rows with an id that an earlier row has. They are left out.
    pub duplicates: u64,
    /// Invocations whose caller is missing in the rows read. Each of them arrives at its recorded time.
    pub without_caller: u64,
    /// Invocations with a parent invocation but no row of the call between them. The call is inferred.
    pub inferred_calls: u64,
    /// Calls from outside that no recorded invocation answered. They are left out.
    pub unanswered_roots: u64,
    /// Rows that represent more than one request. Such a sample is not enough to simulate waits.
    pub sampled: u64,
}

impl Notes {
    /// One sentence for each count that is not 0.
    pub fn sentences(&self) -> Vec<String> {
        let all = [
            (
                self.damaged_lines,
                "line is no row and is left out",
                "lines are no rows and are left out",
            ),
            (
                self.without_queue_time,
                "invocation reports no queue time: its waits are inside of its own time",
                "invocations report no queue time: their waits are inside of their own time",
            ),
            (
                self.refused,
                "invocation was refused by a full queue: its own time is the mean of its endpoint",
                "invocations were refused by a full queue: their own time is the mean of their endpoint",
            ),
            (
                self.without_duration,
                "invocation has no valid duration and takes no time",
                "invocations have no valid duration and take no time",
            ),
            (
                self.duplicates,
                "row has the id of an earlier row and is left out",
                "rows have the id of an earlier row and are left out",
            ),
            (
                self.without_caller,
                "invocation has no caller in these rows and arrives at its recorded time",
                "invocations have no caller in these rows and arrive at their recorded time",
            ),
            (
                self.inferred_calls,
                "invocation has a parent but no row of the call: the call is inferred from its times",
                "invocations have a parent but no row of the call: the call is inferred from their times",
            ),
            (
                self.unanswered_roots,
                "root call has no invocation and is left out",
                "root calls have no invocation and are left out",
            ),
            (
                self.sampled,
                "row represents several requests: the waits of a sample cannot be simulated",
                "rows represent several requests: the waits of a sample cannot be simulated",
            ),
        ];
        let all = all.iter().filter(|(count, ..)| *count > 0);
        let sentences = all.map(|(count, one, more)| counted(*count, one, more));
        self.missing.iter().cloned().chain(sentences).collect()
    }
}

/// A sentence about a number of things. It starts with the number and uses `one` or `more` accordingly.
pub fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_the_singular() {
        let notes = Notes {
            damaged_lines: 1,
            without_caller: 2,
            ..Notes::default()
        };
        let expected = [
            "1 line is no row and is left out",
            "2 invocations have no caller in these rows and arrive at their recorded time",
        ];
        assert_eq!(notes.sentences(), expected);
    }
}
