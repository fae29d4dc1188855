//! gRPC calls as the bytes of an HTTP/2 connection. Tests cut these bytes, delay them, or leave the end out.

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&len[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head.as_slice(), payload].concat()
}

/// The first bytes of a connection.
pub fn opening() -> Vec<u8> {
    [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

fn header_block(encoding: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", TRACES),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-encoding", encoding),
    ] {
        // A literal that is not added to the table of headers. Names and values are shorter than 127 bytes, so their lengths
        // fit into one byte.
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The headers of a call. If not `complete`, more headers follow.
pub fn headers(stream: u32, encoding: &str, complete: bool) -> Vec<u8> {
    let flags = if complete { END_HEADERS } else { 0 };
    frame(HEADERS, flags, stream, &header_block(encoding))
}

/// A piece of a call's body.
pub fn data(stream: u32, bytes: &[u8], is_last: bool) -> Vec<u8> {
    frame(DATA, if is_last { END_STREAM } else { 0 }, stream, bytes)
}

/// A message with gRPC's prefix.
pub fn message(compressed: bool, message: &[u8]) -> Vec<u8> {
    let len = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[u8::from(compressed)], &len[..], message].concat()
}

/// All bytes of a connection with one call. The end of the stream is a separate frame.
pub fn call(body: &[u8]) -> Vec<u8> {
    let message = message(false, body);
    let (first, second) = message.split_at(message.len() / 2);
    let frames = [
        opening(),
        headers(1, "identity", true),
        data(1, first, false),
        data(1, second, false),
        data(1, &[], true),
    ];
    frames.concat()
}

/// Whether the server's bytes contain the end of the answer to the call on stream 1.
pub fn is_answered(mut frames: &[u8]) -> bool {
    while let Some((head, rest)) = frames.split_first_chunk::<9>() {
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if stream == 1 && head[3] == HEADERS && head[4] & END_STREAM != 0 {
            return true;
        }
        frames = rest.get(len..).unwrap_or_default();
    }
    false
}
