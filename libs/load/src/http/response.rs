//! An incremental reader of HTTP/1.1 responses: status and body size, without keeping the body.

use super::framing::{CHUNK_SIZE_START, Framing, INTERIM_ANSWERS_MAX, State, next_framing_state};

pub use super::framing::ResponseError;

/// Maximum size of a response head, bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 64;

/// A complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Body bytes without chunk framing.
    pub body_bytes: u64,
    /// Whether the connection can carry another request.
    pub keep_alive: bool,
}

#[derive(Debug)]
pub struct ResponseReader {
    state: State,
    head: Vec<u8>,
    answer: Answer,
    bodyless: bool,
    started: bool,
    interim_answers: u32,
}

impl ResponseReader {
    pub fn new() -> Self {
        let answer = Answer {
            status: 0,
            body_bytes: 0,
            keep_alive: true,
        };
        Self {
            state: State::Head,
            head: Vec::new(),
            answer,
            bodyless: false,
            started: false,
            interim_answers: 0,
        }
    }

    /// Prepares the reader for the response to a request. `bodyless` states whether its method is HEAD.
    pub fn expect(&mut self, bodyless: bool) {
        self.bodyless = bodyless;
    }

    /// Prepares the reader for the next response on the connection.
    pub fn reset(&mut self) {
        self.state = State::Head;
        self.head.clear();
        self.answer = Answer {
            status: 0,
            body_bytes: 0,
            keep_alive: true,
        };
        self.started = false;
        self.interim_answers = 0;
    }

    /// Whether any byte of the response has been received.
    pub fn has_started(&self) -> bool {
        self.started
    }

    /// Takes the next bytes. Returns the response once it is complete. Bytes after its end are an error of the server.
    pub fn feed(&mut self, data: &[u8]) -> Result<Option<Answer>, ResponseError> {
        self.started |= !data.is_empty();
        if self.state == State::Head {
            return self.feed_head(data);
        }
        self.feed_body(data)
    }

    /// Call this when the connection was closed. Returns the response if its body extends to the end of the connection.
    pub fn end_of_stream(&self) -> Option<Answer> {
        (self.state == State::UntilClose).then_some(self.answer)
    }

    /// Reads the heads of interim responses, then the head and the body of the final response.
    fn feed_head(&mut self, data: &[u8]) -> Result<Option<Answer>, ResponseError> {
        let mut kept = std::mem::take(&mut self.head);
        let mut rest = match kept.is_empty() {
            true => data,
            false => {
                kept.extend_from_slice(data);
                &kept
            }
        };
        while self.state == State::Head {
            let Some(consumed) = self.parse_head(rest)? else {
                self.head = rest.to_vec();
                return Ok(None);
            };
            rest = &rest[consumed..];
            if (100..200).contains(&self.answer.status) {
                self.interim_answers += 1;
                if self.interim_answers > INTERIM_ANSWERS_MAX {
                    return Err(ResponseError::TooManyInterim);
                }
                self.state = State::Head;
            }
        }
        self.feed_body(rest)
    }

    /// Parses a head at the start of `data`. Returns its length; none if it is incomplete.
    fn parse_head(&mut self, data: &[u8]) -> Result<Option<usize>, ResponseError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let consumed = match response.parse(data) {
            Ok(httparse::Status::Complete(consumed)) => consumed,
            Ok(httparse::Status::Partial) if data.len() > HEAD_BYTES_MAX => {
                return Err(ResponseError::HeadTooLarge);
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(ResponseError::HeadTooLarge),
            Err(_) => return Err(ResponseError::Malformed),
        };
        let status = response.code.ok_or(ResponseError::Malformed)?;
        let framing = Framing::from_headers(response.headers, response.version == Some(1))?;
        self.answer = Answer {
            status,
            body_bytes: 0,
            keep_alive: framing.keep_alive,
        };
        self.state = match (
            self.bodyless || matches!(status, 204 | 304),
            framing.chunked,
            framing.length,
        ) {
            (true, _, _) => State::Length(0),
            (_, true, _) => CHUNK_SIZE_START,
            (_, _, Some(length)) => State::Length(length),
            _ => State::UntilClose,
        };
        if self.state == State::UntilClose {
            self.answer.keep_alive = false;
        }
        Ok(Some(consumed))
    }

