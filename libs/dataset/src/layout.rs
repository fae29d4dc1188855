//! [`Table`]: a file of CCTF as a table of Parquet. Its columns are generated from the row declaration.

use std::sync::Arc;

use anyhow::Context;
use cctf_proto::cctf::{Field, File, Kind, Presence, Row, RunMeta, field_index};
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::file::metadata::SortingColumn;
use parquet::schema::types::{Type, TypePtr};

/// The column for the partitions by run. `run_meta.json` has a field of the same name. It gets no column, because a table
/// cannot have two columns of one name.
pub const RUN_ID: &str = "run_id";
/// The column for the partitions by trace.
pub const BUCKET: &str = "bucket";
const _: usize = field_index(RunMeta::FIELDS, RUN_ID);

/// A file of CCTF as a table.
#[derive(Debug, Clone)]
pub struct Table {
    pub file: File,
    pub columns: Vec<Column>,
    /// The time by which rows are sorted.
    pub time: Option<SortedBy>,
    /// The trace id by which rows are sorted, for tables with buckets.
    pub trace: Option<SortedBy>,
}

/// A field by which a table is sorted, and its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortedBy {
    pub field: usize,
    pub column: usize,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    pub field: &'static Field,
    /// Index of the field in the row declaration.
    pub index: usize,
    /// Name of the column in Parquet.
    pub name: String,
}

impl Table {
    pub fn new(file: File) -> Self {
        let columns: Vec<Column> = (0..)
            .zip(file.fields())
            .filter(|(_, field)| field.name != RUN_ID)
            .map(|(index, field)| Column {
                field,
                index,
                name: column_name(field),
            })
            .collect();
        let sorted_by = |name: &str| {
            let column = columns.iter().position(|column| column.field.name == name)?;
            let field = columns[column].index;
            Some(SortedBy { field, column })
        };
        let time = time_of(file).and_then(sorted_by);
        let trace = time.and_then(|_| sorted_by("trace_id"));
        Self {
            file,
            time,
            trace,
            columns,
        }
    }

    /// Name of the table and of its folder.
    pub fn name(&self) -> &'static str {
        self.file.stem()
    }

    /// The columns that are stored as names of folders.
    pub fn partitions(&self) -> impl Iterator<Item = &'static str> {
        [RUN_ID].into_iter().chain(self.trace.map(|_| BUCKET))
    }

    /// The columns by which rows are sorted, in order.
    pub fn sorted_by(&self) -> impl Iterator<Item = SortedBy> {
        self.trace.into_iter().chain(self.time)
    }

    /// The sort order for the metadata of a row group. Only columns without nested fields precede these columns, so the index
    /// of a column is also that of its leaf.
    pub fn sorting_columns(&self) -> Option<Vec<SortingColumn>> {
        let columns: Vec<SortingColumn> = self
            .sorted_by()
            .map(|by| SortingColumn {
                column_idx: by.column as i32,
                descending: false,
                nulls_first: false,
            })
            .collect();
        (!columns.is_empty()).then_some(columns)
    }

    /// The schema of its Parquet files.
    pub fn schema(&self) -> anyhow::Result<TypePtr> {
        let columns: Vec<(&str, &Field)> = self
            .columns
            .iter()
            .map(|column| (&*column.name, column.field))
            .collect();
        group(self.name(), Repetition::REQUIRED, None, children(&columns)?)
    }
}

/// The name of the time field by which the rows of a file are sorted. Inventories have none and keep their order.
fn time_of(file: File) -> Option<&'static str> {
    match file {
        File::Invocations => Some("ts_enqueue"),
        File::Calls => Some("ts_start"),
        File::PlacementEvents => Some("ts"),
        File::HostMetrics | File::LinkMetrics | File::SystemStats => Some("ts_ms"),
        File::Nodes | File::Links | File::ModuleInventory | File::RunMeta => None,
    }
}

/// The name of a field's column. A time or a duration is stored as an integer of nanoseconds, and its name ends with `_ns`.
pub fn column_name(field: &Field) -> String {
    match field.kind {
        Kind::Milliseconds => field.name.replace("_ms", "") + "_ns",
        _ => field.name.to_owned(),
    }
}

/// Whether a field can be null.
pub fn is_nullable(field: &Field) -> bool {
    field.presence != Presence::Required
}

/// The type of a column as the index names it.
pub fn type_name(kind: Kind) -> String {
    match kind {
        Kind::TraceId | Kind::SpanId | Kind::Text | Kind::OneOf(_) | Kind::Attributes => "string".into(),
        Kind::Integer | Kind::Unsigned | Kind::Milliseconds => "int64".into(),
        Kind::Float => "double".into(),
        Kind::Bool => "boolean".into(),
        Kind::List(of) => format!("list<{}>", type_name(*of)),
        Kind::Object(fields) => {
            let inner: Vec<String> = fields
                .iter()
                .map(|field| format!("{}: {}", column_name(field), type_name(field.kind)))
                .collect();
            format!("struct<{}>", inner.join(", "))
        }
        Kind::Counters => "map<string, int64>".into(),
    }
}

