//! POST /json/validate: checks whether the body is JSON, and reports the position of the first error.

use serde::de::IgnoredAny;
use serde_json::json;

use super::Tools;
use crate::request::{Answer, JSON, Outcome, Request};

/// 200 with the kind of value, or 400 with the position of the error. The next hop gets the unchanged body.
pub fn run(request: &Request, _tools: &Tools<'_>) -> Outcome {
    match kind_of(&request.body) {
        Ok(kind) => {
            let report = json!({ "valid": true, "type": kind, "bytes": request.body.len() });
            Outcome::forwarding(
                Answer::new(200, JSON, report.to_string()),
                request.body.clone(),
                JSON,
            )
        }
        Err(report) => Outcome::failed(Answer::new(400, JSON, report.to_string())),
    }
}

fn kind_of(body: &[u8]) -> Result<&'static str, serde_json::Value> {
    // serde_json does not check the encoding of skipped strings, so the encoding is checked first.
    let text = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        json!({ "valid": false, "error": error.to_string(), "line": line, "column": column })
    })?;
    Ok(match text.trim_start().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    })
}

fn not_utf8(body: &[u8], valid_up_to: usize) -> serde_json::Value {
    let before = &body[..valid_up_to];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |index| index + 1);
    json!({ "valid": false, "error": "invalid utf-8", "line": line, "column": valid_up_to - line_start + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::testing;

    fn check(body: &'static [u8]) -> (u16, serde_json::Value) {
        let answer = testing::run(run, "", body).answer;
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    #[test]
    fn every_kind_of_value_is_valid() {
        for (body, kind) in [
            (&b" {\"a\":[1,2.5e3,null]}\n"[..], "object"),
            (b"[]", "array"),
            ("\"ä\"".as_bytes(), "string"),
            (b"true", "boolean"),
            (b"null", "null"),
            (b"-0.5", "number"),
        ] {
            let (status, report) = check(body);
            assert_eq!(
                (status, &report["valid"], &report["type"]),
                (200, &json!(true), &json!(kind))
            );
            assert_eq!(report["bytes"], body.len());
        }
    }

    #[test]
    fn an_error_is_reported_with_its_position() {
        for (body, line, column) in [
            (&b"{\"a\":1,\n \"b\":}"[..], 2, 6),
            (b"", 1, 0),
            (b"{} {}", 1, 4),
            (b"{\n\"a\xff\"}", 2, 3),
            (b"[1,]", 1, 4),
        ] {
            let (status, report) = check(body);
            assert_eq!((status, &report["valid"]), (400, &json!(false)), "{report}");
            assert_eq!(
                (&report["line"], &report["column"]),
                (&json!(line), &json!(column)),
                "{report}"
            );
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_crash() {
        let (status, report) = (testing::run(run, "", vec![b'['; 1 << 20]).answer.status, ());
        assert_eq!((status, report), (400, ()));
    }
}
