//! Writes a [`Tree`] as spans: the row of a caller is a CLIENT span, that of a callee a SERVER or CONSUMER span below it, and an
//! invocation without a row an INTERNAL span.

use aggregate::maps::Map;
use cctf_proto::keys::NODE_ID;

use super::calls::{Call, Interval};
use super::ids::Ids;
use super::names::{NONE, NameId, Names};
use super::notes::{Note, Notes};
use super::rows::{At, Kind};
use super::tree::{Caller, Tree};
use crate::hash::{START, extended, mixed};
use crate::wire::{self, Batch, Span};

/// A resource by its names: module and instance.
pub type Source = (NameId, NameId);

/// The side of a call that a span id stands for.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Side {
    Caller = 0,
    Callee = 1,
    /// The unknown caller of an orphan. No span has this id.
    Unknown = 2,
}

/// Writes the spans of traces to a batch.
pub struct Writer<'w> {
    pub names: &'w Names,
    /// Node of each instance.
    pub nodes: &'w Map<NameId, NameId>,
    pub batch: &'w mut Batch<Source>,
    pub notes: &'w mut Notes,
    /// Buffer for the name of a span.
    pub name: &'w mut Vec<u8>,
}

/// A trace that is written.
struct Trace<'t> {
    id: u128,
    /// Start of the recording, nanoseconds since the Unix epoch.
    origin_ns: i64,
    /// The first row.
    at: At,
    ids: &'t Ids<'t>,
    tree: &'t Tree,
}

impl Trace<'_> {
    /// The span id of one side of the call with this number among those with the id.
    fn span_id(&self, id: usize, ordinal: u32, side: Side) -> u64 {
        let mut hash = extended(START, &self.id.to_be_bytes());
        hash = extended(hash, self.ids.text(id));
        hash = extended(hash, &ordinal.to_be_bytes());
        mixed(extended(hash, &[side as u8])).max(1)
    }

    /// The span id of an invocation.
    fn invocation(&self, index: usize) -> u64 {
        match self.tree.calls.get(index) {
            Some(call) => self.span_id(call.id, call.ordinal, Side::Callee),
            None => {
                let rebuilt = &self.tree.rebuilt[index - self.tree.calls.len()];
                self.span_id(rebuilt.id, 0, Side::Callee)
            }
        }
    }

    /// The parent of the first span of a call, or of a rebuilt invocation.
    fn parent(&self, caller: Caller, id: usize, ordinal: u32) -> Option<u64> {
        match caller {
            Caller::Outside => None,
            Caller::Invocation(index) => Some(self.invocation(index)),
            Caller::Unknown => Some(self.span_id(id, ordinal, Side::Unknown)),
        }
    }
}

