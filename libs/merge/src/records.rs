//! Rows as short records: what is needed to resolve a row, a fifth of its line, from one pass over the folders to the next.

use cctf_proto::cctf::{Flags, SpanId, SpanKind, TraceId};

use super::gaps::{Derived, Gaps};
use super::rows::{Origin, Span, SpanRow};

/// What of a record is there, a bit each; the fields follow in this order.
const PARENT: u16 = 1;
const ABOVE: u16 = 1 << 1;
const CALLER: u16 = 1 << 2;
const NET: u16 = 1 << 3;
const BYTES_IN: u16 = 1 << 4;
const BYTES_OUT: u16 = 1 << 5;
const CPU: u16 = 1 << 6;
const SERVICE: u16 = 1 << 7;
const GAPS: u16 = 1 << 8;
const METHOD: u16 = 1 << 9;
const PATH: u16 = 1 << 10;
const PEER: u16 = 1 << 11;
const PEER_MODULE: u16 = 1 << 12;
const IS_CALL: u16 = 1 << 13;
const STARTS_AFTER_BODY: u16 = 1 << 14;

/// The rest of a record, from the front.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    #[inline]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    fn take_if<const N: usize, T>(&mut self, is_there: bool, of: impl Fn([u8; N]) -> T) -> Option<Option<T>> {
        if !is_there {
            return Some(None);
        }
        self.take().map(|bytes| Some(of(bytes)))
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn origin(&mut self) -> Option<Origin> {
        Some(Origin {
            input: self.number()?,
            at: u64::from_le_bytes(self.take()?),
            length: self.number()?,
        })
    }

    fn gaps(&mut self, is_there: bool) -> Option<Option<Gaps>> {
        self.take_if(is_there, |bytes: [u8; 12]| {
            let number = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            Gaps([0, 4, 8].map(|at| (number(at), number(at + 2))))
        })
    }
}

fn push_origin(origin: &Origin, out: &mut Vec<u8>) {
    out.extend_from_slice(&origin.input.to_le_bytes());
    out.extend_from_slice(&origin.at.to_le_bytes());
    out.extend_from_slice(&origin.length.to_le_bytes());
}

fn push_gaps(gaps: Option<Gaps>, out: &mut Vec<u8>) {
    for (begin, end) in gaps.into_iter().flat_map(|gaps| gaps.0) {
        out.extend_from_slice(&begin.to_le_bytes());
        out.extend_from_slice(&end.to_le_bytes());
    }
}

/// The bit, if there is something.
fn bit<T>(bit: u16, of: &Option<T>) -> u16 {
    if of.is_some() { bit } else { 0 }
}

/// Appends a row that was read from `line`.
pub fn push_row(row: &SpanRow, line: &[u8], out: &mut Vec<u8>) {
    let there = bit(PARENT, &row.parent_span_id)
        | bit(ABOVE, &row.above)
        | bit(CALLER, &row.caller_span_id)
        | bit(NET, &row.net_ns)
        | bit(BYTES_IN, &row.bytes_in)
        | bit(BYTES_OUT, &row.bytes_out)
        | bit(CPU, &row.cpu_ns)
        | bit(SERVICE, &row.service_ns)
        | bit(GAPS, &row.gaps)
        | bit(METHOD, &row.method)
        | bit(PATH, &row.path)
        | bit(PEER, &row.peer)
        | bit(PEER_MODULE, &row.peer_module)
        | if row.is_call { IS_CALL } else { 0 }
        | if row.starts_after_body {
            STARTS_AFTER_BODY
        } else {
            0
        };
    out.extend_from_slice(&row.trace_id.0);
    out.extend_from_slice(&row.span_id.0);
    out.extend_from_slice(&there.to_le_bytes());
    out.extend_from_slice(&[row.kind as u8, row.flags.bits()]);
    out.extend_from_slice(&row.start.to_le_bytes());
    out.extend_from_slice(&row.end.to_le_bytes());
    out.extend_from_slice(&row.node.to_le_bytes());
    out.extend_from_slice(&row.instance.to_le_bytes());
    out.extend_from_slice(&row.base_hash.to_le_bytes());
    push_origin(&row.origin, out);
    for id in [row.parent_span_id, row.above, row.caller_span_id]
        .iter()
        .flatten()
    {
        out.extend_from_slice(&id.0);
    }
    let net = row.net_ns.map(|ns| ns as u64);
    let service = row.service_ns.map(|ns| ns as u64);
    for number in [net, row.bytes_in, row.bytes_out, row.cpu_ns, service]
        .iter()
        .flatten()
    {
        out.extend_from_slice(&number.to_le_bytes());
    }
    push_gaps(row.gaps, out);
    for &(begin, end) in [row.method, row.path, row.peer, row.peer_module].iter().flatten() {
        out.extend_from_slice(&(end - begin).to_le_bytes());
        out.extend_from_slice(&line[begin as usize..end as usize]);
    }
}

/// The trace of a record.
pub fn trace_of(record: &[u8]) -> Option<TraceId> {
    record.first_chunk().map(|bytes| TraceId(*bytes))
}

