//! [`body`] and [`decode`]: the body of a planned request. It consists of `CCSI`, a version, the work, and zero bytes up to the
//! recorded size.

use bytes::{BufMut, Bytes, BytesMut};

use crate::bounds::{BODY_BYTES_MAX, WORK_BYTES_MAX};
use crate::check::check;
use crate::error::StandInError;
use crate::request::PLAN_VERSION;
use crate::work::{Work, bounded};

const MAGIC: &[u8; 4] = b"CCSI";
/// Number of bytes before the work.
pub const HEAD_BYTES: usize = MAGIC.len() + 1;

/// Encodes work, for [`body`] or for a [`Callee`](crate::Callee).
pub fn encode(work: &Work) -> Vec<u8> {
    // Writing to memory fails only for types of unknown length. `Work` has none.
    postcard::to_stdvec(work).unwrap_or_default()
}

/// Returns the body with this work, padded to the recorded size. The flag is true if the body had to be larger than recorded.
pub fn body(work: &[u8], recorded_bytes: u32) -> (Bytes, bool) {
    let length = HEAD_BYTES + work.len();
    let recorded = recorded_bytes.min(BODY_BYTES_MAX) as usize;
    let mut body = BytesMut::with_capacity(length.max(recorded));
    body.put_slice(MAGIC);
    body.put_u8(PLAN_VERSION);
    body.put_slice(work);
    body.put_bytes(0, recorded.saturating_sub(length));
    (body.freeze(), length > recorded)
}

/// Decodes the work in a body. The padding is not read, so it can contain anything.
pub fn decode(body: &[u8]) -> Result<Work<'_>, StandInError> {
    let rest = body.strip_prefix(MAGIC).ok_or(StandInError::Magic)?;
    let (version, rest) = rest.split_first().ok_or(StandInError::Damaged)?;
    if *version != PLAN_VERSION {
        return Err(StandInError::Version(*version));
    }
    let readable = &rest[..rest.len().min(WORK_BYTES_MAX)];
    let (work, _padding) = postcard::take_from_bytes::<Work>(readable).map_err(|error| {
        let beyond = bounded::take_beyond();
        match error {
            postcard::Error::DeserializeUnexpectedEnd if readable.len() < rest.len() => StandInError::TooLong,
            _ => beyond.map_or(StandInError::Damaged, StandInError::Bound),
        }
    })?;
    check(&work)?;
    Ok(work)
}

#[cfg(test)]
mod tests;
