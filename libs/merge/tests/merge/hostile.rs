//! What the normalizer makes of hostile requests can be merged, and the result is as valid as what it was made of.

use cctf_merge::{Options, merge};
use cctf_normalizer::journal::{Content, Record};
use cctf_normalizer::pipeline::{Output, Pipeline};
use proptest::prelude::*;
use rundir::validate::validate;

use crate::folders::{cases, folder};
use crate::hostile_requests::{BASE_UNIX_NANO, Choices, content, pause, settings};
use crate::pipeline_folders::Folders;

/// Records of a case, at most.
const RECORDS_MAX: usize = 14;
/// Numbers that a case follows from, at most: some hundred a request.
const NUMBERS_MAX: usize = 1_500;

fn folders_of(numbers: &[u16]) -> Folders {
    let mut numbers = numbers.iter().copied();
    let mut next = || u64::from(numbers.next().unwrap_or(0));
    let mut choices = Choices(&mut next);
    let mut pipeline = Pipeline::new(settings(&mut choices));
    let (mut output, mut folders) = (Output::default(), Folders::default());
    let mut received_unix_ns = BASE_UNIX_NANO;
    let count = choices.below(RECORDS_MAX);
    for at in 0..=count {
        received_unix_ns += pause(&mut choices).as_nanos() as u64;
        let content = match at == count {
            true => Content::Shutdown,
            false => content(&mut choices),
        };
        let record = Record {
            received_unix_ns,
            content,
        };
        pipeline.feed(&record, &mut output);
        folders.take(&mut output);
    }
    folders
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn folders_of_hostile_requests_merge_to_a_valid_one(
        numbers in prop::collection::vec(any::<u16>(), 0..NUMBERS_MAX)
    ) {
        let logs = folder();
        let made = folders_of(&numbers);
        made.write(logs.path());
        let inputs: Vec<_> = made.names().into_iter().map(|name| logs.path().join(name)).collect();
        if !inputs.is_empty() {
            let out = folder();
            let path = out.path().join("out");
            let options = Options { run_id: Some("all".to_owned()), ..Options::default() };
            let merged = merge(&path, &inputs, &options, &mut |_| {});
            prop_assert!(merged.is_ok(), "{:#}", merged.unwrap_err());
            let report = validate(&path, Default::default()).unwrap();
            prop_assert!(report.is_valid(), "{:#?}", report.broken);
        }
    }
}
