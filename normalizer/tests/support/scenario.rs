//! Hostile scenarios: a pipeline is fed with records that depend on a sequence of numbers, and is then stopped.

use cctf_normalizer::journal::{Content, Record};

use super::folders::Folders;
use super::hostile::{self, BASE_UNIX_NANO, Choices};
use super::written::Written;

/// The folders that a pipeline writes. `count_of` returns the number of records before the last one, which is a shutdown.
/// `on_record` gets the time and the content of each record.
pub fn folders_of(
    choices: &mut Choices<'_>,
    count_of: impl FnOnce(&mut Choices<'_>) -> usize,
    mut on_record: impl FnMut(u64, &Content),
) -> Folders {
    let mut written = Written::new(hostile::settings(choices), usize::MAX);
    let mut received_unix_ns = BASE_UNIX_NANO;
    let count = count_of(choices);
    for number in 0..=count {
        received_unix_ns += hostile::pause(choices).as_nanos() as u64;
        let content = match number == count {
            true => Content::Shutdown,
            false => hostile::content(choices),
        };
        on_record(received_unix_ns, &content);
        let record = Record {
            received_unix_ns,
            content,
        };
        written.feed(&record);
    }
    written.folders
}
