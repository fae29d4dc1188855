//! [`tags`]: reads the tags of a page. It is as strict as the pages are: every value must be quoted, and no text may contain
//! `<`.

#[derive(Debug, Clone)]
pub struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub is_end: bool,
    /// Whether it is written as `<path/>`.
    pub is_empty: bool,
}

/// All tags in order. The content of scripts and styles is left out.
pub fn tags(page: &str) -> Vec<Tag> {
    let mut rest = page.strip_prefix("<!doctype html>").unwrap();
    let mut tags = Vec::new();
    while let Some((_, after)) = rest.split_once('<') {
        let (tag, after) = tag(after);
        rest = after;
        let is_raw = !tag.is_end && ["script", "style"].contains(&tag.name.as_str());
        if is_raw {
            let end = rest.find(&format!("</{}>", tag.name)).unwrap();
            rest = &rest[end..];
        }
        tags.push(tag);
    }
    tags
}

/// Reads a tag. `text` begins after the tag's `<`. Returns the text after the tag's `>`.
fn tag(text: &str) -> (Tag, &str) {
    let (is_end, text) = match text.strip_prefix('/') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (name, mut rest) = word(text);
    let mut tag = Tag {
        name: name.to_owned(),
        attributes: Vec::new(),
        is_end,
        is_empty: false,
    };
    loop {
        if let Some(after) = rest.strip_prefix("/>") {
            tag.is_empty = true;
            return (tag, after);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (tag, after);
        }
        let (name, after) = word(rest.strip_prefix(' ').unwrap());
        let (value, after) = match after.strip_prefix("=\"") {
            Some(quoted) => quoted.split_once('"').unwrap(),
            None => ("", after),
        };
        assert!(!value.contains(['<', '>']), "{name}={value}");
        tag.attributes.push((name.to_owned(), value.to_owned()));
        rest = after;
    }
}

/// The name at the start of a text.
fn word(text: &str) -> (&str, &str) {
    let is_in_name = |c: char| c.is_ascii_alphanumeric() || "-:".contains(c);
    let end = text.find(|c| !is_in_name(c)).unwrap();
    assert!(end > 0, "no name at {:?}", text.get(..40));
    text.split_at(end)
}
