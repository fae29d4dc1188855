//! [`AlignedBuffer`]: bytes to be written, the first of which has an aligned address.

use crate::BLOCK_BYTES;

/// A vector that starts with padding, so that the byte after the padding has an aligned address.
#[derive(Debug)]
pub struct AlignedBuffer {
    bytes: Vec<u8>,
    /// Length of the padding.
    begin: usize,
}

impl AlignedBuffer {
    /// An empty buffer that holds `capacity` bytes before it has to grow.
    pub fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity + BLOCK_BYTES);
        let begin = padding(&bytes);
        bytes.resize(begin, 0);
        Self { bytes, begin }
    }

    /// Number of bytes, without the padding.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.begin
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The vector to append to. It starts with the padding. Callers must not change the bytes that it already has.
    pub fn vec(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// All bytes. The address of the first one is aligned.
    pub fn aligned(&mut self) -> &[u8] {
        if padding(&self.bytes) != self.begin {
            self.align();
        }
        &self.bytes[self.begin..]
    }

    /// Moves the bytes: the vector has grown, and has another address now.
    #[cold]
    fn align(&mut self) {
        let (old, end) = (self.begin, self.bytes.len());
        // Room for the longest padding, so that the address does not change once more.
        self.bytes.reserve(BLOCK_BYTES);
        self.begin = padding(&self.bytes);
        let moved = self.begin + end - old;
        self.bytes.resize(moved.max(end), 0);
        self.bytes.copy_within(old..end, self.begin);
        self.bytes.truncate(moved);
    }

    /// Removes the first `count` bytes.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn remove(&mut self, count: usize) {
        let end = self.bytes.len();
        self.bytes.copy_within(self.begin + count..end, self.begin);
        self.bytes.truncate(end - count);
    }
}

fn padding(bytes: &[u8]) -> usize {
    bytes.as_ptr().align_offset(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_stay_in_order_and_aligned_however_the_buffer_grows(
            capacity in 0..9000_usize,
            steps in proptest::collection::vec((0..20_000_usize, 0..30_000_usize), 1..20),
        ) {
            let mut buffer = AlignedBuffer::new(capacity);
            let mut expected = Vec::new();
            for (number, (added, removed)) in steps.into_iter().enumerate() {
                let piece = vec![number as u8; added];
                buffer.vec().extend_from_slice(&piece);
                expected.extend_from_slice(&piece);
                prop_assert_eq!(buffer.aligned().as_ptr().align_offset(BLOCK_BYTES), 0);
                prop_assert!(buffer.aligned() == expected);
                let removed = removed.min(expected.len());
                buffer.remove(removed);
                expected.drain(..removed);
                prop_assert_eq!(buffer.len(), expected.len());
                prop_assert_eq!(buffer.is_empty(), expected.is_empty());
            }
        }
    }
}
