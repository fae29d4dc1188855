//! [`Texts`]: tables of receivers and error classes, each entry with a number.

use std::borrow::Borrow;
use std::hash::Hash;

use foldhash::HashMap;

use super::rows::CallRow;
use crate::shape::shape_of;

/// Maximum number of receivers (with method and path), and of error classes. Each request can have another path. Texts beyond
/// the maximum have no number; a plan reports how many calls this concerns.
const TEXTS_MAX: usize = 65_536;

/// The receiver of a call, as the caller names it, with method and path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    /// The called module, or else the peer as the caller names it.
    pub to: Option<String>,
    pub method: Option<String>,
    /// The path with `*` for ids.
    pub path: Option<String>,
}

/// Texts that the invocations and calls of a plan refer to.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    pub labels: Vec<Label>,
    pub errors: Vec<String>,
    /// Number of calls and errors whose text is beyond the maximum.
    pub unnamed: u64,
    label_numbers: HashMap<Label, u32>,
    error_numbers: HashMap<String, u32>,
}

impl Texts {
    /// The number of a call's receiver, method and path.
    pub fn label(&mut self, row: &CallRow<'_>) -> Option<u32> {
        let label = Label {
            to: row.to.map(str::to_owned),
            method: row.method.map(str::to_owned),
            path: row.path.map(|path| shape_of(path).into_owned()),
        };
        let number = number(&mut self.labels, &mut self.label_numbers, &label);
        self.unnamed += u64::from(number.is_none());
        number
    }

    /// The number of a class of errors.
    pub fn error(&mut self, class: Option<&str>) -> Option<u32> {
        let number = number(&mut self.errors, &mut self.error_numbers, class?);
        self.unnamed += u64::from(number.is_none());
        number
    }
}

/// The number of a text. A new text is added if there is room; `None` if there is none.
fn number<T, Q>(texts: &mut Vec<T>, numbers: &mut HashMap<T, u32>, text: &Q) -> Option<u32>
where
    T: Borrow<Q> + Eq + Hash,
    Q: ToOwned<Owned = T> + Eq + Hash + ?Sized,
{
    if let Some(&number) = numbers.get(text) {
        return Some(number);
    }
    if texts.len() >= TEXTS_MAX {
        return None;
    }
    let number = texts.len() as u32;
    texts.push(text.to_owned());
    numbers.insert(text.to_owned(), number);
    Some(number)
}
