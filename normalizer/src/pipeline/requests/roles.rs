//! [`Role`] of a span, from its own fields only.

use cctf_proto::cctf::SpanId;
use cctf_proto::otlp::trace::{Span, SpanKind};

use crate::join::Role;
use crate::mapping::MappedSpan;

/// The role of a span.
pub fn role_of(span: &Span<'_>, mapped: &MappedSpan<'_>) -> Role {
    match span.kind {
        _ if mapped.is_aside => Role::Poll,
        SpanKind::Consumer if mapped.is_receiving && span.parent_is_remote() == Some(false) => Role::Poll,
        SpanKind::Consumer if mapped.is_receiving => Role::Receipt,
        SpanKind::Server => Role::Server,
        SpanKind::Consumer => Role::Consumer,
        SpanKind::Client => Role::Client,
        SpanKind::Producer => Role::Producer,
        // The specification allows a receiver to treat an unspecified kind as INTERNAL.
        SpanKind::Internal | SpanKind::Unspecified => Role::Internal,
    }
}

/// Whether a span of this role has a row, unless the join decides that it has none.
pub fn has_row(role: Role, span: &Span<'_>) -> bool {
    match role {
        Role::Internal => {
            SpanId::from_bytes(span.parent_span_id).is_none() || span.parent_is_remote() == Some(true)
        }
        Role::Poll | Role::Missing => false,
        Role::Server | Role::Consumer | Role::Receipt | Role::Client | Role::Producer => true,
    }
}

/// Whether the span is inner work: the span has a parent that may be in the same process, and neither sends nor receives a
/// request or message.
pub fn is_inner_work(span: &Span<'_>) -> bool {
    matches!(span.kind, SpanKind::Internal | SpanKind::Unspecified)
        && span.parent_span_id.iter().any(|&byte| byte != 0)
        && span.parent_is_remote() != Some(true)
}

/// Whether the cause of a span is outside of its process, so that it is an invocation whatever its parent is. For a CONSUMER
/// that handles messages, this is so if the span has links, or if its parent is not known to be in the same process.
pub fn is_caused_from_outside(span: &Span<'_>, role: Role) -> bool {
    let is_remote = span.parent_is_remote();
    match role {
        Role::Consumer => is_remote != Some(false) || span.links().next().is_some(),
        _ => is_remote == Some(true),
    }
}
