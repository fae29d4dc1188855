//! Random bytes as input from the network or the disk. They must not cause a panic, an endless loop, too much memory, or a
//! folder that `cctf validate` refuses. The test is a separate process, because its allocator limits the memory of the whole
//! process.
//!
//! Every test run changes the seeds in `corpus` at random, a fixed number of times. `make fuzz FUZZ_INPUTS=10000000` runs
//! longer. An input that causes a failure is written to a file and reported with its number. Add it to the corpus together with
//! the fix.
//!
//! After a change of the layouts, `CCTF_BLESS=1 cargo test -p cctf-normalizer --test fuzz corpora` writes the corpora again.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[path = "../support/folders.rs"]
mod folders;
#[path = "../support/hostile.rs"]
mod hostile;
mod mutation;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/scenario.rs"]
mod scenario;
mod seeds;
#[path = "../support/written.rs"]
mod written;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cctf_normalizer::journal::{Content, Record, Signal, read_kept};
use cctf_normalizer::receiver;
use cctf_normalizer::recovery::checkpoint;
use cctf_proto::otlp::WireErrorKind;
use cctf_proto::otlp::admission::{admit_metrics_request, admit_trace_request};
use cctf_proto::otlp::admission_by_layout::admit_trace_request_by_layout;
use cctf_proto::otlp::check::check_logs_request;
use cctf_proto::otlp::layouts::Layouts;
use folders::Folders;
use hostile::Choices;
use mutation::mutate;
use random::Random;
use tempfile::TempDir;
use written::Written;

/// Number of inputs per target, unless FUZZ_INPUTS is set.
const INPUTS: u64 = 15_000;
/// Number of inputs for one pipeline. Then a new pipeline is created.
const INPUTS_A_PIPELINE: u64 = 256;
/// No input of 64 KiB may lead to a single allocation of this size.
const ALLOCATION_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Ends the process if an input causes an allocation that is too large.
struct Bounded;

// SAFETY: all calls are forwarded unchanged to the system's allocator, or refused, which an allocator may do.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > ALLOCATION_BYTES_MAX {
            return std::ptr::null_mut();
        }
        // SAFETY: as this function's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as this function's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

fn number_of(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    }
}

fn in_memory() -> TempDir {
    match Path::new("/dev/shm").is_dir() {
        true => TempDir::new_in("/dev/shm").unwrap(),
        false => TempDir::new().unwrap(),
    }
}

fn fuzz(target: &str, seeds: &[Vec<u8>], mut take: impl FnMut(&mut Vec<u8>, &mut Random)) {
    let inputs = number_of("FUZZ_INPUTS", INPUTS);
    let mut random = Random(number_of("FUZZ_SEED", 1));
    let mut input = Vec::new();
    for number in 0..inputs {
        // The first inputs are the unchanged seeds. They include inputs that once caused a failure.
        match usize::try_from(number).ok().and_then(|number| seeds.get(number)) {
            Some(seed) => seed.clone_into(&mut input),
            None => mutate(&mut random, seeds, &mut input),
        }
        if catch_unwind(AssertUnwindSafe(|| take(&mut input, &mut random))).is_err() {
            let path = std::env::temp_dir().join(format!("cctf-fuzz-{target}-{number}"));
            fs::write(&path, &input).unwrap();
            panic!("input {number} of {target} panics: it is in {}", path.display());
        }
    }
    println!("{target}: {inputs} inputs");
}

/// In half of the cases, writes the right checksum, so that the code after the check runs.
fn mend(input: &mut [u8], checksum_at: usize, checked: std::ops::Range<usize>, random: &mut Random) {
    if random.next().is_multiple_of(2) && checked.start <= checked.end && checked.end <= input.len() {
        let checksum = crc32c::crc32c(&input[checked]);
        input[checksum_at..checksum_at + 4].copy_from_slice(&checksum.to_le_bytes());
    }
}

#[test]
fn the_corpora_are_valid_for_this_version() {
    if std::env::var_os("CCTF_BLESS").is_some() {
        seeds::write_corpora();
    }
    let of_signal = |json: &Vec<u8>| receiver::protobuf_of_json(seeds::signal_of(json), json).is_ok();
    let of_any = |protobuf: &Vec<u8>| {
        admit_trace_request(protobuf).is_ok()
            || admit_metrics_request(protobuf).is_ok()
            || check_logs_request(protobuf).is_ok()
    };
    // These inputs once caused a failure, and may be malformed.
    let (json, protobuf) = (seeds::of("json"), seeds::of("protobuf"));
    assert!(json.iter().filter(|seed| of_signal(seed)).count() > json.len() / 2);
    assert!(protobuf.iter().filter(|seed| of_any(seed)).count() > protobuf.len() / 2);
    let folder = in_memory();
    let mut records = 0;
    for segment in seeds::of("segment") {
        fs::write(folder.path().join("00000000000000000000.segment"), segment).unwrap();
        records += read_kept(folder.path(), true, &mut |_, _| {}).map_or(0, |read| read.next_sequence);
    }
    assert!(records > 0, "segments without records");
    assert!(
        seeds::checkpoints()
            .iter()
            .any(|bytes| checkpoint::check(bytes).is_ok())
    );
}