    fn feed_body(&mut self, mut data: &[u8]) -> Result<Option<Answer>, ResponseError> {
        loop {
            if self.state == State::Length(0) {
                return if data.is_empty() {
                    Ok(Some(self.answer))
                } else {
                    Err(ResponseError::Malformed)
                };
            }
            let Some((first, rest)) = data.split_first() else {
                return Ok(None);
            };
            match self.state {
                State::Length(left) => {
                    let taken = self.count_body(left, data);
                    self.state = State::Length(left - taken);
                    data = &data[taken as usize..];
                }
                State::ChunkData(left) => {
                    let taken = self.count_body(left, data);
                    self.state = if taken == left {
                        State::ChunkDataEnd
                    } else {
                        State::ChunkData(left - taken)
                    };
                    data = &data[taken as usize..];
                }
                State::UntilClose => {
                    self.answer.body_bytes += data.len() as u64;
                    return Ok(None);
                }
                State::ChunkSize { .. } | State::ChunkDataEnd | State::Trailer { .. } => {
                    self.state = next_framing_state(self.state, *first)?;
                    data = rest;
                }
                State::Head => return Err(ResponseError::Malformed),
            }
        }
    }

    fn count_body(&mut self, left: u64, data: &[u8]) -> u64 {
        let taken = left.min(data.len() as u64);
        self.answer.body_bytes += taken;
        taken
    }
}

impl Default for ResponseReader {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `wire` in pieces of `piece` bytes, then ends the stream.
    fn read(method: &str, wire: &[u8], piece: usize) -> Result<Option<Answer>, ResponseError> {
        let mut reader = ResponseReader::new();
        reader.expect(method == "HEAD");
        for data in wire.chunks(piece) {
            if let Some(answer) = reader.feed(data)? {
                return Ok(Some(answer));
            }
        }
        Ok(reader.end_of_stream())
    }

    fn answer(status: u16, body_bytes: u64, keep_alive: bool) -> Answer {
        Answer {
            status,
            body_bytes,
            keep_alive,
        }
    }

    #[test]
    fn every_framing_is_read_whatever_the_pieces() {
        let cases: [(&str, &str, Answer); 8] = [
            (
                "GET",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
                answer(200, 5, true),
            ),
            ("GET", "HTTP/1.1 204 No Content\r\n\r\n", answer(204, 0, true)),
            (
                "HEAD",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                answer(200, 0, true),
            ),
            (
                "GET",
                "HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
                answer(503, 2, false),
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                answer(200, 15, true),
            ),
            (
                "GET",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n0\r\nX-Sum: 1\r\n\r\n",
                answer(200, 1, true),
            ),
            (
                "POST",
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
                answer(200, 1, true),
            ),
            (
                "GET",
                "HTTP/1.0 200 OK\r\n\r\nuntil the end",
                answer(200, 13, false),
            ),
        ];
        for (method, wire, expected) in cases {
            for piece in 1..=wire.len() {
                assert_eq!(
                    read(method, wire.as_bytes(), piece),
                    Ok(Some(expected)),
                    "{wire:?} by {piece}"
                );
            }
        }
    }

    #[test]
    fn invalid_responses_are_errors() {
        for wire in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        ] {
            assert!(read("GET", wire.as_bytes(), wire.len()).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn interim_answers_are_bounded_whatever_the_pieces() {
        let interim = |count: u32| "HTTP/1.1 100 Continue\r\n\r\n".repeat(count as usize);
        let wire = |count| interim(count) + "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        for piece in [1, 25, 40, 100_000] {
            let most = wire(INTERIM_ANSWERS_MAX);
            assert_eq!(
                read("GET", most.as_bytes(), piece),
                Ok(Some(answer(200, 1, true)))
            );
            // A recursion for each interim answer would exceed the stack.
            for count in [INTERIM_ANSWERS_MAX + 1, 100_000] {
                let failed = read("GET", interim(count).as_bytes(), piece);
                assert_eq!(failed, Err(ResponseError::TooManyInterim));
            }
        }
    }

    #[test]
    fn a_body_cut_short_is_never_whole() {
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell";
        assert_eq!(read("GET", wire, 7), Ok(None));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..300), piece in 1usize..50) {
            let _ = read("GET", &data, piece);
            let chunked = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", data.as_slice()].concat();
            let _ = read("GET", &chunked, piece);
        }
    }
}
