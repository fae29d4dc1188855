//! [`tasks`] and [`fragments`]: write the two Parquet files of a workload, with the columns and types that the pinned version of
//! OpenDC reads.

use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::rows::{Rows, Task};
use crate::source::Source;

/// Columns of tasks: the columns that OpenDC requires, and the name. Times are in milliseconds, speeds in MHz, memory in KB.
const TASKS: &str = "message resource {
    required int32 id;
    optional binary name (STRING);
    required int64 submission_time (TIMESTAMP(MILLIS,true));
    required int64 duration;
    required int32 cpu_count;
    required double cpu_capacity;
    required int64 mem_capacity;
}";
/// Columns of fragments: only the columns that OpenDC requires.
const FRAGMENTS: &str = "message resource_state {
    required int32 id;
    required int64 duration;
    required double cpu_usage;
}";
/// Number of rows of a row group. A row group takes at most 5 MiB before it is encoded.
const GROUP_ROWS: usize = 100_000;
/// Memory of a task. The rows of a run do not state it.
const MEMORY_UNKNOWN: i64 = 0;

/// The row group in which columns are written.
type Group<'g> = SerializedRowGroupWriter<'g, Vec<u8>>;

/// `tasks.parquet`. Task N has the id N, in the order of arrival.
pub fn tasks(source: &Source<'_>, rows: &Rows) -> Result<Vec<u8>> {
    let recorded = &source.plan.recorded;
    let names = (0..).zip(&recorded.names.endpoints).map(|(number, endpoint)| {
        let module = &recorded.names.modules[endpoint.module as usize];
        ByteArray::from(format!("{module} {}", source.endpoint_name(number)).into_bytes())
    });
    let names: Vec<ByteArray> = names.collect();
    file(TASKS, rows, |group, ids, tasks| {
        column::<Int32Type>(group, ids)?;
        optional::<ByteArrayType>(
            group,
            &values(tasks, |task| names[task.endpoint as usize].clone()),
        )?;
        column::<Int64Type>(group, &values(tasks, Task::submission_ms))?;
        column::<Int64Type>(group, &values(tasks, |task| task.duration_ms))?;
        column::<Int32Type>(group, &values(tasks, Task::cores))?;
        column::<DoubleType>(group, &values(tasks, Task::capacity_mhz))?;
        column::<Int64Type>(group, &values(tasks, |_| MEMORY_UNKNOWN))
    })
}

/// `fragments.parquet`: one fragment for each task, in the order of the tasks.
pub fn fragments(rows: &Rows) -> Result<Vec<u8>> {
    file(FRAGMENTS, rows, |group, ids, tasks| {
        column::<Int32Type>(group, ids)?;
        column::<Int64Type>(group, &values(tasks, |task| task.duration_ms))?;
        column::<DoubleType>(group, &values(tasks, Task::usage_mhz))
    })
}

/// A Parquet file. `write` writes all columns of one row group, for the tasks with the given ids.
fn file(
    schema: &str,
    rows: &Rows,
    write: impl Fn(&mut Group<'_>, &[i32], &[Task]) -> Result<()>,
) -> Result<Vec<u8>> {
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let schema = Arc::new(parse_message_type(schema)?);
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build()))?;
    let mut first = 0;
    for tasks in rows.tasks.chunks(GROUP_ROWS) {
        // A plan has at most 4,000,000 invocations.
        let next = first + tasks.len() as i32;
        let ids: Vec<i32> = (first..next).collect();
        first = next;
        let mut group = file.next_row_group()?;
        write(&mut group, &ids, tasks)?;
        group.close()?;
    }
    file.into_inner()
}

fn values<V>(tasks: &[Task], of: impl Fn(&Task) -> V) -> Vec<V> {
    tasks.iter().map(of).collect()
}

/// Writes the next column of a row group.
fn column<T: DataType>(group: &mut Group<'_>, values: &[T::T]) -> Result<()> {
    with_levels::<T>(group, values, None)
}

/// Writes the next column if it is declared as optional. Here, such a column has a value in each row, too.
fn optional<T: DataType>(group: &mut Group<'_>, values: &[T::T]) -> Result<()> {
    with_levels::<T>(group, values, Some(&vec![1; values.len()]))
}

fn with_levels<T: DataType>(group: &mut Group<'_>, values: &[T::T], levels: Option<&[i16]>) -> Result<()> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("the schema has too few columns".to_owned()));
    };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}
