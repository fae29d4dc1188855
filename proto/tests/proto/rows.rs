//! Tests of every row type, based on its field table: rows that were encoded can be read, and missing fields or nulls are
//! errors.

use std::collections::BTreeMap;
use std::fmt::Debug;

use cctf_proto::cctf::schema::{Format, render};
use cctf_proto::cctf::{
    Call, Field, File, HostMetric, Invocation, Kind, Link, LinkMetric, Milliseconds, Module, Node,
    PlacementEvent, Presence, Row, RunMeta, Shape, SystemStat, Text, Value, decode,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Reads a row and encodes the result. If the fast decoder accepts the text, both readers must agree, and the text must be in
/// the form that the encoder writes.
fn rewrite(file: File, text: &str) -> Result<String, String> {
    read(file, text).0
}

fn is_decoded(file: File, text: &str) -> bool {
    read(file, text).1
}

/// The row as the general reader reads it, encoded. Also whether the fast decoder accepted the text.
fn read(file: File, text: &str) -> (Result<String, String>, bool) {
    fn through<'a, R: Row<'a> + Debug + PartialEq>(text: &'a str) -> (Result<String, String>, bool) {
        let row: Result<R, String> =
            serde_json::from_slice(text.as_bytes()).map_err(|error| error.to_string());
        let written = row.as_ref().map(|row| {
            let mut out = Vec::new();
            row.encode(&mut out);
            String::from_utf8(out).unwrap()
        });
        let decoded = decode::<R>(text);
        if let Some(decoded) = &decoded {
            assert_eq!((Ok(decoded), Ok(text)), (row.as_ref(), written.as_deref()));
        }
        (written.map_err(String::clone), decoded.is_some())
    }
    match file {
        File::Invocations => through::<Invocation<'_>>(text),
        File::Calls => through::<Call<'_>>(text),
        File::HostMetrics => through::<HostMetric<'_>>(text),
        File::LinkMetrics => through::<LinkMetric<'_>>(text),
        File::PlacementEvents => through::<PlacementEvent<'_>>(text),
        File::SystemStats => through::<SystemStat<'_>>(text),
        File::Nodes => through::<Node<'_>>(text),
        File::Links => through::<Link<'_>>(text),
        File::ModuleInventory => through::<Module<'_>>(text),
        File::RunMeta => through::<RunMeta<'_>>(text),
    }
}

fn encoded(value: &impl Value) -> String {
    let mut out = Vec::new();
    value.encode(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn text() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| encoded(&Text::from(text)))
}

fn float() -> impl Strategy<Value = String> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    (NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE)
        .prop_filter("JSON has no infinity", |float| float.is_finite())
        .prop_map(|float| encoded(&float))
}

fn unsigned() -> impl Strategy<Value = String> {
    (0..=i64::MAX).prop_map(|count| count.to_string())
}

/// JSON of a kind, in the only form that encoders write.
fn json_of(kind: Kind) -> BoxedStrategy<String> {
    match kind {
        Kind::TraceId => "\"[0-9a-f]{32}\"".boxed(),
        Kind::SpanId => "\"[0-9a-f]{16}\"".boxed(),
        Kind::Text => text().boxed(),
        Kind::OneOf(values) => select(values).prop_map(|value| format!("\"{value}\"")).boxed(),
        Kind::Integer => any::<i64>().prop_map(|integer| integer.to_string()).boxed(),
        Kind::Unsigned => unsigned().boxed(),
        Kind::Float => float().boxed(),
        Kind::Bool => any::<bool>().prop_map(|value| value.to_string()).boxed(),
        Kind::Milliseconds => any::<i64>()
            .prop_map(|ns| encoded(&Milliseconds::from_ns(ns)))
            .boxed(),
        // A list of fixed values is a set. It is written in the order of the values' declaration.
        Kind::List(Kind::OneOf(values)) => subsequence(*values, 0..=values.len())
            .prop_map(|values| {
                let quoted: Vec<_> = values.iter().map(|value| format!("\"{value}\"")).collect();
                format!("[{}]", quoted.join(","))
            })
            .boxed(),
        Kind::List(of) => vec(json_of(*of), 0..3)
            .prop_map(|items| format!("[{}]", items.join(",")))
            .boxed(),
        Kind::Object(fields) => row_of(fields).prop_map(|row| object(&row)).boxed(),
        Kind::Attributes => keyed(prop_oneof![text(), float(), Just("true".to_owned()), unsigned()]),
        Kind::Counters => keyed(unsigned()),
    }
}

