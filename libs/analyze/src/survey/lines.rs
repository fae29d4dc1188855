//! [`pass`]: another pass over the files whose lines `stats` has already read and checked.

use rundir::chunks::ChunkLines;
use rundir::{Ending, ReadError};

use crate::stats::opened::Opened;
use crate::stats::ordered::in_order;
use crate::stats::scan::Kind;

/// The complete lines of a chunk. `stats` has counted other lines as damaged.
pub struct CompleteLines<'b>(ChunkLines<'b>);

impl<'b> Iterator for CompleteLines<'b> {
    type Item = &'b [u8];

    #[inline]
    fn next(&mut self) -> Option<&'b [u8]> {
        loop {
            match self.0.next()? {
                (line, Ending::Newline) => return Some(line),
                (_, Ending::EndOfFile | Ending::TooLong) => {}
            }
        }
    }
}

/// Passes the lines of each chunk to `read`, on several threads, and the results to `absorb`, in the order of the files.
///
/// # Errors
/// If a file cannot be read.
pub fn pass<T: Send>(
    opened: &Opened,
    threads: usize,
    read: impl Fn(Kind, CompleteLines<'_>) -> T + Sync,
    mut absorb: impl FnMut(T) + Send,
    mut on_bytes: impl FnMut(u64) + Send,
) -> Result<(), ReadError> {
    let inputs = &opened.inputs;
    let of_input = |(number, input): (usize, &crate::stats::scan::Input)| {
        (0..input.file.chunks()).map(move |chunk| (number, chunk))
    };
    let pieces: Vec<(usize, u64)> = inputs.iter().enumerate().flat_map(of_input).collect();
    let work = |piece: usize, buffer: &mut Vec<u8>| {
        let (number, chunk) = pieces[piece];
        let input = &inputs[number];
        let lines = CompleteLines(input.file.read(chunk, buffer)?);
        Ok::<_, ReadError>((read(input.kind, lines), input.file.bytes_of(chunk)))
    };
    in_order(pieces.len(), threads, work, |(result, bytes)| {
        absorb(result);
        on_bytes(bytes);
    })
}
