//! The types as which the JSON of a Jaeger trace is parsed.

use std::borrow::{Borrow, Cow};

use aggregate::maps::Map;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::protobuf::Value;

/// Processes by their ids.
pub type Processes<'a> = Map<ProcessId<'a>, Process<'a>>;

#[derive(Deserialize, PartialEq, Eq, Hash)]
pub struct ProcessId<'a>(#[serde(borrow)] Cow<'a, str>);

impl Borrow<str> for ProcessId<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
pub struct RecordedTrace<'a> {
    #[serde(borrow)]
    pub spans: Vec<RecordedSpan<'a>>,
    #[serde(borrow)]
    pub processes: Processes<'a>,
}

/// A trace with a span that cannot be read. The spans are parsed one by one later.
#[derive(Deserialize)]
pub struct DamagedTrace<'a> {
    #[serde(borrow)]
    pub spans: Vec<&'a RawValue>,
    #[serde(borrow)]
    pub processes: Processes<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedSpan<'a> {
    #[serde(borrow, rename = "traceID")]
    pub trace_id: Cow<'a, str>,
    #[serde(borrow, rename = "spanID")]
    pub span_id: Cow<'a, str>,
    /// The parent in traces of old versions, which have no references.
    #[serde(borrow, rename = "parentSpanID", default)]
    pub parent_span_id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub operation_name: Cow<'a, str>,
    #[serde(borrow, default)]
    pub references: Option<Vec<Reference<'a>>>,
    pub start_time: u64,
    pub duration: u64,
    #[serde(borrow, default)]
    pub tags: Option<Vec<Tag<'a>>>,
    #[serde(borrow, default)]
    pub logs: Option<Vec<Log<'a>>>,
    #[serde(borrow, rename = "processID", default)]
    pub process_id: Cow<'a, str>,
    #[serde(default)]
    pub warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference<'a> {
    #[serde(borrow)]
    pub ref_type: Cow<'a, str>,
    #[serde(borrow, rename = "traceID")]
    pub trace_id: Cow<'a, str>,
    #[serde(borrow, rename = "spanID")]
    pub span_id: Cow<'a, str>,
}

#[derive(Deserialize)]
pub struct Tag<'a> {
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    #[serde(borrow, rename = "type", default)]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    pub value: &'a RawValue,
}

#[derive(Deserialize)]
pub struct Log<'a> {
    pub timestamp: u64,
    #[serde(borrow, default)]
    pub fields: Option<Vec<Tag<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Process<'a> {
    #[serde(borrow, default)]
    pub service_name: Cow<'a, str>,
    #[serde(borrow, default)]
    pub tags: Option<Vec<Tag<'a>>>,
}

impl Tag<'_> {
    /// The value in the type that the tag states. `None` if the value has another type.
    pub fn value(&self) -> Option<Value<'_>> {
        let json = self.value.get();
        match &*self.kind {
            "bool" => match json {
                "true" | "\"true\"" => Some(Value::Bool(true)),
                "false" | "\"false\"" => Some(Value::Bool(false)),
                _ => None,
            },
            // The number is never parsed as a float, so that no digit is lost.
            "int64" => json.trim_matches('"').parse().ok().map(Value::Int),
            "float64" => json.trim_matches('"').parse().ok().map(Value::Double),
            "string" | "binary" => text(json).map(Value::Text),
            _ => match json.as_bytes().first()? {
                b'"' => text(json).map(Value::Text),
                b't' | b'f' => Some(Value::Bool(json == "true")),
                b'n' | b'{' | b'[' => None,
                _ => match json.parse() {
                    Ok(number) => Some(Value::Int(number)),
                    Err(_) => json.parse().ok().map(Value::Double),
                },
            },
        }
    }
}

/// The text of a JSON string. `None` if the JSON is another value.
fn text(json: &str) -> Option<Cow<'_, str>> {
    let quoted = json.strip_prefix('"')?.strip_suffix('"')?;
    match memchr::memchr(b'\\', quoted.as_bytes()) {
        None => Some(Cow::Borrowed(quoted)),
        Some(_) => serde_json::from_str(json).ok().map(Cow::Owned),
    }
}
