//! [`sort_lines`]: sorts the lines of a file by trace and time, or by time. Lines with equal keys keep the order of the file.
//!
//! The sort moves whole lines as text, in bounded memory. Their values are divided into columns only after the sort, so each
//! line is read once.

use std::num::NonZero;
use std::path::PathBuf;

use cctf_proto::cctf::{Field, Milliseconds, TraceId};
use cctf_sort::record::{Record, key_of, number_of_key};
use cctf_sort::sorter::Sorter;
use rundir::fields::{Fields, Name, NotAnObject, Order, names_of};
use rundir::{Ending, Lines};

use crate::damages::{Damages, Reason};
use crate::layout::Table;

/// Number of bits of the key for the bucket. The other bits contain the beginning of the trace id.
const BUCKET_BITS: u32 = 16;
/// Size of the trace id, the time, the number of the file and the number of the line, bytes.
const IDENTITY_BYTES: usize = 16 + 8 + 4 + 8;

/// Position of a line in the order of its table, and its file and line number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// 0 for a table without buckets.
    pub bucket: u16,
    pub time_ns: i64,
    /// Number of the file, from 0.
    pub file: u32,
    /// Number of the line, from 1.
    pub line: u64,
}

/// A line with its position.
pub struct Sorted<'a> {
    pub place: Place,
    pub line: &'a [u8],
}

impl<'a> Sorted<'a> {
    pub fn new(record: &Record<'a>) -> Self {
        let number = |begin: usize, end: usize| {
            let bytes = record.identity.get(begin..end).unwrap_or_default();
            bytes
                .iter()
                .fold(0_u64, |number, &byte| number << 8 | u64::from(byte))
        };
        // If the table is sorted by time, the key is the time, and the identity contains no trace id.
        let (bucket, time_ns, begin) = match record.identity.len() {
            IDENTITY_BYTES => (
                (record.key >> (u64::BITS - BUCKET_BITS)) as u16,
                number_of_key(number(16, 24)),
                24,
            ),
            _ => (0, number_of_key(record.key), 0),
        };
        let place = Place {
            bucket,
            time_ns,
            file: number(begin, begin + 4) as u32,
            line: number(begin + 4, begin + 12),
        };
        Self {
            place,
            line: record.line,
        }
    }
}

/// Computes the sort keys of a table's lines.
pub struct Keys {
    fields: &'static [Field],
    names: Vec<Name>,
    /// Indices of the fields by which the table is sorted.
    trace: Option<usize>,
    time: usize,
    buckets: NonZero<u16>,
}

impl Keys {
    /// `None` for a table whose rows keep their order.
    pub fn new(table: &Table, buckets: NonZero<u16>) -> Option<Self> {
        let fields = table.file.fields();
        Some(Self {
            fields,
            names: (0..fields.len())
                .map(|index| names_of::<1>(&fields[index..])[0])
                .collect(),
            trace: table.trace.map(|by| by.field),
            time: table.time?.field,
            buckets,
        })
    }

