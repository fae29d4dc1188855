//! Functions that the conversions of Jaeger's and Zipkin's formats share: ids, kinds, status, and counts of missing values.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde::Deserialize;

use crate::protobuf::{bytes_field, field, varint_field};

/// Nanoseconds of a microsecond, the unit of both formats.
pub const US: u64 = 1_000;

/// Numbers of spans that lack a value, or whose times a tool had changed. The names of these counts are part of the contract.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gaps {
    pub trace_id_padded: u64,
    pub service_not_recorded: u64,
    pub kind_not_recorded: u64,
    pub clock_adjusted: u64,
}

impl Gaps {
    /// Name, meaning and count of each.
    pub fn counts(&self) -> [(&'static str, &'static str, u64); 4] {
        [
            (
                "clock_adjusted",
                "spans whose times the tool had shifted, by its own estimate of a clock offset",
                self.clock_adjusted,
            ),
            (
                "kind_not_recorded",
                "spans without a kind; they count as work inside of a service",
                self.kind_not_recorded,
            ),
            (
                "service_not_recorded",
                "spans without a service; their module is unknown_service",
                self.service_not_recorded,
            ),
            (
                "trace_id_padded",
                "spans with a trace id of at most 64 bits; it has zeros in front",
                self.trace_id_padded,
            ),
        ]
    }
}

/// Parses a record. The whole record is checked to be UTF-8 at once, because checking each text takes longer.
///
/// # Errors
/// If it is not JSON of this type.
pub fn parsed<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, serde_json::Error> {
    match std::str::from_utf8(json) {
        Ok(text) => serde_json::from_str(text),
        // The error of `from_slice` states where the record is not UTF-8.
        Err(_) => serde_json::from_slice(json),
    }
}

/// An id of at most `N` bytes, from hexadecimal digits and padded with zeros in front. `None` if the text is something else.
pub fn id<const N: usize>(digits: &str) -> Option<[u8; N]> {
    if digits.is_empty() || digits.len() > 2 * N {
        return None;
    }
    let mut id = [0; N];
    for (place, digit) in digits.bytes().rev().enumerate() {
        let value = char::from(digit).to_digit(16)? as u8;
        id[N - 1 - place / 2] |= value << (4 * (place % 2));
    }
    Some(id)
}

/// Whether a trace id has at most 64 bits.
pub fn is_short(trace_id: &[u8; 16]) -> bool {
    trace_id[..8].iter().all(|&byte| byte == 0)
}

/// The kind with this name, in upper or lower case; `None` if the name is unknown.
pub fn kind(name: &str) -> Option<SpanKind> {
    let kinds = [
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
        ("internal", SpanKind::Internal),
    ];
    let found = kinds
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, kind)| kind)
}

/// Appends the status of a span. `code` is the value of `otel.status_code`. Without it, the status is an error if `has_error`.
pub fn push_status(code: Option<&str>, message: Option<&str>, has_error: bool, span: &mut Vec<u8>) {
    let code = match code {
        Some(code) if code.eq_ignore_ascii_case("ok") => StatusCode::Ok,
        Some(code) if code.eq_ignore_ascii_case("error") => StatusCode::Error,
        _ if has_error => StatusCode::Error,
        _ => return,
    };
    let mut status = Vec::new();
    bytes_field(
        field::STATUS_MESSAGE,
        message.unwrap_or_default().as_bytes(),
        &mut status,
    );
    varint_field(field::STATUS_CODE, code as u64, &mut status);
    bytes_field(field::SPAN_STATUS, &status, span);
}

#[cfg(test)]
mod tests {
    use cctf_proto::cctf::CONVERSION_ASSUMPTIONS;

    use super::*;
    use crate::alibaba::NOTES;

    #[test]
    fn short_ids_have_zeros_in_front() {
        assert_eq!(id::<8>("1f"), Some([0, 0, 0, 0, 0, 0, 0, 0x1f]));
        assert_eq!(
            id::<8>("F23456789abcdef0"),
            Some(0xf234_5678_9abc_def0_u64.to_be_bytes())
        );
        assert_eq!(id::<16>("123"), Some(0x123_u128.to_be_bytes()));
        for wrong in ["", "xy", "123456789abcdef01"] {
            assert_eq!(id::<8>(wrong), None, "{wrong}");
        }
        assert!(is_short(&1_u128.to_be_bytes()) && !is_short(&u128::MAX.to_be_bytes()));
    }

    #[test]
    fn the_names_of_gaps_are_those_of_the_contract() {
        let of_spans = Gaps::default().counts().map(|(name, ..)| name);
        let mut names = of_spans.to_vec();
        names.extend(NOTES.map(|(_, name, _)| name));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, CONVERSION_ASSUMPTIONS);
    }
}
