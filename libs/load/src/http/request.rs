//! The bytes of requests: one prepared head per size of body, into which each request's ids are written.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue};

use crate::ids::{Ids, write_hex};
use crate::plan::sizes::step_of;
use crate::plan::target::{Endpoint, Target};

/// Headers that only the driver may write.
const OWN_HEADERS: [&str; 5] = [
    "content-length",
    "transfer-encoding",
    "connection",
    "traceparent",
    "baggage",
];

const TRACEPARENT: &str = "traceparent: 00-00000000000000000000000000000000-0000000000000000-01\r\n";
const TRACE_ID_OFFSET: usize = "traceparent: 00-".len();
const SPAN_ID_OFFSET: usize = TRACE_ID_OFFSET + 32 + 1;

/// An invalid header from the command line.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// No colon, or a character that HTTP forbids.
    #[error("invalid header {0:?}: write it like 'X-Next-Url: http://127.0.0.1:8081/blob/gzip'")]
    Invalid(String),
    #[error("invalid header {0:?}: the driver writes it itself, so omit it")]
    Reserved(String),
}

/// A valid extra header.
#[derive(Debug, Clone)]
pub struct ExtraHeader {
    name: HeaderName,
    value: String,
}

impl ExtraHeader {
    /// Parses `Name: value`.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        let invalid = || HeaderError::Invalid(text.to_owned());
        let (name, value) = text.split_once(':').ok_or_else(invalid)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| invalid())?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| invalid())?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(HeaderError::Reserved(name.to_string()));
        }
        Ok(Self {
            name,
            value: value.to_str().map_err(|_| invalid())?.to_owned(),
        })
    }
}

/// The value of the header Host: the user's, or the target.
pub fn host_value(target: &Target, extra_headers: &[ExtraHeader]) -> String {
    last_value(&HOST, extra_headers).map_or_else(|| target.authority(), str::to_owned)
}

/// The user's last value for a header that a request has only once.
fn last_value<'a>(name: &HeaderName, extra_headers: &'a [ExtraHeader]) -> Option<&'a str> {
    let mut values = extra_headers.iter().rev().filter(|header| header.name == *name);
    values.next().map(|header| &*header.value)
}

/// A request that is turned in place into any request of its drive: ids and body size differ. Clones share the bodies.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    variants: Vec<Variant>,
    current: usize,
}

/// The request with one of the bodies.
#[derive(Debug, Clone)]
struct Variant {
    head: Vec<u8>,
    traceparent_offset: usize,
    body: Arc<[u8]>,
}

impl RequestTemplate {
    /// The request to `endpoint` of `target` for run `run_id`. `bodies` has at least one element.
    pub fn new(
        target: &Target,
        endpoint: &Endpoint,
        run_id: &str,
        extra_headers: &[ExtraHeader],
        bodies: Vec<Vec<u8>>,
    ) -> Self {
        let variant = |body| Variant::new(target, endpoint, run_id, extra_headers, body);
        Self {
            variants: bodies.into_iter().map(variant).collect(),
            current: 0,
        }
    }

    /// Sets the body and the ids of request `number`.
    pub fn set_request(&mut self, number: u64, ids: Ids) {
        self.current = step_of(number, self.variants.len());
        self.variants[self.current].set_ids(ids.trace_id(number), ids.span_id(number));
    }

    /// Head and body without the first `skip` bytes.
    pub fn parts_from(&self, skip: usize) -> (&[u8], &[u8]) {
        self.variants[self.current].parts_from(skip)
    }

    /// Bytes of head and body together.
    pub fn len_bytes(&self) -> usize {
        self.variants[self.current].len_bytes()
    }

    /// Bytes of head and body of request `number`.
    pub fn len_bytes_of(&self, number: u64) -> usize {
        self.variants[step_of(number, self.variants.len())].len_bytes()
    }

    /// Bytes of each body, in ascending order.
    pub fn bodies_bytes(&self) -> Vec<u64> {
        self.variants
            .iter()
            .map(|variant| variant.body.len() as u64)
            .collect()
    }
}

impl Variant {
    fn new(
        target: &Target,
        endpoint: &Endpoint,
        run_id: &str,
        extra_headers: &[ExtraHeader],
        body: Vec<u8>,
    ) -> Self {
        let mut head = format!("{} {} HTTP/1.1\r\n", endpoint.method, endpoint.path);
        head += &format!("host: {}\r\n", host_value(target, extra_headers));
        let content_type = last_value(&CONTENT_TYPE, extra_headers);
        let default = endpoint.payload.map(|payload| payload.content_type());
        if let Some(content_type) = content_type.or(default) {
            head += &format!("content-type: {content_type}\r\n");
        }
        if endpoint.payload.is_some() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        let is_written = |header: &&ExtraHeader| [HOST, CONTENT_TYPE].contains(&header.name);
        for header in extra_headers.iter().filter(|header| !is_written(header)) {
            head += &format!("{}: {}\r\n", header.name, header.value);
        }
        head += &format!("baggage: {}={run_id}\r\n", cctf_proto::keys::RUN_ID);
        let traceparent_offset = head.len();
        head += TRACEPARENT;
        head += "\r\n";
        Self {
            head: head.into_bytes(),
            traceparent_offset,
            body: body.into(),
        }
    }

