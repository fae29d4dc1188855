//! The server's address, and the endpoint with its method, path and kind of body.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use crate::plan::payload::PayloadKind;

/// Maximum time for one address to accept a connection, before the next one is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Short names of endpoints: those of the recorded workload in their default order, then the synthetic `work`.
pub const ENDPOINT_NAMES: [&str; 7] = ["json", "gzip", "gunzip", "hash", "kvset", "kvget", "work"];
/// Path that stores the value which `kvget` reads.
pub const KV_SET_PATH: &str = "/kv/set/k1";

/// An invalid target or endpoint from the command line.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error("invalid target {0:?}: {1}; write it like http://127.0.0.1:8080")]
    NotAUrl(String, url::ParseError),
    /// Another scheme than http, or a path, query or user.
    #[error("invalid target {0:?}: write it like http://127.0.0.1:8080, without TLS, path or query")]
    NotAnOrigin(String),
    /// Neither a name nor a path.
    #[error(
        "invalid endpoint {0:?}: use json, gzip, gunzip, hash, kvset, kvget, work, or a path that starts with /"
    )]
    UnknownEndpoint(String),
    /// A character that is invalid in a request line.
    #[error("invalid endpoint path {0:?}: percent-encode spaces and control characters")]
    BadPath(String),
}

/// An HTTP origin without TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name or address, without brackets.
    pub host: String,
    pub port: u16,
}

impl Target {
    /// Parses `http://host[:port]`.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let url = url::Url::parse(text).map_err(|error| TargetError::NotAUrl(text.to_owned(), error))?;
        let bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
        match (url.scheme(), url.host_str(), url.port_or_known_default()) {
            ("http", Some(host), Some(port)) if bare => Ok(Self {
                host: host.trim_matches(['[', ']']).to_owned(),
                port,
            }),
            _ => Err(TargetError::NotAnOrigin(text.to_owned())),
        }
    }

    /// The first address of the host that accepts a connection.
    pub fn reachable_address(&self) -> io::Result<SocketAddr> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match http_once::connect_to(&address, CONNECT_TIMEOUT) {
                Ok(_) => return Ok(address),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// `host:port`, as in the Host header.
    pub fn authority(&self) -> String {
        http_once::authority(&self.host, self.port)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}", self.authority())
    }
}

/// One endpoint of a service, and how to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The name that the user chose: a short name or a path.
    pub name: String,
    pub method: String,
    /// Path and query.
    pub path: String,
    /// `None` if requests have no body.
    pub payload: Option<PayloadKind>,
    /// Whether the key of `/kv/get/k1` must be set first.
    pub needs_key: bool,
}

impl Endpoint {
    /// Resolves a short name or a path. `method` overrides the default, which is GET for a path. POST, PUT and PATCH send a body.
    pub fn resolve(name: &str, method: Option<&str>, size_bytes: usize) -> Result<Self, TargetError> {
        let work = format!("/work?cpu_ms=2&resp_kb={}", size_bytes.div_ceil(1024));
        let (default_method, path, payload) = match name {
            "json" => ("POST", "/json/validate", Some(PayloadKind::Json)),
            "gzip" => ("POST", "/blob/gzip", Some(PayloadKind::Text)),
            "gunzip" => ("POST", "/blob/gunzip", Some(PayloadKind::Gzip)),
            "hash" => ("POST", "/hash/sha256", Some(PayloadKind::Text)),
            "kvset" => ("POST", KV_SET_PATH, Some(PayloadKind::Text)),
            "kvget" => ("GET", "/kv/get/k1", None),
            "work" => ("GET", work.as_str(), None),
            path if path.starts_with('/') => ("GET", path, Some(PayloadKind::Text)),
            other => return Err(TargetError::UnknownEndpoint(other.to_owned())),
        };
        if path.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err(TargetError::BadPath(path.to_owned()));
        }
        let method = method.map_or_else(|| default_method.to_owned(), str::to_ascii_uppercase);
        let has_body = matches!(method.as_str(), "POST" | "PUT" | "PATCH");
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            payload: payload.filter(|_| has_body),
            needs_key: name == "kvget",
            method,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_origin_and_nothing_more() {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        assert_eq!(target.to_string(), "http://127.0.0.1:8080");
        assert_eq!(
            Target::parse("http://[::1]:81/").unwrap().to_string(),
            "http://[::1]:81"
        );
        assert_eq!(Target::parse("http://localhost").unwrap().port, 80);
        for bad in [
            "127.0.0.1:8080",
            "https://h",
            "http://h/path",
            "http://h?q=1",
            "http://u@h",
            "",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_stand_for_the_services_endpoints() {
        let resolve =
            |name| Endpoint::resolve(name, None, 8192).map(|endpoint| (endpoint.method, endpoint.path));
        assert_eq!(resolve("json").unwrap(), ("POST".into(), "/json/validate".into()));
        assert_eq!(resolve("kvget").unwrap(), ("GET".into(), "/kv/get/k1".into()));
        assert_eq!(
            resolve("work").unwrap(),
            ("GET".into(), "/work?cpu_ms=2&resp_kb=8".into())
        );
        assert_eq!(resolve("/livez").unwrap(), ("GET".into(), "/livez".into()));
        assert!(resolve("jason").is_err() && resolve("/a b").is_err());
        assert!(ENDPOINT_NAMES.iter().all(|name| resolve(name).is_ok()));
    }

    #[test]
    fn only_methods_that_take_a_body_send_one() {
        assert_eq!(
            Endpoint::resolve("/x", Some("post"), 10).unwrap().payload,
            Some(PayloadKind::Text)
        );
        assert_eq!(Endpoint::resolve("/x", None, 10).unwrap().payload, None);
    }
}
