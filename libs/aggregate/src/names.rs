//! [`Names`]: text by number, so that what waits and what counts holds four bytes instead of a string.

use serde::{Deserialize, Serialize};

use crate::maps::Map;

/// Distinct texts kept; any further one is nameless.
const NAMES_MAX: usize = 65_536;
/// Their bytes: the same for ones that are long.
const TEXT_BYTES_MAX: u64 = 8 << 20;
/// The number of what has no name, or is too much.
pub const NAMELESS: u32 = u32::MAX;

/// Texts by number.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Names {
    texts: Vec<Box<str>>,
    numbers: Map<Box<str>, u32>,
    text_bytes: u64,
}

/// A text's places in the list and in the index.
const NAME_BYTES: u64 = 96;

impl Names {
    /// What they take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.texts.len() as u64 * NAME_BYTES + 2 * self.text_bytes
    }

    /// The text's number.
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        if self.texts.len() >= NAMES_MAX || self.text_bytes >= TEXT_BYTES_MAX {
            return NAMELESS;
        }
        let number = self.texts.len() as u32;
        self.text_bytes += text.len() as u64;
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    /// The text of a number.
    pub fn text(&self, number: u32) -> Option<&str> {
        self.texts.get(number as usize).map(|text| &**text)
    }
}

/// Method and route in one text.
pub fn endpoint_key(method: Option<&str>, route: Option<&str>, scratch: &mut String) {
    scratch.clear();
    for part in [method, route] {
        // A tab separates, and its absence tells an unknown part from an empty one.
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