    fn set_ids(&mut self, trace_id: [u8; 16], span_id: [u8; 8]) {
        let traceparent = &mut self.head[self.traceparent_offset..];
        write_hex(&trace_id, &mut traceparent[TRACE_ID_OFFSET..SPAN_ID_OFFSET - 1]);
        write_hex(&span_id, &mut traceparent[SPAN_ID_OFFSET..SPAN_ID_OFFSET + 16]);
    }

    fn parts_from(&self, skip: usize) -> (&[u8], &[u8]) {
        let in_head = skip.min(self.head.len());
        (
            &self.head[in_head..],
            &self.body[(skip - in_head).min(self.body.len())..],
        )
    }

    fn len_bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(endpoint: &str, body: &[u8]) -> RequestTemplate {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        let endpoint = Endpoint::resolve(endpoint, None, body.len()).unwrap();
        let extra = [ExtraHeader::parse("X-Next-Url: http://127.0.0.1:9/x").unwrap()];
        RequestTemplate::new(&target, &endpoint, "run-1", &extra, vec![body.to_vec()])
    }

    #[test]
    fn the_bytes_are_a_request_with_the_ids_of_this_one() {
        let mut request = template("json", b"[1]");
        request.variants[0].set_ids([0xab; 16], [0x01; 8]);
        let (head, body) = request.parts_from(0);
        let expected = "POST /json/validate HTTP/1.1\r\nhost: 127.0.0.1:8080\r\ncontent-type: application/json\r\n\
            content-length: 3\r\nx-next-url: http://127.0.0.1:9/x\r\nbaggage: cctf.run_id=run-1\r\n\
            traceparent: 00-abababababababababababababababab-0101010101010101-01\r\n\r\n";
        assert_eq!(std::str::from_utf8(head).unwrap(), expected);
        assert_eq!(body, b"[1]");
    }

    #[test]
    fn the_rest_after_any_number_of_bytes_is_what_was_not_sent_yet() {
        let request = template("json", b"[1,2,3]");
        let whole = [request.parts_from(0).0, request.parts_from(0).1].concat();
        for skip in 0..=request.len_bytes() {
            let (head, body) = request.parts_from(skip);
            assert_eq!([head, body].concat(), &whole[skip..]);
        }
    }

    #[test]
    fn each_request_has_the_body_and_the_length_of_its_number() {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        let endpoint = Endpoint::resolve("hash", None, 0).unwrap();
        let bodies = vec![b"x".to_vec(), b"xx".to_vec(), b"xxxxxxxxxx".to_vec()];
        let ids = Ids::new(1);
        let mut request = RequestTemplate::new(&target, &endpoint, "run-1", &[], bodies);
        let mut seen = Vec::new();
        for number in 0..3 {
            request.set_request(number, ids);
            let (head, body) = request.parts_from(0);
            let head = std::str::from_utf8(head).unwrap();
            assert!(
                head.contains(&format!("content-length: {}\r\n", body.len())),
                "{head}"
            );
            assert_eq!(request.len_bytes(), head.len() + body.len());
            assert_eq!(request.len_bytes_of(number), request.len_bytes());
            seen.push(body.len());
        }
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 10]);
        assert_eq!(request.bodies_bytes(), [1, 2, 10]);
    }

    #[test]
    fn a_get_has_neither_body_nor_length() {
        let request = template("kvget", b"");
        assert!(!String::from_utf8_lossy(request.parts_from(0).0).contains("content-length"));
    }

    /// Seen to fail when the driver wrote both headers itself.
    #[test]
    fn host_and_content_type_of_the_user_override_the_drivers() {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        let extra = [
            "host: first",
            "Host: shop.example",
            "Content-Type: text/csv",
            "x-a: 1",
        ];
        let extra = extra.map(|header| ExtraHeader::parse(header).unwrap());
        for (endpoint, length) in [("json", "content-length: 3\r\n"), ("kvget", "")] {
            let endpoint = Endpoint::resolve(endpoint, None, 3).unwrap();
            let request = RequestTemplate::new(&target, &endpoint, "r", &extra, vec![b"[1]".to_vec()]);
            let head = String::from_utf8(request.parts_from(0).0.to_vec()).unwrap();
            let wanted = format!(
                "HTTP/1.1\r\nhost: shop.example\r\ncontent-type: text/csv\r\n{length}x-a: 1\r\nbaggage: "
            );
            assert!(head.contains(&wanted), "{head}");
        }
    }

    #[test]
    fn headers_that_would_break_the_request_are_refused() {
        for bad in [
            "",
            "no colon",
            "a b: c",
            "X: a\r\nY: b",
            "Content-Length: 1",
            "traceparent: 00-1-1-01",
        ] {
            assert!(ExtraHeader::parse(bad).is_err(), "{bad:?}");
        }
    }
}
