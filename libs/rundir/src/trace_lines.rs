//! [`find`]: finds the lines of one trace in all parts of a run. It reads each file once. Of the lines of other traces, it
//! decodes only the trace id.

use cctf_proto::cctf::{Call, File, Invocation, Row, TraceId, field_index};

use crate::byte_count::{ByteCount, OnBytes};
use crate::fields::{Fields, Name, NotAnObject, Order, names_of};
use crate::parts::Run;
use crate::regular::look;
use crate::{Ending, Lines, ReadError};

/// Files with rows of a trace.
const FILES: [File; 2] = [File::Invocations, File::Calls];
/// Minimum number of digits of an id. Fewer digits would match a large share of the run.
const DIGITS_MIN: usize = 4;
/// Number of digits of a trace id.
const DIGITS: usize = 32;
/// Maximum number of rows, which bounds memory. The largest published traces have some ten thousand.
const ROWS_MAX: u64 = 500_000;
/// Maximum number of ids that the error for an ambiguous id lists.
const IDS_SHOWN: usize = 5;

/// The beginning of a trace id, or a whole one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdPrefix(String);

impl IdPrefix {
    /// Parses hex digits in upper or lower case.
    ///
    /// # Errors
    /// A sentence, if they are not 4 to 32 hex digits.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && (DIGITS_MIN..=DIGITS).contains(&text.len()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(format!(
            "invalid trace id {text:?}: use its {DIGITS} hex digits, or at least the first {DIGITS_MIN} of them"
        ))
    }
}

/// The result of a search for a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundTrace {
    pub trace_id: TraceId,
    /// Lines that are too long or not JSON objects. Their trace is unknown.
    pub unreadable: u64,
}

/// The reason why the lines of a trace could not be returned.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(transparent)]
    Read(#[from] ReadError),
    /// No row has such an id.
    #[error(
        "cannot find trace {0}: no trace id in the run starts with these digits; cctf tail --format json shows ids"
    )]
    NotFound(String),
    /// Several traces have ids with this beginning.
    #[error(
        "cannot choose a trace: several ids start with {prefix}: {}; use more digits",
        listed(ids)
    )]
    Ambiguous {
        prefix: String,
        /// Matching ids in the order of the files; at most one more than the error shows.
        ids: Vec<TraceId>,
    },
    /// The trace is larger than the bound on memory.
    #[error("cannot read trace {trace_id}: it has more than the maximum of {rows_max} rows")]
    TooLarge { trace_id: TraceId, rows_max: u64 },
}

fn listed(ids: &[TraceId]) -> String {
    let shown = ids.iter().take(IDS_SHOWN).map(TraceId::to_string);
    let more = if ids.len() > IDS_SHOWN { " and more" } else { "" };
    shown.collect::<Vec<_>>().join(", ") + more
}

static INVOCATION_NAMES: [Name; Invocation::FIELDS.len()] = names_of(Invocation::FIELDS);
static CALL_NAMES: [Name; Call::FIELDS.len()] = names_of(Call::FIELDS);
const TRACE_ID: usize = field_index(Invocation::FIELDS, "trace_id");
const _: () = assert!(TRACE_ID == field_index(Call::FIELDS, "trace_id"));

/// Passes the lines of the trace to `on_line`, in the order of parts and files. If the id turns out to be ambiguous, the lines
/// passed so far belong to the first matching trace. `on_bytes` receives the number of bytes read.
///
/// # Errors
/// If there is not exactly one such trace, if it is too large, or if a file cannot be read.
pub fn find(
    run: &Run,
    prefix: &IdPrefix,
    on_line: &mut dyn FnMut(File, &[u8]),
    on_bytes: OnBytes<'_>,
) -> Result<FoundTrace, FindError> {
    find_bounded(run, prefix, ROWS_MAX, on_line, on_bytes)
}

/// Size of the files that [`find`] reads, bytes.
///
/// # Errors
/// If the parts cannot be listed, or a file cannot be read.
pub fn size(run: &Run) -> Result<u64, ReadError> {
    let mut size = 0;
    for part in run.parts()? {
        for file in FILES {
            size += look(&run.path(&part, file))?.map_or(0, |data| data.len());
        }
    }
    Ok(size)
}

fn find_bounded(
    run: &Run,
    prefix: &IdPrefix,
    rows_max: u64,
    on_line: &mut dyn FnMut(File, &[u8]),
    on_bytes: OnBytes<'_>,
) -> Result<FoundTrace, FindError> {
    let mut search = Search {
        prefix,
        ids: Vec::new(),
        rows: 0,
        rows_max,
        unreadable: 0,
        bytes: ByteCount::new(on_bytes),
    };
    for part in run.parts()? {
        for file in FILES {
            if let Some(lines) = Lines::open(run.path(&part, file))? {
                search.read(file, lines, on_line)?;
            }
        }
    }
    match search.ids[..] {
        [] => Err(FindError::NotFound(prefix.0.clone())),
        [trace_id] => Ok(FoundTrace {
            trace_id,
            unreadable: search.unreadable,
        }),
        _ => Err(search.ambiguous()),
    }
}