#[test]
fn protobuf_is_refused_or_fed() {
    let logs = in_memory();
    // The same inputs are also read without templates.
    let pipelines = || [usize::MAX, 0].map(|templates| Written::new(seeds::settings(), templates));
    let [mut written, mut plain] = pipelines();
    let mut fed = 0_u64;
    let mut by_template = 0;
    let mut layouts = Layouts::default();
    fuzz("protobuf", &seeds::of("protobuf"), |input, _| {
        let admission = admit_trace_request(input);
        assert_eq!(admit_trace_request_by_layout(input, &mut layouts), admission);
        let _ = admission.map(|admission| admission.message());
        let _ = admit_metrics_request(input).map(|admission| admission.message());
        let _ = check_logs_request(input);
        fed += 1;
        let received = |fed| 1_700_000_000_000_000_000 + fed * 10_000_000;
        if fed.is_multiple_of(INPUTS_A_PIPELINE) {
            let end = Record {
                received_unix_ns: received(fed),
                content: Content::Shutdown,
            };
            written.feed(&end);
            plain.feed(&end);
            by_template += written.pipeline.spans_by_template();
            plain.assert_same(&written, "templates make a difference");
            let errors = written.folders.errors(logs.path());
            assert!(
                errors.is_empty(),
                "of the {INPUTS_A_PIPELINE} inputs before: {errors}"
            );
            [written, plain] = pipelines();
        }
        // The check would have refused some of these messages. The pipeline must not fail with them either.
        for signal in seeds::SIGNALS {
            let body = input.clone().into();
            let record = Record {
                received_unix_ns: received(fed),
                content: Content::Request { signal, body },
            };
            written.feed(&record);
            plain.feed(&record);
        }
    });
    assert!(layouts.matched() > 0, "no span had a known layout");
    println!("protobuf: {by_template} spans by templates");
    assert!(by_template > 0);
}

/// Each pipeline's requests have their own seed. To repeat them, set FUZZ_SEED to this seed and FUZZ_INPUTS to 1.
#[test]
fn hostile_requests_make_valid_folders() {
    let inputs = number_of("FUZZ_INPUTS", INPUTS);
    let first = number_of("FUZZ_SEED", 1);
    let logs = in_memory();
    for seed in first..first + inputs.div_ceil(INPUTS_A_PIPELINE) {
        let made = catch_unwind(|| folders_of(seed).errors(logs.path()));
        match made {
            Ok(errors) => assert!(errors.is_empty(), "seed {seed}: {errors}"),
            Err(_) => panic!("seed {seed} panics"),
        }
    }
    println!("requests: {inputs} inputs");
}

fn folders_of(seed: u64) -> Folders {
    let mut random = Random(seed);
    let mut next = || random.next();
    let count_of = |_: &mut Choices<'_>| INPUTS_A_PIPELINE as usize - 1;
    scenario::folders_of(&mut Choices(&mut next), count_of, |_, _| {})
}

#[test]
fn json_is_refused_or_becomes_valid_protobuf() {
    fuzz("json", &seeds::of("json"), |input, _| {
        for signal in seeds::SIGNALS {
            if let Ok(message) = receiver::protobuf_of_json(signal, input) {
                let checked = match signal {
                    Signal::Traces => admit_trace_request(&message).map(drop),
                    Signal::Metrics => admit_metrics_request(&message).map(drop),
                    Signal::Logs => check_logs_request(&message),
                };
                // If a name occurs twice, the message is in two pieces, which the check refuses.
                if let Err(error) = checked {
                    assert_eq!(error.kind, WireErrorKind::MessageInPieces, "{error}");
                }
            }
        }
    });
}

#[test]
fn a_segment_is_read_or_refused() {
    let folder = in_memory();
    let first = folder.path().join("00000000000000000000.segment");
    fuzz("segment", &seeds::of("segment"), |input, random| {
        if input.len() >= 128 {
            mend(input, 24, 0..24, random);
            let len = u32::from_le_bytes([input[68], input[69], input[70], input[71]]) as usize;
            mend(input, 64, 68..(104 + len), random);
        }
        fs::write(&first, &*input).unwrap();
        let repair = random.next().is_multiple_of(2);
        let _ = read_kept(folder.path(), repair, &mut |_, _| {});
    });
}

#[test]
fn a_checkpoint_is_read_or_refused() {
    fuzz("checkpoint", &seeds::checkpoints(), |input, random| {
        if input.len() >= 24 {
            let len = (input.len() as u64 - 24).to_le_bytes();
            input[16..24].copy_from_slice(&len);
            let end = input.len();
            mend(input, 12, 24..end, random);
        }
        let _ = checkpoint::check(input);
    });
}
