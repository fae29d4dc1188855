//! [`Template`]: the pattern of a span, its role, and its row.

use std::sync::Arc;

use aggregate::ids::NameId;
use cctf_proto::cctf::{SpanId, TraceId};
use cctf_proto::keys;
use cctf_proto::otlp::admission::reject_span_of_run;
use cctf_proto::otlp::pattern::Pattern;
use cctf_proto::otlp::trace::Span;
use cctf_proto::otlp::usual::{SpanMessage, UsualSpan, Value};

use super::super::encode::RowSpan;
use super::super::roles::{has_row, is_inner_work, role_of};
use super::found::Found;
use super::reading::{Meaning, Reading};
use super::row::RowTemplate;
use super::slot_set::SlotSet;
use crate::join::Role;
use crate::mapping::conventions::Slot;
use crate::mapping::{AttributeSlots, has_path, is_connect, map_span, peer};
use crate::pipeline::shared::Shared;
use crate::pipeline::shared::source::Source;

/// A pattern, a role and a row, computed once for all spans of a source that differ only in parts that may vary.
#[derive(Debug)]
pub struct Template {
    pattern: Pattern<Slot>,
    pub role: Role,
    /// `None` if the spans have no row.
    pub row: Option<RowTemplate>,
    /// [`SpanMessage::hint`] of the spans.
    pub hint: u64,
    check: Check,
    /// [`Reading::signature`] of the spans.
    signature: Box<[u8]>,
    /// The span from which the template was learnt.
    learnt_from: Box<[u8]>,
    /// The attributes that vary, as bits.
    holes: u64,
    name_varies: bool,
    /// Number of spans that fitted this template since it was learnt. It is halved when a new template of the source replaces
    /// another one.
    pub hits: u64,
}

/// A condition on a value that varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    None,
    /// The URL has a path. Without one, the span's name would be in the row.
    UrlHasPath,
    /// The name is not that of inner work that opens a connection, which has another role.
    NameIsNoConnect,
}

/// A span that fitted no template, with everything that learning needs.
pub struct Lesson<'s, 'a> {
    message: SpanMessage<'a>,
    usual: UsualSpan<'a>,
    slots: AttributeSlots<'a>,
    source: &'s Arc<Source>,
    shared: &'s Shared,
}

impl<'s, 'a> Lesson<'s, 'a> {
    /// `None` if no template can describe the span.
    pub fn new(message: SpanMessage<'a>, source: &'s Arc<Source>, shared: &'s Shared) -> Option<Self> {
        let usual = message.usual()?;
        if reject_span_of_run(&usual.span, true).is_some() {
            return None;
        }
        let mut slots = AttributeSlots::new();
        let attributes = usual.span.attributes();
        // Of inner work, only the run is read.
        let filled = match is_inner_work(&usual.span) {
            true => slots.fill_one(Slot::RunId, keys::RUN_ID, attributes),
            false => slots.fill(attributes),
        };
        filled.ok()?;
        Some(Self {
            message,
            usual,
            slots,
            source,
            shared,
        })
    }

    /// The template of the span: one of `known` with more values that vary, or else a new one. The first result is the index of
    /// the template that it replaces. `None` if nothing can be learnt.
    pub fn learn(self, known: &[Template]) -> Option<(Option<usize>, Template)> {
        let span = self.usual.span;
        let mapped = map_span(&span, &self.slots);
        let meaning = Meaning {
            span: &span,
            slots: &self.slots,
            mapped: &mapped,
            role: role_of(&span, &mapped),
            is_inner_work: is_inner_work(&span),
            is_query_kept: self.source.identity.keep_query || self.shared.settings.keep_query,
        };
        let reading = Reading::new(&self.usual, &meaning)?;
        let same = known
            .iter()
            .position(|template| template.signature == reading.signature);
        let (mut holes, mut name_varies) = (0, false);
        if let Some(same) = same {
            let template = &known[same];
            let earlier = SpanMessage::new(&template.learnt_from).usual()?;
            holes = template.holes | reading.differences(&self.usual, &earlier);
            name_varies = template.name_varies || reading.name_may_vary && self.usual.name != earlier.name;
            if (holes, name_varies) == (template.holes, template.name_varies) {
                return None;
            }
        }
        let hits = same.map_or(0, |same| known[same].hits);
        let template = self.template(&meaning, reading, (holes, name_varies))?;
        Some((same, Template { hits, ..template }))
    }

