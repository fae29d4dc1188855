//! [`DerivedFieldOffsets`]: the positions of a line's derived fields. Derived fields depend on other rows. The rest of the line
//! is copied unchanged.

use cctf_proto::cctf::{Call, Flags, Invocation, Milliseconds, Row, SpanId, Text, field_index, push_field};
use rundir::fields::{Fields, NotAnObject, Order};

use crate::rows::span_file::SpanFile;

const PARENT_ID: usize = field_index(Invocation::FIELDS, "parent_id");
const CALLER_SPAN_ID: usize = field_index(Invocation::FIELDS, "caller_span_id");
const NET_MS: usize = field_index(Invocation::FIELDS, "net_ms");
const INVOCATION_FLAGS: usize = field_index(Invocation::FIELDS, "flags");
const ANCESTOR_ID: usize = field_index(Call::FIELDS, "ancestor_id");
const PEER_MODULE: usize = field_index(Call::FIELDS, "peer_module");
const CALL_FLAGS: usize = field_index(Call::FIELDS, "flags");
const _: () = assert!(NET_MS == CALLER_SPAN_ID + 1);

/// First and last index of adjacent derived fields. Each file has three such groups.
type Groups = [(usize, usize); 3];
const INVOCATION_GROUPS: Groups = [
    (PARENT_ID, PARENT_ID),
    (CALLER_SPAN_ID, NET_MS),
    (INVOCATION_FLAGS, INVOCATION_FLAGS),
];
const CALL_GROUPS: Groups = [
    (ANCESTOR_ID, ANCESTOR_ID),
    (PEER_MODULE, PEER_MODULE),
    (CALL_FLAGS, CALL_FLAGS),
];

/// Begin and end of each group in a line, including the comma before it. For an absent group, an empty range at the position
/// where the group belongs.
pub type Ranges = [(usize, usize); 3];

/// [`Ranges`] in few bytes. Offsets above 64 KiB do not fit; the ranges of such a line are searched a second time when it is
/// written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DerivedFieldOffsets(pub [(u16, u16); 3]);

impl DerivedFieldOffsets {
    /// `None` if an offset does not fit into 16 bits.
    pub fn from_ranges(ranges: Ranges) -> Option<Self> {
        let mut offsets = [(0, 0); 3];
        for (offset, (begin, end)) in offsets.iter_mut().zip(ranges) {
            *offset = (u16::try_from(begin).ok()?, u16::try_from(end).ok()?);
        }
        Some(Self(offsets))
    }

    pub fn ranges(self) -> Ranges {
        self.0.map(|(begin, end)| (begin.into(), end.into()))
    }
}

/// Values of the derived fields of a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct DerivedFields<'a> {
    /// An invocation's `parent_id`, or a call's `ancestor_id`.
    pub ancestor: Option<SpanId>,
    /// The call that reached an invocation.
    pub caller: Option<SpanId>,
    /// Duration of this call minus the duration of the invocation, nanoseconds.
    pub net_ns: Option<i64>,
    /// The module that answered a call.
    pub peer_module: Option<&'a str>,
    pub flags: Flags,
}

/// Finds the ranges while a line's fields are read in the contract's order.
pub struct DerivedFieldFinder {
    groups: &'static Groups,
    ranges: Ranges,
    group: usize,
    /// Whether a field of the current group was found already.
    is_open: bool,
    /// End of the last field.
    end: usize,
}

impl DerivedFieldFinder {
    pub fn new(file: SpanFile) -> Self {
        Self {
            groups: match file {
                SpanFile::Invocations => &INVOCATION_GROUPS,
                SpanFile::Calls => &CALL_GROUPS,
            },
            ranges: [(0, 0); 3],
            group: 0,
            is_open: false,
            end: 0,
        }
    }

    /// Adds a field. `index` is its index in the contract, and `end` the position of its end.
    #[inline]
    pub fn field(&mut self, index: usize, end: usize) {
        while let Some(&(first, last)) = self.groups.get(self.group) {
            if index < first {
                break;
            }
            if !self.is_open {
                self.ranges[self.group] = (self.end, self.end);
            }
            if index <= last {
                (self.ranges[self.group].1, self.is_open) = (end, true);
                break;
            }
            self.is_open = false;
            self.group += 1;
        }
        self.end = end;
    }

    /// The ranges, after all fields were added.
    pub fn finish(mut self) -> Ranges {
        self.field(usize::MAX, self.end);
        self.ranges
    }
}

/// The ranges in a line whose fields are in the contract's order.
pub fn find_derived_fields(line: &[u8], file: SpanFile) -> Result<Ranges, NotAnObject> {
    let mut finder = DerivedFieldFinder::new(file);
    let (mut scan, mut order) = (Fields::new(line)?, Order::new(file.fields()));
    while let Some(field) = scan.next_field()? {
        finder.field(order.index(field.name), field.end);
    }
    Ok(finder.finish())
}

/// The parts of a line around its derived fields. `None` if the ranges do not fit the line.
#[inline]
pub fn own_parts(line: &[u8], ranges: Ranges) -> Option<[&[u8]; 4]> {
    let [first, second, third] = ranges;
    Some([
        line.get(..first.0)?,
        line.get(first.1..second.0)?,
        line.get(second.1..third.0)?,
        line.get(third.1..)?,
    ])
}

/// Appends the line that consists of the parts `own` and of derived fields.
pub fn write_line(own: [&[u8]; 4], file: SpanFile, derived: &DerivedFields<'_>, out: &mut Vec<u8>) {
    let [first, second, third, rest] = own;
    out.extend_from_slice(first);
    let flags = derived.flags.non_empty();
    match file {
        SpanFile::Calls => {
            push_field(&Call::FIELDS[ANCESTOR_ID], derived.ancestor.as_ref(), out);
            out.extend_from_slice(second);
            let peer_module = derived.peer_module.map(Text::from);
            push_field(&Call::FIELDS[PEER_MODULE], peer_module.as_ref(), out);
            out.extend_from_slice(third);
            push_field(&Call::FIELDS[CALL_FLAGS], flags.as_ref(), out);
        }
        SpanFile::Invocations => {
            push_field(&Invocation::FIELDS[PARENT_ID], derived.ancestor.as_ref(), out);
            out.extend_from_slice(second);
            let net = derived.net_ns.map(Milliseconds::from_ns);
            push_field(&Invocation::FIELDS[CALLER_SPAN_ID], derived.caller.as_ref(), out);
            push_field(&Invocation::FIELDS[NET_MS], net.as_ref(), out);
            out.extend_from_slice(third);
            push_field(&Invocation::FIELDS[INVOCATION_FLAGS], flags.as_ref(), out);
        }
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_line_is_copied_whether_derived_fields_existed_or_not() {
        let derived = DerivedFields {
            ancestor: SpanId::parse("00000000000000aa"),
            caller: SpanId::parse("00000000000000bb"),
            net_ns: Some(1_500_000),
            ..DerivedFields::default()
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
            let found = find_derived_fields(line.as_bytes(), SpanFile::Invocations).unwrap();
            let mut out = Vec::new();
            let own = own_parts(line.as_bytes(), found).unwrap();
            write_line(own, SpanFile::Invocations, &derived, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
            assert_eq!(DerivedFieldOffsets::from_ranges(found).unwrap().ranges(), found);
        }
        let too_long = [(0, 0), (1, 65_536), (65_536, 65_536)];
        assert_eq!(DerivedFieldOffsets::from_ranges(too_long), None);
    }
}
