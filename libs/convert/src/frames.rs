//! Reads messages of OTLP, each with its length in front, as the Collector's file exporter writes them: protobuf, or compressed
//! protobuf or JSON.

use std::io::{Cursor, Read};

use bytes::Bytes;

use crate::json_file;
use crate::place::Position;
use crate::records::Records;
use crate::source::Source;

/// Number of bytes of a message's length, which is an unsigned big-endian number.
const LENGTH_BYTES: usize = 4;
/// Maximum length of a message, and of its decompressed content, bytes. The normalizer's receiver has the same default limit.
pub const MESSAGE_BYTES_MAX: usize = 64 << 20;
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Takes all messages of a file.
///
/// # Errors
/// If a file cannot be written, or the user has interrupted.
pub fn read(source: &mut Source<'_>, records: &mut Records<'_>) -> anyhow::Result<()> {
    loop {
        let begin = Position::at_byte(source.offset());
        if !source.has(LENGTH_BYTES) {
            if !source.unread().is_empty() && source.failure().is_none() {
                records.damage(
                    begin,
                    "the file is cut off inside of the length of a message".to_owned(),
                );
            }
            return Ok(());
        }
        let unread = source.unread();
        let length = u32::from_be_bytes([unread[0], unread[1], unread[2], unread[3]]) as usize;
        if length > MESSAGE_BYTES_MAX {
            let max = MESSAGE_BYTES_MAX >> 20;
            records.damage(
                begin,
                format!(
                    "the length of a message is expected, at most {max} MiB, and it is {length}; the rest of the file is not read"
                ),
            );
            return Ok(());
        }
        if !source.has(LENGTH_BYTES + length) {
            let there = source.unread().len() - LENGTH_BYTES;
            if source.failure().is_none() {
                let reason = format!("the file is cut off: the message has {there} of {length} bytes");
                records.damage(begin, reason);
            }
            return Ok(());
        }
        let message = &source.unread()[LENGTH_BYTES..LENGTH_BYTES + length];
        take_content(message, begin, records)?;
        source.consume(LENGTH_BYTES + length);
    }
}

/// Takes a file that is one message without a length.
///
/// # Errors
/// As [`read`].
pub fn read_whole(source: &mut Source<'_>, records: &mut Records<'_>) -> anyhow::Result<()> {
    let begin = Position::at_byte(source.offset());
    if source.has(MESSAGE_BYTES_MAX + 1) {
        let max = MESSAGE_BYTES_MAX >> 20;
        records.damage(begin, format!("a message of more than {max} MiB"));
        return Ok(());
    }
    if source.failure().is_none() {
        records.take_message(&Bytes::copy_from_slice(source.unread()), begin)?;
    }
    let bytes = source.unread().len();
    source.consume(bytes);
    Ok(())
}

fn take_content(message: &[u8], begin: Position, records: &mut Records<'_>) -> anyhow::Result<()> {
    if message.is_empty() {
        // A request without content.
        return Ok(());
    }
    let content = if message.starts_with(&ZSTD) {
        match decompress(message) {
            Ok(content) => Bytes::from(content),
            Err(reason) => {
                records.damage(begin, reason);
                return records.show_progress();
            }
        }
    } else {
        Bytes::copy_from_slice(message)
    };
    if !matches!(content.first(), Some(b'{' | b'[')) {
        return records.take_message(&content, begin);
    }
    records.message_at = Some(begin.byte);
    let mut lines = Source::new(Box::new(Cursor::new(content)));
    let taken = json_file::read(&mut lines, records);
    records.message_at = None;
    taken
}

fn decompress(message: &[u8]) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(message);
    let read = decoder.and_then(|decoder| {
        let mut decoder = decoder.take(MESSAGE_BYTES_MAX as u64 + 1);
        decoder.read_to_end(&mut content)
    });
    match read {
        Err(error) => Err(format!("cannot decompress the message: {error}")),
        Ok(bytes) if bytes > MESSAGE_BYTES_MAX => Err(format!(
            "the decompressed message has more than {} MiB",
            MESSAGE_BYTES_MAX >> 20
        )),
        Ok(_) => Ok(content),
    }
}