    fn template(
        &self,
        of: &Meaning<'_, 'a>,
        reading: Reading,
        (holes, name_varies): (u64, bool),
    ) -> Option<Template> {
        let span = of.span;
        let varying = reading.varying(holes);
        let has_row = has_row(of.role, span);
        let agreements = reading.agreements(&self.usual, holes, reading.slots_read(of, varying, has_row))?;
        let row = match has_row {
            true => Some(self.row(of, &reading, varying)?),
            false => None,
        };
        let check = if reading.path == Some(Slot::UrlFull) && varying.has(Slot::UrlFull) {
            Check::UrlHasPath
        } else if of.is_inner_work && name_varies {
            Check::NameIsNoConnect
        } else {
            Check::None
        };
        Some(Template {
            pattern: Pattern::new(&self.usual, name_varies, |index| agreements[index]),
            role: of.role,
            row,
            hint: self.message.hint()?,
            check,
            signature: reading.signature,
            learnt_from: self.message.bytes().into(),
            holes,
            name_varies,
            hits: 0,
        })
    }

    fn row(&self, of: &Meaning<'_, 'a>, reading: &Reading, varying: SlotSet) -> Option<RowTemplate> {
        let row = RowSpan {
            span: of.span,
            slots: of.slots,
            source: self.source,
            role: of.role,
            trace_id: TraceId::from_bytes(of.span.trace_id)?,
            span_id: SpanId::from_bytes(of.span.span_id)?,
            parent_span_id: SpanId::from_bytes(of.span.parent_span_id),
        };
        let mut scratch = String::new();
        let peer = if of.role.is_call() {
            peer(of.slots, &mut scratch)
        } else {
            None
        };
        // The names of this span were numbered when its own row was written. If one is not there, the span had no row.
        let peer = match peer {
            Some(peer) => Some((peer, self.shared.peers.find(peer)?)),
            None => None,
        };
        RowTemplate::new(&row, of, reading, varying, peer, &self.shared.endpoints)
    }
}

impl Template {
    /// Reads a span, if it fits this template. The values that vary are appended to `values`.
    #[inline]
    pub fn read<'a>(&self, message: SpanMessage<'a>, values: &mut Vec<Found<'a>>) -> Option<Span<'a>> {
        let begin = values.len();
        let span = self
            .pattern
            .read(message, |slot, value| values.push(Found { slot, value }));
        let span = span.filter(|span| self.check == Check::None || self.passes(span, &values[begin..]));
        if span.is_none() {
            values.truncate(begin);
        }
        span
    }

    fn passes(&self, span: &Span<'_>, values: &[Found<'_>]) -> bool {
        match self.check {
            Check::None => true,
            Check::NameIsNoConnect => !is_connect(span.name),
            Check::UrlHasPath => values.iter().any(|found| match found.value {
                Value::Text(url) if found.slot == Slot::UrlFull => has_path(url),
                _ => false,
            }),
        }
    }

    /// The receiver of a call, if it does not vary.
    #[inline]
    pub fn peer(&self) -> Option<NameId> {
        self.row.as_ref().and_then(RowTemplate::peer)
    }

    #[inline]
    pub fn is_peer_varying(&self) -> bool {
        self.row.as_ref().is_some_and(|row| row.is_peer_varying)
    }

    /// Size in memory, bytes.
    pub fn size(&self) -> usize {
        let row = self.row.as_ref().map_or(0, RowTemplate::size);
        size_of::<Self>() + self.pattern.size() + row + self.signature.len() + self.learnt_from.len()
    }
}
