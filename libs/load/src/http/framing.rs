//! The framing of an HTTP/1.1 response body: by length, in chunks, or until the connection closes.

/// Maximum length of a line with a chunk's size, bytes.
const CHUNK_LINE_BYTES_MAX: u32 = 1024;
/// Maximum number of interim answers (status 1xx) before a response. Servers send one or two, such as 100 and 103.
pub(super) const INTERIM_ANSWERS_MAX: u32 = 32;

/// An invalid response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// Not HTTP/1.1, or an invalid length.
    #[error("response is not valid HTTP/1.1")]
    Malformed,
    /// The head or a line of the framing exceeds a limit of this reader.
    #[error("response head is too large")]
    HeadTooLarge,
    #[error("response has more than {INTERIM_ANSWERS_MAX} interim answers (status 1xx)")]
    TooManyInterim,
}

/// The state of a reader within a response. `Length(0)` is the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Head,
    Length(u64),
    ChunkSize {
        size: u64,
        line_bytes: u32,
        in_extension: bool,
    },
    ChunkData(u64),
    ChunkDataEnd,
    Trailer {
        line_bytes: u32,
    },
    UntilClose,
}

pub(super) const CHUNK_SIZE_START: State = State::ChunkSize {
    size: 0,
    line_bytes: 0,
    in_extension: false,
};

/// Advances the state by one byte of chunked framing. `Length(0)` is the end of the body.
pub(super) fn next_framing_state(state: State, byte: u8) -> Result<State, ResponseError> {
    match (state, byte) {
        (State::ChunkSize { line_bytes, .. } | State::Trailer { line_bytes }, _)
            if line_bytes > CHUNK_LINE_BYTES_MAX =>
        {
            Err(ResponseError::HeadTooLarge)
        }
        (State::ChunkSize { line_bytes: 0, .. }, b'\r' | b'\n' | b';') => Err(ResponseError::Malformed),
        (State::ChunkSize { .. }, b'\r') => Ok(state),
        (State::ChunkSize { size: 0, .. }, b'\n') => Ok(State::Trailer { line_bytes: 0 }),
        (State::ChunkSize { size, .. }, b'\n') => Ok(State::ChunkData(size)),
        (
            State::ChunkSize {
                size,
                line_bytes,
                in_extension: false,
            },
            _,
        ) if byte.is_ascii_hexdigit() => {
            let digit = (byte as char).to_digit(16).map_or(0, u64::from);
            let size = size.checked_mul(16).ok_or(ResponseError::Malformed)? + digit;
            Ok(State::ChunkSize {
                size,
                line_bytes: line_bytes + 1,
                in_extension: false,
            })
        }
        (
            State::ChunkSize {
                size,
                line_bytes,
                in_extension,
            },
            _,
        ) if in_extension || matches!(byte, b';' | b' ') => Ok(State::ChunkSize {
            size,
            line_bytes: line_bytes + 1,
            in_extension: true,
        }),
        (State::ChunkDataEnd, b'\r') => Ok(State::ChunkDataEnd),
        (State::ChunkDataEnd, b'\n') => Ok(CHUNK_SIZE_START),
        (State::Trailer { .. }, b'\r') => Ok(state),
        (State::Trailer { line_bytes: 0 }, b'\n') => Ok(State::Length(0)),
        (State::Trailer { .. }, b'\n') => Ok(State::Trailer { line_bytes: 0 }),
        (State::Trailer { line_bytes }, _) => Ok(State::Trailer {
            line_bytes: line_bytes + 1,
        }),
        _ => Err(ResponseError::Malformed),
    }
}

/// How the end of the body is found, and whether the connection stays open.
pub(super) struct Framing {
    pub chunked: bool,
    pub length: Option<u64>,
    pub keep_alive: bool,
}

impl Framing {
    pub fn from_headers(headers: &[httparse::Header<'_>], is_http_1_1: bool) -> Result<Self, ResponseError> {
        let mut framing = Self {
            chunked: false,
            length: None,
            keep_alive: is_http_1_1,
        };
        for header in headers {
            let value = std::str::from_utf8(header.value).unwrap_or("").trim();
            if header.name.eq_ignore_ascii_case("content-length") {
                framing.length = Some(value.parse().map_err(|_| ResponseError::Malformed)?);
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                framing.chunked = value.to_ascii_lowercase().ends_with("chunked");
            } else if header.name.eq_ignore_ascii_case("connection") {
                framing.keep_alive = match value.to_ascii_lowercase().as_str() {
                    "close" => false,
                    "keep-alive" => true,
                    _ => framing.keep_alive,
                };
            }
        }
        Ok(framing)
    }
}
