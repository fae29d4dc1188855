//! A record's frame on disk: a header with checksum, length and sequence number, then the body, padded to eight bytes.
//!
//! | bytes | field | |
//! |---|---|---|
//! | 0..4 | checksum | CRC-32C of all bytes after it up to the body's end; all numbers are little endian |
//! | 4..8 | length | bytes of the body |
//! | 8..16 | sequence | number of the record, one more than the previous record's |
//! | 16..24 | time | arrival, nanoseconds since the Unix epoch |
//! | 24..32 | durable | all records before this number were durable when this one was written |
//! | 32 | content | kind of the body |
//! | 33..40 | zero | |

use super::record::{Content, Record, Signal};

/// Bytes before the body.
pub const HEADER_LEN: usize = 40;
/// Frames begin at multiples of this.
pub const ALIGNMENT: usize = 8;
/// Maximum length of a body. No setting allows a larger message.
pub const BODY_LEN_MAX: usize = 256 * 1024 * 1024;

const CHECKED_FROM: usize = 4;
/// Maximum difference between the numbers of two records. It is more than a segment can contain.
const FRAMES_BEHIND_MAX: u64 = 1 << 40;

/// A decoded header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub body_len: usize,
    pub sequence: u64,
    /// Arrival time.
    pub received_unix_ns: u64,
    /// All records before this number were durable when this one was written.
    pub durable_before: u64,
    content: u8,
}

/// Result of decoding the bytes at an offset of a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    Frame {
        header: Header,
        body: &'a [u8],
        /// Offset of the next frame from the start of this one.
        next: usize,
    },
    /// Unused space: zeros, or the end of the segment.
    Nothing,
    /// Neither a complete frame nor unused space.
    Damaged,
}

fn code(content: &Content) -> u8 {
    match content {
        Content::Request {
            signal: Signal::Traces,
            ..
        } => 1,
        Content::Request {
            signal: Signal::Metrics,
            ..
        } => 2,
        Content::Request {
            signal: Signal::Logs, ..
        } => 3,
        Content::Tick => 4,
        Content::Restart => 5,
        Content::Shutdown => 6,
        Content::Settings { .. } => 7,
    }
}

pub fn body(record: &Record) -> &[u8] {
    match &record.content {
        Content::Request { body, .. } | Content::Settings { body } => body,
        Content::Tick | Content::Restart | Content::Shutdown => &[],
    }
}

/// Length of a frame with header and padding.
pub fn frame_len(body_len: usize) -> usize {
    HEADER_LEN + body_len.next_multiple_of(ALIGNMENT)
}

pub fn encode_header(record: &Record, sequence: u64, durable_before: u64) -> [u8; HEADER_LEN] {
    let body = body(record);
    let mut header = [0; HEADER_LEN];
    // The maximum message size is far below 4 GiB.
    header[4..8].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[8..16].copy_from_slice(&sequence.to_le_bytes());
    header[16..24].copy_from_slice(&record.received_unix_ns.to_le_bytes());
    header[24..32].copy_from_slice(&durable_before.to_le_bytes());
    header[32] = code(&record.content);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[CHECKED_FROM..]), body);
    header[..CHECKED_FROM].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Decodes the frame at the start of these bytes.
pub fn decode(bytes: &[u8]) -> Found<'_> {
    let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
        return if bytes.iter().all(|&byte| byte == 0) {
            Found::Nothing
        } else {
            Found::Damaged
        };
    };
    if header.iter().all(|&byte| byte == 0) {
        return Found::Nothing;
    }
    let number = |offset: usize| {
        let mut field = [0; 8];
        field.copy_from_slice(&header[offset..offset + 8]);
        u64::from_le_bytes(field)
    };
    let body_len = (number(0) >> 32) as usize;
    let checksum = number(0) as u32;
    let body = bytes.get(HEADER_LEN..HEADER_LEN + body_len.min(BODY_LEN_MAX));
    let Some(body) = body.filter(|body| body.len() == body_len) else {
        return Found::Damaged;
    };
    if crc32c::crc32c_append(crc32c::crc32c(&header[CHECKED_FROM..]), body) != checksum {
        return Found::Damaged;
    }
    let header = Header {
        body_len,
        sequence: number(8),
        received_unix_ns: number(16),
        durable_before: number(24),
        content: header[32],
    };
    Found::Frame {
        header,
        body,
        next: frame_len(body_len),
    }
}

/// Whether a frame with record number `expected` or a later one can start with these bytes. The body is not checked: a search
/// may cover megabytes of arbitrary bytes, and computing a checksum at each offset would take hours.
pub fn may_begin(bytes: &[u8], expected: u64) -> bool {
    let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
        return false;
    };
    let sequence = header[8..16]
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte));
    let ends_in_zeros = header[33..].iter().all(|&byte| byte == 0);
    ends_in_zeros && header[32] != 0 && sequence >= expected && sequence - expected <= FRAMES_BEHIND_MAX
}

/// The record of a frame; `None` if this version does not know the kind of content.
pub fn record(header: &Header, body: &[u8]) -> Option<Record> {
    let body = || bytes::Bytes::copy_from_slice(body);
    let request = |signal| Content::Request { signal, body: body() };
    let content = match header.content {
        1 => request(Signal::Traces),
        2 => request(Signal::Metrics),
        3 => request(Signal::Logs),
        4 => Content::Tick,
        5 => Content::Restart,
        6 => Content::Shutdown,
        7 => Content::Settings { body: body() },
        _ => return None,
    };
    Some(Record {
        received_unix_ns: header.received_unix_ns,
        content,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(body: Vec<u8>) -> Record {
        Record {
            received_unix_ns: 7,
            content: Content::Request {
                signal: Signal::Metrics,
                body: body.into(),
            },
        }
    }

    fn frame(record: &Record) -> Vec<u8> {
        let mut bytes = encode_header(record, 3, 2).to_vec();
        bytes.extend_from_slice(body(record));
        bytes.resize(frame_len(body(record).len()), 0);
        bytes
    }

    #[test]
    fn zeros_are_unused_space_and_other_bytes_are_damage() {
        assert_eq!(decode(&[]), Found::Nothing);
        assert_eq!(decode(&[0; 100]), Found::Nothing);
        assert_eq!(decode(&[1; 10]), Found::Damaged);
        assert_eq!(decode(&[1; 100]), Found::Damaged);
    }

    proptest! {
        #[test]
        fn a_record_is_decoded_as_it_was_encoded(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let record_in = request(body);
            let bytes = frame(&record_in);
            let Found::Frame { header, body, next } = decode(&bytes) else { panic!("whole") };
            prop_assert_eq!(next, bytes.len());
            prop_assert_eq!((header.sequence, header.durable_before), (3, 2));
            prop_assert_eq!(record(&header, body), Some(record_in));
        }

        #[test]
        fn any_flipped_bit_is_detected(body in proptest::collection::vec(any::<u8>(), 0..64), bit in any::<prop::sample::Index>()) {
            let record = request(body);
            let mut bytes = frame(&record);
            let checked = HEADER_LEN + super::body(&record).len();
            let bit = bit.index(checked * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = matches!(decode(&bytes), Found::Frame { .. });
            prop_assert!(!found);
        }
    }
}
