//! [`RecentSet`] in a checkpoint: its fingerprints without the table.

use serde::de::Error;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{BUCKETS_MIN_LOG2, FULL_PERCENT, GENERATIONS, RecentSet, SLOTS, TAGS, fingerprints};

/// A set without its table, as stored in a checkpoint.
#[derive(Serialize, Deserialize)]
struct Saved<T> {
    remembered: T,
    live_tags: u16,
    tag: u8,
    generation_ends: u64,
    generation_ns: u64,
    entries_max: usize,
}

/// Serializes the fingerprints in pieces of limited length, so that a checkpoint never needs a second copy of all of them.
struct Pieces<'a>(&'a RecentSet);

/// Size of a fingerprint and its tag, bytes.
const SAVED_BYTES: usize = 9;
/// Number of fingerprints in a piece.
const PIECE_LEN: usize = 4096;

impl Serialize for Pieces<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pieces = serializer.serialize_seq(Some(self.0.len().div_ceil(PIECE_LEN)))?;
        let all = fingerprints(&self.0.buckets, self.0.buckets_log2);
        let mut remembered = all.filter(|(_, tag)| self.0.is_live(*tag)).peekable();
        while remembered.peek().is_some() {
            let mut piece = Vec::with_capacity(PIECE_LEN * SAVED_BYTES);
            for (fingerprint, tag) in remembered.by_ref().take(PIECE_LEN) {
                piece.extend_from_slice(&fingerprint.to_le_bytes());
                piece.push(tag);
            }
            pieces.serialize_element(&Piece(piece))?;
        }
        pieces.end()
    }
}

struct Piece(Vec<u8>);

impl Serialize for Piece {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl Serialize for RecentSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let saved = Saved {
            remembered: Pieces(self),
            live_tags: self.live_tags,
            tag: self.tag,
            generation_ends: self.generation_ends,
            generation_ns: self.generation_ns,
            entries_max: self.entries_max,
        };
        saved.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RecentSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = Saved::<Vec<&[u8]>>::deserialize(deserializer)?;
        let (fingerprints, rests): (Vec<_>, Vec<_>) = saved
            .remembered
            .iter()
            .map(|piece| piece.as_chunks::<SAVED_BYTES>())
            .unzip();
        if rests.iter().any(|rest| !rest.is_empty()) {
            return Err(D::Error::custom(
                "invalid checkpoint: incomplete fingerprint of a span",
            ));
        }
        let of_bytes = |[f @ .., tag]: &[u8; SAVED_BYTES]| (u64::from_le_bytes(*f), *tag);
        let remembered: Vec<(u64, u8)> = fingerprints.into_iter().flatten().map(of_bytes).collect();
        let tags = remembered.iter().map(|(_, tag)| *tag).chain([saved.tag]);
        // Tag 0 marks an empty slot. It must not be within the window.
        let is_empty_live = saved.live_tags & 1 != 0;
        if is_empty_live || tags.into_iter().any(|tag| !(1..=TAGS).contains(&tag)) {
            return Err(D::Error::custom(
                "invalid checkpoint: unknown generation of spans",
            ));
        }
        let mut set = Self::new(saved.generation_ns.saturating_mul(GENERATIONS), saved.entries_max);
        (set.live_tags, set.tag, set.generation_ends) = (saved.live_tags, saved.tag, saved.generation_ends);
        let slots_needed = remembered.len() * 100 / FULL_PERCENT;
        let buckets_log2 = (slots_needed / SLOTS + 1)
            .next_power_of_two()
            .ilog2()
            .max(BUCKETS_MIN_LOG2);
        set.refill(buckets_log2, || remembered.iter().copied());
        Ok(set)
    }
}
