//! Schemas generated from the row types: JSON Schema (draft 2020-12), and types for DuckDB, Spark, pandas and Arrow.

use serde_json::{Map, Value as Json, json};

use super::files::{File, Shape};
use super::row::{Field, Presence};
use super::value::Kind;

/// A schema language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON Schema, draft 2020-12. It describes one line of a `.jsonl` file, or a whole `.json` file.
    Json,
    /// The `columns` argument of DuckDB's `read_json`.
    Duckdb,
    /// A Spark DDL schema.
    Spark,
    /// pandas' `dtype` argument, as JSON.
    Pandas,
    /// A `pyarrow.schema(...)` expression.
    Arrow,
}

impl Format {
    /// All formats with their names on the command line.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("json", Self::Json),
        ("duckdb", Self::Duckdb),
        ("spark", Self::Spark),
        ("pandas", Self::Pandas),
        ("arrow", Self::Arrow),
    ];
}

/// The schema of `file` for a reader, ending in a newline.
pub fn render(file: File, format: Format) -> String {
    let fields = file.fields();
    let join = |separator: &str, one: &dyn Fn(&Field) -> String| {
        fields.iter().map(one).collect::<Vec<_>>().join(separator)
    };
    match format {
        Format::Json => format!("{:#}\n", json_schema(file)),
        Format::Duckdb => {
            format!(
                "{{{}}}\n",
                join(", ", &|field| format!(
                    "\"{}\": '{}'",
                    field.name,
                    duckdb_type(field.kind)
                ))
            )
        }
        Format::Spark => {
            let one = |field: &Field| {
                let not_null = if field.presence == Presence::Required {
                    " NOT NULL"
                } else {
                    ""
                };
                format!("`{}` {}{not_null}", field.name, spark_type(field.kind))
            };
            format!("{}\n", join(", ", &one))
        }
        Format::Pandas => {
            format!(
                "{{{}}}\n",
                join(", ", &|field| format!(
                    "\"{}\": \"{}\"",
                    field.name,
                    pandas_type(field.kind)
                ))
            )
        }
        Format::Arrow => format!(
            "pa.schema([\n{}\n])\n",
            join(",\n", &|field| format!("    {}", arrow_field(field)))
        ),
    }
}

