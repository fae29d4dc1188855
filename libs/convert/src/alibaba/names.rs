//! [`Names`]: assigns numbers to the names in the tables, so that a row in memory has four bytes for each name. [`OnlyName`]:
//! finds out whether a list has only one name.

use std::hash::BuildHasher;

use aggregate::maps::{RandomState, Set};
use cctf_proto::cctf::bounded;

/// Maximum size of all names, bytes. The data set of 2022 has about 600,000 names of modules, instances and nodes, and even more
/// names of interfaces.
const TEXT_BYTES_MAX: usize = 512 << 20;
/// Maximum number of names. Each takes at most 36 bytes beside its text.
const NAMES_MAX: usize = 8_000_000;

/// Number of a name.
pub type NameId = u32;

/// The number of a missing name.
pub const NONE: NameId = 0;

/// Number of slots at the beginning, a power of two.
const SLOTS_MIN: usize = 1 << 10;

/// A slot of the table of numbers. It is free if it has no number.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// A part of the hash, so that other texts are rarely compared.
    hash: u32,
    number: NameId,
}

/// The names and their numbers. This is a hash table of its own, because a map with hashes as keys would hash them again, and
/// look in one more place. Speed matters, because a row has seven names.
pub struct Names {
    texts: String,
    /// End of each text.
    ends: Vec<u32>,
    /// Numbers in the slots that the hashes of their texts name, or in the next free ones. At least half of the slots are free.
    slots: Vec<Slot>,
    hasher: RandomState,
    /// Names that were cut or are not UTF-8.
    damaged: Set<NameId>,
}

impl Names {
    pub fn new() -> Self {
        Self {
            texts: String::new(),
            // The missing name has no bytes.
            ends: vec![0],
            slots: vec![Slot::default(); SLOTS_MIN],
            hasher: RandomState::default(),
            damaged: Set::default(),
        }
    }

    /// The number of a name; `None` if there are too many names. A name is cut to the maximum length of a text, and repaired if
    /// it is not UTF-8.
    pub fn number(&mut self, text: &[u8]) -> Option<NameId> {
        if text.is_empty() {
            return Some(NONE);
        }
        let hash = self.hasher.hash_one(text) as u32;
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let known = self.slots[slot];
            if known.number == NONE {
                return self.insert(hash, text);
            }
            if known.hash == hash && self.text(known.number).as_bytes() == text {
                return Some(known.number);
            }
            slot = (slot + 1) & mask;
        }
    }

    #[cold]
    fn insert(&mut self, hash: u32, text: &[u8]) -> Option<NameId> {
        let Some(whole) = whole(text) else {
            return self.number_of_damaged(text);
        };
        if self.ends.len() > NAMES_MAX || self.texts.len() + text.len() > TEXT_BYTES_MAX {
            return None;
        }
        self.texts.push_str(whole);
        self.ends.push(self.texts.len() as u32);
        let number = self.ends.len() as u32 - 1;
        if 2 * self.ends.len() > self.slots.len() {
            let slots = vec![Slot::default(); 2 * self.slots.len()];
            for known in std::mem::replace(&mut self.slots, slots) {
                if known.number != NONE {
                    self.put(known);
                }
            }
        }
        self.put(Slot { hash, number });
        Some(number)
    }

    /// Puts a number into its slot, or into the next free one.
    fn put(&mut self, new: Slot) {
        let mask = self.slots.len() - 1;
        let mut slot = new.hash as usize & mask;
        while self.slots[slot].number != NONE {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = new;
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

/// The text of a name; `None` if the name is too long or not UTF-8.
fn whole(name: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(name).ok()?;
    (bounded(text).len() == text.len()).then_some(text)
}

/// What the names in a list are, apart from missing ones: none, one (which may occur repeatedly), or several.
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
    fn names_keep_their_numbers_when_the_table_grows() {
        let (mut names, text) = (Names::new(), |number: u32| format!("MS_{number}"));
        for number in 0..5_000 {
            assert_eq!(names.number(text(number).as_bytes()), Some(number + 1));
        }
        for number in 0..5_000 {
            assert_eq!(names.number(text(number).as_bytes()), Some(number + 1));
            assert_eq!(names.text(number + 1), text(number));
        }
        assert!(names.slots.len() >= 10_000);
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
