//! The key-value store: SQLite in WAL mode, with one writer, pooled readers, and a span per statement.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use tracing::field::Empty;

use crate::telemetry::inner::{Parent, TARGET};

/// Maximum length of a key, bytes.
pub const KEY_LEN_MAX: usize = 512;

/// Maximum wait for another process that writes the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
const PAGE_BYTES: u32 = 4096;
const UPSERT: &str =
    "INSERT INTO kv (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
const SELECT: &str = "SELECT value FROM kv WHERE key = ?1";

/// A store shared by all slots, which write one at a time and read concurrently.
pub struct Store {
    path: PathBuf,
    writer: Mutex<Connection>,
    /// Idle readers; at most one per slot, because each slot returns its reader after a statement.
    readers: Mutex<Vec<Connection>>,
}

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the key is too long; use at most {KEY_LEN_MAX} bytes")]
    KeyTooLong,
    #[error("the store is full; raise KV_MAX_MB or start with an empty LOG_PATH")]
    Full,
    #[error("cannot access {}: {source}", path.display())]
    Sqlite { path: PathBuf, source: rusqlite::Error },
}

impl Store {
    /// Opens or creates the file. `max_mb` is its maximum size in MiB.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`].
    pub fn open(path: &Path, max_mb: u32) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Sqlite {
            path: path.to_owned(),
            source,
        };
        let writer = Connection::open(path).map_err(failed)?;
        prepare(&writer, max_mb).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::new(Vec::new()),
        })
    }

    /// Stores a value.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub fn set(&self, key: &str, value: &[u8], parent: &Parent) -> Result<(), StoreError> {
        check_key(key)?;
        let span = statement_span("INSERT", UPSERT, parent);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let done = writer
            .prepare_cached(UPSERT)
            .and_then(|mut statement| statement.execute(params![key, value]));
        drop(writer);
        done.map(|_rows| ()).map_err(|source| self.failed(source, &span))
    }

    /// Reads a value.
    ///
    /// # Errors
    /// [`StoreError::KeyTooLong`] and [`StoreError::Sqlite`].
    pub fn get(&self, key: &str, parent: &Parent) -> Result<Option<Vec<u8>>, StoreError> {
        check_key(key)?;
        let span = statement_span("SELECT", SELECT, parent);
        let reader = self.take_reader().map_err(|source| self.failed(source, &span))?;
        let value = reader
            .prepare_cached(SELECT)
            .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional());
        self.readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(reader);
        value.map_err(|source| self.failed(source, &span))
    }

    fn take_reader(&self) -> rusqlite::Result<Connection> {
        let pooled = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.map_or_else(|| open_reader(&self.path), Ok)
    }

    fn failed(&self, source: rusqlite::Error, span: &tracing::Span) -> StoreError {
        let code = source.sqlite_error_code();
        span.record(
            "error.type",
            code.map_or_else(|| "sqlite".to_owned(), |code| format!("{code:?}")),
        );
        span.record("otel.status_code", "ERROR");
        match code {
            Some(ErrorCode::DiskFull) => StoreError::Full,
            _ => StoreError::Sqlite {
                path: self.path.clone(),
                source,
            },
        }
    }
}

fn prepare(writer: &Connection, max_mb: u32) -> rusqlite::Result<()> {
    writer.busy_timeout(BUSY_TIMEOUT)?;
    writer.pragma_update(None, "page_size", PAGE_BYTES)?;
    writer.pragma_update(None, "journal_mode", "WAL")?;
    writer.pragma_update(None, "synchronous", "NORMAL")?;
    let pages = i64::from(max_mb) * (1 << 20) / i64::from(PAGE_BYTES);
    writer.pragma_update(None, "max_page_count", pages)?;
    writer.execute(
        "CREATE TABLE IF NOT EXISTS kv (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        [],
    )?;
    Ok(())
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags)?;
    reader.busy_timeout(BUSY_TIMEOUT)?;
    Ok(reader)
}

fn check_key(key: &str) -> Result<(), StoreError> {
    if key.len() > KEY_LEN_MAX {
        Err(StoreError::KeyTooLong)
    } else {
        Ok(())
    }
}

fn statement_span(operation: &'static str, text: &'static str, parent: &Parent) -> tracing::Span {
    parent.child(|| {
        tracing::info_span!(
            target: TARGET,
            parent: None,
            "sqlite",
            "otel.name" = format_args!("{operation} kv"),
            "otel.kind" = "client",
            "otel.status_code" = Empty,
            "db.system.name" = "sqlite",
            "db.operation.name" = operation,
            "db.collection.name" = "kv",
            "db.query.text" = text,
            "error.type" = Empty,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(folder: &Path, max_mb: u32) -> Store {
        Store::open(&folder.join("kv.sqlite"), max_mb).unwrap()
    }

    #[test]
    fn a_value_is_returned_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let first = store(folder.path(), 16);
        let none = Parent::none();
        assert_eq!(first.get("k", &none).unwrap(), None);
        first.set("k", b"one", &none).unwrap();
        first.set("k", b"two\0", &none).unwrap();
        assert_eq!(first.get("k", &none).unwrap().as_deref(), Some(&b"two\0"[..]));
        drop(first);
        assert_eq!(
            store(folder.path(), 16).get("k", &none).unwrap().as_deref(),
            Some(&b"two\0"[..])
        );
    }

    #[test]
    fn a_full_store_says_so_and_still_reads() {
        let folder = tempfile::tempdir().unwrap();
        let small = store(folder.path(), 1);
        let none = Parent::none();
        small.set("small", b"kept", &none).unwrap();
        let error = small.set("large", &vec![0; 2 << 20], &none).unwrap_err();
        assert!(matches!(error, StoreError::Full), "{error}");
        assert_eq!(small.get("small", &none).unwrap().as_deref(), Some(&b"kept"[..]));
    }

    #[test]
    fn a_key_has_a_length_limit() {
        let folder = tempfile::tempdir().unwrap();
        let long = "k".repeat(KEY_LEN_MAX + 1);
        let error = store(folder.path(), 1)
            .set(&long, b"", &Parent::none())
            .unwrap_err();
        assert!(matches!(error, StoreError::KeyTooLong));
    }

    #[test]
    fn slots_read_and_write_concurrently() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path(), 16);
        std::thread::scope(|scope| {
            for slot in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    let (key, none) = (format!("k{slot}"), Parent::none());
                    for round in 0..50_u32 {
                        store.set(&key, &round.to_le_bytes(), &none).unwrap();
                        let got = store.get(&key, &none).unwrap();
                        assert_eq!(got.as_deref(), Some(&round.to_le_bytes()[..]));
                    }
                });
            }
        });
    }
}
