//! The order of the folders and the nesting of merges do not change any byte of the result, and the result is valid.

use std::path::Path;
use std::time::Duration;

use cctf_normalizer::pipeline::Settings;
use proptest::prelude::*;

use crate::folders::{cases, difference, errors, merged};
use crate::world::{Made, normalize_with, requests, spans_of, without_flags};

/// Distributes spans over three normalizers. Some spans are sent to two of them.
fn distribute(spans: &[Made], seed: u64) -> [Vec<Made>; 3] {
    let mut shards = [Vec::new(), Vec::new(), Vec::new()];
    let mut state = seed | 1;
    for made in spans {
        // A hash by xorshift. Any distribution is suitable, if a seed always gives the same one.
        for step in [13_i32, -7, 17] {
            state ^= if step > 0 { state << step } else { state >> -step };
        }
        shards[(state % 3) as usize].push(made.clone());
        if state.is_multiple_of(7) {
            shards[(state / 7 % 3) as usize].push(made.clone());
        }
    }
    shards
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// This is only so if no rule depends on the order of the folders, and if no rule adds derived values.
    #[test]
    fn neither_order_nor_nesting_changes_the_result(requests in requests(), seed in any::<u64>(), has_flags in any::<bool>(), stale_seconds in prop::array::uniform3(prop::sample::select(vec![1_u64, 5, 180]))) {
        let spans = spans_of(&requests, [0, 2_000_000_000, 0]);
        let spans = if has_flags { spans } else { without_flags(spans) };
        let [a, b, c] = distribute(&spans, seed);
        // Some normalizers infer that an instance has stopped, because they received nothing from it, while others received its
        // rows.
        let [a, b, c] = [(a, 0), (b, 1), (c, 2)].map(|(spans, number)| {
            let stale_after = Duration::from_secs(stale_seconds[number]);
            normalize_with(&spans, Settings { stale_after, ..Settings::default() })
        });
        let has_run = |dir: &&tempfile::TempDir| dir.path().join("cctf/run_meta.json").exists();
        prop_assume!([&a, &b, &c].iter().all(has_run));
        let [a, b, c] = [a.path(), b.path(), c.path()];
        let all = merged(&[a, b, c]);
        prop_assert_eq!(errors(&all.path), Vec::<String>::new());
        let same = |inputs: &[&Path], what: &str| {
            let other = merged(inputs);
            let differs = difference(&all.path, &other.path);
            prop_assert!(differs.is_none(), "{}: {}", what, differs.unwrap_or_default());
            Ok(())
        };
        same(&[c, a, b], "in another order")?;
        same(&[&merged(&[a, b]).path, c], "(a b) c")?;
        same(&[a, &merged(&[c, b]).path], "a (c b)")?;
        same(&[&all.path], "merged again")?;
    }
}
