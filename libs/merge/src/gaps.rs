//! [`Gaps`]: where a row's derived fields stand in its line or belong, so that all the rest of it is copied as it is.

use cctf_proto::cctf::{Call, Field, Invocation, Milliseconds, Row, SpanId, Text, field_index, push_field};

use rundir::fields::{Fields, NotAnObject, Order};

const PARENT_ID: usize = field_index(Invocation::FIELDS, "parent_id");
const CALLER_SPAN_ID: usize = field_index(Invocation::FIELDS, "caller_span_id");
const NET_MS: usize = field_index(Invocation::FIELDS, "net_ms");
const INVOCATION_FLAGS: usize = field_index(Invocation::FIELDS, "flags");
const ANCESTOR_ID: usize = field_index(Call::FIELDS, "ancestor_id");
const PEER_MODULE: usize = field_index(Call::FIELDS, "peer_module");
const CALL_FLAGS: usize = field_index(Call::FIELDS, "flags");
const _: () = assert!(NET_MS == CALLER_SPAN_ID + 1);

/// First and last index of the derived fields of each gap.
type Places = [(usize, usize); 3];
const OF_INVOCATION: Places = [
    (PARENT_ID, PARENT_ID),
    (CALLER_SPAN_ID, NET_MS),
    (INVOCATION_FLAGS, INVOCATION_FLAGS),
];
const OF_CALL: Places = [
    (ANCESTOR_ID, ANCESTOR_ID),
    (PEER_MODULE, PEER_MODULE),
    (CALL_FLAGS, CALL_FLAGS),
];

/// Begin and end of each stretch of derived fields, with the commas before them. They are short: a longer line's are looked
/// for again when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gaps(pub [(u16, u16); 3]);

/// What follows from other rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Derived<'a> {
    /// parent_id or ancestor_id.
    pub above: Option<SpanId>,
    /// The call that reached it.
    pub caller: Option<SpanId>,
    /// That call's duration less this row's, nanoseconds.
    pub net_ns: Option<i64>,
    /// The module that answered, as it is.
    pub peer_module: Option<&'a str>,
    /// All flags.
    pub flags: cctf_proto::cctf::Flags,
}

/// The contract's fields of the file.
pub fn fields_of(is_call: bool) -> &'static [Field] {
    if is_call { Call::FIELDS } else { Invocation::FIELDS }
}

/// Finds the gaps while the fields of a line go by, in the contract's order.
pub struct GapFinder {
    places: &'static Places,
    gaps: [(usize, usize); 3],
    at: usize,
    is_open: bool,
    end: usize,
}

impl GapFinder {
    /// For a line of that file.
    pub fn new(is_call: bool) -> Self {
        Self {
            places: if is_call { &OF_CALL } else { &OF_INVOCATION },
            gaps: [(0, 0); 3],
            at: 0,
            is_open: false,
            end: 0,
        }
    }

    /// The field of that index ends there.
    #[inline]
    pub fn field(&mut self, index: usize, end: usize) {
        while let Some(&(first, last)) = self.places.get(self.at) {
            if index < first {
                break;
            }
            if !self.is_open {
                self.gaps[self.at] = (self.end, self.end);
            }
            if index <= last {
                (self.gaps[self.at].1, self.is_open) = (end, true);
                break;
            }
            self.is_open = false;
            self.at += 1;
        }
        self.end = end;
    }

    /// The gaps of a line that is at its end.
    pub fn finish(mut self) -> [(usize, usize); 3] {
        self.field(usize::MAX, self.end);
        self.gaps
    }
}

impl Gaps {
    /// The gaps, if they are where they can be kept.
    pub fn of(found: [(usize, usize); 3]) -> Option<Self> {
        let mut gaps = [(0, 0); 3];
        for (gap, (begin, end)) in gaps.iter_mut().zip(found) {
            *gap = (u16::try_from(begin).ok()?, u16::try_from(end).ok()?);
        }
        Some(Self(gaps))
    }

    /// The same as places in a line.
    pub fn places(self) -> [(usize, usize); 3] {
        self.0.map(|(begin, end)| (begin.into(), end.into()))
    }
}

/// The gaps of a line whose fields are in order.
pub fn find_gaps(line: &[u8], is_call: bool) -> Result<[(usize, usize); 3], NotAnObject> {
    let mut finder = GapFinder::new(is_call);
    let (mut scan, mut order) = (Fields::new(line)?, Order::new(fields_of(is_call)));
    while let Some(field) = scan.next_field()? {
        finder.field(order.index(field.name), field.end);
    }
    Ok(finder.finish())
}

/// The parts of a line that do not depend on other rows; `None` if it is not the line whose gaps these are.
#[inline]
pub fn base(line: &[u8], gaps: [(usize, usize); 3]) -> Option<[&[u8]; 4]> {
    let [first, second, third] = gaps;
    Some([
        line.get(..first.0)?,
        line.get(first.1..second.0)?,
        line.get(second.1..third.0)?,
        line.get(third.1..)?,
    ])
}

/// Appends a line of these parts with these derived fields.
pub fn write(base: [&[u8]; 4], is_call: bool, derived: &Derived<'_>, out: &mut Vec<u8>) {
    let [first, second, third, rest] = base;
    out.extend_from_slice(first);
    let flags = derived.flags.non_empty();
    if is_call {
        push_field(&Call::FIELDS[ANCESTOR_ID], derived.above.as_ref(), out);
        out.extend_from_slice(second);
        let peer_module = derived.peer_module.map(Text::from);
        push_field(&Call::FIELDS[PEER_MODULE], peer_module.as_ref(), out);
        out.extend_from_slice(third);
        push_field(&Call::FIELDS[CALL_FLAGS], flags.as_ref(), out);
    } else {
        push_field(&Invocation::FIELDS[PARENT_ID], derived.above.as_ref(), out);
        out.extend_from_slice(second);
        let net = derived.net_ns.map(Milliseconds::from_ns);
        push_field(&Invocation::FIELDS[CALLER_SPAN_ID], derived.caller.as_ref(), out);
        push_field(&Invocation::FIELDS[NET_MS], net.as_ref(), out);
        out.extend_from_slice(third);
        push_field(&Invocation::FIELDS[INVOCATION_FLAGS], flags.as_ref(), out);
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_derived_is_copied_whether_the_derived_fields_were_there_or_not() {
        let derived = Derived {
            above: SpanId::parse("00000000000000aa"),
            caller: SpanId::parse("00000000000000bb"),
            net_ns: Some(1_500_000),
            ..Derived::default()
        };
        for (line, wanted) in [
            (
                r#"{"trace_id":"t","parent_id":null,"node":"n","kind":"server","caller_span_id":"x","net_ms":7.0,"links":[],"flags":["orphan"],"mine":1}"#,
                r#"{"trace_id":"t","parent_id":"00000000000000aa","node":"n","kind":"server","caller_span_id":"00000000000000bb","net_ms":1.500000,"links":[],"mine":1}"#,
            ),
            (
                r#"{"trace_id":"t","node":"n","kind":"server"}"#,
                r#"{"trace_id":"t","parent_id":"00000000000000aa","node":"n","kind":"server","caller_span_id":"00000000000000bb","net_ms":1.500000}"#,
            ),
        ] {
            let found = find_gaps(line.as_bytes(), false).unwrap();
            let mut out = Vec::new();
            write(base(line.as_bytes(), found).unwrap(), false, &derived, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
            assert_eq!(Gaps::of(found).unwrap().places(), found);
        }
        assert_eq!(Gaps::of([(0, 0), (1, 65_536), (65_536, 65_536)]), None);
    }
}
