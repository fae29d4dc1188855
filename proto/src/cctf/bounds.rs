//! The bounds of what a file holds. Writer and readers share them, so that no reader refuses a row that the writer wrote.

/// Longest text of a field, in bytes: above any URL path, and far above any name. The writer cuts a longer one at a character
/// and flags the row `truncated`.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Most bytes of one text in JSON: a control character of one byte is escaped with six.
const ESCAPED_TEXT_BYTES_MAX: usize = 6 * TEXT_BYTES_MAX;

/// Most bytes of a metric point's attributes in `system_stats.jsonl`, as JSON.
pub const ATTRIBUTES_BYTES_MAX: usize = 64 * 1024;

/// Links kept of a span.
pub const LINKS_MAX: usize = 1024;
/// A link in JSON: two ids and their names.
const LINK_BYTES: usize = 96;

/// Longest line of a `.jsonl` file that a reader takes.
pub const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Texts of the row with most of them, and more than its numbers take.
const TEXTS_MAX: usize = 24;
const NUMBERS_BYTES: usize = 4096;
const _: () = assert!(
    TEXTS_MAX * ESCAPED_TEXT_BYTES_MAX + LINKS_MAX * LINK_BYTES + ATTRIBUTES_BYTES_MAX + NUMBERS_BYTES
        < LINE_BYTES_MAX
);

/// Longest `.json` file that a reader takes: an inventory has some hundred bytes for each endpoint of each module.
pub const WHOLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// As much of `text` as a field may hold.
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
