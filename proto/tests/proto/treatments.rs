//! The table of `docs/anonymise.md` is generated from the treatments that are declared with the fields. If it differs, the test
//! fails.

use std::fs;

use cctf_proto::cctf::{
    DriverEvent, Field, File, Kind, Milliseconds, Replacer, Row, SpanId, Text, TraceId, Treatment,
    Untreatable, decode,
};

use crate::schemas::{assert_same_or_bless, root};

/// In `docs/anonymise.md`, everything after this line is generated.
const MARKER: &str = "<!-- What follows is generated from the row types. -->\n";

#[test]
fn the_document_lists_the_treatments_of_the_row_types() {
    let path = root().join("docs/anonymise.md");
    let committed = fs::read_to_string(&path).unwrap();
    let (head, _) = committed.split_once(MARKER).unwrap();
    assert_same_or_bless(&path, &format!("{head}{MARKER}{}", tables()));
}

fn tables() -> String {
    let mut out = String::new();
    let files = File::ALL.iter().map(|file| (file.name(), file.fields()));
    for (name, fields) in files.chain([("events_client.jsonl", DriverEvent::FIELDS)]) {
        out.push_str(&format!("\n## {name}\n\n| field | in the result |\n|---|---|\n"));
        push_fields("", fields, &mut out);
    }
    out
}

fn push_fields(path: &str, fields: &[Field], out: &mut String) {
    for field in fields {
        let path = format!("{path}{}", field.name);
        match field.kind {
            Kind::Object(inner) | Kind::List(&Kind::Object(inner)) => {
                push_fields(&format!("{path}."), inner, out);
            }
            _ => out.push_str(&format!("| `{path}` | {} |\n", field.treatment.doc())),
        }
    }
}

fn each_field(fields: &'static [Field], check: &mut impl FnMut(&'static Field)) {
    for field in fields {
        check(field);
        if let Kind::Object(inner) | Kind::List(&Kind::Object(inner)) = field.kind {
            each_field(inner, check);
        }
    }
}

/// If a point in time were kept, it would reveal the shift of all others. If a duration were shifted, it would be wrong.
#[test]
fn points_in_time_are_shifted_and_durations_are_kept() {
    for file in File::ALL {
        each_field(file.fields(), &mut |field| {
            if matches!(field.kind, Kind::Milliseconds) {
                let is_time = field.doc.contains("since the Unix epoch");
                let name = field.name;
                let is_named_so = name == "ts" || name.starts_with("ts_") || name.ends_with("_ts");
                assert_eq!(is_time, is_named_so, "{name}");
                assert_eq!(is_time, matches!(field.treatment, Treatment::Time), "{name}");
            }
        });
    }
}

/// Fields whose texts are always kept. Other texts are hashed unless they are known.
const KEPT_TEXTS: [&str; 2] = ["metric", "unit"];

#[test]
fn only_names_of_metrics_and_units_are_kept_unchecked() {
    for file in File::ALL {
        each_field(file.fields(), &mut |field| {
            let is_text = matches!(field.kind, Kind::Text | Kind::List(&Kind::Text));
            if is_text && matches!(field.treatment, Treatment::Keep) {
                assert!(KEPT_TEXTS.contains(&field.name), "{}", field.name);
            }
        });
    }
}

/// Replaces each value by a mark.
struct Marker(Vec<&'static str>);

impl Replacer for Marker {
    fn trace_id(&mut self, _: TraceId) -> TraceId {
        TraceId([0xaa; 16])
    }
    fn span_id(&mut self, _: SpanId) -> SpanId {
        SpanId([0xbb; 8])
    }
    fn time(&mut self, time: Milliseconds) -> Result<Milliseconds, Untreatable> {
        Ok(Milliseconds::from_ns(time.as_ns() + 1))
    }
    fn text(
        &mut self,
        treatment: Treatment,
        node: &str,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Untreatable> {
        let kind = format!("{treatment:?}");
        let kind = kind.split(['(', ' ']).next().unwrap_or_default();
        out.extend_from_slice(format!("\"{kind} {node}{text}\"").as_bytes());
        Ok(())
    }
    fn attributes(&mut self, _: &str, out: &mut Vec<u8>) -> Result<(), Untreatable> {
        out.extend_from_slice(b"{}");
        Ok(())
    }
    fn dropped(&mut self, field: &'static Field) {
        self.0.push(field.name);
    }
}

#[test]
fn a_row_is_encoded_with_the_treatments_of_its_fields() {
    let text = r#"{"attack":"json","seq":7,"code":200,"timestamp":"T","latency":42,"bytes_out":1,"bytes_in":2,"error":"","body":"b","method":"POST","url":"u","headers":{"a":["b"]},"trace_id":"0000000000000000000000000000000f","span_id":"000000000000000f","lateness_ns":5,"replay_of_code":null}"#;
    let event: DriverEvent<'_> = decode(text).unwrap();
    let mut marker = Marker(Vec::new());
    let mut out = Vec::new();
    event.encode_anonymised(&mut marker, &mut out).unwrap();
    let expected = r#"{"attack":"Text json","seq":7,"code":200,"timestamp":"Time T","latency":42,"bytes_out":1,"bytes_in":2,"error":"Text ","body":null,"method":"Known POST","url":"Url u","headers":null,"trace_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","span_id":"bbbbbbbbbbbbbbbb","lateness_ns":5,"replay_of_code":null}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert_eq!(marker.0, ["body", "headers"]);
    let link = cctf_proto::cctf::Link {
        u: Text::from("edge0"),
        v: Text::from("edge0.net"),
        BW_bps: None,
        PR_s: None,
        src: cctf_proto::cctf::LinkSource::Measured,
        jitter_s: None,
        samples: Some(3),
        iface: None,
        fit_error_ms: None,
    };
    let mut out = Vec::new();
    link.encode_anonymised(&mut marker, &mut out).unwrap();
    let expected = r#"{"u":"Name edge0","v":"Link edge0edge0.net","BW_bps":null,"PR_s":null,"src":"measured","samples":3}"#;
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
