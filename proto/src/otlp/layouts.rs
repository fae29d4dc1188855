//! [`Layouts`]: the layouts of spans that were checked before. A span with a known layout needs no other check.
//!
//! A sender's spans repeat the same fields, keys and lengths; only ids, times, numbers and texts differ. A [`Layout`] is one
//! usable span with a mask: the bits that every span with this layout must share with it. So one masked comparison of all bytes
//! replaces the check, which would read field by field. It takes a sixth of the time.
//!
//! The answer is always that of the check. So a span with a text that is not ASCII has no layout. If the span has a run id, the
//! mask contains all bits of it, because another run id could be invalid.

mod mask;

use super::admission::reject_time;
use super::wire::Cursor;
use mask::{Places, mask_of};

/// Number of layouts that are known at once: `WAYS` for each of `SETS` groups of span lengths.
const SETS: usize = 128;
const WAYS: usize = 4;
/// Maximum size of a span whose layout is stored. It bounds the memory of [`Layouts`] to 2 MiB.
const SPAN_BYTES_MAX: usize = 2048;
/// In the long run, at most one layout is learned for this many spans. Learning costs several times as much as the check, and
/// is of no use if the lengths of texts keep changing.
const SPANS_A_LEARNED: u32 = 64;
/// Maximum number of layouts that are learned in a row.
const LEARNED_IN_A_ROW: u32 = (SETS * WAYS) as u32;
/// Number of resources that are known at once, and the maximum size of each.
const RESOURCES_MAX: usize = 16;
const RESOURCE_BYTES_MAX: usize = 2048;
/// Bytes that are compared before the result is looked at. Spans of the same length usually differ in one of the first pieces.
const PIECE_BYTES: usize = 64;

/// The layouts of spans that were received recently. Use one for each thread that checks requests.
#[derive(Debug)]
pub struct Layouts {
    /// Indexed by the length of the span, modulo the number of sets. A layout that matches moves one place to the front.
    sets: Vec<[Option<Box<Layout>>; WAYS]>,
    /// Number of spans received, up to a maximum. Each layout that is learned uses up [`SPANS_A_LEARNED`] of them.
    credit: u32,
    matched: u64,
    resources: Vec<KnownResource>,
    /// Index of the resource that is replaced next.
    oldest_resource: usize,
}

/// A resource that was checked before. Equal bytes get the same answer.
#[derive(Debug)]
struct KnownResource {
    bytes: Box<[u8]>,
    is_run_id_ok: bool,
}

impl Default for Layouts {
    fn default() -> Self {
        Self {
            sets: std::iter::repeat_with(Default::default).take(SETS).collect(),
            credit: LEARNED_IN_A_ROW * SPANS_A_LEARNED,
            matched: 0,
            resources: Vec::new(),
            oldest_resource: 0,
        }
    }
}

impl Layouts {
    /// Number of spans that had a known layout.
    pub fn matched(&self) -> u64 {
        self.matched
    }

    /// If a span has a known layout and can be used: its end, in nanoseconds since the Unix epoch. `None` does not mean that
    /// the span cannot be used.
    #[inline]
    pub(super) fn end_of_usable(&mut self, span: &[u8]) -> Option<u64> {
        self.credit = (self.credit + 1).min(LEARNED_IN_A_ROW * SPANS_A_LEARNED);
        let set = self.sets.get_mut(span.len() % SETS)?;
        let found = set
            .iter()
            .position(|way| way.as_ref().is_some_and(|layout| layout.is_of(span)))?;
        let end = set[found].as_ref()?.end_of_usable(span)?;
        if found > 0 {
            set.swap(found, found - 1);
        }
        self.matched += 1;
        Some(end)
    }

    /// Learns the layout of a usable span that has passed the check.
    pub(super) fn learn(&mut self, span: &[u8]) {
        if self.credit < SPANS_A_LEARNED || !(PIECE_BYTES..=SPAN_BYTES_MAX).contains(&span.len()) {
            return;
        }
        self.credit -= SPANS_A_LEARNED;
        if let Some(layout) = Layout::of(span)
            && let Some(set) = self.sets.get_mut(span.len() % SETS)
        {
            let free = set.iter().position(Option::is_none).unwrap_or(WAYS - 1);
            set[free] = Some(Box::new(layout));
        }
    }