/// The row at a stretch of `partition`, in which its texts are then; `None` if it was not made by [`push_row`].
pub fn row_at(partition: &[u8], (begin, end): (usize, usize)) -> Option<SpanRow> {
    let mut rest = Rest(partition.get(begin..end)?);
    let (trace_id, span_id) = (TraceId(rest.take()?), SpanId(rest.take()?));
    let there = u16::from_le_bytes(rest.take()?);
    let has = |bit: u16| there & bit != 0;
    let [kind, flags] = rest.take()?;
    let mut row = SpanRow {
        is_call: has(IS_CALL),
        kind: *SpanKind::ALL.get(usize::from(kind))?,
        trace_id,
        span_id,
        parent_span_id: None,
        above: None,
        caller_span_id: None,
        net_ns: None,
        flags: Flags::from_bits(flags),
        start: i64::from_le_bytes(rest.take()?),
        end: i64::from_le_bytes(rest.take()?),
        node: rest.number()?,
        instance: rest.number()?,
        bytes_in: None,
        bytes_out: None,
        cpu_ns: None,
        service_ns: None,
        starts_after_body: has(STARTS_AFTER_BODY),
        method: None,
        path: None,
        peer: None,
        peer_module: None,
        base_hash: u64::from_le_bytes(rest.take()?),
        origin: rest.origin()?,
        gaps: None,
    };
    row.parent_span_id = rest.take_if(has(PARENT), SpanId)?;
    row.above = rest.take_if(has(ABOVE), SpanId)?;
    row.caller_span_id = rest.take_if(has(CALLER), SpanId)?;
    row.net_ns = rest.take_if(has(NET), i64::from_le_bytes)?;
    row.bytes_in = rest.take_if(has(BYTES_IN), u64::from_le_bytes)?;
    row.bytes_out = rest.take_if(has(BYTES_OUT), u64::from_le_bytes)?;
    row.cpu_ns = rest.take_if(has(CPU), u64::from_le_bytes)?;
    row.service_ns = rest.take_if(has(SERVICE), i64::from_le_bytes)?;
    row.gaps = rest.gaps(has(GAPS))?;
    let mut text = |is_there: bool| -> Option<Option<Span>> {
        if !is_there {
            return Some(None);
        }
        let length = rest.number()?;
        let from = end - rest.0.len();
        rest.0 = rest.0.get(length as usize..)?;
        Some(Some((from as u32, from as u32 + length)))
    };
    row.method = text(has(METHOD))?;
    row.path = text(has(PATH))?;
    row.peer = text(has(PEER))?;
    row.peer_module = text(has(PEER_MODULE))?;
    Some(row)
}

/// A row that is resolved: where its line is and what belongs into its gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Where the line is.
    pub origin: Origin,
    /// Where derived fields belong, if that is known.
    pub gaps: Option<Gaps>,
    /// parent_id or ancestor_id.
    pub above: Option<SpanId>,
    /// The call that reached it.
    pub caller: Option<SpanId>,
    /// Its duration less this one's.
    pub net_ns: Option<i64>,
    /// The module that answered, by number.
    pub peer_module: Option<u32>,
    /// All flags.
    pub flags: Flags,
}

impl Settled {
    /// Appends it.
    pub fn push(&self, out: &mut Vec<u8>) {
        let there = bit(ABOVE, &self.above)
            | bit(CALLER, &self.caller)
            | bit(NET, &self.net_ns)
            | bit(GAPS, &self.gaps)
            | bit(PEER_MODULE, &self.peer_module);
        push_origin(&self.origin, out);
        out.extend_from_slice(&there.to_le_bytes());
        out.push(self.flags.bits());
        for id in [self.above, self.caller].iter().flatten() {
            out.extend_from_slice(&id.0);
        }
        if let Some(ns) = self.net_ns {
            out.extend_from_slice(&ns.to_le_bytes());
        }
        push_gaps(self.gaps, out);
        if let Some(module) = self.peer_module {
            out.extend_from_slice(&module.to_le_bytes());
        }
    }

    /// Reads it; `None` if it was not made by [`Self::push`].
    pub fn read(record: &[u8]) -> Option<Self> {
        let mut rest = Rest(record);
        let origin = rest.origin()?;
        let there = u16::from_le_bytes(rest.take()?);
        let has = |bit: u16| there & bit != 0;
        let [flags] = rest.take()?;
        Some(Self {
            origin,
            flags: Flags::from_bits(flags),
            above: rest.take_if(has(ABOVE), SpanId)?,
            caller: rest.take_if(has(CALLER), SpanId)?,
            net_ns: rest.take_if(has(NET), i64::from_le_bytes)?,
            gaps: rest.gaps(has(GAPS))?,
            peer_module: rest.take_if(has(PEER_MODULE), u32::from_le_bytes)?,
        })
    }

    /// What belongs into the gaps.
    pub fn derived<'m>(&self, module_name: impl Fn(u32) -> &'m str) -> Derived<'m> {
        Derived {
            above: self.above,
            caller: self.caller,
            net_ns: self.net_ns,
            peer_module: self.peer_module.map(module_name),
            flags: self.flags,
        }
    }
}
