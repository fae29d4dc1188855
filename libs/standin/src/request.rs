//! [`method`], [`path`] and [`transport_status`]: the HTTP request and answer that carry a plan. Spans report the recorded
//! values, which can differ from those of the HTTP request.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// Version of the body, and value of [`PLAN_HEADER`].
pub const PLAN_VERSION: u8 = 1;
/// Header of every planned request. A service recognises planned requests by it.
pub const PLAN_HEADER: &str = "x-cctf-plan";
/// Header of an answer: the response time of the stand-in in nanoseconds. The caller waits until the planned network time has
/// also passed.
pub const RESPONSE_HEADER: &str = "x-cctf-response-ns";
/// The path at which a stand-in describes itself (see [`Probe`]).
pub const STAND_IN_PATH: &str = "/stand-in";
/// Error text with which an ordinary service answers a planned request.
pub const NO_STAND_IN: &str = "this service is no stand-in: start it with --stand-in FILE";
/// Error text with which a stand-in answers an ordinary request.
pub const NO_PLAN: &str = "this is a stand-in: it executes plans only; send them with cctf replay --stand-in";

/// Maximum length of an encoded path. Servers accept request lines of at least 8 KiB. The body contains the complete recorded
/// path.
const PATH_BYTES_MAX: usize = 2_048;

/// Characters that a path may contain without encoding (RFC 3986, `pchar` and `/`), except `%`.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The answer of a stand-in to `GET /stand-in`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Version of the plans that the stand-in executes.
    pub stand_in: u8,
    pub module: String,
    pub instance: String,
    /// `None`: unlimited.
    pub slots: Option<u32>,
    /// `held` or `released`.
    pub slot_policy: String,
    /// Speed of the stand-in's node, million instructions a second and core; `None`: unknown.
    #[serde(default)]
    pub mips_per_core: Option<f64>,
}

/// Method of the request: the recorded one if it is GET, PUT, PATCH or DELETE, and POST otherwise. An answer to HEAD, for
/// example, could not have a body.
pub fn method(recorded: Option<&str>) -> &'static str {
    match recorded {
        Some("GET") => "GET",
        Some("PUT") => "PUT",
        Some("PATCH") => "PATCH",
        Some("DELETE") => "DELETE",
        _ => "POST",
    }
}

/// Path of the request, made from the recorded route or path. It is absolute and encoded. A long path is cut between two
/// characters.
pub fn path(recorded: Option<&str>) -> String {
    let recorded = recorded.unwrap_or_default();
    let mut path = String::with_capacity(recorded.len() + 1);
    if !recorded.starts_with('/') {
        path.push('/');
    }
    let mut character = [0; 4];
    for each in recorded.chars() {
        let encoded = utf8_percent_encode(each.encode_utf8(&mut character), PATH);
        if path.len() + encoded.clone().map(str::len).sum::<usize>() > PATH_BYTES_MAX {
            break;
        }
        path.extend(encoded);
    }
    path
}

/// Status of the HTTP answer. A recorded status outside of 200 to 599 (a gRPC code or an informational status) cannot be sent.
/// A failure must have a status that the caller recognises as one, even if the recorded status is 200.
pub fn transport_status(recorded: Option<u16>, is_failed: bool) -> u16 {
    match recorded {
        Some(status @ 400..=599) => status,
        _ if is_failed => 500,
        Some(status @ 200..=399) => status,
        _ => 200,
    }
}

#[cfg(test)]
mod tests {
    use super::{method, path, transport_status};

    #[test]
    fn methods_without_a_body_become_post() {
        let sent = [
            Some("GET"),
            Some("DELETE"),
            Some("HEAD"),
            Some("get"),
            Some("X Y\r\n"),
            None,
        ];
        assert_eq!(
            sent.map(method),
            ["GET", "DELETE", "POST", "POST", "POST", "POST"]
        );
    }

    #[test]
    fn hostile_paths_are_encoded_and_bounded() {
        assert_eq!(path(None), "/");
        assert_eq!(path(Some("/cart/{id}/items")), "/cart/%7Bid%7D/items");
        assert_eq!(path(Some("shop.Cart/Add")), "/shop.Cart/Add");
        assert_eq!(path(Some("/a b?c#d\r\n%41")), "/a%20b%3Fc%23d%0D%0A%2541");
        let long = path(Some(&"\u{e9}".repeat(4_000)));
        assert!(long.len() <= 2_048 && long.ends_with("%C3%A9"), "{}", long.len());
    }

    #[test]
    fn failures_and_statuses_that_http_lacks_become_200_or_500() {
        assert_eq!(transport_status(Some(200), true), 500);
        assert_eq!(transport_status(Some(302), false), 302);
        assert_eq!(transport_status(Some(404), true), 404);
        assert_eq!(transport_status(Some(14), true), 500);
        assert_eq!(transport_status(Some(101), false), 200);
        assert_eq!(transport_status(None, false), 200);
    }
}
