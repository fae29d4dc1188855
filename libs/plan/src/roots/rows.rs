//! [`Row`]: the fields of a line of `invocations.jsonl` or `calls.jsonl` that matter for roots.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use cctf_proto::cctf::{
    Call, Field, File, Flag, Invocation, Milliseconds, Row as _, SpanId, SpanKind, TraceId, field_index,
};
use rundir::fields::{Fields, Name, NotAnObject, Order, names_of, text};

use super::codec::{Draft, Tables};
use super::kind::Kind;
use super::root::{Origin, Root};

/// A line that is not a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error(transparent)]
    NotAnObject(#[from] NotAnObject),
    #[error("field {0} is missing or invalid")]
    InvalidField(&'static str),
}

/// A row without a parent invocation.
#[derive(Debug)]
pub struct Row {
    pub role: Role,
    /// For a call: its own id. For an invocation: id of the call that it answers, or its own id if no call is known.
    pub call_id: SpanId,
    pub draft: Draft,
}

/// The role of a row in a root. Rows of one call are processed in the order of this enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A call without parent.
    Call,
    /// A call whose caller is missing.
    OrphanCall,
    /// A call inside another call, such as an attempt inside a logical request.
    NestedCall,
    /// An invocation that answers a call.
    Answer,
    /// An invocation that no call caused. If it has a parent span, that span is not an invocation; it can be a poll for messages.
    Invocation,
    /// An invocation whose caller is missing.
    OrphanInvocation,
}

impl Role {
    /// The role of a call without a parent invocation. `has_parent` states whether it has any parent span.
    pub const fn of_call(has_parent: bool, is_orphan: bool) -> Self {
        match (is_orphan, has_parent) {
            (true, _) => Self::OrphanCall,
            (false, true) => Self::NestedCall,
            (false, false) => Self::Call,
        }
    }

    /// The role of an invocation without a parent invocation. `has_caller` states whether its row names the call that caused
    /// it.
    pub const fn of_invocation(has_caller: bool, is_orphan: bool) -> Self {
        match (has_caller, is_orphan) {
            (true, _) => Self::Answer,
            (false, true) => Self::OrphanInvocation,
            (false, false) => Self::Invocation,
        }
    }

    pub const ALL: [Self; 6] = [
        Self::Call,
        Self::OrphanCall,
        Self::NestedCall,
        Self::Answer,
        Self::Invocation,
        Self::OrphanInvocation,
    ];
}

/// Meaning of a field in one of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Other,
    Trace,
    Span,
    Parent,
    /// The parent invocation.
    Above,
    Caller,
    At,
    Module,
    /// The module that made the call.
    Client,
    Instance,
    Method,
    Path,
    Query,
    Route,
    Protocol,
    Peer,
    BodyBytes,
    AnswerBytes,
    Status,
    Resends,
    Session,
    Kind,
    Flags,
}

const fn columns_of<const N: usize>(fields: &[Field], list: &[(&str, Column)]) -> [Column; N] {
    let mut columns = [Column::Other; N];
    let mut entry = 0;
    while entry < list.len() {
        columns[field_index(fields, list[entry].0)] = list[entry].1;
        entry += 1;
    }
    columns
}

struct Columns {
    names: &'static [Name],
    columns: &'static [Column],
}

static INVOCATIONS: Columns = Columns {
    names: &names_of::<{ Invocation::FIELDS.len() }>(Invocation::FIELDS),
    columns: &columns_of::<{ Invocation::FIELDS.len() }>(
        Invocation::FIELDS,
        &[
            ("trace_id", Column::Trace),
            ("span_id", Column::Span),
            ("parent_id", Column::Above),
            ("parent_span_id", Column::Parent),
            ("caller_span_id", Column::Caller),
            ("ts_enqueue", Column::At),
            ("module_id", Column::Module),
            ("instance_id", Column::Instance),
            ("method", Column::Method),
            ("path", Column::Path),
            ("query", Column::Query),
            ("route", Column::Route),
            ("protocol", Column::Protocol),
            ("bytes_in", Column::BodyBytes),
            ("bytes_out", Column::AnswerBytes),
            ("status", Column::Status),
            ("session_id", Column::Session),
            ("kind", Column::Kind),
            ("flags", Column::Flags),
        ],
    ),
};
static CALLS: Columns = Columns {
    names: &names_of::<{ Call::FIELDS.len() }>(Call::FIELDS),
    columns: &columns_of::<{ Call::FIELDS.len() }>(
        Call::FIELDS,
        &[
            ("trace_id", Column::Trace),
            ("span_id", Column::Span),
            ("ancestor_id", Column::Above),
            ("parent_span_id", Column::Parent),
            ("ts_start", Column::At),
            ("module_id", Column::Client),
            ("peer_module", Column::Module),
            ("peer", Column::Peer),
            ("method", Column::Method),
            ("path", Column::Path),
            ("protocol", Column::Protocol),
            ("bytes_out", Column::BodyBytes),
            ("bytes_in", Column::AnswerBytes),
            ("status", Column::Status),
            ("resend_count", Column::Resends),
            ("session_id", Column::Session),
            ("kind", Column::Kind),
            ("flags", Column::Flags),
        ],
    ),
};

