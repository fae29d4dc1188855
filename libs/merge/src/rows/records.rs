//! Rows as bytes. Between the two passes over the folders, a row is kept as a short record, which needs a quarter of the line's
//! size.

use cctf_proto::cctf::{Flags, SpanId, SpanKind, TraceId};

use crate::ids::{InstanceId, ModuleId, NodeId};
use crate::inputs::LineLocation;
use crate::rows::derived_fields::{DerivedFieldOffsets, DerivedFields};
use crate::rows::row::{ByteRange, SpanRow};
use crate::rows::span_file::SpanFile;

/// Each optional field of a record has a bit, which states whether the field is present. The fields follow in this order.
const PARENT: u16 = 1;
const ANCESTOR: u16 = 1 << 1;
const CALLER: u16 = 1 << 2;
const NET: u16 = 1 << 3;
const BYTES_IN: u16 = 1 << 4;
const BYTES_OUT: u16 = 1 << 5;
const CPU: u16 = 1 << 6;
const SERVICE: u16 = 1 << 7;
const DERIVED_FIELDS: u16 = 1 << 8;
const METHOD: u16 = 1 << 9;
const PATH: u16 = 1 << 10;
const PEER: u16 = 1 << 11;
const PEER_MODULE: u16 = 1 << 12;
/// Bits that are themselves values.
const IS_CALL: u16 = 1 << 13;
/// In a resolved row, which has no bit [`IS_CALL`]: the row has no line. The record from which its source makes one follows.
const IS_MADE: u16 = 1 << 13;
const STARTS_AFTER_BODY: u16 = 1 << 14;

/// The part of a record that was not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    #[inline]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    fn take_if<const N: usize, T>(
        &mut self,
        is_present: bool,
        decode: impl Fn([u8; N]) -> T,
    ) -> Option<Option<T>> {
        if !is_present {
            return Some(None);
        }
        self.take().map(|bytes| Some(decode(bytes)))
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn location(&mut self) -> Option<LineLocation> {
        Some(LineLocation {
            folder: self.number()?,
            offset: u64::from_le_bytes(self.take()?),
            length: self.number()?,
        })
    }

    fn derived_fields(&mut self, is_present: bool) -> Option<Option<DerivedFieldOffsets>> {
        self.take_if(is_present, |bytes: [u8; 12]| {
            let number = |offset: usize| u16::from_le_bytes([bytes[offset], bytes[offset + 1]]);
            DerivedFieldOffsets([0, 4, 8].map(|offset| (number(offset), number(offset + 2))))
        })
    }
}

fn push_location(location: &LineLocation, out: &mut Vec<u8>) {
    out.extend_from_slice(&location.folder.to_le_bytes());
    out.extend_from_slice(&location.offset.to_le_bytes());
    out.extend_from_slice(&location.length.to_le_bytes());
}

fn push_derived_fields(offsets: Option<DerivedFieldOffsets>, out: &mut Vec<u8>) {
    for (begin, end) in offsets.into_iter().flat_map(|offsets| offsets.0) {
        out.extend_from_slice(&begin.to_le_bytes());
        out.extend_from_slice(&end.to_le_bytes());
    }
}

/// The bit if the field is present, otherwise 0.
fn bit<T>(bit: u16, field: &Option<T>) -> u16 {
    bit_if(bit, field.is_some())
}

fn bit_if(bit: u16, is_set: bool) -> u16 {
    if is_set { bit } else { 0 }
}

