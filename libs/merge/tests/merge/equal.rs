//! A merge of the folders of several normalizers equals the folder of a single normalizer.

use std::collections::BTreeMap;

use cctf_merge::Options;
use cctf_proto::cctf::{Call, Invocation};
use proptest::prelude::*;

use crate::folders::{cases, difference, errors, files, merged, merged_with};
use crate::world::{Made, SERVICES, normalize, requests, spans_of, without_flags};

type Keyed<'a, R> = BTreeMap<String, R>;

fn invocations(text: &str) -> Keyed<'_, Invocation<'_>> {
    text.lines()
        .map(|line| serde_json::from_str::<Invocation<'_>>(line).unwrap())
        .map(|row| (row.span_id.to_string(), row))
        .collect()
}

/// Calls without `peer_module`, because a normalizer often writes the row before the answer arrives.
fn calls(text: &str) -> Keyed<'_, Call<'_>> {
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Call<'_>>(line).unwrap());
    rows.map(|row| {
        (
            row.span_id.to_string(),
            Call {
                peer_module: None,
                ..row
            },
        )
    })
    .collect()
}

/// Compares the folder of one normalizer with the merge of several. `of` returns the normalizer that receives a span.
fn check(spans: &[Made], shards: usize, of: impl Fn(&Made) -> usize) -> Result<(), TestCaseError> {
    let whole = normalize(spans);
    let folders: Vec<_> = (0..shards)
        .map(|shard| {
            normalize(
                &spans
                    .iter()
                    .filter(|made| of(made) == shard)
                    .cloned()
                    .collect::<Vec<_>>(),
            )
        })
        .filter(|dir| dir.path().join("cctf/run_meta.json").exists())
        .collect();
    let together = merged(&folders.iter().map(tempfile::TempDir::path).collect::<Vec<_>>());
    prop_assert_eq!(errors(&together.path), Vec::<String>::new());
    let (one, many) = (files(whole.path()), files(&together.path));
    prop_assert_eq!(
        invocations(&one["invocations.jsonl"]),
        invocations(&many["invocations.jsonl"])
    );
    prop_assert_eq!(calls(&one["calls.jsonl"]), calls(&many["calls.jsonl"]));
    // All files are compared. A merge of the single folder sorts its rows in the same way.
    let alone = merged(&[whole.path()]);
    let differs = difference(&alone.path, &together.path);
    prop_assert!(differs.is_none(), "{}", differs.unwrap_or_default());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// The callers of rows are in other folders.
    #[test]
    fn one_normalizer_per_tier_merged_equals_a_single_one(requests in requests()) {
        check(&spans_of(&requests, [0; SERVICES]), SERVICES, |made| made.service)?;
    }

    /// Older SDKs do not state whether a parent is remote. So calls made by inner spans wait for their SERVER ancestor.
    #[test]
    fn one_normalizer_per_tier_merged_equals_a_single_one_without_flags(requests in requests()) {
        let spans = without_flags(spans_of(&requests, [0; SERVICES]));
        check(&spans, SERVICES, |made| made.service)?;
    }

    #[test]
    fn two_shards_by_trace_merged_equal_the_unsharded_run(requests in requests()) {
        check(&spans_of(&requests, [0; SERVICES]), 2, |made| usize::from(made.span.trace_id[15] % 2))?;
    }

    /// One clock is 3 s ahead. Durations and parents must not change, and the error of the estimated offset must be within its
    /// bound.
    #[test]
    fn a_fast_clock_is_estimated_and_changes_nothing_else(requests in requests()) {
        const AHEAD: u64 = 3_000_000_000;
        let tier = |ahead| {
            let spans = spans_of(&requests, [0, ahead, 0]);
            let folders: Vec<_> = (0..SERVICES)
                .map(|service| normalize(&spans.iter().filter(|made| made.service == service).cloned().collect::<Vec<_>>()))
                .filter(|dir| dir.path().join("cctf/run_meta.json").exists())
                .collect();
            let paths: Vec<_> = folders.iter().map(tempfile::TempDir::path).collect();
            let aligned = merged_with(&paths, &Options { align_clocks: true, ..Options::default() });
            (merged(&paths), aligned)
        };
        let ((right, _), (wrong, aligned)) = (tier(0), tier(AHEAD));
        let of = |run: &crate::folders::Merged| files(&run.path)["invocations.jsonl"].clone();
        let (right_rows, wrong_rows, aligned_rows) = (of(&right), of(&wrong), of(&aligned));
        let (right_rows, wrong_rows, aligned_rows) = (invocations(&right_rows), invocations(&wrong_rows), invocations(&aligned_rows));
        for (id, row) in &wrong_rows {
            let truly = &right_rows[id];
            prop_assert_eq!((row.parent_id, row.net_ms, row.rt_ms, row.flags), (truly.parent_id, truly.net_ms, truly.rt_ms, truly.flags));
            let shift = if &*row.node == "edge0" { AHEAD as i64 } else { 0 };
            prop_assert_eq!(row.ts_enqueue.as_ns() - truly.ts_enqueue.as_ns(), shift, "timestamps stay as recorded");
        }
        if let Some(edge) = wrong.summary.clocks.get("edge0") {
            // The reference is the node with the most calls. This can be the node whose clock is ahead.
            let others = wrong.summary.clocks.iter().filter(|(node, _)| *node != "edge0");
            for (_, other) in others {
                let (found, error) = (edge.offset_ms - other.offset_ms, edge.error_ms + other.error_ms);
                prop_assert!((found - 3000.0).abs() <= error + 1e-6, "{found} ± {error}");
            }
        }
        prop_assert_eq!(errors(&aligned.path), Vec::<String>::new());
        prop_assert!(files(&aligned.path)["run_meta.json"].contains("\"clocks_aligned\":true"));
        for (id, row) in &aligned_rows {
            let recorded = &wrong_rows[id];
            let offset = wrong.summary.clocks.get(&*row.node).map_or(0.0, |clock| clock.offset_ms);
            let moved = (recorded.ts_enqueue.as_ns() - row.ts_enqueue.as_ns()) as f64 / 1e6;
            prop_assert!((moved - offset).abs() < 1e-6);
            prop_assert_eq!((row.parent_id, row.net_ms, row.rt_ms), (recorded.parent_id, recorded.net_ms, recorded.rt_ms));
        }
    }
}
