//! [`Names`]: numbers for the names in the tables, so that a row has a few bytes for each of them. [`OnlyName`]: the only one of
//! several numbers.

use std::hash::BuildHasher;

use aggregate::maps::{Map, Set};
use cctf_proto::cctf::bounded;

/// Maximum size of all names, bytes. The data set of 2022 has about 600,000 names of modules, instances and nodes; interfaces
/// are more.
const TEXT_BYTES_MAX: usize = 512 << 20;
/// Maximum number of names. Each takes about 28 bytes beside its text.
const NAMES_MAX: usize = 8_000_000;

/// Number of a name.
pub type NameId = u32;

/// The number of a missing name.
pub const NONE: NameId = 0;

pub struct Names {
    texts: String,
    /// End of each text.
    ends: Vec<u32>,
    /// Numbers by the hash of the text.
    by_hash: Map<u64, NameId>,
    /// Names that were cut or are not UTF-8.
    damaged: Set<NameId>,
}

impl Names {
    pub fn new() -> Self {
        Self {
            texts: String::new(),
            // The missing name has no bytes.
            ends: vec![0],
            by_hash: Map::default(),
            damaged: Set::default(),
        }
    }

    /// The number of a name; `None` if there are too many names. A name is cut to the maximum length of a text, and repaired if it
    /// is not UTF-8.
    pub fn number(&mut self, text: &[u8]) -> Option<NameId> {
        if text.is_empty() {
            return Some(NONE);
        }
        // Two texts with one hash are so rare that a second hash decides.
        for salt in 0_u8..=u8::MAX {
            let hash = self.by_hash.hasher().hash_one((salt, text));
            match self.by_hash.get(&hash) {
                Some(&known) if self.text(known).as_bytes() == text => return Some(known),
                Some(_) => {}
                None => return self.insert(hash, text),
            }
        }
        None
    }

    fn insert(&mut self, hash: u64, text: &[u8]) -> Option<NameId> {
        let Some(whole) = whole(text) else {
            return self.number_of_damaged(text);
        };
        if self.ends.len() > NAMES_MAX || self.texts.len() + text.len() > TEXT_BYTES_MAX {
            return None;
        }
        self.texts.push_str(whole);
        self.ends.push(self.texts.len() as u32);
        let number = self.ends.len() as u32 - 1;
        self.by_hash.insert(hash, number);
        Some(number)
    }

    #[cold]
    fn number_of_damaged(&mut self, text: &[u8]) -> Option<NameId> {
        let repaired = String::from_utf8_lossy(text);
        let number = self.number(bounded(&repaired).as_bytes())?;
        self.damaged.insert(number);
        Some(number)
    }

    /// Whether a name was cut or is not UTF-8.
    #[inline]
    pub fn is_damaged(&self, name: NameId) -> bool {
        !self.damaged.is_empty() && self.damaged.contains(&name)
    }

    /// The text of a name; empty for the missing one.
    #[inline]
    pub fn text(&self, name: NameId) -> &str {
        let name = name as usize;
        let begin = if name == 0 { 0 } else { self.ends[name - 1] };
        &self.texts[begin as usize..self.ends[name] as usize]
    }
}

/// The text of a name that is UTF-8 and not too long.
fn whole(name: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(name).ok()?;
    (bounded(text).len() == text.len()).then_some(text)
}

/// The only name in a list, apart from missing ones; `None` if there is none or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnlyName {
    #[default]
    Nothing,
    One(NameId),
    Several,
}

impl OnlyName {
    pub fn add(&mut self, name: NameId) {
        *self = match *self {
            same if name == NONE => same,
            Self::Nothing => Self::One(name),
            Self::One(known) if known == name => Self::One(known),
            _ => Self::Several,
        };
    }

    pub fn get(self) -> Option<NameId> {
        match self {
            Self::One(name) => Some(name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use super::*;

    #[test]
    fn a_name_keeps_its_number_and_its_text() {
        let mut names = Names::new();
        assert_eq!(names.number(b""), Some(NONE));
        let (front, stock) = (names.number(b"front").unwrap(), names.number(b"stock").unwrap());
        assert_ne!(front, stock);
        assert_eq!(names.number(b"front"), Some(front));
        assert_eq!((names.text(front), names.text(stock)), ("front", "stock"));
        assert_eq!(names.text(NONE), "");
    }

    #[test]
    fn a_name_that_cannot_be_a_text_is_repaired_and_known() {
        let mut names = Names::new();
        let broken = names.number(b"fr\xffont").unwrap();
        assert_eq!(names.text(broken), "fr\u{fffd}ont");
        let long = names.number(&[b'x'; 5_000]).unwrap();
        assert_eq!(names.text(long).len(), 4_096);
        assert_eq!(names.number(&[b'x'; 5_000]), Some(long));
        let whole = names.number(b"front").unwrap();
        assert_eq!(
            [broken, long, whole].map(|name| names.is_damaged(name)),
            [true, true, false]
        );
    }
}