    /// Adds a line to a sort.
    fn push(
        &self,
        sorter: &mut Sorter,
        file: u32,
        number: u64,
        line: &[u8],
    ) -> anyhow::Result<Result<(), Reason>> {
        let (trace, time_ns) = match self.find(line) {
            Ok(found) => found,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut identity = [0; IDENTITY_BYTES];
        identity[24..28].copy_from_slice(&file.to_be_bytes());
        identity[28..].copy_from_slice(&number.to_be_bytes());
        let (key, from) = match trace {
            Some(trace) => {
                let [a, b, c, d, e, f, ..] = trace.0;
                let [high, low] = trace.bucket(self.buckets).to_be_bytes();
                identity[..16].copy_from_slice(&trace.0);
                identity[16..24].copy_from_slice(&key_of(time_ns).to_be_bytes());
                (u64::from_be_bytes([high, low, a, b, c, d, e, f]), 0)
            }
            None => (key_of(time_ns), 24),
        };
        let identity = &identity[from..];
        sorter.push(&Record { key, identity, line })?;
        Ok(Ok(()))
    }

    /// The trace id and the time of a line. Its other fields are not read.
    fn find(&self, line: &[u8]) -> Result<(Option<TraceId>, i64), Reason> {
        let mut order = Order::new(self.fields);
        let mut scan = Fields::new(line).map_err(|NotAnObject| Reason::NotAnObject)?;
        let (mut trace, mut time) = (None, None);
        while trace.is_none() && self.trace.is_some() || time.is_none() {
            let field = scan.next_known(&mut order, &self.names);
            let Some((index, field)) = field.map_err(|NotAnObject| Reason::NotAnObject)? else {
                let is_trace_missing = trace.is_none() && self.trace.is_some();
                let missing = self.trace.filter(|_| is_trace_missing).unwrap_or(self.time);
                return Err(Reason::Missing(self.fields[missing].name));
            };
            let wrong = || Reason::WrongType(self.fields[index].name);
            if Some(index) == self.trace {
                let id = rundir::fields::text(field.value).and_then(|text| TraceId::parse(&text));
                trace = Some(id.ok_or_else(wrong)?);
            } else if index == self.time {
                time = Some(Milliseconds::parse_bytes(field.value).ok_or_else(wrong)?.as_ns());
            }
        }
        Ok((trace, time.unwrap_or_default()))
    }
}

/// Adds the lines of a file to a sort. `file` is the number of the file. Returns whether the last line lacks its end.
///
/// # Errors
/// If the file cannot be read, a temporary file cannot be written, or `on_bytes` returns an error.
pub fn sort_lines(
    keys: &Keys,
    mut lines: Lines,
    file: u32,
    sorter: &mut Sorter,
    damages: &mut Damages,
    on_bytes: &mut dyn FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let path: PathBuf = lines.path().to_owned();
    while let Some(line) = lines.next_line()? {
        let (number, bytes) = (line.number, line.bytes.len() as u64 + 1);
        let pushed = match line.ending {
            Ending::EndOfFile => return Ok(true),
            Ending::TooLong => Err(Reason::TooLong),
            Ending::Newline => keys.push(sorter, file, number, line.bytes)?,
        };
        if let Err(reason) = pushed {
            damages.add(|| path.clone(), number, reason);
        }
        on_bytes(bytes)?;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cctf_proto::cctf::File;

    use super::*;

    fn sorted(file: File, texts: &[&str], buckets: u16) -> (Vec<(Place, String)>, Damages, bool) {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::new(&Table::new(file), NonZero::new(buckets).unwrap()).unwrap();
        let mut sorter = Sorter::new(folder.path(), 64);
        let (mut damages, mut is_cut) = (Damages::default(), false);
        for (number, text) in texts.iter().enumerate() {
            let path = folder.path().join(number.to_string());
            fs::write(&path, text).unwrap();
            let lines = Lines::open(path).unwrap().unwrap();
            is_cut |= sort_lines(
                &keys,
                lines,
                number as u32,
                &mut sorter,
                &mut damages,
                &mut |_| Ok(()),
            )
            .unwrap();
        }
        let mut found = Vec::new();
        let drained = sorter.drain(|record| {
            let sorted = Sorted::new(record);
            found.push((sorted.place, String::from_utf8(sorted.line.to_vec()).unwrap()));
            Ok(())
        });
        drained.unwrap();
        (found, damages, is_cut)
    }

    #[test]
    fn calls_are_sorted_by_bucket_trace_and_time_and_keep_ties() {
        let call = |trace: &str, ts: &str, rest: &str| {
            format!("{{\"trace_id\":\"{trace:0>32}\",\"ts_start\":{ts}{rest}}}\n")
        };
        let first = [
            call("b02", "2.5", ""),
            call("a02", "3.0", ",\"x\":2"),
            call("1", "9.0", ""),
        ]
        .concat();
        let second = [
            call("a02", "3.0", ",\"x\":1"),
            call("a02", "-1.0", ""),
            "no\n{}\n".to_owned(),
        ]
        .concat();
        let (found, damages, is_cut) = sorted(File::Calls, &[&first, &(second + "{\"cut")], 4);
        let places: Vec<_> = found
            .iter()
            .map(|(place, _)| (place.bucket, place.time_ns, place.file, place.line))
            .collect();
        let expected = [
            (1, 9_000_000, 0, 3),
            (2, -1_000_000, 1, 2),
            (2, 3_000_000, 0, 2),
            (2, 3_000_000, 1, 1),
            (2, 2_500_000, 0, 1),
        ];
        assert_eq!(places, expected);
        assert_eq!(found[2].1, call("a02", "3.0", ",\"x\":2").trim_end());
        assert!(is_cut);
        let reasons: Vec<_> = damages
            .shown
            .iter()
            .map(|damage| (damage.line, damage.reason.clone()))
            .collect();
        assert_eq!(
            reasons,
            [(3, Reason::NotAnObject), (4, Reason::Missing("trace_id"))]
        );
    }

    #[test]
    fn samples_are_sorted_by_time() {
        let text = "{\"ts_ms\":2.0}\n{\"ts_ms\":-1.0}\n{\"ts_ms\":\"1\"}\n{\"ts_ms\":2.0,\"a\":1}\n";
        let (found, damages, _) = sorted(File::HostMetrics, &[text], 4);
        let places: Vec<_> = found
            .iter()
            .map(|(place, _)| (place.bucket, place.time_ns, place.line))
            .collect();
        assert_eq!(places, [(0, -1_000_000, 2), (0, 2_000_000, 1), (0, 2_000_000, 4)]);
        assert_eq!(damages.shown[0].reason, Reason::WrongType("ts_ms"));
    }
}
