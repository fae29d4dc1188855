//! [`Anonymiser`]: replaces the values of rows according to the treatments of their fields, and counts them.

use std::collections::BTreeMap;

use cctf_proto::cctf::{
    Field, Milliseconds, Replacer, SpanId, TraceId, Treatment, Untreatable, push_json_string,
};
use foldhash::HashMap;

use crate::hashes::{Domain, Hashes};
use crate::key::Key;
use crate::times::Shift;
use crate::{attributes, names, paths};

/// Maximum size of the replacements that are kept for later rows, bytes. If it is exceeded, all are removed.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// Size of an entry without its texts, bytes.
const ENTRY_BYTES: usize = 64;
/// Maximum length of a text whose replacement is kept, bytes.
const KEPT_TEXT_BYTES_MAX: usize = 4096;
/// Number of ids whose replacements are kept. The ids of a trace are in several rows that are near each other, so few are
/// enough.
const IDS_KEPT: usize = 1 << 14;

/// Numbers of replaced values.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Replaced {
    /// Trace and span ids.
    pub ids: u64,
    /// Names of nodes, modules, instances, applications and hosts, and addresses.
    pub names: u64,
    /// Paths, queries and URLs.
    pub paths: u64,
    /// Other texts and attributes.
    pub texts: u64,
    /// Timestamps.
    pub times: u64,
    /// Texts that are not replaced, because they are known and reveal nothing.
    pub known: u64,
    /// Number of dropped values by field.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// Replacements of one kind, by the original text.
type Kept = HashMap<Box<str>, Box<str>>;

/// Kinds of replacements. Two kinds can replace the same text differently.
#[derive(Debug, Clone, Copy)]
enum Place {
    Name,
    Path,
    Url,
    Query,
    Text,
    RunId,
    Attributes,
}

const PLACES: usize = Place::Attributes as usize + 1;

/// Replaces values. All hashes use the same key.
pub struct Anonymiser {
    hashes: Hashes,
    shift: Shift,
    kept: [Kept; PLACES],
    kept_bytes: usize,
    trace_ids: Vec<(TraceId, TraceId)>,
    span_ids: Vec<(SpanId, SpanId)>,
    scratch: String,
    replaced: Replaced,
}

impl Anonymiser {
    pub fn new(key: &Key) -> Self {
        let hashes = Hashes::new(key);
        let (trace_id, span_id) = (TraceId([0; 16]), SpanId([0; 8]));
        Self {
            shift: Shift::new(&hashes),
            kept: Default::default(),
            kept_bytes: 0,
            trace_ids: vec![(trace_id, hashes.trace_id(trace_id)); IDS_KEPT],
            span_ids: vec![(span_id, hashes.span_id(span_id)); IDS_KEPT],
            scratch: String::new(),
            replaced: Replaced::default(),
            hashes,
        }
    }

    /// The numbers of values that were replaced so far.
    pub fn replaced(&self) -> &Replaced {
        &self.replaced
    }

    /// Restores numbers from [`Anonymiser::replaced`], if replacements made since then are not part of a file.
    pub fn restore(&mut self, replaced: Replaced) {
        self.replaced = replaced;
    }

    /// The replacement of a run's id.
    pub fn run_id(&self, run_id: &str) -> String {
        let mut out = String::new();
        self.hashes.push_letters(Domain::RunId, run_id, &mut out);
        out
    }

    /// Appends the replacement of a text. If the text has no replacement yet, makes one and keeps it.
    fn push(&mut self, place: Place, text: &str, out: &mut Vec<u8>) -> Result<(), Untreatable> {
        if let Some(replacement) = self.kept[place as usize].get(text) {
            out.extend_from_slice(replacement.as_bytes());
            return Ok(());
        }
        let begin = out.len();
        self.make(place, text, out)?;
        if text.len() <= KEPT_TEXT_BYTES_MAX {
            self.keep(place, text, &String::from_utf8_lossy(&out[begin..]));
        }
        Ok(())
    }

    fn keep(&mut self, place: Place, text: &str, replacement: &str) {
        self.kept_bytes += text.len() + replacement.len() + ENTRY_BYTES;
        if self.kept_bytes > KEPT_BYTES_MAX {
            self.kept = Default::default();
            self.kept_bytes = text.len() + replacement.len() + ENTRY_BYTES;
        }
        self.kept[place as usize].insert(text.into(), replacement.into());
    }

