//! [`read`] and [`parse`]: read a small file that a user wrote, up to a maximum size.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Reads a file up to the limit, and parses its content.
///
/// # Errors
/// The reason why [`read`] or `parse` failed, without the path.
pub fn parse<T>(
    path: &Path,
    bytes_max: u64,
    parse: impl FnOnce(&[u8]) -> Result<T, String>,
) -> Result<T, String> {
    let bytes = File::open(path).and_then(|file| read(file, bytes_max));
    parse(&bytes.map_err(|error| error.to_string())?)
}

/// Reads everything up to the limit. The limit applies while reading, because a pipe or device can have more bytes than its
/// metadata states.
///
/// # Errors
/// If it cannot be read, or, as [`ErrorKind::FileTooLarge`], if it has more than `bytes_max` bytes.
pub fn read(from: impl Read, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > bytes_max {
        true => Err(io::Error::new(ErrorKind::FileTooLarge, too_large(bytes_max))),
        false => Ok(bytes),
    }
}

fn too_large(bytes_max: u64) -> String {
    match (bytes_max % (1 << 20), bytes_max % (1 << 10)) {
        (0, _) => format!("it is larger than {} MiB", bytes_max >> 20),
        (_, 0) => format!("it is larger than {} KiB", bytes_max >> 10),
        _ => format!("it is larger than {bytes_max} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_for_a_source_without_end() {
        assert_eq!(read(&[7; 8][..], 8).unwrap(), [7; 8]);
        for (limit, text) in [
            (8, "it is larger than 8 bytes"),
            (2 << 10, "it is larger than 2 KiB"),
            (1 << 20, "it is larger than 1 MiB"),
        ] {
            let error = read(io::repeat(0), limit).unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string()),
                (ErrorKind::FileTooLarge, text.to_owned())
            );
        }
    }
}