fn keyed(value: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    btree_map(any::<String>(), value, 0..4)
        .prop_map(|entries: BTreeMap<String, String>| {
            let entries: Vec<_> = entries
                .into_iter()
                .map(|(key, value)| format!("{}:{value}", encoded(&Text::from(key))))
                .collect();
            format!("{{{}}}", entries.join(","))
        })
        .boxed()
}

/// Names of the fields of a row, and their values as text.
type Written = Vec<(&'static str, String)>;

fn row_of(fields: &'static [Field]) -> BoxedStrategy<Written> {
    let strategies: Vec<_> = fields
        .iter()
        .map(|field| {
            let value = json_of(field.kind);
            match field.presence {
                Presence::Required => value.prop_map(Some).boxed(),
                Presence::Nullable => {
                    prop_oneof![1 => Just(Some("null".to_owned())), 3 => value.prop_map(Some)].boxed()
                }
                Presence::Optional => proptest::option::of(value).boxed(),
            }
        })
        .collect();
    strategies
        .prop_map(|values| {
            fields
                .iter()
                .zip(values)
                .filter_map(|(field, value)| Some((field.name, value?)))
                .collect()
        })
        .boxed()
}

fn object(written: &[(&str, String)]) -> String {
    let fields: Vec<_> = written
        .iter()
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn any_row() -> impl Strategy<Value = (File, Written)> {
    select(File::ALL).prop_flat_map(|file| (Just(file), row_of(file.fields())))
}

/// Texts with a meaning in JSON. The empty text removes a character.
const CHANGES: &[&str] = &[
    "",
    "0",
    "00",
    "9",
    "1",
    "-",
    "-0",
    ".",
    ".0",
    "e",
    "E5",
    "+",
    "\"",
    "\\",
    "\\n",
    " ",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "a",
    "g",
    "F",
    "null",
    "true",
    "\n",
    "\u{1}",
    "\u{7f}",
    "ü",
    "\u{1F980}",
    "[]",
    "{}",
    "{\"a\":1}",
    "\"x\":1,",
    ",\"x\":1",
];

/// A row of every file, with all its fields.
fn full_rows() -> Vec<(File, Written)> {
    let value = |kind| match kind {
        Kind::TraceId => format!("\"{}\"", "0a".repeat(16)),
        Kind::SpanId => format!("\"{}\"", "0a".repeat(8)),
        Kind::Text => "\"text\"".into(),
        Kind::OneOf(values) => format!("\"{}\"", values[0]),
        Kind::Integer | Kind::Unsigned => "7".into(),
        Kind::Float => "7.5".into(),
        Kind::Bool => "true".into(),
        Kind::Milliseconds => "7.000001".into(),
        Kind::List(_) => "[]".into(),
        Kind::Attributes | Kind::Counters => "{}".into(),
        Kind::Object(_) => String::new(),
    };
    fn of(fields: &'static [Field], value: &dyn Fn(Kind) -> String) -> Written {
        let one = |field: &Field| match field.kind {
            Kind::Object(inner) => (field.name, object(&of(inner, value))),
            kind => (field.name, value(kind)),
        };
        fields.iter().map(one).collect()
    }
    File::ALL
        .iter()
        .map(|&file| (file, of(file.fields(), &value)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Every row can be created by reading it. So this also tests that a row can be converted to bytes and back.
    #[test]
    fn a_row_that_is_read_is_written_as_the_same_bytes((file, row) in any_row()) {
        let text = object(&row);
        prop_assert_eq!(rewrite(file, &text), Ok(text));
    }

    /// The readers are compared in `read`.
    #[test]
    fn the_decoder_agrees_with_the_general_reader_on_changed_rows(
        (file, row) in any_row(),
        changes in vec((any::<prop::sample::Index>(), select(CHANGES)), 1..3),
    ) {
        let mut text = object(&row);
        for (index, change) in changes {
            let at = index.index(text.len() + 1);
            let at = (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
            let end = text[at..].chars().next().map_or(at, |char| at + char.len_utf8());
            match change {
                "" => text.replace_range(at..end, ""),
                inserted if index.index(2) == 0 => text.insert_str(at, inserted),
                replacement => text.replace_range(at..end, replacement),
            }
        }
        let _ = rewrite(file, &text);
    }

    #[test]
    fn any_string_is_written_as_json(string in any::<String>()) {
        let read: String = serde_json::from_str(&encoded(&Text::from(&*string))).unwrap();
        prop_assert_eq!(read, string);
    }

    #[test]
    fn any_duration_is_an_exact_decimal(ns: i64) {
        let duration = Milliseconds::from_ns(ns);
        prop_assert_eq!(serde_json::from_str::<Milliseconds>(&duration.to_string()).unwrap(), duration);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_row_fits_its_json_schema((file, row) in any_row()) {
        let schema = serde_json::from_str(&render(file, Format::Json)).unwrap();
        let text = if file.shape() == Shape::Array { format!("[{}]", object(&row)) } else { object(&row) };
        let instance = serde_json::from_str(&text).unwrap();
        if let Err(error) = jsonschema::draft202012::validate(&schema, &instance) {
            prop_assert!(false, "{}: {error} at {}", file.name(), error.instance_path());
        }
    }
}

#[test]
fn the_decoder_takes_full_rows_of_every_file_but_one() {
    for (file, row) in full_rows() {
        // The decoder does not accept counters.
        assert_eq!(
            is_decoded(file, &object(&row)),
            file != File::RunMeta,
            "{}",
            file.name()
        );
        for at in 0..row.len() {
            let mut other = row.clone();
            other.swap(at, (at + 1) % row.len());
            assert!(!is_decoded(file, &object(&other)), "{}", file.name());
        }
    }
}

#[test]
fn the_decoder_takes_rows_with_all_kinds_of_values() {
    for text in [
        r#"{"ts_ms":1760000000000.000001,"node_id":"ü n","stage":"edge","metric":"m","value":-1.5e-7}"#,
        r#"{"ts_ms":-1.000000,"node_id":"","stage":"edge","metric":"m","value":1e16,"unit":"1","attributes":{"a":"}","b":1}}"#,
    ] {
        assert!(is_decoded(File::SystemStats, text), "{text}");
    }
    let ids = format!(
        r#"{{"trace_id":"{}","span_id":"{}""#,
        "0f".repeat(16),
        "a0".repeat(8)
    );
    for (count, flags) in [
        ("0", "[]"),
        ("7", r#"["orphan"]"#),
        ("123456789012345", r#"["orphan","late"]"#),
    ] {
        let text = format!(
            r#"{ids},"parent_span_id":null,"ancestor_id":null,"module_id":"m","instance_id":"i","node":"n","stage":"cloud","ts_start":1760000000000.000000,"ts_end":0.000001,"method":null,"path":"/","bytes_out":{count},"bytes_in":null,"status":-3,"flags":{flags}}}"#
        );
        assert!(is_decoded(File::Calls, &text), "{text}");
    }
}

#[test]
fn a_missing_field_is_an_error_unless_it_is_optional() {
    for (file, row) in full_rows() {
        for (at, field) in file.fields().iter().enumerate() {
            let mut without = row.clone();
            without.remove(at);
            let expected = match field.presence {
                Presence::Optional => Ok(object(&without)),
                _ => Err(format!("missing field `{}`", field.name)),
            };
            let found = rewrite(file, &object(&without)).map_err(|error| first_words(&error));
            assert_eq!(found, expected, "{}", file.name());
        }
    }
}

#[test]
fn null_is_an_error_unless_the_field_is_nullable() {
    for (file, row) in full_rows() {
        for (at, field) in file.fields().iter().enumerate() {
            let mut with_null = row.clone();
            with_null[at].1 = "null".into();
            let text = object(&with_null);
            match (field.presence, rewrite(file, &text)) {
                (Presence::Nullable, found) => assert_eq!(found, Ok(text)),
                (_, Ok(read)) => panic!("{}: null was read as {read}", field.name),
                (_, Err(error)) => assert!(error.starts_with(&format!("{}: ", field.name)), "{error}"),
            }
        }
    }
}

#[test]
fn a_value_of_another_type_is_an_error_that_names_the_field() {
    for (file, row) in full_rows() {
        for (at, field) in file.fields().iter().enumerate() {
            let mut wrong = row.clone();
            wrong[at].1 = if wrong[at].1.starts_with('[') {
                "{}".into()
            } else {
                "[]".into()
            };
            let error = rewrite(file, &object(&wrong)).unwrap_err();
            assert!(error.starts_with(&format!("{}: ", field.name)), "{error}");
        }
    }
}

#[test]
fn unknown_fields_are_ignored_and_order_does_not_matter() {
    for (file, row) in full_rows() {
        let mut shuffled = row.clone();
        shuffled.reverse();
        shuffled.insert(1, ("x_unknown", "{\"a\":[null,1.5]}".into()));
        assert_eq!(rewrite(file, &object(&shuffled)), Ok(object(&row)));
    }
}

#[test]
fn a_duplicate_field_is_an_error() {
    for (file, row) in full_rows() {
        let mut twice = row.clone();
        twice.push(row[0].clone());
        let error = rewrite(file, &object(&twice)).unwrap_err();
        assert_eq!(first_words(&error), format!("duplicate field `{}`", row[0].0));
    }
}

fn first_words(error: &str) -> String {
    error.split(" at line ").next().unwrap_or_default().to_owned()
}
