//! [`Ids`]: the rpc ids of a trace as a forest. [`Group`]: the rows of a trace, which it sorts by these ids.

use super::names::Names;
use super::rows::CallRow;

/// The rows of one trace, as they were read.
#[derive(Default)]
pub struct Group {
    /// 0, which is no trace id, before the first trace.
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

    /// Returns the ids, and the rows by id and time. If several files have the same rows, those of one file remain, and the
    /// third value is the others.
    pub fn ordered(&self, names: &Names) -> (Ids<'_>, Vec<(usize, CallRow)>, Vec<CallRow>) {
        let ids = Ids::new((0..self.rows.len()).map(|index| self.rpc_id(index)));
        let mut rows: Vec<(usize, CallRow)> = (0..self.rows.len())
            .map(|index| (ids.find(self.rpc_id(index)), self.rows[index]))
            .collect();
        // The order does not depend on that of the files: names are compared as texts, not by their numbers.
        let labels = |row: &CallRow| row.labels.all().map(|name| names.text(name));
        rows.sort_by(|(left_id, left), (right_id, right)| {
            let order = |id, row: &CallRow| (id, row.begin_ns, row.rt_ns, row.kind);
            order(*left_id, left)
                .cmp(&order(*right_id, right))
                .then_with(|| match left.labels == right.labels {
                    true => std::cmp::Ordering::Equal,
                    false => labels(left).cmp(&labels(right)),
                })
                .then_with(|| left.at.cmp(&right.at))
        });
        let repeated = drop_repeated(&mut rows);
        (ids, rows, repeated)
    }
}

/// Drops rows that another file repeats. Equal rows in one file are different calls: by the maintainers of the data, calls share an
/// id if a program loses the context of a trace.
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
        // The first of the longest ones.
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

/// The rpc ids of a trace and all their beginnings, sorted, so that each follows its parent.
pub struct Ids<'t> {
    texts: Vec<&'t [u8]>,
    /// The id without its last number.
    parents: Vec<Option<usize>>,
}

impl<'t> Ids<'t> {
    fn new(rpc_ids: impl Iterator<Item = &'t [u8]>) -> Self {
        let mut texts: Vec<&[u8]> = rpc_ids.collect();
        texts.sort_unstable();
        texts.dedup();
        let mut beginnings = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            // The beginnings that an id shares with the id before it are already in the list.
            let known = index.checked_sub(1).map_or(&[][..], |before| texts[before]);
            let shared = text
                .iter()
                .zip(known)
                .take_while(|(left, right)| left == right)
                .count();
            let mut begin = *text;
            while let Some(parent) = parent_of(begin) {
                if parent.len() < shared && known.get(parent.len()) == Some(&b'.') {
                    break;
                }
                beginnings.push(parent);
                begin = parent;
            }
        }
        texts.extend(beginnings);
        texts.sort_unstable();
        texts.dedup();
        let mut ids = Self {
            texts,
            parents: Vec::new(),
        };
        ids.parents = ids
            .texts
            .iter()
            .map(|text| parent_of(text).map(|parent| ids.find(parent)))
            .collect();
        ids
    }

    /// The index of an id.
    fn find(&self, text: &[u8]) -> usize {
        self.texts.partition_point(|known| *known < text)
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn parent(&self, id: usize) -> Option<usize> {
        self.parents[id]
    }

    pub fn text(&self, id: usize) -> &'t [u8] {
        self.texts[id]
    }
}

fn parent_of(text: &[u8]) -> Option<&[u8]> {
    memchr::memrchr(b'.', text).map(|dot| &text[..dot])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alibaba::names::NONE;
    use crate::alibaba::rows::{At, Kind, Labels, MS};
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
        let ids = Ids::new([&b"0.1.10.2"[..], b"0.1.1", b"9", b"0.1.10"].into_iter());
        let texts: Vec<_> = (0..ids.len())
            .map(|id| String::from_utf8_lossy(ids.text(id)).into_owned())
            .collect();
        assert_eq!(texts, ["0", "0.1", "0.1.1", "0.1.10", "0.1.10.2", "9"]);
        let parents: Vec<_> = (0..ids.len()).map(|id| ids.parent(id)).collect();
        assert_eq!(parents, [None, Some(0), Some(1), Some(1), Some(3), None]);
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
