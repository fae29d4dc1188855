//! Maximum sizes of texts, lines and files. Writers and readers share them, so that readers accept every row that was written.

/// Maximum length of a text, bytes: longer than any URL path, and much longer than any name. The writer cuts a longer text
/// between two characters and flags the row `truncated`.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Maximum length of a text in JSON, bytes: a control character of one byte is escaped with six.
const ESCAPED_TEXT_BYTES_MAX: usize = 6 * TEXT_BYTES_MAX;

/// Maximum length of the attributes in a row of `system_stats.jsonl`, bytes of JSON.
pub const ATTRIBUTES_BYTES_MAX: usize = 64 * 1024;

/// Maximum number of links of a row.
pub const LINKS_MAX: usize = 1024;
/// Length of a link in JSON: two ids and their names.
const LINK_BYTES: usize = 96;

/// Maximum length of a line that readers accept, bytes.
pub const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Number of texts in the row type with the most texts. The next constant is the maximum length of all numbers of a row.
const TEXTS_MAX: usize = 24;
const NUMBERS_BYTES: usize = 4096;
const _: () = assert!(
    TEXTS_MAX * ESCAPED_TEXT_BYTES_MAX + LINKS_MAX * LINK_BYTES + ATTRIBUTES_BYTES_MAX + NUMBERS_BYTES
        < LINE_BYTES_MAX
);

/// Maximum length of a `.json` file that readers accept, bytes. An inventory has a few hundred bytes per endpoint of a module.
pub const WHOLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The start of `text`, up to [`TEXT_BYTES_MAX`].
#[inline]
pub fn bounded(text: &str) -> &str {
    if text.len() <= TEXT_BYTES_MAX {
        return text;
    }
    cut(text)
}

#[cold]
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_two_characters() {
        let text = format!("a{}", "é".repeat(TEXT_BYTES_MAX));
        assert_eq!(bounded(&text).len(), TEXT_BYTES_MAX - 1);
        assert!(text.starts_with(bounded(&text)));
        assert_eq!(bounded(&text[..TEXT_BYTES_MAX - 1]).len(), TEXT_BYTES_MAX - 1);
    }
}
