//! [`Clues`]: the few facts of a row that decide whether a root can be sent, stored in a few bytes.

use cctf_proto::cctf::{SpanKind, TEXT_BYTES_MAX};

use super::kind::{Evidence, Kind, METHODS};

/// Maximum length of a path with its query, bytes. Servers accept request lines of 8 KiB (RFC 9112 section 3).
pub const PATH_BYTES_MAX: usize = 6 * 1024;
/// Maximum size of a body, bytes. The driver holds the whole body in memory.
pub const BODY_BYTES_MAX: u64 = 64 << 20;

/// Reasons why a root over HTTP is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    TooLarge,
    TooLong,
}

/// The reason for which the driver does not send a request of these sizes (bytes), if there is one.
pub fn unsent(body: Option<u64>, path: usize, query: Option<usize>) -> Option<Unsent> {
    if body.is_some_and(|body| body > BODY_BYTES_MAX) {
        return Some(Unsent::TooLarge);
    }
    // The question mark is one more byte.
    let length = path + query.map_or(0, |query| query + 1);
    (length > PATH_BYTES_MAX).then_some(Unsent::TooLong)
}

/// Facts of a row from which [`Clues::kind`] derives the kind of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Clues {
    protocol: Option<Protocol>,
    /// Whether the method is one that a driver knows; `None` without a method.
    method: Option<bool>,
    path: Option<Target>,
    query: Option<Target>,
    span_kind: Option<SpanKind>,
    is_large: Option<bool>,
    /// Whether the row is a call without a parent, of a module that also processes requests.
    pub is_background: bool,
    is_truncated: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Rpc,
    Messaging,
    Database,
    Http,
    Faas,
    Other,
}

/// A path or a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    bytes: u16,
    is_valid: bool,
}

impl Target {
    fn new(text: &str, is_valid: bool) -> Self {
        Self {
            bytes: u16::try_from(text.len()).unwrap_or(u16::MAX),
            is_valid: is_valid && text.bytes().all(|byte| byte.is_ascii_graphic()),
        }
    }

    /// Whether the text is complete and can be sent. A truncated text ends with a whole character, so it can be up to three
    /// bytes shorter than the maximum.
    fn is_valid(self, is_truncated: bool) -> bool {
        self.is_valid && !(is_truncated && usize::from(self.bytes) + 4 > TEXT_BYTES_MAX)
    }
}

impl Clues {
    pub fn of(evidence: &Evidence<'_>, body_bytes: Option<u64>) -> Self {
        Self {
            protocol: evidence.protocol.map(|protocol| match protocol {
                "rpc" => Protocol::Rpc,
                "messaging" => Protocol::Messaging,
                "db" => Protocol::Database,
                "http" => Protocol::Http,
                "faas" => Protocol::Faas,
                _ => Protocol::Other,
            }),
            method: evidence.method.map(|method| METHODS.contains(&method)),
            path: evidence
                .path
                .map(|path| Target::new(path, path.starts_with('/') && !path.contains(['?', '#']))),
            query: evidence
                .query
                .map(|query| Target::new(query, !query.contains('#'))),
            span_kind: evidence.span_kind,
            is_large: body_bytes.map(|bytes| bytes > BODY_BYTES_MAX),
            is_background: evidence.is_background,
            is_truncated: evidence.is_truncated,
        }
    }

    /// Combines the facts of a call with the facts of the invocation that answered it. The facts of the client take precedence,
    /// because the replay stands in for the client. Only the receiver reports a query.
    pub fn joined(self, answer: Self) -> Self {
        Self {
            protocol: self.protocol.or(answer.protocol),
            method: self.method.or(answer.method),
            path: self.path.or(answer.path),
            query: answer.query,
            span_kind: self.span_kind,
            is_large: self.is_large.or(answer.is_large),
            is_background: self.is_background,
            is_truncated: self.is_truncated || answer.is_truncated,
        }
    }

    /// The kind of the root, by the first of these rules that applies:
    ///
    /// 1. The call has no parent, and its module also processes requests (as the inventory states): [`Kind::Background`].
    /// 2. `protocol` is rpc, messaging or db: that kind, even if the row also has an HTTP method.
    /// 3. The method is known and the path starts with a slash: [`Kind::Http`], even if `protocol` states another one. Path and
    ///    query must be complete and must consist of visible ASCII, because any other byte would change the request or end its
    ///    first line. Otherwise: [`Kind::HttpIncomplete`].
    /// 4. `protocol` is http, or the method is known: [`Kind::HttpIncomplete`].
    /// 5. `protocol` is faas: [`Kind::Faas`].
    /// 6. Otherwise, the span kind decides: consumer and producer give a message, internal gives a job, and any other gives an
    ///    unknown protocol.
    pub fn kind(self) -> Kind {
        if self.is_background {
            return Kind::Background;
        }
        match self.protocol {
            Some(Protocol::Rpc) => return Kind::Rpc,
            Some(Protocol::Messaging) => return Kind::Messaging,
            Some(Protocol::Database) => return Kind::Database,
            _ => {}
        }
        let has_method = self.method == Some(true);
        let is_valid = |target: Target| target.is_valid(self.is_truncated);
        if has_method && self.path.is_some_and(is_valid) && self.query.is_none_or(is_valid) {
            return Kind::Http;
        }
        match (self.protocol, self.span_kind) {
            (Some(Protocol::Http), _) => Kind::HttpIncomplete,
            _ if has_method => Kind::HttpIncomplete,
            (Some(Protocol::Faas), _) => Kind::Faas,
            (_, Some(SpanKind::Consumer | SpanKind::Producer)) => Kind::Messaging,
            (_, Some(SpanKind::Internal)) => Kind::Job,
            _ => Kind::Other,
        }
    }

