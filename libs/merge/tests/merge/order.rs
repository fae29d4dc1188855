//! Properties: neither the order of the folders nor how merges are nested changes a byte, and what comes out is valid.

use std::path::Path;
use std::time::Duration;

use cctf_normalizer::pipeline::Settings;
use proptest::prelude::*;

use crate::folders::{cases, difference, errors, merged};
use crate::world::{Made, normalize_with, requests, spans_of, without_flags};

/// Spans dealt out to three normalizers, some of them to two.
fn dealt(spans: &[Made], seed: u64) -> [Vec<Made>; 3] {
    let mut shards = [Vec::new(), Vec::new(), Vec::new()];
    let mut state = seed | 1;
    for made in spans {
        // Xorshift: any spread will do, and the same seed gives the same one.
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

    /// Holds only if no rule looks at which folder came first, or adds up what was derived before.
    #[test]
    fn neither_order_nor_nesting_of_merges_matters(requests in requests(), seed in any::<u64>(), tells_remote in any::<bool>(), stale_seconds in prop::array::uniform3(prop::sample::select(vec![1_u64, 5, 180]))) {
        let spans = spans_of(&requests, [0, 2_000_000_000, 0]);
        let spans = if tells_remote { spans } else { without_flags(spans) };
        let [a, b, c] = dealt(&spans, seed);
        // Some conclude from silence that an instance has stopped which others have heard.
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
        same(&[&all.path], "merged once more")?;
    }
}
