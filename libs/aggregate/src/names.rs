//! [`Names`]: a table that assigns numbers to texts. Rows and counters store the number, which has four bytes.

use serde::{Deserialize, Serialize};

use crate::ids::NameId;
use crate::maps::Map;

/// Maximum number of distinct texts; further ones get no number.
const NAMES_MAX: usize = 65_536;
/// Maximum total size of the texts, bytes; further texts get no number.
const TEXT_BYTES_MAX: u64 = 8 << 20;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Names {
    texts: Vec<Box<str>>,
    numbers: Map<Box<str>, NameId>,
    text_bytes: u64,
}

/// Estimated bytes that a text takes in the list and in the index.
const NAME_BYTES: u64 = 96;

impl Names {
    /// Size in memory, bytes.
    pub fn bytes(&self) -> u64 {
        self.texts.len() as u64 * NAME_BYTES + 2 * self.text_bytes
    }

    /// The number of a text. A new text is added; `None` if the table is full.
    pub fn number(&mut self, text: &str) -> Option<NameId> {
        if let Some(&number) = self.numbers.get(text) {
            return Some(number);
        }
        if self.texts.len() >= NAMES_MAX || self.text_bytes >= TEXT_BYTES_MAX {
            return None;
        }
        let number = NameId::new(self.texts.len());
        self.text_bytes += text.len() as u64;
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        Some(number)
    }

    /// The number of a text, if it has one. The text is not added.
    pub fn find(&self, text: &str) -> Option<NameId> {
        self.numbers.get(text).copied()
    }

    pub fn text(&self, number: NameId) -> Option<&str> {
        self.texts.get(number.index()).map(|text| &**text)
    }
}

/// Encodes method and route as one text.
pub fn endpoint_key(method: Option<&str>, route: Option<&str>, scratch: &mut String) {
    scratch.clear();
    for part in [method, route] {
        // A tab separates the two parts. A plus sign before each known part distinguishes an empty part from an unknown one.
        if let Some(part) = part {
            scratch.push('+');
            scratch.push_str(part);
        }
        scratch.push('\t');
    }
}

/// The parts of an [`endpoint_key`].
pub fn endpoint_parts(key: &str) -> (Option<&str>, Option<&str>) {
    let mut parts = key.split('\t').map(|part| part.strip_prefix('+'));
    (parts.next().flatten(), parts.next().flatten())
}
