//! [`quoted`]: quotes a text as one word of a POSIX shell.

/// The text as one shell word. It gets quotes only if it needs them.
pub fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_special_characters_is_one_word() {
        for (text, word) in [
            ("/logs/mine", "/logs/mine"),
            ("", "''"),
            ("my logs", "'my logs'"),
            ("it's; rm -r $HOME", r"'it'\''s; rm -r $HOME'"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