    /// Whether the run ids in this resource are valid, if a resource with the same bytes was checked before.
    pub(super) fn is_run_id_ok(&self, resource: &[u8]) -> Option<bool> {
        let known = self.resources.iter().find(|known| *known.bytes == *resource)?;
        Some(known.is_run_id_ok)
    }

    /// Remembers a resource that has passed the check.
    pub(super) fn remember(&mut self, resource: &[u8], is_run_id_ok: bool) {
        if resource.len() > RESOURCE_BYTES_MAX {
            return;
        }
        let known = KnownResource {
            bytes: resource.into(),
            is_run_id_ok,
        };
        if self.resources.len() < RESOURCES_MAX {
            self.resources.push(known);
        } else {
            self.resources[self.oldest_resource] = known;
            self.oldest_resource = (self.oldest_resource + 1) % RESOURCES_MAX;
        }
    }
}

/// A span, and the bits of it that every span with the same layout has.
#[derive(Debug)]
struct Layout {
    /// The span's bits that are in the mask.
    fixed: Box<[u8]>,
    mask: Box<[u8]>,
    places: Places,
}

impl Layout {
    /// The layout of a usable span; `None` if it needs the check each time.
    fn of(span: &[u8]) -> Option<Self> {
        let (mask, places) = mask_of(Cursor::new(span))?;
        let fixed = span.iter().zip(&mask).map(|(byte, mask)| byte & mask).collect();
        Some(Self {
            fixed,
            mask: mask.into(),
            places,
        })
    }

    #[inline]
    fn is_of(&self, span: &[u8]) -> bool {
        if span.len() != self.fixed.len() || span.len() != self.mask.len() {
            return false;
        }
        let (pieces, _) = span.as_chunks::<PIECE_BYTES>();
        let (fixed, _) = self.fixed.as_chunks::<PIECE_BYTES>();
        let (mask, _) = self.mask.as_chunks::<PIECE_BYTES>();
        let mut all = pieces.iter().zip(fixed).zip(mask);
        // The last piece overlaps the one before it, so that no byte is compared alone.
        let last = || {
            let (span, fixed, mask) = (
                span.last_chunk()?,
                self.fixed.last_chunk()?,
                self.mask.last_chunk()?,
            );
            Some(is_same(span, fixed, mask))
        };
        all.all(|((piece, fixed), mask)| is_same(piece, fixed, mask)) && last() == Some(true)
    }

    /// The end of a span with this layout, if its ids and times are valid. The layout ensures everything else.
    #[inline]
    fn end_of_usable(&self, span: &[u8]) -> Option<u64> {
        let Places {
            trace_id,
            span_id,
            start,
            end,
        } = self.places;
        let word = |place: usize| {
            let bytes = span.get(place..)?.first_chunk::<8>()?;
            Some(u64::from_le_bytes(*bytes))
        };
        let (start, end) = (word(start)?, word(end)?);
        let is_usable = word(trace_id)? | word(trace_id + 8)? != 0
            && word(span_id)? != 0
            && reject_time(start).is_none()
            && reject_time(end).is_none();
        is_usable.then_some(end)
    }
}

#[inline]
fn is_same(piece: &[u8; PIECE_BYTES], fixed: &[u8; PIECE_BYTES], mask: &[u8; PIECE_BYTES]) -> bool {
    let words = |bytes: &[u8; PIECE_BYTES]| {
        let (words, _) = bytes.as_chunks::<8>();
        std::array::from_fn::<u64, { PIECE_BYTES / 8 }, _>(|index| u64::from_le_bytes(words[index]))
    };
    let (piece, fixed, mask) = (words(piece), words(fixed), words(mask));
    let differing =
        (0..PIECE_BYTES / 8).fold(0, |bits, index| bits | piece[index] & mask[index] ^ fixed[index]);
    differing == 0
}