/// The values of a line, still as JSON text.
#[derive(Default)]
struct Values<'a> {
    trace: &'a [u8],
    span: &'a [u8],
    caller: &'a [u8],
    parent: &'a [u8],
    at: &'a [u8],
    module: &'a [u8],
    client: &'a [u8],
    instance: &'a [u8],
    method: &'a [u8],
    path: &'a [u8],
    query: &'a [u8],
    route: &'a [u8],
    protocol: &'a [u8],
    peer: &'a [u8],
    body_bytes: &'a [u8],
    answer_bytes: &'a [u8],
    status: &'a [u8],
    resends: &'a [u8],
    has_session: bool,
    kind: &'a [u8],
    flags: &'a [u8],
}

/// Reads a line of `file`, which is `invocations.jsonl` or `calls.jsonl`. `servers` are the modules that process requests.
/// Returns `None` for a row that has a parent invocation; the rest of such a line is not parsed.
///
/// # Errors
/// If the line is not an object, lacks a required field, or has a value of another type.
pub fn read(
    line: &[u8],
    file: File,
    servers: &BTreeSet<String>,
    tables: &mut Tables,
) -> Result<Option<Row>, RowError> {
    let is_call = file == File::Calls;
    let columns = if is_call { &CALLS } else { &INVOCATIONS };
    let mut values = Values::default();
    let (mut scan, mut order) = (Fields::new(line)?, Order::new(file.fields()));
    while let Some((index, field)) = scan.next_known(&mut order, columns.names)? {
        let value = field.value;
        match columns.columns.get(index).copied().unwrap_or(Column::Other) {
            Column::Above if value != b"null" => {
                return match line.ends_with(b"}") {
                    true => Ok(None),
                    false => Err(NotAnObject.into()),
                };
            }
            Column::Other | Column::Above => {}
            Column::Trace => values.trace = value,
            Column::Span => values.span = value,
            Column::Parent => values.parent = value,
            Column::Caller => values.caller = value,
            Column::At => values.at = value,
            Column::Module => values.module = value,
            Column::Client => values.client = value,
            Column::Instance => values.instance = value,
            Column::Method => values.method = value,
            Column::Path => values.path = value,
            Column::Query => values.query = value,
            Column::Route => values.route = value,
            Column::Protocol => values.protocol = value,
            Column::Peer => values.peer = value,
            Column::BodyBytes => values.body_bytes = value,
            Column::AnswerBytes => values.answer_bytes = value,
            Column::Status => values.status = value,
            Column::Resends => values.resends = value,
            Column::Session => values.has_session = value != b"null",
            Column::Kind => values.kind = value,
            Column::Flags => values.flags = value,
        }
    }
    values.row(is_call, servers, tables).map(Some)
}

