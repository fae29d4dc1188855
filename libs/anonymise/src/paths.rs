//! Replaces paths, queries and URLs: each segment of a path is hashed. Properties that decide how programs use a path (such as
//! whether a replay can send it) stay the same.

use cctf_proto::cctf::TEXT_BYTES_MAX;
use plan::shape::is_id;

use crate::hashes::{Domain, Hashes};
use crate::names::push_name;

/// Schemes of URLs that are kept.
const SCHEMES: [&str; 6] = ["http", "https", "grpc", "grpcs", "ws", "wss"];
/// Marks the replacement of a segment that has a byte which a request line cannot contain. A request line cannot contain this
/// mark either.
const UNSENDABLE: char = '#';

/// Appends the replacement of a path. Slashes, empty segments and the braces of a route's parameters stay. A segment that is an
/// id is replaced by digits, any other one by letters, so that paths that differ only in ids still do so.
pub fn push_path(hashes: &Hashes, path: &str, out: &mut String) {
    let begin = out.len();
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        push_segment(hashes, segment, out);
    }
    if out.len() - begin > TEXT_BYTES_MAX {
        out.truncate(begin);
        out.push_str(if path.starts_with('/') { "/" } else { "" });
        hashes.push_letters(Domain::Segment, path, out);
    }
}

fn push_segment(hashes: &Hashes, segment: &str, out: &mut String) {
    if segment.is_empty() {
        return;
    }
    if is_id(segment) {
        return hashes.push_digits(Domain::Segment, segment, out);
    }
    match segment
        .strip_prefix('{')
        .and_then(|segment| segment.strip_suffix('}'))
    {
        Some(parameter) => {
            out.push('{');
            hashes.push_letters(Domain::Segment, parameter, out);
            out.push('}');
        }
        None => hashes.push_letters(Domain::Segment, segment, out),
    }
    let is_sendable = |byte: u8| byte.is_ascii_graphic() && byte != b'?' && byte != b'#';
    if !segment.bytes().all(is_sendable) {
        out.push(UNSENDABLE);
    }
}

/// Appends the replacement of a query.
pub fn push_query(hashes: &Hashes, query: &str, out: &mut String) {
    if query.is_empty() {
        return;
    }
    hashes.push_letters(Domain::Text, query, out);
    if !query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        out.push(UNSENDABLE);
    }
}

/// Appends the replacement of a URL, or of any other text with slashes.
pub fn push_url(hashes: &Hashes, url: &str, out: &mut String) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return push_path(hashes, url, out);
    };
    match SCHEMES.contains(&scheme) {
        true => out.push_str(scheme),
        false => hashes.push_letters(Domain::Text, scheme, out),
    }
    out.push_str("://");
    let (rest, fragment) = split_off(rest, '#');
    let (rest, query) = split_off(rest, '?');
    let (authority, path) = match rest.find('/') {
        Some(index) => rest.split_at(index),
        None => (rest, ""),
    };
    let host = match authority.rsplit_once('@') {
        Some((user, host)) => {
            hashes.push_letters(Domain::Text, user, out);
            out.push('@');
            host
        }
        None => authority,
    };
    push_name(hashes, host, out);
    push_path(hashes, path, out);
    for (mark, part) in [('?', query), ('#', fragment)] {
        if let Some(part) = part {
            out.push(mark);
            push_query(hashes, part, out);
        }
    }
}

fn split_off(text: &str, mark: char) -> (&str, Option<&str>) {
    match text.split_once(mark) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use plan::shape::shape_of;
    use proptest::prelude::*;

    use super::*;
    use crate::key::Key;

    fn hashes() -> Hashes {
        Hashes::new(&Key::new(&(0..32).collect::<Vec<u8>>()))
    }

    fn path(text: &str) -> String {
        let mut out = String::new();
        push_path(&hashes(), text, &mut out);
        out
    }

    #[test]
    fn the_form_of_a_path_stays() {
        for (text, form) in [
            ("/users/42/orders", "/a/0/a"),
            ("/o/1f0c9a7e-11d2-4a31-9b5e-aa0123456789", "/a/0"),
            ("/kv/set/{key}", "/a/a/{a}"),
            ("//a/", "//a/"),
            ("shop.Cart", "a"),
            ("/a b/ü?x#", "/a#/a#"),
            ("/", "/"),
            ("", ""),
        ] {
            let replaced = path(text);
            let mut found = String::new();
            for char in replaced.chars() {
                let char = match char {
                    'a'..='z' => 'a',
                    '0'..='9' => '0',
                    other => other,
                };
                if !(found.ends_with(char) && char.is_alphanumeric()) {
                    found.push(char);
                }
            }
            assert_eq!(found, form, "{text} became {replaced}");
        }
        let long = path(&"/a".repeat(2048));
        assert!(long.starts_with('/') && long.len() == 1 + crate::hashes::LETTERS);
    }

    proptest! {
        #[test]
        fn paths_of_one_shape_keep_one_shape(
            segments in proptest::collection::vec("[a-c]{1,2}|[0-9]{1,3}|[0-9a-f]{8}", 1..4),
            id in "[0-9]{1,4}",
        ) {
            let other: Vec<&str> = segments
                .iter()
                .map(|segment| if is_id(segment) { id.as_str() } else { segment })
                .collect();
            let (text, other) = (format!("/{}", segments.join("/")), format!("/{}", other.join("/")));
            prop_assert_eq!(shape_of(&text), shape_of(&other));
            let replaced = [path(&text), path(&other)];
            prop_assert_eq!(shape_of(&replaced[0]), shape_of(&replaced[1]));
        }
    }

    #[test]
    fn parts_of_a_url_stay_apart() {
        let mut out = String::new();
        push_url(&hashes(), "http://alice:pw@cart:8080/kv/42?q=1#top", &mut out);
        let url = out.strip_prefix("http://").unwrap();
        let (user, rest) = url.split_once('@').unwrap();
        assert_eq!(user.len(), crate::hashes::LETTERS);
        let mut host = String::new();
        push_name(&hashes(), "cart:8080", &mut host);
        let rest = rest.strip_prefix(&host).unwrap();
        assert!(
            rest.starts_with(&path("/kv/42")) && rest.contains('?') && rest.contains('#'),
            "{out}"
        );
        let mut bare = String::new();
        push_url(&hashes(), "http://10.0.0.1:80", &mut bare);
        assert!(bare.starts_with("http://[2001:db8:"), "{bare}");
    }
}
