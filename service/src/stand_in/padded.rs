//! [`Padded`]: the body of a planned request. It consists of the plan and zero bytes; the zero bytes are not stored.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A block of zero bytes, shared by all bodies.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A body of zero bytes.
pub fn zeros(bytes: u32) -> Bytes {
    let length = bytes as usize;
    match ZEROS.get(..length) {
        Some(zeros) => Bytes::from_static(zeros),
        None => Bytes::from(vec![0; length]),
    }
}

/// A body of the recorded size. If the plan alone is larger, the body has the size of the plan.
pub struct Padded {
    plan: Option<Bytes>,
    padding: usize,
}

impl Padded {
    /// Returns the body, and the number of bytes by which it is larger than recorded. `plan` is the start of the body.
    pub fn new(plan: Bytes, recorded_bytes: u32) -> (Self, usize) {
        let recorded = recorded_bytes.min(standin::BODY_BYTES_MAX) as usize;
        let padding = recorded.saturating_sub(plan.len());
        let larger_by = plan.len().saturating_sub(recorded);
        let plan = Some(plan);
        (Self { plan, padding }, larger_by)
    }

    fn length(&self) -> usize {
        self.plan.as_ref().map_or(0, Bytes::len) + self.padding
    }
}

impl Body for Padded {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match self.plan.take() {
            Some(plan) => plan,
            None if self.padding == 0 => return Poll::Ready(None),
            None => {
                let length = self.padding.min(ZEROS.len());
                self.padding -= length;
                Bytes::from_static(&ZEROS[..length])
            }
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.length() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    fn collected(body: Padded) -> Bytes {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(body.collect()).unwrap().to_bytes()
    }

    #[test]
    fn a_padded_body_is_that_of_the_crate_that_decodes_it() {
        for recorded in [0, 3, 4, 9, 200_000] {
            let (plan, _) = standin::body(b"work", 0);
            let (body, larger_by) = Padded::new(plan, recorded);
            let (expected, is_larger) = standin::body(b"work", recorded);
            assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
            assert_eq!(collected(body), expected);
            assert_eq!(larger_by > 0, is_larger);
        }
    }
}
