//! [`ColumnInProgress`]: one column of a row group. It is encoded in memory while rows arrive in batches.
//!
//! A row group stores its columns one after the other, but rows arrive with values of all columns. So each column is encoded in
//! its own memory, page by page. When the row group is complete, it is appended to the file.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::column::writer::{ColumnCloseResult, ColumnWriter, get_column_writer};
use parquet::data_type::ByteArray;
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterPropertiesPtr;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use crate::leaf::{Leaf, Values};

/// Encoded pages, shared by a column and its page writer.
#[derive(Debug, Clone, Default)]
struct Pages(Arc<Mutex<Vec<u8>>>);

impl Pages {
    fn with<T>(&self, take: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl io::Write for Pages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|pages| pages.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Parquet's page writer borrows its target. This writer owns it.
struct OwnedPageWriter(TrackedWrite<Pages>);

impl PageWriter for OwnedPageWriter {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        SerializedPageWriter::new(&mut self.0).write_page(page)
    }

    fn close(&mut self) -> Result<()> {
        SerializedPageWriter::new(&mut self.0).close()
    }
}

/// One column of a row group.
pub struct ColumnInProgress {
    writer: ColumnWriter<'static>,
    pages: Pages,
}

impl ColumnInProgress {
    pub fn new(column: ColumnDescPtr, properties: WriterPropertiesPtr) -> Self {
        let pages = Pages::default();
        let out = OwnedPageWriter(TrackedWrite::new(pages.clone()));
        Self {
            writer: get_column_writer(column, properties, Box::new(out)),
            pages,
        }
    }

    /// Size of the complete pages, bytes.
    pub fn bytes(&self) -> usize {
        self.pages.with(|pages| pages.len())
    }

    /// Encodes the entries of a batch. `texts` is empty, and passed so that its memory is used again.
    pub fn write(&mut self, leaf: &mut Leaf, texts: &mut Vec<ByteArray>) -> Result<()> {
        let [max_definition, max_repetition] = leaf.levels();
        let definitions = (max_definition > 0).then_some(&*leaf.definitions);
        let repetitions = (max_repetition > 0).then_some(&*leaf.repetitions);
        match (&mut self.writer, &mut leaf.values) {
            (ColumnWriter::Int64ColumnWriter(writer), Values::Integers(values)) => {
                writer.write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            (ColumnWriter::DoubleColumnWriter(writer), Values::Doubles(values)) => {
                writer.write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            (ColumnWriter::BoolColumnWriter(writer), Values::Bools(values)) => {
                writer.write_batch(values, definitions, repetitions)?;
                values.clear();
            }
            (ColumnWriter::ByteArrayColumnWriter(writer), Values::Texts(values)) => {
                values.drain(texts);
                writer.write_batch(texts, definitions, repetitions)?;
                texts.clear();
            }
            // Unreachable: the schema and the leaves are made from the same declaration.
            _ => return Err(ParquetError::General("column of another type".to_owned())),
        }
        leaf.definitions.clear();
        leaf.repetitions.clear();
        Ok(())
    }

    /// All pages of the column, and their description.
    pub fn close(self) -> Result<(Bytes, ColumnCloseResult)> {
        let closed = self.writer.close()?;
        Ok((self.pages.with(std::mem::take).into(), closed))
    }
}