fn json_schema(file: File) -> Json {
    let mut row = object_schema(file.fields());
    let map = row.as_object_mut().map(std::mem::take).unwrap_or_default();
    let mut schema = Map::new();
    schema.insert(
        "$schema".into(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    schema.insert("$id".into(), json!(format!("urn:cctf:1:{}", file.name())));
    schema.insert("title".into(), json!(format!("CCTF 1, {}", file.name())));
    match file.shape() {
        Shape::Array => {
            schema.insert("type".into(), json!("array"));
            schema.insert("items".into(), Json::Object(map));
        }
        Shape::Lines | Shape::Object => schema.extend(map),
    }
    Json::Object(schema)
}

/// Unknown fields are allowed, because readers must ignore them.
fn object_schema(fields: &[Field]) -> Json {
    let required: Vec<_> = fields
        .iter()
        .filter(|field| field.presence != Presence::Optional)
        .map(|field| field.name)
        .collect();
    let properties: Map<String, Json> = fields
        .iter()
        .map(|field| (field.name.to_owned(), property_schema(field)))
        .collect();
    json!({"type": "object", "required": required, "properties": properties})
}

fn property_schema(field: &Field) -> Json {
    let mut schema = kind_schema(field.kind);
    if let (Presence::Nullable, Some(map)) = (field.presence, schema.as_object_mut()) {
        let of_value = std::mem::take(map);
        map.insert("anyOf".into(), json!([of_value, {"type": "null"}]));
    }
    if let Some(map) = schema.as_object_mut() {
        map.insert("description".into(), json!(field.doc.trim()));
    }
    schema
}

fn kind_schema(kind: Kind) -> Json {
    match kind {
        Kind::TraceId => json!({"type": "string", "pattern": "^[0-9a-f]{32}$"}),
        Kind::SpanId => json!({"type": "string", "pattern": "^[0-9a-f]{16}$"}),
        Kind::Text => json!({"type": "string"}),
        Kind::OneOf(values) => json!({"enum": values}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Unsigned => json!({"type": "integer", "minimum": 0, "maximum": i64::MAX}),
        Kind::Float | Kind::Milliseconds => json!({"type": "number"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::List(of) => json!({"type": "array", "items": kind_schema(*of)}),
        Kind::Object(fields) => object_schema(fields),
        Kind::Attributes => json!({"type": "object"}),
        Kind::Counters => {
            json!({"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}})
        }
    }
}

fn duckdb_type(kind: Kind) -> String {
    match kind {
        Kind::TraceId | Kind::SpanId | Kind::Text | Kind::OneOf(_) => "VARCHAR".into(),
        Kind::Integer | Kind::Unsigned => "BIGINT".into(),
        Kind::Float => "DOUBLE".into(),
        Kind::Bool => "BOOLEAN".into(),
        Kind::Milliseconds => "DECIMAL(19,6)".into(),
        Kind::List(of) => format!("{}[]", duckdb_type(*of)),
        Kind::Object(fields) => {
            let inner: Vec<_> = fields
                .iter()
                .map(|field| format!("\"{}\" {}", field.name, duckdb_type(field.kind)))
                .collect();
            format!("STRUCT({})", inner.join(", "))
        }
        Kind::Attributes => "JSON".into(),
        Kind::Counters => "MAP(VARCHAR, BIGINT)".into(),
    }
}

fn spark_type(kind: Kind) -> String {
    match kind {
        Kind::TraceId | Kind::SpanId | Kind::Text | Kind::OneOf(_) => "STRING".into(),
        Kind::Integer | Kind::Unsigned => "BIGINT".into(),
        Kind::Float => "DOUBLE".into(),
        Kind::Bool => "BOOLEAN".into(),
        Kind::Milliseconds => "DECIMAL(19,6)".into(),
        Kind::List(of) => format!("ARRAY<{}>", spark_type(*of)),
        Kind::Object(fields) => {
            let inner: Vec<_> = fields
                .iter()
                .map(|field| format!("`{}`: {}", field.name, spark_type(field.kind)))
                .collect();
            format!("STRUCT<{}>", inner.join(", "))
        }
        Kind::Attributes => "MAP<STRING, STRING>".into(),
        Kind::Counters => "MAP<STRING, BIGINT>".into(),
    }
}

/// The nullable types of pandas. A timestamp as a double has an error of up to 0.25 us.
fn pandas_type(kind: Kind) -> &'static str {
    match kind {
        Kind::TraceId | Kind::SpanId | Kind::Text => "string",
        Kind::OneOf(_) => "category",
        Kind::Integer | Kind::Unsigned => "Int64",
        Kind::Float | Kind::Milliseconds => "float64",
        Kind::Bool => "boolean",
        Kind::List(_) | Kind::Object(_) | Kind::Attributes | Kind::Counters => "object",
    }
}

fn arrow_field(field: &Field) -> String {
    let nullable = if field.presence == Presence::Required {
        "False"
    } else {
        "True"
    };
    format!(
        "pa.field(\"{}\", {}, nullable={nullable})",
        field.name,
        arrow_type(field.kind)
    )
}

fn arrow_type(kind: Kind) -> String {
    match kind {
        Kind::TraceId | Kind::SpanId | Kind::Text | Kind::OneOf(_) => "pa.string()".into(),
        Kind::Integer | Kind::Unsigned => "pa.int64()".into(),
        Kind::Float => "pa.float64()".into(),
        Kind::Bool => "pa.bool_()".into(),
        // Arrow's JSON reader accepts a number as a decimal if it is exact.
        Kind::Milliseconds => "pa.decimal128(19, 6)".into(),
        Kind::List(of) => format!("pa.list_({})", arrow_type(*of)),
        Kind::Object(fields) => {
            format!(
                "pa.struct([{}])",
                fields.iter().map(arrow_field).collect::<Vec<_>>().join(", ")
            )
        }
        Kind::Attributes => "pa.map_(pa.string(), pa.string())".into(),
        Kind::Counters => "pa.map_(pa.string(), pa.int64())".into(),
    }
}