impl Writer<'_> {
    pub fn write(&mut self, trace_id: u128, origin_ns: i64, at: At, ids: &Ids<'_>, tree: &Tree) {
        let trace = Trace {
            id: trace_id,
            origin_ns,
            at,
            ids,
            tree,
        };
        for index in 0..tree.calls.len() {
            self.write_call(&trace, index);
        }
        for (index, rebuilt) in tree.rebuilt.iter().enumerate() {
            let invocation = tree.calls.len() + index;
            self.notes.add(Note::InvocationInferred, 1, at);
            self.name.clear();
            self.name.extend_from_slice(ids.text(rebuilt.id));
            let source = (rebuilt.module, rebuilt.instance);
            let span = SpanOf {
                id: trace.invocation(invocation),
                parent: trace.parent(rebuilt.caller, rebuilt.id, 0),
                is_remote: true,
                kind: wire::Kind::Internal,
                interval: rebuilt.interval,
            };
            self.write_span(&trace, source, &span, &[]);
        }
        self.notes.add(Note::CallerInferred, tree.inferred.callers, at);
        self.notes.add(Note::EntryInferred, tree.inferred.entries, at);
        self.notes
            .add(Note::CallerUnknown, tree.inferred.unknown_callers, at);
        self.notes.add(Note::ModuleInferred, tree.inferred.modules, at);
    }

    fn write_call(&mut self, trace: &Trace<'_>, index: usize) {
        let call = &trace.tree.calls[index];
        let names = self.names;
        self.set_name(trace, call);
        self.notes
            .add(Note::SideInferred, u64::from(call.is_side_inferred), call.at);
        let mut parent = trace.parent(trace.tree.callers[index], call.id, call.ordinal);
        let interface = names.text(call.labels.interface);
        if let Some(interval) = call.caller {
            let id = trace.span_id(call.id, call.ordinal, Side::Caller);
            let span = SpanOf {
                id,
                parent,
                is_remote: false,
                kind: wire::Kind::Client,
                interval,
            };
            let attributes = attributes(call.kind, interface, names.text(call.labels.dm), true);
            let source = (call.labels.um, call.labels.um_instance);
            self.write_span(trace, source, &span, &attributes);
            parent = Some(id);
        }
        let (kind, interval) = match call.callee {
            Some(interval) if call.kind == Kind::Message => (wire::Kind::Consumer, interval),
            Some(interval) => (wire::Kind::Server, interval),
            None if trace.tree.has_calls[index] => {
                self.notes.add(Note::InvocationInferred, 1, call.at);
                (wire::Kind::Internal, call.interval())
            }
            None => return,
        };
        let span = SpanOf {
            id: trace.invocation(index),
            parent,
            is_remote: true,
            kind,
            interval,
        };
        let attributes = attributes(call.kind, interface, names.text(call.labels.dm), false);
        let source = (call.labels.dm, call.labels.dm_instance);
        self.write_span(trace, source, &span, &attributes);
    }

    /// The name of a span: type of the call, rpc id and service.
    fn set_name(&mut self, trace: &Trace<'_>, call: &Call) {
        let parts = [
            self.names.text(call.labels.rpc_type),
            trace.ids.text(call.id),
            self.names.text(call.labels.service),
        ];
        self.name.clear();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            if !self.name.is_empty() {
                self.name.push(b' ');
            }
            self.name.extend_from_slice(part);
        }
    }

    fn write_span(
        &mut self,
        trace: &Trace<'_>,
        (module, instance): Source,
        span: &SpanOf,
        attributes: &[(&'static str, &[u8])],
    ) {
        self.notes.add(Note::TimeOrigin, 1, trace.at);
        self.notes
            .add(Note::ModuleUnknown, u64::from(module == NONE), trace.at);
        let names = self.names;
        let node = self.nodes.get(&instance).copied().unwrap_or(NONE);
        let resource = self.batch.resource((module, instance), || {
            [
                ("service.name", names.text(module)),
                ("service.instance.id", names.text(instance)),
                (NODE_ID, names.text(node)),
            ]
        });
        let unix_ns = |time: i64| trace.origin_ns.saturating_add(time).cast_unsigned();
        self.batch.push_span(
            resource,
            &Span {
                trace_id: trace.id,
                id: span.id,
                parent: span.parent,
                is_remote: span.is_remote && span.parent.is_some(),
                kind: span.kind,
                name: self.name,
                begin_ns: unix_ns(span.interval.begin_ns),
                end_ns: unix_ns(span.interval.end_ns),
                attributes,
            },
        );
    }
}

/// The fields in which the two spans of a call differ.
struct SpanOf {
    id: u64,
    parent: Option<u64>,
    is_remote: bool,
    kind: wire::Kind,
    interval: Interval,
}

/// The attributes of a call's span, in the names of the semantic conventions. The callee is the peer of a caller.
fn attributes<'n>(
    kind: Kind,
    interface: &'n [u8],
    callee: &'n [u8],
    is_caller: bool,
) -> [(&'static str, &'n [u8]); 3] {
    let peer = ("server.address", if is_caller { callee } else { b"" });
    match kind {
        Kind::Rpc => [("rpc.system.name", b"rpc"), ("rpc.method", interface), peer],
        Kind::Http => [("http.route", or_unknown(interface)), ("", b""), peer],
        Kind::Database => [("db.system.name", b"db"), ("db.operation.name", interface), peer],
        Kind::Cache => [("db.system.name", b"mc"), ("db.operation.name", interface), peer],
        Kind::Message => [
            ("messaging.system", b"mq"),
            ("messaging.operation.type", b"process"),
            peer,
        ],
        Kind::Other => [("", b""), ("", b""), peer],
    }
}

/// The mapping recognises HTTP by this attribute.
fn or_unknown(interface: &[u8]) -> &[u8] {
    match interface {
        b"" => b"unknown",
        known => known,
    }
}
