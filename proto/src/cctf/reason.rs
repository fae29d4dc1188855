//! [`reason`]: the reason why a text is not a valid row, in terms of JSON instead of Rust types.

/// Texts in the parser's messages, each with its replacement.
const WORDS: [(&str, &str); 14] = [
    ("expected u8", "expected a whole number of 0 or more"),
    ("expected u16", "expected a whole number of 0 or more"),
    ("expected u32", "expected a whole number of 0 or more"),
    ("expected u64", "expected a whole number of 0 or more"),
    ("expected usize", "expected a whole number of 0 or more"),
    ("expected i64", "expected a whole number"),
    ("expected f64", "expected a number"),
    ("expected a borrowed string", "expected a string"),
    ("expected a sequence", "expected a list"),
    ("expected a map", "expected an object"),
    ("invalid type: sequence", "invalid type: a list"),
    ("invalid type: map", "invalid type: an object"),
    ("invalid type: unit", "invalid type: null"),
    ("floating point `", "number `"),
];

/// The text of an error of the JSON parser, in the words of JSON.
pub fn reason(error: &serde_json::Error) -> String {
    let text = in_words_of_json(&error.to_string());
    if let Some(rest) = text.strip_prefix("missing field `")
        && let Some((name, rest)) = rest.split_once('`')
    {
        return format!("the field {name} is missing{rest}");
    }
    text
}

/// Replaces the [`WORDS`] before and after the values that the parser quotes, because a value from the file stays as it is.
fn in_words_of_json(text: &str) -> String {
    const QUOTES: [char; 2] = ['"', '`'];
    let begin = text.find(QUOTES).map_or(text.len(), |at| at + 1);
    let end = text.rfind(QUOTES).map_or(text.len(), |at| at.max(begin));
    let replaced = |part: &str| {
        let replace = |part: String, (from, to): (&str, &str)| part.replacen(from, to, 1);
        WORDS.into_iter().fold(part.to_owned(), replace)
    };
    replaced(&text[..begin]) + &text[begin..end] + &replaced(&text[end..])
}

#[cfg(test)]
mod tests {
    use super::reason;
    use crate::cctf::Node;

    #[test]
    fn no_name_of_a_type_reaches_a_person() {
        let of = |text: &str| reason(&serde_json::from_str::<Vec<Node<'_>>>(text).unwrap_err());
        let node = |field: &str| format!(r#"[{{"node_id":"n","stage":"edge","mem_mb":1,{field}}}]"#);
        for (text, expected) in [
            (
                node(r#""cpu_cores":"two""#),
                "cpu_cores: invalid type: string \"two\", expected a whole number of 0 or more",
            ),
            (
                node(r#""cpu_cores":-1"#),
                "cpu_cores: invalid value: integer `-1`, expected a whole number of 0 or more",
            ),
            (
                node(r#""cpu_cores":2,"mips_per_core":[]"#),
                "mips_per_core: invalid type: a list, expected a number",
            ),
            (
                node(r#""cpu_cores":1.5"#),
                "cpu_cores: invalid type: number `1.5`, expected a whole number of 0 or more",
            ),
            (
                node(r#""cpu_cores":"is expected u64, \" expected a map""#),
                r#"string "is expected u64, \" expected a map", expected a whole number of 0 or more"#,
            ),
            (node(r#""x":1"#), "the field cpu_cores is missing"),
            ("{}".to_owned(), "invalid type: an object, expected a list"),
            ("[1]".to_owned(), "expected an object"),
        ] {
            let found = of(&text);
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}
