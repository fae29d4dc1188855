//! [`Compression`]: decompresses requests in pieces, up to a maximum size. So a compression bomb does not exhaust memory.

use std::io::{self, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use http::HeaderValue;

use super::budget::Reservation;
use super::refusal::Refusal;

/// Size of a piece of output.
const PIECE_BYTES: usize = 64 * 1024;
/// Estimated output bytes per input byte, typical for spans.
const USUAL_RATIO: usize = 8;
/// Maximum window of a zstd frame, as a power of two: 8 MiB, as RFC 8878 recommends.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Identity,
    Gzip,
    Zstd,
}

impl Compression {
    /// Reads a content-encoding or grpc-encoding header. Names ignore case (RFC 9110, section 8.4.1).
    pub(super) fn from_header(header: Option<&HeaderValue>) -> Result<Self, Refusal> {
        let name = header.map_or(&b""[..], HeaderValue::as_bytes);
        match name.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Self::Identity),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"zstd" => Ok(Self::Zstd),
            _ => Err(Refusal::UnsupportedCompression(
                String::from_utf8_lossy(name).into_owned(),
            )),
        }
    }

    /// Decompresses a message to at most `limit` bytes.
    pub(super) fn decompress(
        self,
        message: Bytes,
        limit: usize,
        reservation: &mut Reservation,
    ) -> Result<Bytes, Refusal> {
        let pieces: Box<dyn Read + '_> = match self {
            Self::Identity => return Ok(message),
            Self::Gzip => Box::new(MultiGzDecoder::new(&message[..])),
            Self::Zstd => Box::new(zstd_decoder(&message).map_err(|error| malformed(&error))?),
        };
        let first_guess = message.len().saturating_mul(USUAL_RATIO).min(limit);
        read_bounded(pieces, first_guess, limit, reservation)
    }
}

fn zstd_decoder(message: &[u8]) -> io::Result<impl Read + '_> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(message)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(decoder)
}

fn read_bounded(
    mut pieces: impl Read,
    first_guess: usize,
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Bytes, Refusal> {
    let mut whole = Vec::with_capacity(first_guess.min(PIECE_BYTES * 16));
    loop {
        let before = whole.len();
        // One byte more than the limit shows whether a message is longer than the limit.
        let room = (limit - before).saturating_add(1).min(PIECE_BYTES);
        let mut piece = Read::take(&mut pieces, room as u64);
        piece.read_to_end(&mut whole).map_err(|error| malformed(&error))?;
        let read = whole.len() - before;
        if whole.len() > limit {
            return Err(Refusal::TooLarge { limit });
        }
        if read == 0 {
            return Ok(Bytes::from(whole));
        }
        reservation.grow(read)?;
    }
}

fn malformed(error: &io::Error) -> Refusal {
    Refusal::Malformed(format!("cannot decompress: {error}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::super::budget::Budget;
    use super::super::refusal;
    use super::*;

    const LIMIT: usize = 1024 * 1024;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        Bytes::from(encoder.finish().unwrap())
    }

    fn zstd(bytes: &[u8]) -> Bytes {
        Bytes::from(zstd::encode_all(bytes, 1).unwrap())
    }

    fn decompress(compression: Compression, message: Bytes, budget: usize) -> Result<Bytes, Refusal> {
        compression.decompress(message, LIMIT, &mut Budget::new(budget).reservation())
    }

    #[test]
    fn each_compression_that_a_refusal_offers_is_known() {
        for name in refusal::COMPRESSIONS.split(',') {
            let header = HeaderValue::from_static(name);
            assert!(Compression::from_header(Some(&header)).is_ok(), "{name}");
        }
    }

    #[test]
    fn compressed_messages_are_decompressed_up_to_the_limit() {
        for len in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, LIMIT] {
            let bytes = vec![7; len];
            assert_eq!(decompress(Compression::Gzip, gzip(&bytes), LIMIT).unwrap(), bytes);
            assert_eq!(decompress(Compression::Zstd, zstd(&bytes), LIMIT).unwrap(), bytes);
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let bomb = vec![0; 50 * LIMIT];
        let too_large = Err(Refusal::TooLarge { limit: LIMIT });
        assert_eq!(decompress(Compression::Gzip, gzip(&bomb), 2 * LIMIT), too_large);
        assert_eq!(decompress(Compression::Zstd, zstd(&bomb), 2 * LIMIT), too_large);
        assert_eq!(
            decompress(Compression::Gzip, gzip(&bomb), 9),
            Err(Refusal::TooMuchInFlight)
        );
    }

    #[test]
    fn members_one_after_the_other_are_one_message() {
        let members = Bytes::from([gzip(b"one "), gzip(b"two")].concat());
        assert_eq!(decompress(Compression::Gzip, members, LIMIT).unwrap(), "one two");
    }

    #[test]
    fn uncompressed_bytes_are_malformed() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let answer = decompress(compression, Bytes::from_static(b"neither of them"), LIMIT);
            assert!(matches!(answer, Err(Refusal::Malformed(_))), "{answer:?}");
        }
        let cut = gzip(&[7; 1000]);
        let answer = decompress(Compression::Gzip, cut.slice(..cut.len() - 9), LIMIT);
        assert!(matches!(answer, Err(Refusal::Malformed(_))), "{answer:?}");
    }
}