    /// Appends a new replacement as JSON.
    fn make(&mut self, place: Place, text: &str, out: &mut Vec<u8>) -> Result<(), Untreatable> {
        let (hashes, scratch) = (&self.hashes, &mut self.scratch);
        scratch.clear();
        match place {
            Place::Attributes => return attributes::push_attributes(hashes, text, out),
            Place::Name => names::push_name(hashes, text, scratch),
            Place::Path => paths::push_path(hashes, text, scratch),
            Place::Url => paths::push_url(hashes, text, scratch),
            Place::Query => paths::push_query(hashes, text, scratch),
            Place::Text if text.is_empty() => {}
            Place::Text => hashes.push_letters(Domain::Text, text, scratch),
            Place::RunId => hashes.push_letters(Domain::RunId, text, scratch),
        }
        push_json_string(scratch, out);
        Ok(())
    }

    fn push_link(&mut self, node: &str, link: &str, out: &mut Vec<u8>) {
        self.scratch.clear();
        names::push_link(&self.hashes, node, link, &mut self.scratch);
        push_json_string(&self.scratch, out);
    }
}

impl Replacer for Anonymiser {
    #[inline]
    fn trace_id(&mut self, id: TraceId) -> TraceId {
        self.replaced.ids += 1;
        let kept = &mut self.trace_ids[place_of(&id.0)];
        if kept.0 != id {
            *kept = (id, self.hashes.trace_id(id));
        }
        kept.1
    }

    #[inline]
    fn span_id(&mut self, id: SpanId) -> SpanId {
        self.replaced.ids += 1;
        let kept = &mut self.span_ids[place_of(&id.0)];
        if kept.0 != id {
            *kept = (id, self.hashes.span_id(id));
        }
        kept.1
    }

    #[inline]
    fn time(&mut self, time: Milliseconds) -> Result<Milliseconds, Untreatable> {
        self.replaced.times += 1;
        self.shift.time(time)
    }

    fn text(
        &mut self,
        treatment: Treatment,
        node: &str,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable> {
        let (place, count) = match treatment {
            Treatment::Name => (Place::Name, &mut self.replaced.names),
            Treatment::Path => (Place::Path, &mut self.replaced.paths),
            Treatment::Url => (Place::Url, &mut self.replaced.paths),
            Treatment::Query => (Place::Query, &mut self.replaced.paths),
            Treatment::RunId => (Place::RunId, &mut self.replaced.texts),
            Treatment::Known(known) if (known.holds)(text) => {
                self.replaced.known += 1;
                push_json_string(text, out);
                return Ok(());
            }
            Treatment::Link => {
                self.replaced.names += 1;
                self.push_link(node, text, out);
                return Ok(());
            }
            Treatment::Time => {
                self.replaced.times += 1;
                self.scratch.clear();
                self.shift.push_timestamp(text, &mut self.scratch)?;
                push_json_string(&self.scratch, out);
                return Ok(());
            }
            // This is the treatment of all other texts. A text with an unexpected treatment is hashed, too, so that nothing is
            // revealed.
            _ => (Place::Text, &mut self.replaced.texts),
        };
        *count += 1;
        self.push(place, text, out)
    }

    fn attributes(&mut self, attributes: &str, out: &mut Vec<u8>) -> Result<(), Untreatable> {
        self.replaced.texts += 1;
        self.push(Place::Attributes, attributes, out)
    }

    fn dropped(&mut self, field: &'static Field) {
        *self.replaced.dropped.entry(field.name).or_default() += 1;
    }
}

/// The position of a kept id. The last bytes of an id are random.
#[inline]
fn place_of(id: &[u8]) -> usize {
    let [.., high, low] = id else { return 0 };
    usize::from(u16::from_be_bytes([*high, *low])) % IDS_KEPT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_do_not_depend_on_what_is_kept() {
        let key = Key::new(&(0..32).collect::<Vec<u8>>());
        let of = |by: &mut Anonymiser, treatment, text: &str| {
            let mut out = Vec::new();
            by.text(treatment, "", text, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let mut by = Anonymiser::new(&key);
        let [name, text] = [Treatment::Name, Treatment::Text].map(|treatment| of(&mut by, treatment, "cart"));
        assert_ne!(name, text);
        for number in 0..KEPT_BYTES_MAX / (KEPT_TEXT_BYTES_MAX + ENTRY_BYTES) + 2 {
            of(
                &mut by,
                Treatment::Text,
                &format!("{number:KEPT_TEXT_BYTES_MAX$}"),
            );
            assert!(by.kept_bytes <= KEPT_BYTES_MAX);
        }
        assert!(
            !by.kept[Place::Name as usize].contains_key("cart"),
            "nothing was forgotten"
        );
        assert_eq!(of(&mut by, Treatment::Name, "cart"), name);
        assert_eq!(of(&mut by, Treatment::Text, "cart"), text);
        assert_eq!(by.replaced().names, 2);
        for id in [[0; 8], [7; 8], [9; 8], [7; 8]].map(SpanId) {
            assert_eq!(by.span_id(id), by.hashes.span_id(id));
        }
    }
}