fn children(fields: &[(&str, &Field)]) -> anyhow::Result<Vec<TypePtr>> {
    let one = |(name, field): &(&str, &Field)| {
        let repetition = match is_nullable(field) {
            true => Repetition::OPTIONAL,
            false => Repetition::REQUIRED,
        };
        node(name, repetition, field.kind)
    };
    fields.iter().map(one).collect()
}

fn node(name: &str, repetition: Repetition, kind: Kind) -> anyhow::Result<TypePtr> {
    match kind {
        Kind::TraceId | Kind::SpanId | Kind::Text | Kind::OneOf(_) | Kind::Attributes => {
            leaf(name, repetition, Physical::BYTE_ARRAY, Some(LogicalType::String))
        }
        Kind::Integer | Kind::Unsigned | Kind::Milliseconds => leaf(name, repetition, Physical::INT64, None),
        Kind::Float => leaf(name, repetition, Physical::DOUBLE, None),
        Kind::Bool => leaf(name, repetition, Physical::BOOLEAN, None),
        Kind::List(of) => {
            let element = node("element", Repetition::REQUIRED, *of)?;
            let list = group("list", Repetition::REPEATED, None, vec![element])?;
            group(name, repetition, Some(LogicalType::List), vec![list])
        }
        Kind::Object(fields) => {
            let names: Vec<String> = fields.iter().map(column_name).collect();
            let fields: Vec<(&str, &Field)> = names.iter().map(String::as_str).zip(fields).collect();
            group(name, repetition, None, children(&fields)?)
        }
        Kind::Counters => {
            let key = node("key", Repetition::REQUIRED, Kind::Text)?;
            let value = node("value", Repetition::REQUIRED, Kind::Unsigned)?;
            let entries = group("key_value", Repetition::REPEATED, None, vec![key, value])?;
            group(name, repetition, Some(LogicalType::Map), vec![entries])
        }
    }
}

fn leaf(
    name: &str,
    repetition: Repetition,
    physical: Physical,
    logical: Option<LogicalType>,
) -> anyhow::Result<TypePtr> {
    let built = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .build();
    Ok(Arc::new(built.with_context(|| bad_column(name))?))
}

fn group(
    name: &str,
    repetition: Repetition,
    logical: Option<LogicalType>,
    fields: Vec<TypePtr>,
) -> anyhow::Result<TypePtr> {
    let built = Type::group_type_builder(name)
        .with_repetition(repetition)
        .with_logical_type(logical)
        .with_fields(fields)
        .build();
    Ok(Arc::new(built.with_context(|| bad_column(name))?))
}

/// Only an error in this module can cause this message.
fn bad_column(name: &str) -> String {
    format!("cannot declare the column {name} for Parquet")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_columns_of_a_table_have_one_name_in_any_case() {
        for &file in File::ALL {
            let table = Table::new(file);
            let mut names: BTreeSet<String> = [RUN_ID, BUCKET].map(str::to_owned).into();
            for column in &table.columns {
                let name = column.name.to_lowercase();
                assert!(names.insert(name), "{}: {}", table.name(), column.name);
            }
            assert!(table.schema().is_ok(), "{}", table.name());
        }
    }

    #[test]
    fn times_and_durations_are_named_after_nanoseconds() {
        let names = |file: File, wanted: &[&str]| {
            let table = Table::new(file);
            let of = |name: &&str| {
                let found = table.columns.iter().find(|column| column.field.name == *name);
                found.map(|column| column.name.clone()).unwrap()
            };
            wanted.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(
            names(File::Invocations, &["ts_enqueue", "rt_ms", "trace_id"]),
            ["ts_enqueue_ns", "rt_ns", "trace_id"]
        );
        assert_eq!(
            names(File::LinkMetrics, &["ts_ms", "net_ms_p50", "rx_Bps"]),
            ["ts_ns", "net_p50_ns", "rx_Bps"]
        );
        assert_eq!(
            names(File::Links, &["fit_error_ms"]),
            ["fit_error_ms"],
            "a double of milliseconds stays one"
        );
    }

    #[test]
    fn tables_are_sorted_by_trace_and_time_or_by_time() {
        let sorted = |file| {
            let table = Table::new(file);
            let names = table.sorted_by().map(|by| table.columns[by.column].name.clone());
            names.collect::<Vec<_>>()
        };
        assert_eq!(sorted(File::Invocations), ["trace_id", "ts_enqueue_ns"]);
        assert_eq!(sorted(File::Calls), ["trace_id", "ts_start_ns"]);
        assert_eq!(sorted(File::HostMetrics), ["ts_ns"]);
        assert_eq!(sorted(File::Nodes), [""; 0]);
        for &file in File::ALL {
            let table = Table::new(file);
            for by in table.sorted_by() {
                let is_flat = |column: &Column| !matches!(column.field.kind, Kind::List(_) | Kind::Object(_));
                assert!(table.columns[..by.column].iter().all(is_flat), "{}", table.name());
            }
        }
    }
}
