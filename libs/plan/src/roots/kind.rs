//! [`Kind`]: what a root is, and whether it can be sent over HTTP.

use cctf_proto::cctf::SpanKind;

/// Methods that a driver can send. CONNECT opens a tunnel, and any other text is not a method of HTTP:
/// RFC 9110 section 9, RFC 5789 (PATCH) and draft-ietf-httpbis-safe-method-w-body (QUERY).
pub(super) const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE", "QUERY",
];

/// The kind of a root.
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

    /// Whether a driver can send it.
    pub const fn can_be_sent(self) -> bool {
        matches!(self, Self::Http)
    }

    pub(super) const fn number(self) -> u8 {
        self as u8
    }
}
