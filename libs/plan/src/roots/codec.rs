//! [`Draft`]: a root under construction, and its encoding in temporary files. [`Names`]: texts that many rows share.

use std::collections::HashMap;
use std::sync::Arc;

use cctf_proto::cctf::{SpanId, SpanKind, TraceId};
use foldhash::quality::RandomState;

use super::kind::Kind;
use super::root::{Origin, Root};

/// Maximum number of shared texts in one table. Each record contains its further texts itself.
const NAMES_MAX: usize = 1 << 16;
/// Maximum length of a shared text, bytes. So a full table takes less than 25 MiB.
const NAME_BYTES_MAX: usize = 256;

/// A root, with facts that are needed only until it is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub root: Root,
    pub span_kind: Option<SpanKind>,
    /// Whether the normalizer or the source cut a text or attribute of the span.
    pub is_truncated: bool,
    /// Whether the root is a call without a parent, of a module that also processes requests.
    pub is_background: bool,
}

impl Draft {
    /// A complete root as a draft.
    pub fn of(root: Root) -> Self {
        Self {
            root,
            span_kind: None,
            is_truncated: false,
            is_background: false,
        }
    }
}

/// A table of shared texts, each with a number.
#[derive(Debug, Default)]
pub struct Names {
    numbers: HashMap<Arc<str>, u64, RandomState>,
    texts: Vec<Arc<str>>,
}

impl Names {
    /// The shared text, and its number if the table has room for it.
    pub fn share(&mut self, text: &str) -> (Arc<str>, Option<u64>) {
        if let Some((shared, number)) = self.numbers.get_key_value(text) {
            return (Arc::clone(shared), Some(*number));
        }
        let shared: Arc<str> = text.into();
        if self.texts.len() >= NAMES_MAX || text.len() > NAME_BYTES_MAX {
            return (shared, None);
        }
        let number = self.texts.len() as u64;
        self.texts.push(Arc::clone(&shared));
        self.numbers.insert(Arc::clone(&shared), number);
        (shared, Some(number))
    }
}

/// The tables of a run's roots. Paths and queries have a table of their own, because each request can have a different one.
/// They must not fill the table of names.
#[derive(Debug, Default)]
pub struct Tables {
    pub names: Names,
    pub targets: Names,
}

/// Codes of a text: absent, written out in the record, or (from the last value on) a number of a shared text.
const ABSENT: u64 = 0;
const WRITTEN: u64 = 1;
const FIRST_NUMBER: u64 = 2;

const ANSWERED: u8 = 1;
const RESENT: u8 = 2;
const SESSION: u8 = 4;
const TRUNCATED: u8 = 8;
const BACKGROUND: u8 = 16;

const ORIGINS: [Origin; 4] = [
    Origin::Call,
    Origin::Invocation,
    Origin::OrphanCall,
    Origin::OrphanInvocation,
];

/// Appends a root to `out`.
pub fn encode(draft: &Draft, tables: &mut Tables, out: &mut Vec<u8>) {
    let root = &draft.root;
    out.extend_from_slice(&root.trace_id.0);
    out.extend_from_slice(&root.span_id.0);
    out.extend_from_slice(&root.at_ns.to_le_bytes());
    let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    out.push(
        flag(root.is_answered, ANSWERED)
            | flag(root.is_resent, RESENT)
            | flag(root.has_session, SESSION)
            | flag(draft.is_truncated, TRUNCATED)
            | flag(draft.is_background, BACKGROUND),
    );
    out.push(root.origin as u8);
    out.push(root.kind.number());
    out.push(draft.span_kind.map_or(0, |kind| kind as u8 + 1));
    push_text(Some(&root.module), &mut tables.names, out);
    for text in [
        &root.instance,
        &root.method,
        &root.protocol,
        &root.route,
        &root.peer,
    ] {
        push_text(text.as_ref(), &mut tables.names, out);
    }
    for text in [&root.path, &root.query] {
        push_text(text.as_ref(), &mut tables.targets, out);
    }
    for number in [root.body_bytes, root.answer_bytes] {
        push_optional(number, out);
    }
    push_optional(root.status.map(|status| (status << 1 ^ status >> 63) as u64), out);
}