struct Search<'a> {
    prefix: &'a IdPrefix,
    /// Different ids that start with the given digits, in the order of the files.
    ids: Vec<TraceId>,
    rows: u64,
    rows_max: u64,
    unreadable: u64,
    bytes: ByteCount<'a>,
}

impl Search<'_> {
    fn read(
        &mut self,
        file: File,
        mut lines: Lines,
        on_line: &mut dyn FnMut(File, &[u8]),
    ) -> Result<(), FindError> {
        while let Some(line) = lines.next_line()? {
            self.bytes.add_line(line.bytes);
            let id = match line.ending {
                Ending::Newline => trace_id(file, line.bytes),
                // The last line is incomplete: it is being written, or its writer was killed.
                Ending::EndOfFile => continue,
                Ending::TooLong => Err(NotAnObject),
            };
            let Ok(id) = id else {
                self.unreadable += 1;
                continue;
            };
            let Some(id) = id
                .filter(|id| id.starts_with(self.prefix.0.as_bytes()))
                .and_then(TraceId::parse_bytes)
            else {
                continue;
            };
            if !self.ids.contains(&id) {
                self.ids.push(id);
                if self.ids.len() > IDS_SHOWN {
                    return Err(self.ambiguous());
                }
            }
            if self.ids.len() == 1 {
                self.rows += 1;
                if self.rows > self.rows_max {
                    return Err(FindError::TooLarge {
                        trace_id: id,
                        rows_max: self.rows_max,
                    });
                }
                on_line(file, line.bytes);
            }
        }
        Ok(())
    }

    fn ambiguous(&self) -> FindError {
        FindError::Ambiguous {
            prefix: self.prefix.0.clone(),
            ids: self.ids.clone(),
        }
    }
}

/// The digits of a line's trace id; `None` if it has none.
///
/// # Errors
/// If the line is not an object.
pub fn trace_id(file: File, line: &[u8]) -> Result<Option<&[u8]>, NotAnObject> {
    let names: &[Name] = match file {
        File::Calls => &CALL_NAMES,
        _ => &INVOCATION_NAMES,
    };
    let (mut fields, mut order) = (Fields::new(line)?, Order::new(file.fields()));
    while let Some((index, field)) = fields.next_known(&mut order, names)? {
        if index == TRACE_ID {
            return Ok(field
                .value
                .strip_prefix(b"\"")
                .and_then(|id| id.strip_suffix(b"\"")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines are also found if their fields are in another order, or if they have unknown fields.
    #[test]
    fn lines_are_found_by_their_id_up_to_the_bound() {
        let logs = tempfile::tempdir().unwrap();
        let cctf = logs.path().join("r/cctf");
        std::fs::create_dir_all(&cctf).unwrap();
        let (id, other) = ("0a".repeat(16), "0b".repeat(16));
        let invocations = format!(
            "{{\"trace_id\":\"{id}\"}}\n{{\"x\":[1],\"span_id\":\"1\", \"trace_id\" : \"{id}\"}}\n{{\"trace_id\":\"{other}\"}}\n{{}}\n"
        );
        std::fs::write(cctf.join("invocations.jsonl"), invocations).unwrap();
        std::fs::write(
            cctf.join("calls.jsonl"),
            format!("{{\"trace_id\":\"{id}\"}}\n{{\"trace_id\":7}}\n"),
        )
        .unwrap();
        let run = Run::new(logs.path(), "r");
        let find = |rows_max| {
            let mut found = Vec::new();
            let prefix = IdPrefix::parse("0A0a").unwrap();
            let mut on_line = |file, line: &[u8]| found.push((file, line.len()));
            find_bounded(&run, &prefix, rows_max, &mut on_line, &mut |_| {}).map(|_| found)
        };
        let short = 15 + id.len();
        assert_eq!(
            find(3).unwrap(),
            [
                (File::Invocations, short),
                (File::Invocations, short + 25),
                (File::Calls, short)
            ]
        );
        let error = find(2).unwrap_err().to_string();
        assert!(error.ends_with("more than the maximum of 2 rows"), "{error}");
    }

    #[test]
    fn ids_are_4_to_32_hex_digits() {
        for id in ["5b8e", "5B8EFFF7980381030000000000000001"] {
            assert!(IdPrefix::parse(id).is_ok(), "{id}");
        }
        for id in ["", "5b8", "5b8g", "é5b8e", "5b8efff79803810300000000000000010"] {
            assert!(
                IdPrefix::parse(id).unwrap_err().contains("invalid trace id"),
                "{id}"
            );
        }
    }
}
