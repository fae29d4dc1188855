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
    let mut text = error.to_string();
    for (from, to) in WORDS {
        // Only the first occurrence is replaced, so a value from the file stays if it comes later.
        if let Some(at) = text.find(from) {
            text.replace_range(at..at + from.len(), to);
        }
    }
    if let Some(rest) = text.strip_prefix("missing field `")
        && let Some((name, rest)) = rest.split_once('`')
    {
        return format!("the field {name} is missing{rest}");
    }
    text
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
            (node(r#""x":1"#), "the field cpu_cores is missing"),
            ("{}".to_owned(), "invalid type: an object, expected a list"),
            ("[1]".to_owned(), "expected an object"),
        ] {
            let found = of(&text);
            assert!(found.contains(expected), "{text}: {found}");
        }
    }
}
