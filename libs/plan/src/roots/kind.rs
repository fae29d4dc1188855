//! [`Kind`]: the kind of a root, which decides whether the root can be sent over HTTP.

use cctf_proto::cctf::SpanKind;

/// HTTP methods that a driver can send: RFC 9110 section 9, RFC 5789 (PATCH) and draft-ietf-httpbis-safe-method-w-body (QUERY).
/// CONNECT is left out, because it opens a tunnel.
pub(super) const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "QUERY",
];

/// The kind of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An HTTP request that can be sent as recorded.
    Http,
    /// An HTTP request that cannot be sent as recorded, because its method, path or query is missing or invalid.
    HttpIncomplete,
    /// A remote procedure call.
    Rpc,
    /// A message.
    Messaging,
    /// A query to a database.
    Database,
    /// A call of a serverless function by anything other than HTTP.
    Faas,
    /// Work that was started by a timer or similar, not by a request.
    Job,
    /// A request or message of an unknown protocol.
    Other,
    /// A call that a module makes by itself, such as a poll for messages: it has no parent, and its module also processes
    /// requests. The live service repeats it anyway, so it does not count as coming from outside.
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
    /// Whether the row is a call without a parent, of a module that also processes requests.
    pub is_background: bool,
    /// Whether a text of the row was truncated. It may be the path or the query, if either is long.
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

    /// Name in printed text and in JSON.
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

    /// Whether a driver can send roots of this kind.
    pub const fn can_be_sent(self) -> bool {
        matches!(self, Self::Http)
    }

    pub(super) const fn number(self) -> u8 {
        self as u8
    }
}
