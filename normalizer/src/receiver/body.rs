//! [`collect`]: reads the body of a request within limits. A large body that arrives in one frame is not copied.

use std::fmt::Display;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;

use super::budget::Reservation;
use super::refusal::Refusal;

/// Maximum time for a request's body to arrive.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum time for reading the rest of a body that is too large. A client reads the answer only after it has sent the whole
/// body.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum number of bytes to read from a body that is refused whatever its content is. A client without a token must not cause
/// more work.
const DISCARDED_UNREAD_BYTES_MAX: usize = 64 * 1024;
/// Maximum memory to allocate for a declared length before the bytes have arrived.
const TRUSTED_BYTES: usize = 1024 * 1024;
/// Bodies up to this size are copied, because a reference would keep the connection's whole read buffer in memory.
const COPIED_BYTES_MAX: usize = 64 * 1024;

/// Reads a body of at most `limit` bytes. `declared_len` returns the body's length from its first piece, if known.
pub(super) async fn collect<B>(
    body: B,
    limit: usize,
    declared_len: impl FnOnce(&[u8]) -> Option<usize>,
    reservation: &mut Reservation,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let mut body = pin!(body);
    let arrival = gather(body.as_mut(), limit, declared_len, reservation);
    let collected = match tokio::time::timeout(ARRIVAL_TIMEOUT, arrival).await {
        Ok(collected) => collected,
        Err(_) => Err(Refusal::Incomplete(format!(
            "timeout after {} s",
            ARRIVAL_TIMEOUT.as_secs()
        ))),
    };
    if matches!(collected, Err(Refusal::TooLarge { .. })) {
        // The result is ignored, because the answer is the same whether or not the client stops sending.
        let _ = tokio::time::timeout(DISCARD_TIMEOUT, discard(body, limit)).await;
    }
    collected
}

async fn gather<B>(
    mut body: Pin<&mut B>,
    limit: usize,
    declared_len: impl FnOnce(&[u8]) -> Option<usize>,
    reservation: &mut Reservation,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let Some(first) = next_piece(&mut body).await? else {
        return Ok(Bytes::new());
    };
    let declared_len = declared_len(&first).unwrap_or(0);
    if declared_len.max(first.len()) > limit {
        return Err(Refusal::TooLarge { limit });
    }
    reservation.grow(first.len())?;
    let Some(mut piece) = next_piece(&mut body).await? else {
        return Ok(if first.len() <= COPIED_BYTES_MAX {
            Bytes::copy_from_slice(&first)
        } else {
            first
        });
    };
    let mut whole = Vec::with_capacity(declared_len.clamp(first.len(), TRUSTED_BYTES.max(first.len())));
    whole.extend_from_slice(&first);
    drop(first);
    loop {
        let len = whole.len() + piece.len();
        if len > limit {
            return Err(Refusal::TooLarge { limit });
        }
        reservation.grow(piece.len())?;
        if len > whole.capacity() {
            let target = if declared_len >= len {
                declared_len
            } else {
                (2 * len).min(limit)
            };
            whole.reserve_exact(target - whole.len());
        }
        whole.extend_from_slice(&piece);
        match next_piece(&mut body).await? {
            Some(next) => piece = next,
            None => return Ok(Bytes::from(whole)),
        }
    }
}

async fn next_piece<B>(body: &mut Pin<&mut B>) -> Result<Option<Bytes>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::Incomplete(error.to_string()))?;
        match frame.into_data() {
            Ok(data) if !data.is_empty() => return Ok(Some(data)),
            _ => {}
        }
    }
    Ok(None)
}

/// Reads a small part of a refused body, so that its client reads the answer.
pub(super) async fn discard_small<B>(body: B)
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let body = pin!(body);
    let _ = tokio::time::timeout(DISCARD_TIMEOUT, discard(body, DISCARDED_UNREAD_BYTES_MAX)).await;
}

async fn discard<B>(mut body: Pin<&mut B>, limit: usize)
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let mut discarded = 0;
    while let Ok(Some(piece)) = next_piece(&mut body).await {
        discarded += piece.len();
        if discarded > limit {
            return;
        }
    }
}
