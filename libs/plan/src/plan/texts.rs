//! [`Texts`]: receivers of calls and classes of errors, by number.

use std::borrow::Cow;

use cctf_proto::cctf;
use foldhash::HashMap;

/// Maximum number of receivers with method and path, and of classes of errors. Paths can be as many as requests. Further ones
/// have no number, and a plan states how many calls that concerns.
const TEXTS_MAX: usize = 65_536;
/// A segment of hex digits and dashes from this length on is an id.
const HEX_ID_MIN: usize = 8;

/// A receiver of calls, as its caller names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    /// Module, else the peer as the caller names it.
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
    /// Calls and errors whose text is beyond the maximum.
    pub unnamed: u64,
    label_numbers: HashMap<Label, u32>,
    error_numbers: HashMap<String, u32>,
}

impl Texts {
    /// The number of a call's receiver, method and path.
    pub fn label(&mut self, row: &cctf::Call<'_>) -> Option<u32> {
        let to = row.peer_module.as_deref().or(row.peer.as_deref());
        let label = Label {
            to: to.map(str::to_owned),
            method: row.method.as_deref().map(str::to_owned),
            path: row.path.as_deref().map(|path| shape_of(path).into_owned()),
        };
        if let Some(&number) = self.label_numbers.get(&label) {
            return Some(number);
        }
        if self.labels.len() >= TEXTS_MAX {
            self.unnamed += 1;
            return None;
        }
        let number = self.labels.len() as u32;
        self.labels.push(label.clone());
        self.label_numbers.insert(label, number);
        Some(number)
    }

    /// The number of a class of errors.
    pub fn error(&mut self, class: Option<&str>) -> Option<u32> {
        let class = class?;
        if let Some(&number) = self.error_numbers.get(class) {
            return Some(number);
        }
        if self.errors.len() >= TEXTS_MAX {
            self.unnamed += 1;
            return None;
        }
        let number = self.errors.len() as u32;
        self.errors.push(class.to_owned());
        self.error_numbers.insert(class.to_owned(), number);
        Some(number)
    }
}

/// A path with `*` for segments of digits, and for long ones of hex digits: other invocations make the same call with other ids.
fn shape_of(path: &str) -> Cow<'_, str> {
    let is_id = |segment: &str| {
        let digits = segment.bytes().filter(u8::is_ascii_digit).count();
        let mut bytes = segment.bytes();
        let is_hex = bytes.all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        digits > 0 && (digits == segment.len() || (is_hex && segment.len() >= HEX_ID_MIN))
    };
    if !path.split('/').any(is_id) {
        return Cow::Borrowed(path);
    }
    let segments = path
        .split('/')
        .map(|segment| if is_id(segment) { "*" } else { segment });
    Cow::Owned(segments.collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::shape_of;

    #[test]
    fn ids_in_paths_are_replaced_and_names_stay() {
        for (path, shape) in [
            ("/users/42/orders", "/users/*/orders"),
            ("/kv/set/k1", "/kv/set/k1"),
            ("/x/0b8f1c2d-77", "/x/*"),
            ("/deadbeef", "/deadbeef"),
            ("", ""),
        ] {
            assert_eq!(shape_of(path), shape);
        }
    }
}
