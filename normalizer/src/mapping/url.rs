//! Parts of the URLs in spans.

use core::net::Ipv6Addr;

use memchr::{memchr, memchr2, memchr3};

/// The path of a URL, or of a relative reference that starts with its path or query; `None` for other texts.
pub fn path(url: &str) -> Option<&str> {
    match split(url) {
        Some((_, rest)) => Some(path_or_root(rest)),
        None => url.starts_with(['/', '?', '#']).then(|| path_or_root(url)),
    }
}

/// Whether [`path`] returns a path.
pub fn has_path(url: &str) -> bool {
    after_usual_scheme(url).is_some() || path(url).is_some()
}

/// The path of a request's target. The target is normally a path; in a request to a proxy, it is a complete URL.
pub fn path_of_target(target: &str) -> &str {
    path_or_root(split(target).map_or(target, |(_, rest)| rest))
}

/// The authority of a URL, without user and password.
pub fn authority(url: &str) -> Option<&str> {
    let (authority, _) = split(url)?;
    let address = authority
        .rsplit_once('@')
        .map_or(authority, |(_, address)| address);
    (!address.is_empty()).then_some(address)
}

/// Appends address and port as in a URL: with brackets around IPv6, and without repeating a port that the address already has.
pub fn push_authority(address: &str, port: u64, out: &mut String) {
    let mut digits = itoa::Buffer::new();
    let port = digits.format(port);
    if address.contains(':') {
        let has_port = address
            .rsplit_once(':')
            .is_some_and(|(_, present)| present == port);
        let is_v6 = is_v6(address);
        if has_port && !is_v6 {
            return out.push_str(address);
        }
        if is_v6 {
            out.extend(["[", address, "]:", port]);
            return;
        }
    }
    out.extend([address, ":", port]);
}

/// Whether an address is IPv6. A zone, as in `fe80::1%eth0`, is ignored.
fn is_v6(address: &str) -> bool {
    let without_zone = address.split('%').next().unwrap_or(address);
    without_zone.parse::<Ipv6Addr>().is_ok()
}

/// The authority and the rest of a URL. The scheme is the text before `://`, unless this is in a query.
fn split(url: &str) -> Option<(&str, &str)> {
    // This is called for each span. A search for bytes takes half the instructions of a search for characters.
    let rest = match after_usual_scheme(url) {
        Some(rest) => rest,
        None => after_scheme(url)?,
    };
    let end = memchr3(b'/', b'?', b'#', rest.as_bytes()).unwrap_or(rest.len());
    Some(rest.split_at(end))
}

/// Nearly all URLs have one of two schemes, and comparing them takes less than a search.
fn after_usual_scheme(url: &str) -> Option<&str> {
    url.strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
}

fn after_scheme(url: &str) -> Option<&str> {
    if !url.as_bytes().first()?.is_ascii_alphabetic() {
        return None;
    }
    let (scheme, rest) = url.split_at(memchr(b':', url.as_bytes())?);
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    rest.strip_prefix("://")
        .filter(|_| scheme.bytes().all(is_of_scheme))
}

fn path_or_root(reference: &str) -> &str {
    match &reference[..memchr2(b'?', b'#', reference.as_bytes()).unwrap_or(reference.len())] {
        "" => "/",
        path => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_the_text_between_authority_and_query() {
        for (url, expected) in [
            ("http://h:80/a/b?x=1", Some("/a/b")),
            ("http://h", Some("/")),
            ("http://h?x", Some("/")),
            ("https://h/#f", Some("/")),
            ("HTTP://h/a#f", Some("/a")),
            ("ws+unix://h/a?x", Some("/a")),
            ("http:/h/a", None),
            ("w_s://h/a", None),
            ("https://h?back=http://other/a", Some("/")),
            ("/plain?x", Some("/plain")),
            ("/login?next=https://other.example/home", Some("/login")),
            ("?x=1", Some("/")),
            ("no url", None),
            ("h/a", None),
            ("mailto:a@b", None),
            ("1http://h/a", None),
            ("://h/a", None),
        ] {
            assert_eq!(path(url), expected, "{url}");
            assert_eq!(has_path(url), expected.is_some(), "{url}");
        }
    }

    #[test]
    fn a_scheme_ends_at_the_first_colon() {
        for url in ["a:b://h/c", "a:/b://h", "é://h/a", "http:", "http:/", "", ":"] {
            assert_eq!(split(url), None, "{url}");
        }
        assert_eq!(split("a+b.c-1://h:1#é"), Some(("h:1", "#é")));
    }

    #[test]
    fn a_target_is_a_path_or_a_url() {
        for (target, expected) in [
            ("/a?x=http://b/c", "/a"),
            ("?x=1", "/"),
            ("http://h/a?x", "/a"),
            ("*", "*"),
            ("h:443", "h:443"),
        ] {
            assert_eq!(path_of_target(target), expected, "{target}");
        }
    }

    #[test]
    fn an_authority_has_no_user_and_password() {
        for (url, expected) in [
            ("http://h:80/a", Some("h:80")),
            ("https://user:secret@h?x@y", Some("h")),
            ("http://[::1]:80/", Some("[::1]:80")),
            ("/plain", None),
            ("/login?next=https://other.example/home", None),
            ("http:///a", None),
        ] {
            assert_eq!(authority(url), expected, "{url}");
        }
    }

    #[test]
    fn an_address_and_its_port_are_written_as_in_a_url() {
        for (address, port, expected) in [
            ("h", 80, "h:80"),
            ("10.0.0.1", 80, "10.0.0.1:80"),
            ("::1", 80, "[::1]:80"),
            ("2001:db8::80", 80, "[2001:db8::80]:80"),
            ("fe80::1%eth0", 80, "[fe80::1%eth0]:80"),
            ("[::1]", 80, "[::1]:80"),
            ("h:80", 80, "h:80"),
            ("[::1]:80", 80, "[::1]:80"),
        ] {
            let mut out = String::new();
            push_authority(address, port, &mut out);
            assert_eq!(out, expected, "{address} {port}");
        }
    }
}
