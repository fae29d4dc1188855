//! [`shape_of`]: replaces the ids in a path, so that requests to one endpoint have the same path.

use std::borrow::Cow;

/// A segment of only hex digits and dashes counts as an id if it has at least this many characters.
const HEX_ID_MIN: usize = 8;

/// Whether a segment of a path is an id: only digits, or at least [`HEX_ID_MIN`] hex digits.
pub fn is_id(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let mut bytes = segment.bytes();
    let is_hex = bytes.all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    digits > 0 && (digits == segment.len() || (is_hex && segment.len() >= HEX_ID_MIN))
}

/// A path with `*` in place of each id. Another invocation of the same endpoint, or a replay, has other ids.
pub fn shape_of(path: &str) -> Cow<'_, str> {
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
            ("/o/1f0c9a7e-11d2-4a31-9b5e-aa0123456789", "/o/*"),
            ("/x/0b8f1c2d-77", "/x/*"),
            ("/kv/set/k1", "/kv/set/k1"),
            ("/v1/items", "/v1/items"),
            ("/deadbeef", "/deadbeef"),
            ("/cafe/deadbeef", "/cafe/deadbeef"),
            ("/", "/"),
            ("", ""),
        ] {
            assert_eq!(shape_of(path), shape);
        }
    }
}
