//! [`escape`]: turns text from telemetry into HTML. No other code of the pages does this. [`visible`]: replaces characters that
//! would change the text around them.

use std::borrow::Cow;

/// Escapes text for an element's content or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

/// The text with U+FFFD in place of characters that do harm in HTML: control characters are invalid, and directional ones
/// reorder the text around them.
pub fn visible(text: &str) -> Cow<'_, str> {
    match text.contains(is_replaced) {
        true => text.replace(is_replaced, "\u{fffd}").into(),
        false => text.into(),
    }
}

fn is_replaced(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        character => character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_quotes_and_control_characters_become_text() {
        assert_eq!(
            escape("<script>alert('\"x\"')&\u{0}\u{202e}"),
            "&lt;script&gt;alert(&#39;&quot;x&quot;&#39;)&amp;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn what_reorders_the_text_around_it_is_replaced_and_markup_stays() {
        assert_eq!(
            visible("<b>pay\u{202e}tnem\u{2069}\u{7}\n\t"),
            "<b>pay\u{fffd}tnem\u{fffd}\u{fffd}\n\t"
        );
        assert_eq!(visible("cart é"), "cart é");
    }
}
