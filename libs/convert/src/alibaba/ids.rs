//! [`Ids`]: the rpc ids of a trace as a forest. [`Group`]: the rows of a trace, which it sorts by these ids.

use std::cmp::Ordering;

use cctf_sort::record::prefix_of;
use memchr::memchr_iter;

use super::names::Names;
use super::rows::CallRow;
use crate::hash::extended;

/// The rows of one trace, as they were read.
#[derive(Default)]
pub struct Group {
    /// 0 before the first trace. No trace has this id.
    pub trace_id: u128,
    pub rows: Vec<CallRow>,
    /// The rpc ids of the rows, one after the other, and the end of each.
    texts: Vec<u8>,
    ends: Vec<usize>,
}

impl Group {
    pub fn clear(&mut self) {
        self.rows.clear();
        self.texts.clear();
        self.ends.clear();
    }

    pub fn push(&mut self, row: CallRow, rpc_id: &[u8]) {
        self.rows.push(row);
        self.texts.extend_from_slice(rpc_id);
        self.ends.push(self.texts.len());
    }

    fn rpc_id(&self, index: usize) -> &[u8] {
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[begin..self.ends[index]]
    }

    /// Returns the ids, the rows sorted by id and time, and the repeated rows. If several files have the same row, the row of one
    /// file stays in the second value, and all others are in the third value.
    pub fn ordered(&self, names: &Names) -> (Ids<'_>, Vec<(usize, CallRow)>, Vec<CallRow>) {
        let mut ids = Ids::with_capacity(self.rows.len());
        let order = self.order(names);
        let rows = order
            .iter()
            .map(|&(_, index)| (ids.push(self.rpc_id(index)), self.rows[index]));
        let mut rows: Vec<(usize, CallRow)> = rows.collect();
        let repeated = drop_repeated(&mut rows);
        (ids, rows, repeated)
    }

    /// The indices of the rows, sorted by id and time. Each has the first bytes of its id, which decide most comparisons.
    fn order(&self, names: &Names) -> Vec<([u64; 2], usize)> {
        let indices = 0..self.rows.len();
        let mut order: Vec<_> = indices
            .map(|index| (prefix_of(self.rpc_id(index)), index))
            .collect();
        // Names are compared as texts and not by their numbers, so that the order of the files does not change the order of
        // the rows.
        let labels = |row: &CallRow| row.labels.all().map(|name| names.text(name));
        let times = |row: &CallRow| (row.begin_ns, row.rt_ns, row.kind);
        order.sort_unstable_by(|&(left_prefix, left), &(right_prefix, right)| {
            let (left_row, right_row) = (&self.rows[left], &self.rows[right]);
            left_prefix
                .cmp(&right_prefix)
                .then_with(|| self.rpc_id(left).cmp(self.rpc_id(right)))
                .then_with(|| times(left_row).cmp(&times(right_row)))
                .then_with(|| match left_row.labels == right_row.labels {
                    true => Ordering::Equal,
                    false => labels(left_row).cmp(&labels(right_row)),
                })
                .then_with(|| left_row.at.cmp(&right_row.at))
        });
        order
    }
}

/// Drops rows that another file repeats, and returns them. Equal rows in one file are different calls: according to the
/// maintainers of the data, calls share an id if a program loses the context of a trace.
fn drop_repeated(rows: &mut Vec<(usize, CallRow)>) -> Vec<CallRow> {
    let mut repeated = Vec::new();
    let is_equal = |(left_id, left): &(usize, CallRow), (right_id, right): &(usize, CallRow)| {
        left_id == right_id
            && CallRow {
                at: right.at,
                ..*left
            } == *right
    };
    if rows.windows(2).all(|pair| !is_equal(&pair[0], &pair[1])) {
        return repeated;
    }
    let mut kept = Vec::with_capacity(rows.len());
    for equal in rows.chunk_by(is_equal) {
        let of_files = || equal.chunk_by(|(_, left), (_, right)| left.at.file == right.at.file);
        // The file with the most equal rows; of several, the first one.
        let longest = of_files().rev().max_by_key(|of_file| of_file.len());
        let file = longest
            .and_then(|of_file| of_file.first())
            .map(|(_, row)| row.at.file);
        for &(id, row) in equal {
            match Some(row.at.file) == file {
                true => kept.push((id, row)),
                false => repeated.push(row),
            }
        }
    }
    *rows = kept;
    repeated
}

