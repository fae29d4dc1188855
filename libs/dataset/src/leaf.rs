//! [`Leaf`]: values of one Parquet column that have not been encoded yet, with their levels.
//!
//! Parquet stores a nested value as values of its leaves. The definition level of an entry states up to which depth the path to
//! the leaf is present. The repetition level states which list the entry continues; 0 begins a row.

use std::collections::HashSet;

use bytes::Bytes;
use cctf_proto::cctf::{Kind, Milliseconds, SpanId, TraceId};
use foldhash::fast::RandomState;
use parquet::data_type::ByteArray;

/// Maximum size of the different texts that are kept for a dictionary, bytes. At the same size, Parquet's writer stops using a
/// dictionary.
pub const DICTIONARY_BYTES: usize = 1 << 20;
/// Size of a dictionary's entry without the text itself, bytes.
const LENGTH_BYTES: usize = 4;

/// The error for a value that has not the type of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongType;

/// The values of a leaf that are not null.
#[derive(Debug)]
pub enum Values {
    Integers(Vec<i64>),
    Doubles(Vec<f64>),
    Bools(Vec<bool>),
    Texts(Texts),
}

impl Values {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Integer | Kind::Unsigned | Kind::Milliseconds => Self::Integers(Vec::new()),
            Kind::Float => Self::Doubles(Vec::new()),
            Kind::Bool => Self::Bools(Vec::new()),
            _ => Self::Texts(Texts::new(has_dictionary(kind))),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Doubles(values) => values.len(),
            Self::Bools(values) => values.len(),
            Self::Texts(texts) => texts.ends.len(),
        }
    }

    fn truncate(&mut self, len: usize) {
        match self {
            Self::Integers(values) => values.truncate(len),
            Self::Doubles(values) => values.truncate(len),
            Self::Bools(values) => values.truncate(len),
            Self::Texts(texts) => texts.truncate(len),
        }
    }
}

/// Whether columns of this type have a dictionary: they do if they have few different values. Ids nearly all differ.
pub fn has_dictionary(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::OneOf(_) | Kind::Attributes)
}

/// Texts in one block of memory.
#[derive(Debug)]
pub struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The different texts of a column with a dictionary. Each has its own memory, because Parquet's writer keeps a reference
    /// to each text of its dictionary: a reference into a larger block would keep the whole block.
    known: Option<HashSet<Bytes, RandomState>>,
    known_bytes: usize,
}

impl Texts {
    fn new(has_dictionary: bool) -> Self {
        Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            known: has_dictionary.then(HashSet::default),
            known_bytes: 0,
        }
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Removes the texts of a dictionary that is complete.
    pub fn forget(&mut self) {
        if let Some(known) = &mut self.known {
            known.clear();
        }
        self.known_bytes = 0;
    }

    /// Moves all texts to `out`, in the type that Parquet's writer takes.
    pub fn drain(&mut self, out: &mut Vec<ByteArray>) {
        out.clear();
        let mut begin = 0;
        let Some(known) = &mut self.known else {
            let bytes = Bytes::from(std::mem::take(&mut self.bytes));
            for end in self.ends.drain(..) {
                out.push(bytes.slice(begin..end).into());
                begin = end;
            }
            return;
        };
        for end in self.ends.drain(..) {
            let text = &self.bytes[begin..end];
            begin = end;
            // Adjacent rows often have the same text.
            if let Some(last) = out.last()
                && last.data() == text
            {
                out.push(last.clone());
                continue;
            }
            let value = match known.get(text) {
                Some(value) => value.clone(),
                None => {
                    let value = Bytes::copy_from_slice(text);
                    if self.known_bytes < DICTIONARY_BYTES {
                        self.known_bytes += text.len() + LENGTH_BYTES;
                        known.insert(value.clone());
                    }
                    value
                }
            };
            out.push(value.into());
        }
        self.bytes.clear();
    }
}

/// One column of Parquet.
#[derive(Debug)]
pub struct Leaf {
    kind: Kind,
    /// The definition level of a value that is present. If it is 0, every row has a value, and levels are not stored.
    max_definition: i16,
    /// The maximum repetition level. If it is 0, each row has at most one entry, and repetition levels are not stored.
    max_repetition: i16,
    pub definitions: Vec<i16>,
    pub repetitions: Vec<i16>,
    pub values: Values,
    /// Number of rows that have entries. A row without a value gets its entry when a later row has a value, or at the end of
    /// the batch.
    rows: usize,
    /// Numbers of entries and of values before the last row.
    before_row: [usize; 2],
}

