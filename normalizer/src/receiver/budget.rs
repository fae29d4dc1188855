//! [`Budget`]: a bound on the bytes of all requests in progress, whatever the number of clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::refusal::Refusal;

/// Bytes that requests in progress may take.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    free: Arc<AtomicUsize>,
}

/// The bytes that one request has reserved. They are returned on drop.
#[derive(Debug)]
pub(super) struct Reservation {
    free: Arc<AtomicUsize>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            free: Arc::new(AtomicUsize::new(bytes)),
        }
    }

    /// An empty reservation.
    pub(super) fn reservation(&self) -> Reservation {
        Reservation {
            free: Arc::clone(&self.free),
            bytes: 0,
        }
    }
}

impl Reservation {
    /// Reserves more bytes.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
                free.checked_sub(bytes)
            })
            .map_err(|_| Refusal::TooMuchInFlight)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.free.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_over_the_budget_are_refused_until_others_are_released() {
        let budget = Budget::new(10);
        let mut first = budget.reservation();
        let mut second = budget.reservation();
        first.grow(8).unwrap();
        assert_eq!(second.grow(3), Err(Refusal::TooMuchInFlight));
        second.grow(2).unwrap();
        drop(first);
        second.grow(8).unwrap();
    }
}