/// Decodes the root at the start of `bytes`. `None` if [`encode`] did not write these bytes.
pub fn decode(mut bytes: &[u8], tables: &Tables) -> Option<Draft> {
    let at = &mut bytes;
    let trace_id = TraceId(take(at)?);
    let span_id = SpanId(take(at)?);
    let at_ns = i64::from_le_bytes(take(at)?);
    let [flags, origin, kind, span_kind] = take(at)?;
    let names = &tables.names;
    let module = pull_text(at, names)??;
    let [instance, method, protocol, route, peer] = [
        pull_text(at, names)?,
        pull_text(at, names)?,
        pull_text(at, names)?,
        pull_text(at, names)?,
        pull_text(at, names)?,
    ];
    let [path, query] = [pull_text(at, &tables.targets)?, pull_text(at, &tables.targets)?];
    let [body_bytes, answer_bytes, status] = [pull_optional(at)?, pull_optional(at)?, pull_optional(at)?];
    Some(Draft {
        root: Root {
            at_ns,
            trace_id,
            span_id,
            origin: *ORIGINS.get(usize::from(origin))?,
            kind: *Kind::ALL.get(usize::from(kind))?,
            module,
            instance,
            method,
            path,
            protocol,
            query,
            route,
            peer,
            body_bytes,
            answer_bytes,
            status: status.map(|zigzag| (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)),
            is_answered: flags & ANSWERED != 0,
            is_resent: flags & RESENT != 0,
            has_session: flags & SESSION != 0,
        },
        span_kind: match usize::from(span_kind) {
            0 => None,
            number => Some(*SpanKind::ALL.get(number - 1)?),
        },
        is_truncated: flags & TRUNCATED != 0,
        is_background: flags & BACKGROUND != 0,
    })
}

fn push_text(text: Option<&Arc<str>>, names: &mut Names, out: &mut Vec<u8>) {
    let Some(text) = text else {
        push_number(ABSENT, out);
        return;
    };
    match names.share(text).1 {
        Some(number) => push_number(FIRST_NUMBER + number, out),
        None => {
            push_number(WRITTEN, out);
            push_number(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

fn pull_text(at: &mut &[u8], names: &Names) -> Option<Option<Arc<str>>> {
    match pull_number(at)? {
        ABSENT => Some(None),
        WRITTEN => {
            let length = usize::try_from(pull_number(at)?).ok()?;
            let (text, rest) = at.split_at_checked(length)?;
            *at = rest;
            Some(Some(std::str::from_utf8(text).ok()?.into()))
        }
        number => {
            let text = names.texts.get(usize::try_from(number - FIRST_NUMBER).ok()?)?;
            Some(Some(Arc::clone(text)))
        }
    }
}

/// Writes a byte that is 0 if there is no number, and 1 before a number.
fn push_optional(number: Option<u64>, out: &mut Vec<u8>) {
    out.push(u8::from(number.is_some()));
    if let Some(number) = number {
        push_number(number, out);
    }
}

fn pull_optional(at: &mut &[u8]) -> Option<Option<u64>> {
    match take(at)? {
        [0] => Some(None),
        _ => pull_number(at).map(Some),
    }
}

/// Writes seven bits a byte, the lowest first. The top bit is set if further bytes follow.
fn push_number(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn pull_number(at: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take(at)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<const N: usize>(at: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = at.split_first_chunk()?;
    *at = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drafts() -> impl Strategy<Value = Draft> {
        let text = || prop::option::of(prop_oneof!["[a-c]{0,2}", "[é/]{150}"]);
        let texts = prop::collection::vec(text(), 7);
        let numbers = (any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<i64>>());
        let small = (0..4_usize, 0..9_usize, 0..6_usize, any::<[bool; 5]>());
        (
            any::<i64>(),
            any::<[u8; 16]>(),
            any::<[u8; 8]>(),
            texts,
            numbers,
            small,
        )
            .prop_map(
                |(
                    at_ns,
                    trace,
                    span,
                    texts,
                    (body_bytes, answer_bytes, status),
                    (origin, kind, span_kind, flags),
                )| {
                    let text = |index: usize| texts[index].as_deref().map(Into::into);
                    Draft {
                        root: Root {
                            at_ns,
                            trace_id: TraceId(trace),
                            span_id: SpanId(span),
                            origin: ORIGINS[origin],
                            kind: Kind::ALL[kind],
                            module: text(0).unwrap_or_else(|| "".into()),
                            instance: text(1),
                            method: text(2),
                            path: text(3),
                            protocol: text(4),
                            query: text(5),
                            route: text(6),
                            peer: text(1),
                            body_bytes,
                            answer_bytes,
                            status,
                            is_answered: flags[0],
                            is_resent: flags[1],
                            has_session: flags[2],
                        },
                        span_kind: span_kind.checked_sub(1).map(|number| SpanKind::ALL[number]),
                        is_truncated: flags[3],
                        is_background: flags[4],
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn a_root_is_the_same_after_a_temporary_file(drafts in prop::collection::vec(drafts(), 1..20)) {
            let mut tables = Tables::default();
            for draft in &drafts {
                let mut bytes = Vec::new();
                encode(draft, &mut tables, &mut bytes);
                let decoded = decode(&bytes, &tables);
                prop_assert_eq!(decoded.as_ref(), Some(draft));
                for length in 0..bytes.len() {
                    prop_assert_eq!(decode(&bytes[..length], &tables), None);
                }
            }
        }
    }

    #[test]
    fn texts_beyond_the_bounds_are_written_out() {
        let mut names = Names::default();
        assert_eq!(names.share(&"x".repeat(NAME_BYTES_MAX + 1)).1, None);
        for number in 0..NAMES_MAX {
            assert_eq!(names.share(&number.to_string()).1, Some(number as u64));
        }
        assert_eq!(names.share("beyond").1, None);
        assert_eq!(names.share("7").1, Some(7));
    }
}
