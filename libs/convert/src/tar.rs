//! Reads the files of a tar archive from start to end, without a seek. The paths of the files are used only in messages.
//!
//! The format is POSIX's `ustar` with the extensions that only add metadata: those of pax and GNU are skipped.

use std::io::{self, ErrorKind, Read, sink};

const BLOCK: usize = 512;
/// Fields of a header.
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const TYPE: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..262;
const PREFIX: std::ops::Range<usize> = 345..500;

/// Receives a file of an archive, and its path.
pub type TakeFile<'t> = &'t mut dyn FnMut(&mut dyn Read, &str) -> anyhow::Result<()>;

/// Whether these are the first bytes of an archive.
pub fn is_header(head: &[u8]) -> bool {
    head.get(MAGIC) == Some(b"ustar")
}

/// Passes each file to `take`. Folders, links and devices are skipped. Returns the error of a damaged archive.
///
/// # Errors
/// Those of `take`.
pub fn for_each_file<R: Read>(archive: &mut R, take: TakeFile<'_>) -> anyhow::Result<Option<io::Error>> {
    loop {
        let (path, size, is_file) = match next_header(archive) {
            Ok(Some(header)) => header,
            Ok(None) => return Ok(None),
            Err(error) => return Ok(Some(error)),
        };
        let mut file = archive.by_ref().take(size);
        if is_file {
            take(&mut file, &path)?;
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        let copied = io::copy(&mut file, &mut sink());
        // Bytes of the file that the archive lacks.
        let lacking = file.limit();
        let skipped = copied.and_then(|_| {
            if lacking > 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            io::copy(&mut archive.by_ref().take(padding), &mut sink())
        });
        if let Err(error) = skipped {
            return Ok(Some(error));
        }
    }
}

/// Path and size of the next entry, and whether it is a file; `None` at the end.
fn next_header<R: Read>(archive: &mut R) -> io::Result<Option<(String, u64, bool)>> {
    let mut header = Vec::with_capacity(BLOCK);
    archive.by_ref().take(BLOCK as u64).read_to_end(&mut header)?;
    // Two empty blocks are the end. Some programs write none.
    if header.iter().all(|&byte| byte == 0) {
        return Ok(None);
    }
    if header.len() < BLOCK {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let damaged = || io::Error::new(ErrorKind::InvalidData, "a header of the archive is damaged");
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, &byte)| u64::from(if CHECKSUM.contains(&at) { b' ' } else { byte }))
        .sum();
    if number(&header[CHECKSUM]) != Some(sum) {
        return Err(damaged());
    }
    let size = number(&header[SIZE]).filter(|&size| size < u64::MAX / 2);
    let is_file = matches!(header[TYPE], b'0' | 0 | b'7');
    let (prefix, name) = (text(&header[PREFIX]), text(&header[NAME]));
    // In GNU's headers, times are where POSIX has the prefix of the path.
    let path = match header[MAGIC.end] {
        0 if !prefix.is_empty() => format!("{prefix}/{name}"),
        _ => name,
    };
    Ok(Some((path, size.ok_or_else(damaged)?, is_file)))
}

/// A number in octal digits, or in binary if it has too many digits for the field.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let (head, tail) = field.split_last_chunk::<8>()?;
        let is_small = matches!(head, [0x80, rest @ ..] if rest.iter().all(|&byte| byte == 0));
        return is_small.then(|| u64::from_be_bytes(*tail));
    }
    let digits = std::str::from_utf8(field).ok()?;
    let digits = digits.trim_matches([' ', '\0']);
    match digits {
        "" => Some(0),
        digits => u64::from_str_radix(digits, 8).ok(),
    }
}

fn text(field: &[u8]) -> String {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}
