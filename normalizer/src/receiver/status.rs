//! [`Status`]: google.rpc.Status, the body of an HTTP error and the details of a gRPC error, in each encoding.

use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use prost::Message;

use super::refusal::Refusal;

const RETRY_INFO_TYPE: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST_TYPE: &str = "type.googleapis.com/google.rpc.BadRequest";

/// google.rpc.Status.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// google.protobuf.Any.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// google.rpc.RetryInfo.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// google.rpc.BadRequest.
#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

/// google.rpc.BadRequest.FieldViolation. Its field name stays empty, because the description contains the position.
#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "2")]
    description: String,
}

/// google.protobuf.Duration.
#[derive(Clone, PartialEq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    ns: i32,
}

impl Status {
    pub(super) fn from_refusal(refusal: &Refusal) -> Self {
        Self {
            code: refusal.grpc_code() as i32,
            message: refusal.to_string(),
            details: detail_of(refusal).into_iter().collect(),
        }
    }

    /// The body of an answer to an HTTP request in protobuf.
    pub(super) fn to_protobuf(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// The body of an answer to an HTTP request in JSON.
    pub(super) fn to_json(&self, refusal: &Refusal) -> Vec<u8> {
        let mut status = serde_json::json!({"code": self.code, "message": self.message});
        if let Some(delay) = refusal.retry_delay() {
            let delay = format!("{}s", delay.as_secs_f64());
            status["details"] = serde_json::json!([{"@type": RETRY_INFO_TYPE, "retryDelay": delay}]);
        } else if let Refusal::Malformed(description) = refusal {
            let violations = serde_json::json!([{"description": description}]);
            status["details"] =
                serde_json::json!([{"@type": BAD_REQUEST_TYPE, "fieldViolations": violations}]);
        }
        status.to_string().into_bytes()
    }

    /// The grpc-status-details-bin header; `None` if there are no details.
    pub(super) fn to_details_header(&self, refusal: &Refusal) -> Option<String> {
        refusal
            .retry_delay()
            .map(|_| STANDARD_NO_PAD.encode(self.encode_to_vec()))
    }

    /// The grpc-message header: percent-encoded, except printable ASCII.
    pub(super) fn to_message_header(&self) -> String {
        let mut encoded = String::with_capacity(self.message.len());
        for byte in self.message.bytes() {
            match byte {
                b'%' | ..b' ' | 0x7f.. => {
                    // Writing to a String cannot fail.
                    let _ = write!(encoded, "%{byte:02X}");
                }
                printable => encoded.push(char::from(printable)),
            }
        }
        encoded
    }
}

fn detail_of(refusal: &Refusal) -> Option<Detail> {
    match refusal {
        Refusal::Malformed(description) => Some(bad_request(description.clone())),
        other => other.retry_delay().map(retry_info),
    }
}

fn bad_request(description: String) -> Detail {
    Detail {
        type_url: BAD_REQUEST_TYPE.to_owned(),
        value: BadRequest {
            field_violations: vec![FieldViolation { description }],
        }
        .encode_to_vec(),
    }
}

fn retry_info(delay: Duration) -> Detail {
    let retry_delay = ProtoDuration {
        seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
        ns: i32::try_from(delay.subsec_nanos()).unwrap_or(0),
    };
    Detail {
        type_url: RETRY_INFO_TYPE.to_owned(),
        value: RetryInfo {
            retry_delay: Some(retry_delay),
        }
        .encode_to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_header_is_printable_ascii() {
        let status = Status::from_refusal(&Refusal::Malformed("100 % ä\n".to_owned()));
        assert_eq!(status.to_message_header(), "malformed request: 100 %25 %C3%A4%0A");
    }

    #[test]
    fn only_retryable_refusals_have_a_retry_delay() {
        let too_large = Refusal::TooLarge { limit: 1 };
        assert_eq!(
            Status::from_refusal(&too_large).to_details_header(&too_large),
            None
        );
        assert_eq!(Status::from_refusal(&too_large).code, 8);
        let internal = Status::from_refusal(&Refusal::Internal);
        assert_eq!(internal.code, 14);
        assert!(internal.to_details_header(&Refusal::Internal).is_some());
        assert_eq!(
            String::from_utf8(internal.to_json(&Refusal::Internal)).unwrap(),
            r#"{"code":14,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}],"message":"internal error; retry later"}"#
        );
    }
}
