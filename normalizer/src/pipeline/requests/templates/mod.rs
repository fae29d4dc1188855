//! [`Templates`]: spans of one source that differ only in ids, times and some values are read by comparison with an earlier span,
//! and their rows are written from the text of that span's row.
//!
//! Templates are a cache: the rows are the same without them, and with any number of them. They are not part of the serialized
//! state; after a restart they are learnt again.
//!
//! A span that fits no template is read as usual, and then learnt. The first span of its kind gives a template that fits only
//! spans with other ids and times. If a later span also differs in parts that may vary ([`reading`]), the template allows these
//! parts to vary from then on. So a service with a thousand endpoints has as many templates as one with a single endpoint.

mod found;
mod patches;
mod reading;
mod row;
mod slot_set;
mod template;

use std::sync::Arc;

use aggregate::maps::Map;
use cctf_proto::otlp::trace::Span;
use cctf_proto::otlp::usual::SpanMessage;

use self::template::Lesson;
use crate::pipeline::shared::Shared;
use crate::pipeline::shared::source::Source;

pub use self::found::Found;
pub use self::template::Template;

/// Maximum number of templates of all sources. Beyond it, all are forgotten and learnt again.
const TEMPLATES_MAX: usize = 4096;
/// Maximum size of all templates, bytes. Beyond it, too, all are forgotten and learnt again. A template usually takes 2 KiB.
const TEMPLATE_BYTES_MAX: usize = 8 << 20;
/// Number of sources at which all templates are forgotten. It is checked before each request.
const SOURCES_MAX: usize = 10_000;
/// Maximum number of templates of a source. A service has a few kinds of spans for each library that instruments it. Beyond the
/// maximum, a new template replaces the one with the fewest spans.
const TEMPLATES_OF_SOURCE_MAX: usize = 16;
/// Learning takes as long as reading a few spans. So nothing is learnt from the first spans of a source that fit no template: the
/// source may be a process that serves one request. The next [`LEARNT_THEN`] such spans are learnt from, and later one in
/// [`LEARNT_LATER_EVERY`].
const NOT_LEARNT_FIRST: u64 = 16;
const LEARNT_THEN: u64 = 256;
const LEARNT_LATER_EVERY: u64 = 512;

/// The templates of all sources.
#[derive(Debug)]
pub struct Templates {
    places: Map<u64, u32>,
    sources: Vec<OfSource>,
    count: usize,
    bytes: usize,
    max: usize,
    hits: u64,
}

/// The templates of a source.
#[derive(Debug)]
struct OfSource {
    /// The source's number.
    source: u64,
    templates: Vec<Template>,
    /// Number of spans without a template.
    missed: u64,
}

/// Where a source's templates are.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    index: u32,
    source: u64,
}

/// Where the template of a span is: the index of its source, and its index among the templates of that source.
#[derive(Debug, Clone, Copy)]
pub struct TemplateId {
    place: u32,
    index: u32,
}

impl Default for Templates {
    fn default() -> Self {
        Self {
            places: Map::default(),
            sources: Vec::new(),
            count: 0,
            bytes: 0,
            max: TEMPLATES_MAX,
            hits: 0,
        }
    }
}

impl Templates {
    /// Changes the maximum number of templates, and forgets all.
    pub fn limit(&mut self, max: usize) {
        self.max = max.min(TEMPLATES_MAX);
        self.forget();
    }

    /// Forgets all templates. They depend on the settings.
    pub fn forget(&mut self) {
        self.places.clear();
        self.sources.clear();
        (self.count, self.bytes) = (0, 0);
    }

    /// Number of spans read by templates.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Called before a request. Places remain valid until the next call, unless [`Self::learn`] forgets all templates.
    pub fn begin_request(&mut self) {
        if self.sources.len() >= SOURCES_MAX {
            self.forget();
        }
    }

    /// The place of a source's templates.
    pub fn place_of(&mut self, source: &Source) -> Place {
        let source = source.number;
        let index = *self.places.entry(source).or_insert_with(|| {
            self.sources.push(OfSource {
                source,
                templates: Vec::new(),
                missed: 0,
            });
            self.sources.len() as u32 - 1
        });
        Place { index, source }
    }

    /// Reads a span by comparison with a template, if one fits. The values that vary are appended to `values`.
    #[inline]
    pub fn read<'a>(
        &mut self,
        place: Place,
        message: SpanMessage<'a>,
        values: &mut Vec<Found<'a>>,
    ) -> Option<(TemplateId, Span<'a>)> {
        let of = self.sources.get_mut(place.index as usize)?;
        if of.templates.is_empty() || of.source != place.source {
            return None;
        }
        let hint = message.hint()?;
        for (index, template) in of.templates.iter_mut().enumerate() {
            if template.hint == hint
                && let Some(span) = template.read(message, values)
            {
                template.hits += 1;
                self.hits += 1;
                let id = TemplateId {
                    place: place.index,
                    index: index as u32,
                };
                return Some((id, span));
            }
        }
        None
    }

    /// The template of a span that was read since the last call of [`Self::learn`].
    #[inline]
    pub fn get(&self, id: TemplateId) -> Option<&Template> {
        self.sources
            .get(id.place as usize)?
            .templates
            .get(id.index as usize)
    }

    /// Learns from a span without a template, whose row has been written.
    pub fn learn(&mut self, place: Place, message: SpanMessage<'_>, source: &Arc<Source>, shared: &Shared) {
        let Some(of) = self.sources.get_mut(place.index as usize) else {
            return;
        };
        if self.max == 0 || of.source != place.source {
            return;
        }
        of.missed += 1;
        let is_early = (1..=LEARNT_THEN).contains(&of.missed.saturating_sub(NOT_LEARNT_FIRST));
        if !is_early && !of.missed.is_multiple_of(LEARNT_LATER_EVERY) {
            return;
        }
        let lesson = Lesson::new(message, source, shared);
        let Some((same, template)) = lesson.and_then(|lesson| lesson.learn(&of.templates)) else {
            return;
        };
        let replaced = same.or_else(|| of.least_used());
        self.count += usize::from(replaced.is_none());
        self.bytes += template.size();
        match replaced {
            Some(index) => {
                self.bytes -= of.templates[index].size();
                of.templates[index] = template;
            }
            None => of.templates.push(template),
        }
        if self.count > self.max || self.bytes > TEMPLATE_BYTES_MAX {
            self.forget();
        }
    }
}

impl OfSource {
    /// The template to replace, if there are too many. Also halves the hits of all templates, so that a template that was used
    /// often only in the past can be replaced, too.
    fn least_used(&mut self) -> Option<usize> {
        if self.templates.len() < TEMPLATES_OF_SOURCE_MAX {
            return None;
        }
        let least = (0..self.templates.len()).min_by_key(|&index| self.templates[index].hits);
        self.templates.iter_mut().for_each(|template| template.hits /= 2);
        least
    }
}
