//! Opens a file through its layers: gzip, zstd and tar, recognised by their first bytes, in any order and at most four of them.

use std::cell::Cell;
use std::io::{self, Cursor, ErrorKind, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use crate::source::Source;
use crate::tar;

/// Maximum number of layers. This is enough for a compressed archive of compressed archives.
const LAYERS_MAX: u32 = 4;
/// A layer is refused if its content is longer than `EXPANDED_BYTES_MIN` and also longer than `EXPANSION_MAX` times the stored
/// file. Compressed telemetry has a 10th to a 60th of its original size.
const EXPANDED_BYTES_MIN: u64 = 1 << 30;
const EXPANSION_MAX: u64 = 250;
/// Number of first bytes by which a layer is recognised: the length of a tar header.
const HEAD_BYTES: usize = 512;

/// Takes the content of a file, and its name.
pub type Take<'t> = &'t mut dyn FnMut(Source<'_>, &str) -> anyhow::Result<()>;

/// Passes the content of a file to `take`, or each file in it if it is an archive. `read` counts the bytes of the stored file. An
/// error of a layer becomes a read error of the source that `take` gets.
///
/// # Errors
/// Those of `take`.
pub fn open(file: impl Read, name: &str, read: &Rc<Cell<u64>>, take: Take<'_>) -> anyhow::Result<()> {
    let counted = Counted {
        inner: file,
        read: Rc::clone(read),
    };
    layer(Box::new(counted), name, read, LAYERS_MAX, take)
}

fn layer(
    mut reader: Box<dyn Read + '_>,
    name: &str,
    read: &Rc<Cell<u64>>,
    left: u32,
    take: Take<'_>,
) -> anyhow::Result<()> {
    let (head, failure) = head_of(&mut reader);
    let kind = kind_of(&head);
    let whole: Box<dyn Read + '_> = match failure {
        // The first read returns the head, and the second one the error.
        Some(failure) => Box::new(Cursor::new(head).chain(Failing(Some(failure)))),
        None => Box::new(Cursor::new(head).chain(reader)),
    };
    let bounded = |inner| Bounded {
        inner,
        out: 0,
        read: Rc::clone(read),
    };
    let inner: Box<dyn Read + '_> = match kind {
        Kind::Plain => return take(Source::new(whole), name),
        _ if left == 0 => {
            let text = format!("more than {LAYERS_MAX} layers of compression and archives");
            return take(failing(io::Error::other(text)), name);
        }
        Kind::Tar => return archive(whole, name, read, left, take),
        Kind::Gzip => Box::new(bounded(Box::new(MultiGzDecoder::new(whole)) as Box<dyn Read + '_>)),
        Kind::Zstd => match zstd::stream::read::Decoder::new(whole) {
            Ok(decoder) => Box::new(bounded(Box::new(decoder) as Box<dyn Read + '_>)),
            Err(error) => return take(failing(error), name),
        },
    };
    layer(inner, name, read, left - 1, take)
}

fn archive(
    mut reader: Box<dyn Read + '_>,
    name: &str,
    read: &Rc<Cell<u64>>,
    left: u32,
    take: Take<'_>,
) -> anyhow::Result<()> {
    let damage = tar::for_each_file(&mut reader, &mut |member, path| {
        // The path is shown, and never used to open a file.
        layer(Box::new(member), &format!("{name}/{path}"), read, left - 1, take)
    })?;
    match damage {
        Some(error) => take(failing(error), name),
        None => Ok(()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Gzip,
    Zstd,
    Tar,
}

fn kind_of(head: &[u8]) -> Kind {
    match head {
        [0x1f, 0x8b, ..] => Kind::Gzip,
        // A frame, or a skippable frame.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Kind::Zstd,
        _ if tar::is_header(head) => Kind::Tar,
        _ => Kind::Plain,
    }
}

/// The first bytes, and the error after them.
fn head_of<R: Read>(reader: &mut R) -> (Vec<u8>, Option<io::Error>) {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let read = reader.by_ref().take(HEAD_BYTES as u64).read_to_end(&mut head);
    (head, read.err())
}

fn failing(error: io::Error) -> Source<'static> {
    Source::new(Box::new(Failing(Some(error))))
}

/// A reader that returns an error.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.take().unwrap_or_else(|| ErrorKind::Other.into()))
    }
}

/// Counts the bytes of a file.
struct Counted<R> {
    inner: R,
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(out)?;
        self.read.set(self.read.get() + bytes as u64);
        Ok(bytes)
    }
}

/// Ends with an error if the content of a layer is far longer than the file.
struct Bounded<R> {
    inner: R,
    out: u64,
    /// Bytes of the file that have been read.
    read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(out)?;
        self.out += bytes as u64;
        if self.out > EXPANDED_BYTES_MIN && self.out / EXPANSION_MAX > self.read.get() {
            return Err(io::Error::other(format!(
                "it expands to more than {EXPANSION_MAX} times its size, which is refused beyond {} GiB",
                EXPANDED_BYTES_MIN >> 30
            )));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
