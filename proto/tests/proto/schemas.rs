//! `schemas/` and the tables of `docs/cctf.md` are generated from the row types. If they differ, the tests fail.
//!
//! `CCTF_BLESS=1 cargo test -p cctf-proto --test proto` regenerates them.

use std::fs;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::schema::{Format, render};
use cctf_proto::cctf::{Field, File, Kind, Presence, Shape};

const BLESS: &str = "CCTF_BLESS=1 cargo test -p cctf-proto --test proto";

/// In `docs/cctf.md`, everything after this line is generated.
const MARKER: &str = "<!-- What follows is generated from the row types. -->\n";

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Compares a file with its generated content, or writes it if `CCTF_BLESS` is set.
pub fn assert_same_or_bless(path: &Path, generated: &str) {
    if std::env::var_os("CCTF_BLESS").is_some() {
        fs::write(path, generated).unwrap();
        return;
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == generated,
        "{} has drifted from the row types; run {BLESS}",
        path.display()
    );
}

#[test]
fn the_committed_schemas_are_those_of_the_row_types() {
    let folder = root().join("schemas");
    for &file in File::ALL {
        assert_same_or_bless(
            &folder.join(format!("{}.schema.json", file.stem())),
            &render(file, Format::Json),
        );
    }
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        File::ALL.len(),
        "schemas/ holds other files"
    );
}

#[test]
fn each_schema_is_valid_draft_2020_12() {
    for &file in File::ALL {
        let schema = serde_json::from_str(&render(file, Format::Json)).unwrap();
        if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
            panic!("{}: {error}", file.name());
        }
    }
}

#[test]
fn every_format_names_every_field() {
    for &file in File::ALL {
        for &(name, format) in Format::ALL {
            let text = render(file, format);
            for field in file.fields() {
                assert!(
                    text.contains(field.name),
                    "{name} of {} lacks {}",
                    file.name(),
                    field.name
                );
            }
        }
    }
}

#[test]
fn the_reference_lists_the_fields_of_the_row_types() {
    let path = root().join("docs/cctf.md");
    let committed = fs::read_to_string(&path).unwrap();
    let (head, _) = committed.split_once(MARKER).unwrap();
    assert_same_or_bless(&path, &format!("{head}{MARKER}{}", reference()));
}

fn reference() -> String {
    let mut out = String::new();
    for &file in File::ALL {
        let shape = match file.shape() {
            Shape::Lines => "One object a line.",
            Shape::Array => "An array of objects.",
            Shape::Object => "One object.",
        };
        out.push_str(&format!("\n## {}\n\n{shape}\n\n", file.name()));
        push_table(file.fields(), &mut out);
        push_inner_tables("", file.fields(), &mut out);
    }
    out
}

fn push_table(fields: &[Field], out: &mut String) {
    out.push_str("| field | presence | type | meaning |\n|---|---|---|---|\n");
    for field in fields {
        let presence = match field.presence {
            Presence::Required => "required",
            Presence::Nullable => "or null",
            Presence::Optional => "optional",
        };
        let meaning = field
            .doc
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace('|', "\\|");
        out.push_str(&format!(
            "| `{}` | {presence} | {} | {meaning} |\n",
            field.name,
            type_name(field.kind)
        ));
    }
}

/// A table for each field that is an object or a list of objects.
fn push_inner_tables(path: &str, fields: &[Field], out: &mut String) {
    for field in fields {
        let inner = match field.kind {
            Kind::Object(inner) => inner,
            Kind::List(Kind::Object(inner)) => *inner,
            _ => continue,
        };
        let path = format!("{path}{}", field.name);
        out.push_str(&format!("\n### {path}\n\n"));
        push_table(inner, out);
        push_inner_tables(&format!("{path}."), inner, out);
    }
}

fn type_name(kind: Kind) -> String {
    match kind {
        Kind::TraceId => "32 hex digits".into(),
        Kind::SpanId => "16 hex digits".into(),
        Kind::Text => "string".into(),
        Kind::OneOf(values) => values
            .iter()
            .map(|value| format!("`{value}`"))
            .collect::<Vec<_>>()
            .join(", "),
        Kind::Integer => "integer".into(),
        Kind::Unsigned => "integer, 0 or more".into(),
        Kind::Float => "number".into(),
        Kind::Bool => "true or false".into(),
        Kind::Milliseconds => "decimal, six places".into(),
        Kind::List(of) => format!("array of {}", type_name(*of)),
        Kind::Object(_) => "object, below".into(),
        Kind::Attributes => "object of scalars".into(),
        Kind::Counters => "object of counts".into(),
    }
}