/// Appends the record of a row that was read from `line`.
pub fn push_row(row: &SpanRow, line: &[u8], out: &mut Vec<u8>) {
    let bits = bit(PARENT, &row.parent_span_id)
        | bit(ANCESTOR, &row.ancestor)
        | bit(CALLER, &row.caller_span_id)
        | bit(NET, &row.net_ns)
        | bit(BYTES_IN, &row.bytes_in)
        | bit(BYTES_OUT, &row.bytes_out)
        | bit(CPU, &row.cpu_ns)
        | bit(SERVICE, &row.service_ns)
        | bit(DERIVED_FIELDS, &row.derived_fields)
        | bit(METHOD, &row.method)
        | bit(PATH, &row.path)
        | bit(PEER, &row.peer)
        | bit(PEER_MODULE, &row.peer_module)
        | bit_if(IS_CALL, row.is_call())
        | bit_if(STARTS_AFTER_BODY, row.starts_after_body);
    out.extend_from_slice(&row.trace_id.0);
    out.extend_from_slice(&row.span_id.0);
    out.extend_from_slice(&bits.to_le_bytes());
    out.extend_from_slice(&[row.kind as u8, row.flags.bits()]);
    out.extend_from_slice(&row.start.to_le_bytes());
    out.extend_from_slice(&row.end.to_le_bytes());
    out.extend_from_slice(&row.node.0.to_le_bytes());
    out.extend_from_slice(&row.instance.0.to_le_bytes());
    out.extend_from_slice(&row.own_hash.to_le_bytes());
    push_location(&row.location, out);
    let ids = [row.parent_span_id, row.ancestor, row.caller_span_id];
    for id in ids.iter().flatten() {
        out.extend_from_slice(&id.0);
    }
    let net = row.net_ns.map(|ns| ns as u64);
    let service = row.service_ns.map(|ns| ns as u64);
    let numbers = [net, row.bytes_in, row.bytes_out, row.cpu_ns, service];
    for number in numbers.iter().flatten() {
        out.extend_from_slice(&number.to_le_bytes());
    }
    push_derived_fields(row.derived_fields, out);
    let texts = [row.method, row.path, row.peer, row.peer_module];
    for text in texts.iter().flatten() {
        out.extend_from_slice(&(text.end - text.begin).to_le_bytes());
        out.extend_from_slice(text.slice(line));
    }
}

/// The trace of a record.
pub fn trace_of(record: &[u8]) -> Option<TraceId> {
    record.first_chunk().map(|bytes| TraceId(*bytes))
}

/// The row whose record is at `begin..end` of `partition`. The ranges of its texts are ranges of `partition`. `None` if the
/// record is damaged.
pub fn row_at(partition: &[u8], begin: usize, end: usize) -> Option<SpanRow> {
    let mut rest = Rest(partition.get(begin..end)?);
    let (trace_id, span_id) = (TraceId(rest.take()?), SpanId(rest.take()?));
    let bits = u16::from_le_bytes(rest.take()?);
    let has = |bit: u16| bits & bit != 0;
    let [kind, flags] = rest.take()?;
    let (start, end_ns) = (i64::from_le_bytes(rest.take()?), i64::from_le_bytes(rest.take()?));
    let (node, instance) = (NodeId(rest.number()?), InstanceId(rest.number()?));
    let own_hash = u64::from_le_bytes(rest.take()?);
    let file = match has(IS_CALL) {
        true => SpanFile::Calls,
        false => SpanFile::Invocations,
    };
    let mut row = SpanRow {
        kind: *SpanKind::ALL.get(usize::from(kind))?,
        trace_id,
        span_id,
        flags: Flags::from_bits(flags),
        start,
        end: end_ns,
        node,
        instance,
        starts_after_body: has(STARTS_AFTER_BODY),
        own_hash,
        ..SpanRow::new(file, rest.location()?)
    };
    row.parent_span_id = rest.take_if(has(PARENT), SpanId)?;
    row.ancestor = rest.take_if(has(ANCESTOR), SpanId)?;
    row.caller_span_id = rest.take_if(has(CALLER), SpanId)?;
    row.net_ns = rest.take_if(has(NET), i64::from_le_bytes)?;
    row.bytes_in = rest.take_if(has(BYTES_IN), u64::from_le_bytes)?;
    row.bytes_out = rest.take_if(has(BYTES_OUT), u64::from_le_bytes)?;
    row.cpu_ns = rest.take_if(has(CPU), u64::from_le_bytes)?;
    row.service_ns = rest.take_if(has(SERVICE), i64::from_le_bytes)?;
    row.derived_fields = rest.derived_fields(has(DERIVED_FIELDS))?;
    let mut text = |is_present: bool| -> Option<Option<ByteRange>> {
        if !is_present {
            return Some(None);
        }
        let length = rest.number()?;
        let begin = (end - rest.0.len()) as u32;
        rest.0 = rest.0.get(length as usize..)?;
        Some(Some(ByteRange {
            begin,
            end: begin + length,
        }))
    };
    row.method = text(has(METHOD))?;
    row.path = text(has(PATH))?;
    row.peer = text(has(PEER))?;
    row.peer_module = text(has(PEER_MODULE))?;
    Some(row)
}

