//! [`Kind`]: what a root is, and whether it can be sent over HTTP.

use cctf_proto::cctf::SpanKind;

/// Methods that a driver can send. CONNECT opens a tunnel, and any other text is not a method of HTTP:
/// RFC 9110 section 9, RFC 5789 (PATCH) and draft-ietf-httpbis-safe-method-w-body (QUERY).
const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "QUERY",
];

/// What a root is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A request over HTTP that can be sent as it was recorded.
    Http,
    /// A request over HTTP whose recorded method, path or query is missing or cannot be sent as it is.
    HttpIncomplete,
    /// A remote procedure call.
    Rpc,
    /// A message.
    Messaging,
    /// A query to a database.
    Database,
    /// An invocation of a function by anything but HTTP.
    Faas,
    /// Work that no request started, such as a timer's.
    Job,
    /// A request or message of an unknown protocol.
    Other,
    /// A call without parent of a module that also processes requests, such as a poll for messages. The live service makes it
    /// by itself, so it does not come from outside.
    Background,
}

/// The recorded facts that decide a root's kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Evidence<'a> {
    pub protocol: Option<&'a str>,
    pub method: Option<&'a str>,
    pub path: Option<&'a str>,
    pub query: Option<&'a str>,
    pub span_kind: Option<SpanKind>,
    /// Whether the calling module also processes requests.
    pub is_background: bool,
    /// Whether a text of the row was cut, so that a long path or query may be one of them.
    pub is_truncated: bool,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Http,
        Self::HttpIncomplete,
        Self::Rpc,
        Self::Messaging,
        Self::Database,
        Self::Faas,
        Self::Job,
        Self::Other,
        Self::Background,
    ];

    /// For people and for JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::HttpIncomplete => "http_incomplete",
            Self::Rpc => "rpc",
            Self::Messaging => "messaging",
            Self::Database => "db",
            Self::Faas => "faas",
            Self::Job => "job",
            Self::Other => "other",
            Self::Background => "background",
        }
    }

    /// The rule, in this order:
    ///
    /// 1. A call without parent of a module that, by the inventory, also processes requests: [`Kind::Background`].
    /// 2. `protocol` is rpc, messaging or db: that kind, even if the row also has a method of HTTP.
    /// 3. A known method, and a path that starts with a slash: [`Kind::Http`], whether `protocol` is http, faas, another
    ///    text or absent. Path and query must consist of visible ASCII, since any other byte would change the request
    ///    or end its first line, and must not be cut; otherwise [`Kind::HttpIncomplete`].
    /// 4. `protocol` is http, or the method is known: [`Kind::HttpIncomplete`].
    /// 5. `protocol` is faas: [`Kind::Faas`].
    /// 6. By the kind of the span: consumer and producer are messages, internal is a job, anything else is of an
    ///    unknown protocol.
    pub fn of(evidence: &Evidence<'_>) -> Self {
        if evidence.is_background {
            return Self::Background;
        }
        match evidence.protocol {
            Some("rpc") => return Self::Rpc,
            Some("messaging") => return Self::Messaging,
            Some("db") => return Self::Database,
            _ => {}
        }
        let has_method = evidence.method.is_some_and(|method| METHODS.contains(&method));
        if has_method && evidence.has_target() {
            return Self::Http;
        }
        match (evidence.protocol, evidence.span_kind) {
            (Some("http"), _) => Self::HttpIncomplete,
            _ if has_method => Self::HttpIncomplete,
            (Some("faas"), _) => Self::Faas,
            (_, Some(SpanKind::Consumer | SpanKind::Producer)) => Self::Messaging,
            (_, Some(SpanKind::Internal)) => Self::Job,
            _ => Self::Other,
        }
    }

    /// Whether a driver can send it.
    pub const fn can_be_sent(self) -> bool {
        matches!(self, Self::Http)
    }

    pub(super) const fn number(self) -> u8 {
        self as u8
    }
}

impl Evidence<'_> {
    /// Whether path and query can be the target of a request.
    fn has_target(&self) -> bool {
        let is_sendable = |text: &str| {
            // A cut text is up to three bytes shorter than the maximum, because it ends with a whole character.
            let may_be_cut = self.is_truncated && text.len() + 4 > cctf_proto::cctf::TEXT_BYTES_MAX;
            !may_be_cut && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        self.path
            .is_some_and(|path| path.starts_with('/') && is_sendable(path) && !path.contains(['?', '#']))
            && self
                .query
                .is_none_or(|query| is_sendable(query) && !query.contains('#'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(Kind::of(&evidence), kind, "{evidence:?}");
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
