//! [`CallRow`]: a row of the call graph, and its layout in the temporary file.

use super::names::{NONE, NameId};
use crate::place::{Place, Position};
use crate::tables::Year;

/// Nanoseconds of a millisecond, the unit of both data sets.
pub const MS: i64 = 1_000_000;

/// The time that stands for the beginning of the recording, nanoseconds since the Unix epoch: the first day of the year. The data
/// set does not state the time.
pub fn origin_ns(year: Year) -> i64 {
    match year {
        Year::Y2021 => 1_609_459_200_000_000_000,
        Year::Y2022 => 1_640_995_200_000_000_000,
    }
}

/// The kind of a call, from the column `rpctype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Rpc,
    Http,
    Database,
    Cache,
    Message,
    /// `userDefined`, and every other text.
    Other,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Rpc,
        Self::Http,
        Self::Database,
        Self::Cache,
        Self::Message,
        Self::Other,
    ];

    pub fn of_text(text: &[u8]) -> Self {
        match text {
            b"rpc" | b"RPC" => Self::Rpc,
            b"http" | b"HTTP" => Self::Http,
            b"db" | b"DB" => Self::Database,
            b"mc" | b"MC" => Self::Cache,
            b"mq" | b"MQ" => Self::Message,
            _ => Self::Other,
        }
    }

    /// The inverse of `self as u8`.
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether both the caller and the callee record the call.
    pub fn has_two_rows(self) -> bool {
        matches!(self, Self::Rpc | Self::Http | Self::Other)
    }
}

/// The names in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Labels {
    pub um: NameId,
    pub dm: NameId,
    pub um_instance: NameId,
    pub dm_instance: NameId,
    pub interface: NameId,
    pub rpc_type: NameId,
    pub service: NameId,
}

impl Labels {
    pub fn all(&self) -> [NameId; 7] {
        [
            self.um,
            self.dm,
            self.um_instance,
            self.dm_instance,
            self.interface,
            self.rpc_type,
            self.service,
        ]
    }

    fn from_all([um, dm, um_instance, dm_instance, interface, rpc_type, service]: [NameId; 7]) -> Self {
        Self {
            um,
            dm,
            um_instance,
            dm_instance,
            interface,
            rpc_type,
            service,
        }
    }

    /// Whether two rows can belong to one call, because their names do not differ. A missing name is compatible with every name.
    pub fn are_compatible(&self, other: &Self) -> bool {
        let same = |left: NameId, right: NameId| left == right || left == NONE || right == NONE;
        self.all()
            .into_iter()
            .zip(other.all())
            .all(|(left, right)| same(left, right))
    }

    pub fn is_complete(&self, is_with_instances: bool) -> bool {
        let names = [self.um, self.dm, self.interface, self.rpc_type];
        let instances = [self.um_instance, self.dm_instance];
        names.iter().all(|&name| name != NONE)
            && (!is_with_instances || instances.iter().all(|&name| name != NONE))
    }

    /// Takes over the names of `other` that are missing here.
    pub fn fill(&mut self, other: &Self) {
        let mut all = self.all();
        for (own, other) in all.iter_mut().zip(other.all()) {
            if *own == NONE {
                *own = other;
            }
        }
        *self = Self::from_all(all);
    }
}

/// Where a row is in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Number of the file.
    pub file: u32,
    pub line: u64,
    pub byte: u64,
}

impl At {
    /// `files` has the names of the files by their numbers.
    pub fn place(self, files: &[String]) -> Place {
        Place {
            file: files.get(self.file as usize).cloned().unwrap_or_default(),
            message_at: None,
            position: Position::in_line(self.line, self.byte),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallRow {
    pub year: Year,
    pub kind: Kind,
    /// Time since the beginning of the recording, nanoseconds.
    pub begin_ns: i64,
    /// Response time, nanoseconds: positive if the caller recorded it, and negative if the callee did.
    pub rt_ns: i64,
    pub labels: Labels,
    pub at: At,
}

/// Bytes of a row in the temporary file, before its rpc id.
const ROW_BYTES: usize = 2 + 2 * 8 + 7 * 4 + 4 + 2 * 8;

impl CallRow {
    pub fn end_ns(&self) -> i64 {
        self.begin_ns.saturating_add(self.rt_ns.saturating_abs())
    }

    pub fn encode(&self, rpc_id: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.push(self.year as u8);
        out.push(self.kind as u8);
        out.extend_from_slice(&self.begin_ns.to_le_bytes());
        out.extend_from_slice(&self.rt_ns.to_le_bytes());
        for name in self.labels.all() {
            out.extend_from_slice(&name.to_le_bytes());
        }
        out.extend_from_slice(&self.at.file.to_le_bytes());
        out.extend_from_slice(&self.at.line.to_le_bytes());
        out.extend_from_slice(&self.at.byte.to_le_bytes());
        out.extend_from_slice(rpc_id);
    }

    /// The row and its rpc id; `None` if the bytes are not from [`Self::encode`].
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (row, rpc_id) = bytes.split_first_chunk::<ROW_BYTES>()?;
        let eight = |at: usize| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&row[at..at + 8]);
            u64::from_le_bytes(eight)
        };
        let four = |at: usize| {
            let mut four = [0; 4];
            four.copy_from_slice(&row[at..at + 4]);
            u32::from_le_bytes(four)
        };
        let row = Self {
            year: if row[0] == Year::Y2021 as u8 {
                Year::Y2021
            } else {
                Year::Y2022
            },
            kind: Kind::of_number(row[1])?,
            begin_ns: eight(2).cast_signed(),
            rt_ns: eight(10).cast_signed(),
            labels: Labels::from_all(std::array::from_fn(|index| four(18 + 4 * index))),
            at: At {
                file: four(46),
                line: eight(50),
                byte: eight(58),
            },
        };
        Some((row, rpc_id))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    #[test]
    fn a_row_comes_back_from_its_bytes() {
        let row = CallRow {
            year: Year::Y2022,
            kind: Kind::Message,
            begin_ns: 219_678 * MS,
            rt_ns: -13 * MS,
            labels: Labels::from_all([1, 2, 3, 4, 5, 6, u32::MAX]),
            at: At {
                file: 7,
                line: 8,
                byte: u64::MAX,
            },
        };
        let mut bytes = Vec::new();
        row.encode(b"0.1.3", &mut bytes);
        assert_eq!(CallRow::decode(&bytes), Some((row, &b"0.1.3"[..])));
        assert_eq!(CallRow::decode(&bytes[..9]), None);
    }
}