impl Values<'_> {
    fn row(&self, is_call: bool, servers: &BTreeSet<String>, tables: &mut Tables) -> Result<Row, RowError> {
        let trace_id = digits(self.trace).and_then(TraceId::parse_bytes);
        let trace_id = trace_id.ok_or(RowError::InvalidField("trace_id"))?;
        let span_id = span(self.span, "span_id")?.ok_or(RowError::InvalidField("span_id"))?;
        let caller = span(self.caller, "caller_span_id")?;
        let parent = span(self.parent, "parent_span_id")?;
        let name = if is_call { "ts_start" } else { "ts_enqueue" };
        let at = Milliseconds::parse_bytes(self.at).ok_or(RowError::InvalidField(name))?;
        let module = string(self.module, "module_id")?;
        if !is_call && module.is_none() {
            return Err(RowError::InvalidField("module_id"));
        }
        let role = self.role(is_call, caller);
        let is_server = !is_call && digits(self.kind) == Some(SpanKind::Server.as_str().as_bytes());
        let mut name = |raw, name| Ok::<_, RowError>(shared(string(raw, name)?, &mut tables.names));
        let [instance, method, protocol, route, peer] = [
            name(self.instance, "instance_id")?,
            name(self.method, "method")?,
            name(self.protocol, "protocol")?,
            name(self.route, "route")?,
            name(self.peer, "peer")?,
        ];
        let mut target = |raw, name| Ok::<_, RowError>(shared(string(raw, name)?, &mut tables.targets));
        let [path, query] = [target(self.path, "path")?, target(self.query, "query")?];
        let root = Root {
            at_ns: at.as_ns(),
            trace_id,
            span_id,
            origin: match role {
                Role::Call | Role::NestedCall => Origin::Call,
                Role::OrphanCall => Origin::OrphanCall,
                Role::Invocation => Origin::Invocation,
                Role::Answer | Role::OrphanInvocation => Origin::OrphanInvocation,
            },
            kind: Kind::Other,
            module: tables.names.share(module.as_deref().unwrap_or_default()).0,
            instance,
            method,
            path,
            protocol,
            query,
            route,
            peer,
            body_bytes: number(self.body_bytes, if is_call { "bytes_out" } else { "bytes_in" })?,
            answer_bytes: number(self.answer_bytes, if is_call { "bytes_in" } else { "bytes_out" })?,
            status: number(self.status, "status")?,
            is_answered: !is_call,
            is_resent: number::<u64>(self.resends, "resend_count")?.is_some_and(|resends| resends > 0),
            has_session: self.has_session,
        };
        let draft = Draft {
            root,
            span_kind: string(self.kind, "kind")?.and_then(|kind| SpanKind::parse(&kind)),
            is_truncated: self.has_flag(Flag::Truncated),
            is_background: role == Role::Call
                && string(self.client, "module_id")?.is_some_and(|client| servers.contains(&*client)),
        };
        Ok(Row {
            role,
            // An invocation that ended after its call does not name the call, but the call is its parent span. An invocation
            // that a message caused does not answer the call.
            call_id: caller.or(parent.filter(|_| is_server)).unwrap_or(span_id),
            draft,
        })
    }

    fn role(&self, is_call: bool, caller: Option<SpanId>) -> Role {
        let is_orphan = self.has_flag(Flag::Orphan);
        match is_call {
            true => Role::of_call(!is_missing(self.parent), is_orphan),
            false => Role::of_invocation(caller.is_some(), is_orphan),
        }
    }

    /// Searches the JSON text. This is safe because flags are plain words that no other value can contain.
    fn has_flag(&self, flag: Flag) -> bool {
        let words = self.flags.split(|byte| *byte == b'"');
        words.into_iter().any(|word| word == flag.as_str().as_bytes())
    }
}

fn digits(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

fn is_missing(value: &[u8]) -> bool {
    value.is_empty() || value == b"null"
}

fn span(value: &[u8], name: &'static str) -> Result<Option<SpanId>, RowError> {
    if is_missing(value) {
        return Ok(None);
    }
    let id = digits(value).and_then(SpanId::parse_bytes);
    id.map(Some).ok_or(RowError::InvalidField(name))
}

fn string<'a>(value: &'a [u8], name: &'static str) -> Result<Option<Cow<'a, str>>, RowError> {
    if is_missing(value) {
        return Ok(None);
    }
    text(value).map(Some).ok_or(RowError::InvalidField(name))
}

fn shared(text: Option<Cow<'_, str>>, names: &mut super::codec::Names) -> Option<Arc<str>> {
    text.map(|text| names.share(&text).0)
}

fn number<T: std::str::FromStr>(value: &[u8], name: &'static str) -> Result<Option<T>, RowError> {
    if is_missing(value) {
        return Ok(None);
    }
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or(RowError::InvalidField(name))
}
