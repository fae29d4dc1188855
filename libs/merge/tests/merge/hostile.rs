//! The folders that the normalizer writes for hostile requests can be merged, and the result is valid.

use cctf_merge::{Options, merge};
use proptest::prelude::*;
use rundir::validate::validate;

use crate::folders::{cases, folder};
use crate::support::folders::Folders;
use crate::support::hostile::Choices;
use crate::support::scenario;

/// Maximum number of records in a case.
const RECORDS_MAX: usize = 14;
/// Maximum number of random numbers for a case. A request takes some hundred.
const NUMBERS_MAX: usize = 1_500;

fn folders_of(numbers: &[u16]) -> Folders {
    let mut numbers = numbers.iter().copied();
    let mut next = || u64::from(numbers.next().unwrap_or(0));
    let count_of = |choices: &mut Choices<'_>| choices.below(RECORDS_MAX);
    scenario::folders_of(&mut Choices(&mut next), count_of, |_, _| {})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn folders_of_hostile_requests_merge_into_a_valid_one(
        numbers in prop::collection::vec(any::<u16>(), 0..NUMBERS_MAX)
    ) {
        let logs = folder();
        let folders = folders_of(&numbers);
        folders.write(logs.path());
        let inputs: Vec<_> = folders.names().into_iter().map(|name| logs.path().join(name)).collect();
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
