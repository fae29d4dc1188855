//! [`duckdb`], [`spark`]: SQL for views in which the columns have the names and types of the JSON files.
//!
//! A view has all columns of its table. For each column of nanoseconds it also has the decimal of milliseconds that the JSON
//! file has. So queries for the JSON files work with the views unchanged.

use std::fmt::Write as _;

use cctf_proto::cctf::{File, Kind};

use crate::layout::{BUCKET, RUN_ID, Table, column_name};

/// Names of the SQL files in a data set.
pub const DUCKDB_FILE: &str = "duckdb.sql";
pub const SPARK_FILE: &str = "spark.sql";
/// The SQL variable with the path of the data set.
const VARIABLE: &str = "cctf_dataset";

/// The views for DuckDB.
pub fn duckdb() -> String {
    let mut sql = format!(
        "-- The tables of this data set as views with the columns of the JSON files, for DuckDB.\n\
         -- In this folder: duckdb -init {DUCKDB_FILE}\n\
         -- Elsewhere, first: SET VARIABLE {VARIABLE} = 'PATH OF THIS FOLDER';\n"
    );
    for &file in File::ALL {
        let table = Table::new(file);
        let is_in_buckets = table.trace.is_some();
        let (folders, types) = match is_in_buckets {
            true => ("*/*", format!("{{'{RUN_ID}': VARCHAR, '{BUCKET}': INTEGER}}")),
            false => ("*", format!("{{'{RUN_ID}': VARCHAR}}")),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            sql,
            "CREATE OR REPLACE VIEW {name} AS SELECT\n  {columns}\n\
             FROM read_parquet(coalesce(getvariable('{VARIABLE}'), '.') || '/{name}/{folders}/*.parquet',\n  \
             hive_partitioning = true, hive_types = {types});\n",
            name = table.name(),
            columns = columns(&table, '"', &[], &|column, kind| match kind {
                // Whole numbers keep all digits. A division would produce a double.
                Kind::Milliseconds => Some(format!(
                    "({column}::DECIMAL(19,0) * 0.000001::DECIMAL(7,6))::DECIMAL(19,6)"
                )),
                Kind::Attributes => Some(format!("{column}::JSON")),
                _ => None,
            }),
        );
    }
    sql
}

/// The views for Spark. Each statement ends with a semicolon at the end of a line.
pub fn spark() -> String {
    let mut sql = format!(
        "-- The tables of this data set as views with the columns of the JSON files, for Spark.\n\
         -- docs/export/parquet.md shows how to execute these statements. First: SET {VARIABLE}.path=PATH OF THIS FOLDER\n\
         -- Without inference, the run id 007 stays a text.\n\
         SET spark.sql.sources.partitionColumnTypeInference.enabled=false;\n"
    );
    for &file in File::ALL {
        let table = Table::new(file);
        let _ = write!(
            sql,
            "CREATE OR REPLACE TEMPORARY VIEW {name}_files USING parquet OPTIONS (path '${{{VARIABLE}.path}}/{name}');\n\
             CREATE OR REPLACE TEMPORARY VIEW {name} AS SELECT\n  {columns}\nFROM {name}_files;\n",
            name = table.name(),
            columns = columns(&table, '`', &[(BUCKET, "INT")], &|column, kind| match kind {
                Kind::Milliseconds => Some(format!(
                    "CAST(CAST({column} AS DECIMAL(19,0)) * 0.000001BD AS DECIMAL(19,6))"
                )),
                Kind::Attributes => Some(format!("from_json({column}, 'MAP<STRING, STRING>')")),
                _ => None,
            }),
        );
    }
    sql
}

/// The columns of a view. `convert` returns an expression for a kind of column whose type differs in the JSON files, or `None`
/// for other kinds.
fn columns(
    table: &Table,
    quote: char,
    casts: &[(&str, &str)],
    convert: &dyn Fn(&str, Kind) -> Option<String>,
) -> String {
    let quoted = |name: &str| format!("{quote}{name}{quote}");
    let mut columns: Vec<String> = table
        .partitions()
        .map(|name| match casts.iter().find(|(cast, _)| *cast == name) {
            Some((_, kind)) => format!("CAST({name} AS {kind}) AS {name}"),
            None => name.to_owned(),
        })
        .collect();
    for column in &table.columns {
        let name = quoted(&column.name);
        let converted = convert(&name, column.field.kind);
        match &converted {
            Some(expression) => columns.push(format!("{expression} AS {}", quoted(column.field.name))),
            None => columns.push(name.clone()),
        }
        if converted.is_some() && column_name(column.field) != column.field.name {
            columns.push(name);
        }
    }
    columns.join(",\n  ")
}

#[cfg(test)]
mod tests {
    use cctf_proto::cctf::Field;

    use super::*;

    /// A view converts only whole columns. So a time within a list or an object would stay in nanoseconds.
    #[test]
    fn no_nested_field_needs_a_conversion() {
        fn check(kind: Kind) {
            match kind {
                Kind::List(of) => check_inner(*of),
                Kind::Object(fields) => fields.iter().for_each(|field| check_inner(field.kind)),
                _ => {}
            }
        }
        fn check_inner(kind: Kind) {
            assert!(!matches!(kind, Kind::Milliseconds | Kind::Attributes));
            check(kind);
        }
        let fields = File::ALL.iter().flat_map(|file| file.fields());
        fields.for_each(|Field { kind, .. }| check(*kind));
    }

    #[test]
    fn a_view_has_each_field_of_the_file_and_the_nanoseconds() {
        for sql in [duckdb(), spark()] {
            let text = sql.replace('`', "\"");
            for file in File::ALL {
                let begin = text.find(&format!("VIEW {} AS", file.stem())).unwrap();
                let view = &text[begin..begin + text[begin..].find("\nFROM").unwrap()];
                for field in file.fields() {
                    let has = |name: &str| view.contains(&format!("\"{name}\""));
                    let is_partition = field.name == RUN_ID && view.contains("  run_id,");
                    assert!(is_partition || has(field.name), "{}: {}", file.stem(), field.name);
                    assert!(
                        is_partition || has(&column_name(field)),
                        "{}: {}",
                        file.stem(),
                        field.name
                    );
                }
            }
        }
    }
}