    /// Whether a replay sends this root.
    pub fn is_sent(self) -> bool {
        let bytes = |target: Option<Target>| target.map(|target| usize::from(target.bytes));
        let body = self.is_large.map(|is_large| match is_large {
            true => u64::MAX,
            false => 0,
        });
        let unsent = unsent(body, bytes(self.path).unwrap_or(0), bytes(self.query));
        self.kind().can_be_sent() && unsent.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_beyond_the_limits_of_the_driver_is_not_sent() {
        let long = format!("/{}", "a".repeat(4_000));
        let clues = |path, query, body| {
            let evidence = Evidence {
                method: Some("GET"),
                path: Some(path),
                query,
                ..Evidence::default()
            };
            Clues::of(&evidence, body)
        };
        assert!(clues("/a", None, None).is_sent());
        assert!(clues("/a", None, Some(BODY_BYTES_MAX)).is_sent());
        assert!(!clues("/a", None, Some(BODY_BYTES_MAX + 1)).is_sent());
        assert!(clues(&long, None, None).is_sent());
        assert!(!clues(&long, Some(&long), None).is_sent());
        assert!(!clues("/a b", None, None).is_sent());
        // The caller's facts take precedence, and only the receiver reports the query.
        let answer = clues("/b c", Some("q#"), Some(1));
        assert_eq!(
            clues("/a", None, None).joined(answer).kind(),
            Kind::HttpIncomplete
        );
        let answer = clues("/b c", None, Some(1));
        assert_eq!(clues("/a", None, None).joined(answer).kind(), Kind::Http);
    }

    #[test]
    fn only_complete_requests_over_http_can_be_sent() {
        let long = format!("/{}", "a".repeat(4095));
        let http = Evidence {
            protocol: Some("http"),
            method: Some("GET"),
            path: Some("/a"),
            ..Evidence::default()
        };
        let span = |span_kind| Evidence {
            span_kind: Some(span_kind),
            ..Evidence::default()
        };
        for (evidence, kind) in [
            (http, Kind::Http),
            (
                Evidence {
                    protocol: None,
                    ..http
                },
                Kind::Http,
            ),
            (
                Evidence {
                    protocol: Some("faas"),
                    ..http
                },
                Kind::Http,
            ),
            (
                Evidence {
                    query: Some("a=%20"),
                    ..http
                },
                Kind::Http,
            ),
            (
                Evidence {
                    path: Some(&long),
                    ..http
                },
                Kind::Http,
            ),
            (
                Evidence {
                    path: Some(&long),
                    is_truncated: true,
                    ..http
                },
                Kind::HttpIncomplete,
            ),
            (
                Evidence {
                    path: Some("/a b"),
                    ..http
                },
                Kind::HttpIncomplete,
            ),
            (
                Evidence {
                    path: Some("/a\r\nX: y"),
                    ..http
                },
                Kind::HttpIncomplete,
            ),
            (
                Evidence {
                    path: Some("/ü"),
                    ..http
                },
                Kind::HttpIncomplete,
            ),
            (
                Evidence {
                    path: Some("a"),
                    ..http
                },
                Kind::HttpIncomplete,
            ),
            (
                Evidence {
                    path: Some("/a?b"),
                    ..http
                },
                Kind::HttpIncomplete,
            ),
            (Evidence { path: None, ..http }, Kind::HttpIncomplete),
            (
                Evidence {
                    query: Some("a b"),
                    ..http
                },
                Kind::HttpIncomplete,
            ),
            (
                Evidence {
                    method: Some("CONNECT"),
                    ..http
                },
                Kind::HttpIncomplete,
            ),
            (Evidence { method: None, ..http }, Kind::HttpIncomplete),
            (
                Evidence {
                    method: Some("get"),
                    protocol: None,
                    ..http
                },
                Kind::Other,
            ),
            (
                Evidence {
                    protocol: None,
                    path: None,
                    ..http
                },
                Kind::HttpIncomplete,
            ),
            (
                Evidence {
                    protocol: Some("rpc"),
                    ..http
                },
                Kind::Rpc,
            ),
            (
                Evidence {
                    protocol: Some("messaging"),
                    ..http
                },
                Kind::Messaging,
            ),
            (
                Evidence {
                    protocol: Some("db"),
                    ..http
                },
                Kind::Database,
            ),
            (
                Evidence {
                    protocol: Some("faas"),
                    method: Some("timer"),
                    ..http
                },
                Kind::Faas,
            ),
            (span(SpanKind::Consumer), Kind::Messaging),
            (span(SpanKind::Producer), Kind::Messaging),
            (span(SpanKind::Internal), Kind::Job),
            (span(SpanKind::Server), Kind::Other),
            (
                Evidence {
                    is_background: true,
                    ..http
                },
                Kind::Background,
            ),
            (Evidence::default(), Kind::Other),
        ] {
            assert_eq!(Clues::of(&evidence, None).kind(), kind, "{evidence:?}");
        }
        assert!(
            Kind::ALL
                .iter()
                .enumerate()
                .all(|(at, kind)| at == kind.number() as usize)
        );
        assert!(
            Kind::ALL
                .iter()
                .all(|kind| kind.can_be_sent() == (*kind == Kind::Http))
        );
    }
}