/// The rpc ids of a trace and all ids above them, sorted, so that each id follows its parent. The parent of `0.1.2` is `0.1`.
pub struct Ids<'t> {
    texts: Vec<&'t [u8]>,
    /// Index of each id's parent: the id without its last number.
    parents: Vec<Option<usize>>,
}

impl<'t> Ids<'t> {
    fn with_capacity(ids: usize) -> Self {
        Self {
            texts: Vec::with_capacity(ids),
            parents: Vec::with_capacity(ids),
        }
    }

    /// Adds an id, and those ids above it that are not known. Ids must be added in their order. Returns the index of the id.
    ///
    /// A point comes before all digits in this order, so all ids below one id follow each other. So an id above the new one, if
    /// it is known, is the last id or above the last id.
    fn push(&mut self, text: &'t [u8]) -> usize {
        let mut known = self.texts.len().checked_sub(1);
        while let Some(id) = known {
            let of_known = self.texts[id];
            if of_known == text {
                return id;
            }
            if text.starts_with(of_known) && text[of_known.len()] == b'.' {
                break;
            }
            known = self.parents[id];
        }
        let begin = known.map_or(0, |id| self.texts[id].len() + 1);
        for point in memchr_iter(b'.', &text[begin..]) {
            known = Some(self.add(&text[..begin + point], known));
        }
        self.add(text, known)
    }

    fn add(&mut self, text: &'t [u8], parent: Option<usize>) -> usize {
        self.texts.push(text);
        self.parents.push(parent);
        self.texts.len() - 1
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn parent(&self, id: usize) -> Option<usize> {
        self.parents[id]
    }

    /// The hash of each id, which extends `start`. An id extends the hash of its parent by the rest of its text.
    pub fn hashes(&self, start: u64) -> Vec<u64> {
        let mut hashes = Vec::with_capacity(self.len());
        for (text, parent) in self.texts.iter().zip(&self.parents) {
            hashes.push(match *parent {
                Some(parent) => extended(hashes[parent], &text[self.texts[parent].len()..]),
                None => extended(start, text),
            });
        }
        hashes
    }

    pub fn text(&self, id: usize) -> &'t [u8] {
        self.texts[id]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alibaba::names::NONE;
    use crate::alibaba::rows::{At, Kind, Labels, MS};
    use crate::hash::START;
    use crate::tables::Year;

    fn row(file: u32, line: u64) -> CallRow {
        CallRow {
            year: Year::Y2022,
            kind: Kind::Cache,
            begin_ns: 5 * MS,
            rt_ns: MS,
            labels: Labels {
                um: NONE,
                dm: NONE,
                um_instance: NONE,
                dm_instance: NONE,
                interface: NONE,
                rpc_type: NONE,
                service: NONE,
            },
            at: At { file, line, byte: 0 },
        }
    }

    #[test]
    fn ids_have_all_their_beginnings_and_parents() {
        let mut ids = Ids::with_capacity(0);
        let found =
            [&b"0.1.1"[..], b"0.1.1", b"0.1.10", b"0.1.10.2", b"9", b"90.1"].map(|text| ids.push(text));
        assert_eq!(found, [2, 2, 3, 4, 5, 7]);
        let texts: Vec<_> = (0..ids.len())
            .map(|id| String::from_utf8_lossy(ids.text(id)).into_owned())
            .collect();
        assert_eq!(
            texts,
            ["0", "0.1", "0.1.1", "0.1.10", "0.1.10.2", "9", "90", "90.1"]
        );
        let parents: Vec<_> = (0..ids.len()).map(|id| ids.parent(id)).collect();
        let expected = [None, Some(0), Some(1), Some(1), Some(3), None, None, Some(6)];
        assert_eq!(parents, expected);
        let hashes = ids.hashes(START);
        for (id, hash) in hashes.into_iter().enumerate() {
            assert_eq!(hash, extended(START, ids.text(id)), "{id}");
        }
    }

    #[test]
    fn rows_of_a_second_file_count_once_and_those_of_one_file_all() {
        let mut group = Group::default();
        for (file, line) in [(0, 1), (0, 2), (1, 1), (1, 2), (1, 3), (2, 1)] {
            group.push(row(file, line), b"0.1");
        }
        let (_, kept, repeated) = group.ordered(&Names::new());
        assert!(kept.len() == 3 && kept.iter().all(|(_, row)| row.at.file == 1));
        assert_eq!(repeated.len(), 3);
    }
}
