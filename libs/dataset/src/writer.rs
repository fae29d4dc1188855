//! [`TableWriter`]: one Parquet file, in row groups of bounded size.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use crate::chunks::ColumnInProgress;
use crate::layout::Table;
use crate::leaf::{DICTIONARY_BYTES, has_dictionary};
use crate::shred::Shredder;

/// Number of rows that complete a row group. It gives at most 32 MiB of invocations. A row group ends with a batch, so it can
/// have up to one batch less or more.
const GROUP_ROWS: usize = 250_000;
/// Bytes of encoded pages that complete a row group if rows are long.
const GROUP_BYTES: usize = 32 << 20;
/// Compression level of zstd. Higher levels save 4% of the bytes and take twice the CPU time.
const ZSTD_LEVEL: i32 = 1;

/// The size at which a row group is complete.
#[derive(Debug, Clone, Copy)]
pub struct GroupSize {
    pub rows: usize,
    pub bytes: usize,
}

impl Default for GroupSize {
    fn default() -> Self {
        Self {
            rows: GROUP_ROWS,
            bytes: GROUP_BYTES,
        }
    }
}

/// Rows and size of a complete file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub rows: u64,
    pub bytes: u64,
}

/// The properties that all files of a table have.
#[derive(Clone)]
pub struct TableFormat {
    schema: Arc<SchemaDescriptor>,
    properties: WriterPropertiesPtr,
    size: GroupSize,
}

impl TableFormat {
    /// `facts` are pairs of name and value for the metadata of each file.
    ///
    /// # Errors
    /// Only if this crate declares an impossible column.
    pub fn new(table: &Table, facts: &[(&str, &str)], size: GroupSize) -> anyhow::Result<Self> {
        let schema = Arc::new(SchemaDescriptor::new(table.schema()?));
        let facts = facts
            .iter()
            .map(|(name, value)| KeyValue::new((*name).to_owned(), (*value).to_owned()));
        let level = ZstdLevel::try_new(ZSTD_LEVEL).context("cannot set the level of zstd")?;
        let mut properties = WriterProperties::builder()
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(Compression::ZSTD(level))
            // Parquet's page index consists of the statistics by page.
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_dictionary_page_size_limit(DICTIONARY_BYTES)
            .set_max_row_group_row_count(None)
            .set_sorting_columns(table.sorting_columns())
            .set_key_value_metadata(Some(facts.collect()));
        let kinds = Shredder::new(table).leaves.into_iter().map(|leaf| leaf.kind());
        for (column, kind) in schema.columns().iter().zip(kinds) {
            properties =
                properties.set_column_dictionary_enabled(column.path().clone(), has_dictionary(kind));
        }
        Ok(Self {
            schema,
            properties: Arc::new(properties.build()),
            size,
        })
    }
}

/// A Parquet file that is not complete.
pub struct TableWriter {
    path: PathBuf,
    format: TableFormat,
    file: SerializedFileWriter<File>,
    columns: Vec<ColumnInProgress>,
    group_rows: usize,
    rows: u64,
    texts: Vec<ByteArray>,
}

impl TableWriter {
    /// Creates the file.
    ///
    /// # Errors
    /// An I/O error.
    pub fn create(path: &Path, format: &TableFormat) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| cannot_write(path))?;
        let schema = format.schema.root_schema_ptr();
        let file = SerializedFileWriter::new(file, schema, format.properties.clone())
            .map_err(|error| in_words(error, path))?;
        Ok(Self {
            path: path.to_owned(),
            format: format.clone(),
            file,
            columns: Vec::new(),
            group_rows: 0,
            rows: 0,
            texts: Vec::new(),
        })
    }

    /// Writes the rows of a batch, which is empty afterwards.
    ///
    /// # Errors
    /// An I/O error.
    pub fn write(&mut self, batch: &mut Shredder) -> anyhow::Result<()> {
        let rows = batch.rows();
        batch.end_batch();
        if rows == 0 {
            return Ok(());
        }
        if self.columns.is_empty() {
            let columns = self.format.schema.columns().iter();
            self.columns = columns
                .map(|column| ColumnInProgress::new(column.clone(), self.format.properties.clone()))
                .collect();
        }
        for (column, leaf) in self.columns.iter_mut().zip(&mut batch.leaves) {
            let written = column.write(leaf, &mut self.texts);
            written.map_err(|error| in_words(error, &self.path))?;
        }
        self.group_rows += rows;
        self.rows += rows as u64;
        let bytes: usize = self.columns.iter().map(ColumnInProgress::bytes).sum();
        if self.group_rows >= self.format.size.rows || bytes >= self.format.size.bytes {
            self.end_group(batch)?;
        }
        Ok(())
    }

    fn end_group(&mut self, batch: &mut Shredder) -> anyhow::Result<()> {
        let columns = std::mem::take(&mut self.columns);
        let appended = append(&mut self.file, columns);
        appended.map_err(|error| in_words(error, &self.path))?;
        self.group_rows = 0;
        batch.forget_texts();
        Ok(())
    }

    /// Completes the file and makes it durable.
    ///
    /// # Errors
    /// An I/O error.
    pub fn finish(mut self, batch: &mut Shredder) -> anyhow::Result<Written> {
        self.write(batch)?;
        if !self.columns.is_empty() {
            self.end_group(batch)?;
        }
        let path = &self.path;
        self.file.finish().map_err(|error| in_words(error, path))?;
        let file = self.file.inner();
        let bytes = file.sync_all().and_then(|()| file.metadata());
        Ok(Written {
            rows: self.rows,
            bytes: bytes.with_context(|| cannot_write(path))?.len(),
        })
    }
}

fn append(file: &mut SerializedFileWriter<File>, columns: Vec<ColumnInProgress>) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for column in columns {
        let (pages, closed) = column.close()?;
        group.append_column(&pages, closed)?;
    }
    group.close()?;
    Ok(())
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// If the error comes from the operating system, this removes the text that the Parquet library adds.
fn in_words(error: ParquetError, path: &Path) -> anyhow::Error {
    let error = match error {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(error) => anyhow::Error::from(*error),
            Err(inner) => anyhow::Error::from(ParquetError::External(inner)),
        },
        error => error.into(),
    };
    error.context(cannot_write(path))
}
