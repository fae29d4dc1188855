//! [`Notes`]: assumptions about the rows of a data set, each with its count and first place.

use super::rows::At;
use crate::tally::Tally;

/// An assumption. The names are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    CallerInferred,
    CallerUnknown,
    EntryInferred,
    InvocationInferred,
    ModuleInferred,
    ModuleUnknown,
    RowRepeated,
    SideInferred,
    TimeOrigin,
}

/// All assumptions with their names and meanings, sorted by name.
pub const NOTES: [(Note, &str, &str); 9] = [
    (
        Note::CallerInferred,
        "caller_inferred",
        "calls whose rpc id names no caller or several; names and times show the caller",
    ),
    (
        Note::CallerUnknown,
        "caller_unknown",
        "rows of which no single caller is known; they are orphans",
    ),
    (
        Note::EntryInferred,
        "entry_inferred",
        "traces whose topmost caller counts as their entry, although its rpc id shows that it was called",
    ),
    (
        Note::InvocationInferred,
        "invocation_inferred",
        "invocations without a row of their own; their calls show that they took place, and their times are estimates",
    ),
    (
        Note::ModuleInferred,
        "module_inferred",
        "missing names of modules that other rows of the trace show",
    ),
    (
        Note::RowRepeated,
        "row_repeated",
        "rows that a second file repeats; they count once",
    ),
    (
        Note::ModuleUnknown,
        "service_not_recorded",
        "spans without a service; their module is unknown_service",
    ),
    (
        Note::SideInferred,
        "side_inferred",
        "calls whose times do not show which side recorded them",
    ),
    (
        Note::TimeOrigin,
        "time_origin_assumed",
        "rows whose time counts from the start of the recording; it is set to the first day of the data set's year, or to the day that its documentation states",
    ),
];

#[derive(Debug, Default)]
pub struct Notes([(u64, Option<At>); NOTES.len()]);

impl Notes {
    pub fn add(&mut self, note: Note, count: u64, at: At) {
        if count > 0 {
            let (known, first) = &mut self.0[note as usize];
            *known += count;
            first.get_or_insert(at);
        }
    }

    /// Adds all assumptions to the tally. `files` has the names of the files by their numbers.
    pub fn add_to(&self, tally: &mut Tally, files: &[String]) {
        for (note, name, meaning) in NOTES {
            if let (count, Some(first)) = self.0[note as usize] {
                tally.assume(name, meaning, count, || first.place(files));
            }
        }
    }
}