impl Leaf {
    pub fn new(kind: Kind, max_definition: i16, max_repetition: i16) -> Self {
        Self {
            kind,
            max_definition,
            max_repetition,
            definitions: Vec::new(),
            repetitions: Vec::new(),
            values: Values::new(kind),
            rows: 0,
            before_row: [0; 2],
        }
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn levels(&self) -> [i16; 2] {
        [self.max_definition, self.max_repetition]
    }

    /// Begins a row that has a value. `row` is its number in the batch.
    #[inline]
    pub fn begin_row(&mut self, row: usize) {
        self.fill(row);
        self.before_row = [self.definitions.len(), self.values.len()];
        self.rows = row + 1;
    }

    /// Adds empty entries for the rows before `row` that have none.
    #[inline]
    fn fill(&mut self, row: usize) {
        if self.rows >= row {
            return;
        }
        let missing = row - self.rows;
        self.rows = row;
        if self.max_definition > 0 {
            self.definitions.resize(self.definitions.len() + missing, 0);
        }
        if self.max_repetition > 0 {
            self.repetitions.resize(self.repetitions.len() + missing, 0);
        }
    }

    /// Completes a batch of `rows` rows.
    pub fn end_batch(&mut self, rows: usize) {
        self.fill(rows);
        self.rows = 0;
    }

    /// Removes a row that turned out to be damaged.
    pub fn undo(&mut self, row: usize) {
        if self.rows <= row {
            return;
        }
        let [entries, values] = self.before_row;
        self.definitions.truncate(entries);
        self.repetitions.truncate(entries);
        self.values.truncate(values);
        self.rows = row;
    }

    /// Adds an entry without a value. `definition` is the level at which its path ends.
    pub fn push_empty(&mut self, definition: i16, repetition: i16) {
        self.definitions.push(definition);
        if self.max_repetition > 0 {
            self.repetitions.push(repetition);
        }
    }

    /// Adds a value in the form of JSON. It must not be null.
    #[inline]
    pub fn push(&mut self, raw: &[u8], repetition: i16) -> Result<(), WrongType> {
        self.push_value(raw)?;
        if self.max_definition > 0 {
            self.definitions.push(self.max_definition);
        }
        if self.max_repetition > 0 {
            self.repetitions.push(repetition);
        }
        Ok(())
    }

    #[inline]
    fn push_value(&mut self, raw: &[u8]) -> Result<(), WrongType> {
        match &mut self.values {
            Values::Integers(values) => values.push(match self.kind {
                Kind::Milliseconds => Milliseconds::parse_bytes(raw).ok_or(WrongType)?.as_ns(),
                kind => integer(raw, matches!(kind, Kind::Unsigned))?,
            }),
            Values::Doubles(values) => {
                let value: f64 = serde_json::from_slice(raw).map_err(|_| WrongType)?;
                values.push(value);
            }
            Values::Bools(values) => values.push(match raw {
                b"true" => true,
                b"false" => false,
                _ => return Err(WrongType),
            }),
            Values::Texts(texts) => push_text(texts, self.kind, raw)?,
        }
        Ok(())
    }
}

fn integer(raw: &[u8], is_unsigned: bool) -> Result<i64, WrongType> {
    let digits = match raw {
        [b'-', _, ..] if is_unsigned => return Err(WrongType),
        [b'-', digits @ ..] => digits,
        digits => digits,
    };
    // Rejects numbers that Rust accepts and JSON does not.
    let is_json = match digits {
        [b'0', _, ..] => false,
        [first, ..] => first.is_ascii_digit(),
        [] => false,
    };
    let text = std::str::from_utf8(raw).ok().filter(|_| is_json);
    text.and_then(|text| text.parse().ok()).ok_or(WrongType)
}

#[inline]
fn push_text(texts: &mut Texts, kind: Kind, raw: &[u8]) -> Result<(), WrongType> {
    if matches!(kind, Kind::Attributes) {
        let object: &serde_json::value::RawValue = serde_json::from_slice(raw).map_err(|_| WrongType)?;
        if !object.get().starts_with('{') {
            return Err(WrongType);
        }
        texts.push(object.get().as_bytes());
        return Ok(());
    }
    let [b'"', inner @ .., b'"'] = raw else {
        return Err(WrongType);
    };
    let is_known = match kind {
        Kind::TraceId => TraceId::parse_bytes(inner).is_some(),
        Kind::SpanId => SpanId::parse_bytes(inner).is_some(),
        Kind::OneOf(values) => values.iter().any(|value| value.as_bytes() == inner),
        _ => true,
    };
    // The compiler makes vector instructions of a sum, but not of a search.
    let unusual = inner.iter().fold(0_u8, |found, &byte| {
        found | u8::from(byte < 0x20) | u8::from(byte == b'\\')
    });
    if is_known && unusual == 0 {
        texts.push(inner);
        return Ok(());
    }
    // The text has escaped characters, or is not a JSON string.
    let text: String = serde_json::from_slice(raw).map_err(|_| WrongType)?;
    let is_known = match kind {
        Kind::TraceId => TraceId::parse(&text).is_some(),
        Kind::SpanId => SpanId::parse(&text).is_some(),
        Kind::OneOf(values) => values.contains(&&*text),
        _ => true,
    };
    if !is_known {
        return Err(WrongType);
    }
    texts.push(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(leaf: &mut Leaf) -> Vec<String> {
        let Values::Texts(texts) = &mut leaf.values else {
            panic!()
        };
        let mut out = Vec::new();
        texts.drain(&mut out);
        out.iter()
            .map(|text| String::from_utf8(text.data().to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn rows_without_a_value_are_empty_entries() {
        let mut leaf = Leaf::new(Kind::Text, 1, 0);
        for (row, text) in [(1, "\"a\""), (4, "\"b\\n\"")] {
            leaf.begin_row(row);
            leaf.push(text.as_bytes(), 0).unwrap();
        }
        leaf.end_batch(6);
        assert_eq!(leaf.definitions, [0, 1, 0, 0, 1, 0]);
        assert_eq!(texts(&mut leaf), ["a", "b\n"]);
    }

    #[test]
    fn a_damaged_row_leaves_nothing() {
        let mut leaf = Leaf::new(Kind::Unsigned, 1, 1);
        leaf.begin_row(0);
        leaf.push(b"7", 0).unwrap();
        leaf.begin_row(2);
        leaf.push(b"8", 0).unwrap();
        assert_eq!(leaf.push(b"x", 1), Err(WrongType));
        leaf.undo(2);
        leaf.begin_row(2);
        leaf.push_empty(0, 0);
        leaf.end_batch(3);
        assert_eq!((leaf.definitions, leaf.repetitions), (vec![1, 0, 0], vec![0; 3]));
        assert!(matches!(leaf.values, Values::Integers(values) if values == [7]));
    }

    #[test]
    fn texts_of_a_dictionary_are_kept_once_and_within_their_bound() {
        let mut leaf = Leaf::new(Kind::Text, 0, 0);
        let long = "x".repeat(4000);
        let count = 2 * DICTIONARY_BYTES / long.len();
        let mut expected = Vec::new();
        for number in 0..count {
            for text in [format!("{long}{number}"), "short".to_owned()] {
                leaf.begin_row(expected.len());
                leaf.push(format!("\"{text}\"").as_bytes(), 0).unwrap();
                expected.push(text);
            }
        }
        assert_eq!(texts(&mut leaf), expected);
        let Values::Texts(texts) = &leaf.values else {
            panic!()
        };
        assert!(
            texts.known_bytes >= DICTIONARY_BYTES && texts.known_bytes < DICTIONARY_BYTES + 2 * long.len()
        );
        assert!(texts.known.as_ref().unwrap().len() < count);
    }

    #[test]
    fn values_of_another_type_are_refused() {
        let stage = Kind::OneOf(&["edge", "cloud"]);
        for (kind, raw) in [
            (Kind::TraceId, "\"00\""),
            (Kind::SpanId, "\"00000000000000AA\""),
            (Kind::Text, "1"),
            (Kind::Text, "\"\\x\""),
            (Kind::Text, "\"\u{1}\""),
            (stage, "\"edges\""),
            (Kind::Integer, "1.0"),
            (Kind::Integer, "007"),
            (Kind::Unsigned, "-1"),
            (Kind::Unsigned, "9223372036854775808"),
            (Kind::Unsigned, "\"1\""),
            (Kind::Float, "true"),
            (Kind::Bool, "1"),
            (Kind::Milliseconds, "1e3"),
            (Kind::Attributes, "[]"),
            (Kind::Attributes, "{x}"),
        ] {
            let mut leaf = Leaf::new(kind, 0, 0);
            assert_eq!(leaf.push(raw.as_bytes(), 0), Err(WrongType), "{kind:?} {raw}");
        }
        let mut leaf = Leaf::new(stage, 0, 0);
        leaf.push(b"\"\\u0065dge\"", 0).unwrap();
        assert_eq!(texts(&mut leaf), ["edge"]);
    }
}
