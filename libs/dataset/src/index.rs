//! [`Index`]: the file `index.json` of a data set. It describes tables, runs, counts and ranges.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;

use anyhow::Context;
use cctf_proto::cctf::File;
use rundir::UsageError;
use serde::{Deserialize, Serialize};

use crate::layout::{Table, column_name, is_nullable, type_name};

/// Name of the file in the folder of a data set.
pub const INDEX: &str = "index.json";
/// Version of the layout, which consists of the folders, the columns and this file.
const LAYOUT: u32 = 1;
const NAME: &str = "cctf-parquet";
/// Maximum size of an index, bytes. It is enough for some 100,000 runs.
const INDEX_BYTES_MAX: u64 = 256 << 20;
/// Maximum number of buckets, because the folder names have three digits.
pub const BUCKETS_MAX: u16 = 512;

/// The index of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Always `cctf-parquet`.
    pub format: String,
    /// Version of the layout.
    pub layout: u32,
    /// Version of CCTF.
    pub cctf_version: String,
    /// Number of buckets, a power of two.
    pub buckets: NonZero<u16>,
    /// A sentence that states how the bucket is computed from a trace id.
    pub bucket_of: String,
    pub tables: Vec<TableInfo>,
    /// Runs in the order in which they were added.
    pub runs: Vec<RunInfo>,
}

/// Description of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableInfo {
    pub name: String,
    /// The file of CCTF that has the same rows.
    pub file: String,
    /// Columns that are stored as names of folders.
    pub partitions: Vec<String>,
    pub sorted_by: Vec<String>,
    pub columns: Vec<ColumnInfo>,
}

/// Description of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnInfo {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub nullable: bool,
    /// The field of CCTF, if its name differs from that of the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// A run of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    pub run_id: String,
    pub parts: u64,
    pub started_ns: Option<i64>,
    /// Null if the run had not ended.
    pub ended_ns: Option<i64>,
    /// Number of lines that were not rows, and of lines without an end. No table has them.
    pub damaged_lines: u64,
    pub cut_lines: u64,
    pub tables: BTreeMap<String, RunTable>,
}

/// The rows of one run in one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunTable {
    pub rows: u64,
    pub files: u64,
    pub bytes: u64,
    /// First and last value of the time column by which the table is sorted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_ns: Option<i64>,
}

impl Index {
    pub fn new(buckets: NonZero<u16>) -> Self {
        Self {
            format: NAME.to_owned(),
            layout: LAYOUT,
            cctf_version: "1".to_owned(),
            buckets,
            bucket_of: format!("the last four hex digits of trace_id as a number, modulo {buckets}"),
            tables: File::ALL
                .iter()
                .map(|&file| TableInfo::new(&Table::new(file)))
                .collect(),
            runs: Vec::new(),
        }
    }

    /// Reads the index of a data set, to which this program can then add runs.
    ///
    /// # Errors
    /// A [`UsageError`] if the folder is not such a data set; otherwise an I/O error.
    pub fn read(dataset: &Path) -> anyhow::Result<Self> {
        let path = dataset.join(INDEX);
        let refusal = |cause: &str| UsageError(format!("cannot add runs to {}: {cause}", dataset.display()));
        let size = match std::fs::metadata(&path) {
            Ok(data) => data.len(),
            Err(error) if rundir::regular::is_missing(&error) => {
                let cause = "it is not a data set, because it has no index.json; create one without --append";
                return Err(refusal(cause).into());
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        if size > INDEX_BYTES_MAX {
            return Err(refusal("its index.json is too long; create another data set").into());
        }
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let index: Self = serde_json::from_slice(&text).map_err(|error| {
            refusal(&format!(
                "its index.json is invalid: {error}; create another data set"
            ))
        })?;
        let empty = Self::new(index.buckets);
        let is_power = index.buckets.is_power_of_two() && index.buckets.get() <= BUCKETS_MAX;
        if index.format != NAME || index.layout != LAYOUT || !is_power {
            return Err(refusal("it has another layout; create another data set").into());
        }
        if index.tables != empty.tables {
            let cause = "it was created by a version of cctf with other columns; create another data set";
            return Err(refusal(cause).into());
        }
        Ok(index)
    }

    /// The index as the content of its file.
    ///
    /// # Errors
    /// Never in practice: all keys are strings.
    pub fn to_json(&self) -> anyhow::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

impl TableInfo {
    fn new(table: &Table) -> Self {
        let columns = table.columns.iter().map(|column| {
            let name = column_name(column.field);
            ColumnInfo {
                field: (name != column.field.name).then(|| column.field.name.to_owned()),
                name,
                kind: type_name(column.field.kind),
                nullable: is_nullable(column.field),
            }
        });
        let columns: Vec<ColumnInfo> = columns.collect();
        Self {
            name: table.name().to_owned(),
            file: table.file.name().to_owned(),
            partitions: table.partitions().map(str::to_owned).collect(),
            sorted_by: table
                .sorted_by()
                .map(|by| columns[by.column].name.clone())
                .collect(),
            columns,
        }
    }
}
