//! [`Names`]: numbers for the names in the tables, so that a row has a few bytes for each of them. [`OnlyName`]: the only one of
//! several numbers.

use std::collections::hash_map::Entry;
use std::hash::BuildHasher;

use aggregate::maps::Map;

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
    texts: Vec<u8>,
    /// End of each text.
    ends: Vec<u32>,
    /// Numbers by the hash of the text.
    by_hash: Map<u64, NameId>,
}

impl Names {
    pub fn new() -> Self {
        Self {
            texts: Vec::new(),
            // The missing name has no bytes.
            ends: vec![0],
            by_hash: Map::default(),
        }
    }

    /// The number of a name; `None` if there are too many names.
    pub fn number(&mut self, text: &[u8]) -> Option<NameId> {
        if text.is_empty() {
            return Some(NONE);
        }
        // Two texts with one hash are so rare that a second hash decides.
        for salt in 0_u8..=u8::MAX {
            let hash = self.by_hash.hasher().hash_one((salt, text));
            match self.by_hash.entry(hash) {
                Entry::Occupied(known) => {
                    let known = *known.get();
                    if text_of(&self.texts, &self.ends, known) == text {
                        return Some(known);
                    }
                }
                Entry::Vacant(vacant) => {
                    if self.ends.len() > NAMES_MAX || self.texts.len() + text.len() > TEXT_BYTES_MAX {
                        return None;
                    }
                    self.texts.extend_from_slice(text);
                    self.ends.push(self.texts.len() as u32);
                    return Some(*vacant.insert(self.ends.len() as u32 - 1));
                }
            }
        }
        None
    }

    /// The text of a name; empty for the missing one.
    pub fn text(&self, name: NameId) -> &[u8] {
        text_of(&self.texts, &self.ends, name)
    }
}

fn text_of<'t>(texts: &'t [u8], ends: &[u32], name: NameId) -> &'t [u8] {
    let name = name as usize;
    let begin = if name == 0 { 0 } else { ends[name - 1] };
    &texts[begin as usize..ends[name] as usize]
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
        assert_eq!(
            (names.text(front), names.text(stock)),
            (&b"front"[..], &b"stock"[..])
        );
        assert_eq!(names.text(NONE), b"");
    }
}