/// A resolved row: the location of its line, and the values of its derived fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResolvedRow {
    /// In no folder if the row has no line yet. The record from which its source makes the line is then behind this one.
    pub location: LineLocation,
    /// Positions of the line's derived fields, if they are known.
    pub derived_fields: Option<DerivedFieldOffsets>,
    /// The same values as in [`DerivedFields`].
    pub ancestor: Option<SpanId>,
    pub caller: Option<SpanId>,
    pub net_ns: Option<i64>,
    pub peer_module: Option<ModuleId>,
    pub flags: Flags,
}

impl ResolvedRow {
    /// Appends its record.
    pub fn push(&self, out: &mut Vec<u8>) {
        let bits = bit(ANCESTOR, &self.ancestor)
            | bit(CALLER, &self.caller)
            | bit(NET, &self.net_ns)
            | bit(DERIVED_FIELDS, &self.derived_fields)
            | bit(PEER_MODULE, &self.peer_module)
            | bit_if(IS_MADE, !self.location.is_in_folder());
        out.extend_from_slice(&bits.to_le_bytes());
        out.push(self.flags.bits());
        if self.location.is_in_folder() {
            push_location(&self.location, out);
        }
        for id in [self.ancestor, self.caller].iter().flatten() {
            out.extend_from_slice(&id.0);
        }
        if let Some(ns) = self.net_ns {
            out.extend_from_slice(&ns.to_le_bytes());
        }
        push_derived_fields(self.derived_fields, out);
        if let Some(module) = self.peer_module {
            out.extend_from_slice(&(module.index() as u32).to_le_bytes());
        }
    }

    /// Reads a record, and returns what is behind it. `None` if it is damaged.
    pub fn read(record: &[u8]) -> Option<(Self, &[u8])> {
        let mut rest = Rest(record);
        let bits = u16::from_le_bytes(rest.take()?);
        let has = |bit: u16| bits & bit != 0;
        let [flags] = rest.take()?;
        let location = match has(IS_MADE) {
            true => LineLocation::in_no_folder(0, 0),
            false => rest.location()?,
        };
        let row = Self {
            location,
            flags: Flags::from_bits(flags),
            ancestor: rest.take_if(has(ANCESTOR), SpanId)?,
            caller: rest.take_if(has(CALLER), SpanId)?,
            net_ns: rest.take_if(has(NET), i64::from_le_bytes)?,
            derived_fields: rest.derived_fields(has(DERIVED_FIELDS))?,
            peer_module: rest.take_if(has(PEER_MODULE), |bytes| {
                ModuleId::new(u32::from_le_bytes(bytes) as usize)
            })?,
        };
        Some((row, rest.0))
    }

    pub fn fields<'m>(&self, module_name: impl Fn(ModuleId) -> &'m str) -> DerivedFields<'m> {
        DerivedFields {
            ancestor: self.ancestor,
            caller: self.caller,
            net_ns: self.net_ns,
            peer_module: self.peer_module.map(module_name),
            flags: self.flags,
        }
    }
}
