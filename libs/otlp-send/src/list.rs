//! Percent-encoded lists of pairs, such as `key1=value1,key2=value2` (W3C Baggage without properties).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All characters except the unreserved ones of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a list is invalid. The text contains no value, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// An entry without key or `=`.
    #[error("entry {0} is not key=value")]
    NotAPair(usize),
    /// A `%` without two hexadecimal digits, or invalid UTF-8.
    #[error("entry {0} has an invalid percent-encoding: write % as %25")]
    BadEncoding(usize),
}

/// Decodes a list. Spaces around keys and values are removed before decoding.
///
/// # Errors
/// The number of the first invalid entry, from 1.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, ListError> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .zip(1..)
        .map(|(entry, number)| {
            let (key, value) = entry.split_once('=').ok_or(ListError::NotAPair(number))?;
            let decoded = |text: &str| decode(text.trim()).ok_or(ListError::BadEncoding(number));
            let (key, value) = (decoded(key)?, decoded(value)?);
            if key.is_empty() {
                return Err(ListError::NotAPair(number));
            }
            Ok((key, value))
        })
        .collect()
}

/// Encodes one key or value for a list.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn decode(text: &str) -> Option<String> {
    let is_whole = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    is_whole
        .then(|| percent_decode_str(text).decode_utf8().ok())
        .flatten()
        .map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap()
    }

    #[test]
    fn keys_and_values_are_percent_decoded() {
        let one = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        for (text, key, value) in [
            ("authorization=Bearer%20TOKEN", "authorization", "Bearer TOKEN"),
            ("authorization=Bearer TOKEN", "authorization", "Bearer TOKEN"),
            (
                "authorization=Basic%20dXNlcg%3D%3D",
                "authorization",
                "Basic dXNlcg==",
            ),
            ("a=b=c", "a", "b=c"),
            ("key%3Done=a%2Cb", "key=one", "a,b"),
            ("city=K%C3%B6ln", "city", "Köln"),
            ("plus=a+b", "plus", "a+b"),
            (" a = b ", "a", "b"),
            ("a=%20b", "a", " b"),
            ("a=", "a", ""),
        ] {
            assert_eq!(pairs(text), one(key, value), "{text}");
        }
        assert_eq!(pairs("a=1,,b=2,"), [one("a", "1"), one("b", "2")].concat());
        assert!(pairs("").is_empty() && pairs(" , ").is_empty());
    }

    #[test]
    fn the_error_of_an_invalid_list_names_the_entry_and_no_value() {
        assert_eq!(parse("a=1,nonsense"), Err(ListError::NotAPair(2)));
        assert_eq!(parse("=1"), Err(ListError::NotAPair(1)));
        for wrong in ["a=secret%", "a=secret%2", "a=secret%zz", "a=secret%ff"] {
            let error = parse(wrong).unwrap_err();
            assert_eq!(error, ListError::BadEncoding(1), "{wrong}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn encoded_text_decodes_to_itself() {
        for text in ["edge0", "a,b=c d%20+", "Köln; ä"] {
            let list = format!("{}={}", encode(text), encode(text));
            assert_eq!(pairs(&list), [(text.to_owned(), text.to_owned())]);
        }
    }
}
