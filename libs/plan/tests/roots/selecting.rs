//! Selections: which roots are sent, and when.

use std::collections::BTreeSet;
use std::time::Duration;

use plan::roots::{Arrival, By, Factor, Orphans, Plan, Roots, Selection, SelectionError};
use proptest::prelude::*;

use crate::run::{Files, call, invocation, span};

const AT: i64 = 1_795_000_000_000_123_457;

/// A run with a call at each of these offsets. Each call is in its own trace.
fn run(offsets: &[u64]) -> Roots {
    // The lines are not in order of time, like rows of different sources.
    let calls: Vec<_> = offsets
        .iter()
        .enumerate()
        .map(|(index, offset)| (index as u64 + 1, offset))
        .map(|(id, offset)| call(u128::from(id) << 64 | 7, id, AT + *offset as i64))
        .rev()
        .collect();
    Files::of(&calls, &[]).read()
}

/// Offsets of Poisson arrivals with a mean interval of 1 ms.
fn offsets(count: usize) -> Vec<u64> {
    let mut state = 1_u64;
    let mut at = 0;
    let gaps = std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let uniform = ((state >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        (-uniform.ln() * 1e6) as u64
    });
    let later = gaps.map(|gap| {
        at += gap;
        at
    });
    std::iter::once(0).chain(later).take(count).collect()
}

fn factor(text: &str) -> Factor {
    text.parse().unwrap()
}

fn scaled(by: By, scale: &str, seed: u64) -> Selection {
    Selection {
        scale: factor(scale),
        by,
        seed,
        ..Selection::default()
    }
}

fn arrivals(plan: &Plan) -> Vec<Arrival> {
    plan.arrivals().map(Result::unwrap).collect()
}

/// Copy, id and offset of each request. Also checks their order.
fn sent(roots: &Roots, selection: &Selection) -> Vec<(u64, u64, u64)> {
    let plan = selection.plan(roots).unwrap();
    let found = arrivals(&plan);
    assert!(found.is_sorted_by_key(|arrival| arrival.offset_ns));
    assert!(
        found
            .iter()
            .all(|arrival| arrival.offset_ns < plan.length_ns().max(1))
    );
    assert_eq!(found, arrivals(&plan), "a plan can be started again");
    let preview = plan.preview().unwrap();
    assert_eq!(preview.requests.roots, found.len() as u64);
    assert_eq!(preview.last_offset_ns, found.last().map(|last| last.offset_ns));
    let id = |arrival: &Arrival| u64::from_be_bytes(arrival.root.span_id.0);
    found
        .iter()
        .map(|arrival| (arrival.copy, id(arrival), arrival.offset_ns))
        .collect()
}

fn times(sent: &[(u64, u64, u64)]) -> Vec<u64> {
    sent.iter().map(|(.., offset)| *offset).collect()
}

/// Whether a number of random choices is plausible: it is at most five standard deviations from the mean.
fn is_near(count: usize, of: usize, share: f64) -> bool {
    let deviation = (of as f64 * share * (1.0 - share)).sqrt();
    (count as f64 - of as f64 * share).abs() <= 5.0 * deviation
}

#[test]
fn without_a_selection_each_root_is_sent_at_its_time() {
    let offsets = [0, 1, 1, 7, 1 << 54];
    assert_eq!(times(&sent(&run(&offsets), &Selection::default())), offsets);
}

#[test]
fn speed_and_squeeze_divide_each_time_without_rounding_errors() {
    let roots = run(&[0, 1_000_000_001, 3_000_000_007, (1 << 54) + 1]);
    let twice = Selection {
        speed: factor("2"),
        ..Selection::default()
    };
    assert_eq!(
        times(&sent(&roots, &twice)),
        [0, 500_000_000, 1_500_000_003, 1 << 53]
    );
    let squeezed = scaled(By::Squeeze, "2", 1);
    assert_eq!(times(&sent(&roots, &squeezed)), times(&sent(&roots, &twice)));
    let both = Selection {
        speed: factor("0.5"),
        ..scaled(By::Squeeze, "2", 1)
    };
    assert_eq!(
        times(&sent(&roots, &both)),
        times(&sent(&roots, &Selection::default()))
    );
}

#[test]
fn a_window_starts_and_ends_at_offsets_from_the_first_root() {
    let roots = run(&[0, 10, 20, 30, 40]);
    let window = |from: u64, to: Option<u64>, limit: Option<u64>| Selection {
        from: Duration::from_nanos(from),
        to: to.map(Duration::from_nanos),
        limit,
        ..Selection::default()
    };
    assert_eq!(times(&sent(&roots, &window(10, Some(30), None))), [0, 10]);
    assert_eq!(times(&sent(&roots, &window(15, None, None))), [5, 15, 25]);
    assert_eq!(times(&sent(&roots, &window(15, None, Some(2)))), [5, 15]);
    assert!(sent(&roots, &window(0, Some(999), Some(0))).is_empty());
    assert_eq!(window(15, Some(31), None).plan(&roots).unwrap().length_ns(), 16);
    // After the last root, the length includes the mean interval of the run.
    assert_eq!(window(0, Some(999), None).plan(&roots).unwrap().length_ns(), 50);
}

#[test]
fn a_limit_ends_the_replay_one_mean_gap_after_its_last_request() {
    let roots = run(&[0, 10, 20, 60, 500]);
    let length = |limit: Option<u64>, speed: &str| {
        let selection = Selection {
            limit,
            speed: factor(speed),
            ..Selection::default()
        };
        selection.plan(&roots).unwrap().preview().unwrap().length_ns
    };
    assert_eq!(length(Some(3), "1"), 30);
    assert_eq!(length(Some(3), "2"), 15);
    assert_eq!(length(Some(4), "1"), 80);
    for not_reached in [None, Some(6)] {
        assert_eq!(length(not_reached, "1"), 625);
    }
}

#[test]
fn orphans_that_are_sent_count_for_the_length_of_the_window() {
    let orphan = |id: u64, offset: i64| {
        call(u128::from(id), id, AT + offset)
            .with("flags", "[\"orphan\"]")
            .with("parent_span_id", &span(99))
    };
    let roots = Files::of(&[0, 10, 20, 30].map(|at| orphan(at + 1, at as i64)), &[]).read();
    let selection = Selection {
        orphans: Orphans::Root,
        ..Selection::default()
    };
    assert_eq!(selection.plan(&roots).unwrap().length_ns(), 40);
}

#[test]
fn an_impossible_selection_is_refused() {
    let roots = run(&[0, 10]);
    let refused = |selection: &Selection| selection.plan(&roots).map(|_| ()).unwrap_err();
    let error = refused(&scaled(By::Thin, "1.5", 0));
    assert_eq!(error, SelectionError::ThinAboveOne(factor("1.5")));
    let error = refused(&scaled(By::Overlap, "0.5", 0));
    assert_eq!(error, SelectionError::OverlapBelowOne(factor("0.5")));
    let error = refused(&scaled(By::Overlap, "256.5", 0));
    assert!(matches!(error, SelectionError::TooManyCopies { max: 256, .. }));
    let late = Selection {
        from: Duration::from_nanos(11),
        ..Selection::default()
    };
    assert!(refused(&late).to_string().contains("starts 10ns after"));
    let empty = Selection {
        from: Duration::from_secs(2),
        to: Some(Duration::from_secs(2)),
        ..Selection::default()
    };
    assert!(refused(&empty).to_string().contains("from 2s to 2s"));
}

#[test]
fn thinning_keeps_the_share_and_the_same_requests_for_a_seed() {
    let roots = run(&offsets(4000));
    let kept = |scale: &str, seed: u64| -> BTreeSet<u64> {
        let sent = sent(&roots, &scaled(By::Thin, scale, seed));
        sent.iter().map(|(_, id, _)| *id).collect()
    };
    for share in [0.1, 0.5, 0.9] {
        assert!(is_near(kept(&share.to_string(), 1).len(), 4000, share), "{share}");
    }
    assert_eq!(kept("0.5", 1), kept("0.5", 1));
    assert!(kept("0.1", 1).is_subset(&kept("0.5", 1)));
    let both = kept("0.5", 1).intersection(&kept("0.5", 2)).count();
    assert!(is_near(both, 4000, 0.25), "seeds are independent: {both}");
    assert_eq!(kept("1", 3).len(), 4000);
}

/// A seed must choose the same requests in every version of this program.
#[test]
fn thinning_chooses_the_same_requests_in_every_version() {
    let roots = run(&(0..20).collect::<Vec<_>>());
    let kept = sent(&roots, &scaled(By::Thin, "0.5", 42));
    let ids: Vec<u64> = kept.iter().map(|(_, id, _)| *id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 7, 9, 10, 13, 14, 15, 16, 17, 18, 19]);
}

#[test]
fn the_roots_of_one_trace_are_thinned_together() {
    let calls: Vec<_> = (1..400_u64)
        .map(|id| {
            call(u128::from(id / 2), id, AT + id as i64).with("trace_id", &format!("\"{:032x}\"", id / 2 + 1))
        })
        .collect();
    let roots = Files::of(&calls, &[]).read();
    let kept = sent(&roots, &scaled(By::Thin, "0.5", 1));
    let ids: BTreeSet<u64> = kept.iter().map(|(_, id, _)| *id).collect();
    assert!(
        (2..399)
            .filter(|id| id % 2 == 0)
            .all(|id| ids.contains(&id) == ids.contains(&(id + 1)))
    );
    assert!(is_near(kept.len() / 2, 200, 0.5));
}

#[test]
fn an_overlap_has_shifted_copies_and_a_thinned_one() {
    let recorded = offsets(2000);
    let roots = run(&recorded);
    let selection = scaled(By::Overlap, "2.5", 1);
    let length = selection.plan(&roots).unwrap().length_ns();
    let found = sent(&roots, &selection);
    let of_copy = |number: u64| found.iter().filter(move |(copy, ..)| *copy == number);
    assert_eq!([0, 1].map(|copy| of_copy(copy).count()), [2000, 2000]);
    assert!(is_near(of_copy(2).count(), 2000, 0.5));
    let mut shifts = BTreeSet::new();
    for copy in 0..3 {
        let shift_of = |id: u64, offset: u64| (offset + length - recorded[id as usize - 1]) % length;
        let of_copy: BTreeSet<u64> = of_copy(copy)
            .map(|(_, id, offset)| shift_of(*id, *offset))
            .collect();
        assert_eq!(of_copy.len(), 1, "all roots of a copy are shifted by one time");
        shifts.extend(of_copy);
    }
    assert!(shifts.len() == 3 && shifts.contains(&0));
    let other = sent(&roots, &scaled(By::Overlap, "2.5", 2));
    assert_ne!(times(&other), times(&found));
}

#[test]
fn orphans_and_other_kinds_are_sent_only_if_they_can_be() {
    let orphan = call(5, 5, AT - 10)
        .with("flags", "[\"orphan\"]")
        .with("parent_span_id", &span(99));
    let job = invocation(6, 6, AT).with("protocol", "\"messaging\"");
    let own = call(8, 8, AT - 3).with("module_id", "\"shop\"");
    let files = Files::of(&[orphan, call(7, 7, AT + 5), own], &[job]);
    files.raw(
        1,
        "module_inventory.json",
        r#"[{"app_id":null,"module_id":"shop","name":"s","type":"MODULE","resources":null,
             "endpoints":[{"method":null,"route":"jobs","calls":1}]}]"#,
    );
    let roots = files.read();
    let ids = |orphans: Orphans| {
        let selection = Selection {
            orphans,
            ..Selection::default()
        };
        let sent = sent(&roots, &selection);
        sent.iter()
            .map(|(_, id, offset)| (*id, *offset))
            .collect::<Vec<_>>()
    };
    // A root that cannot be sent can be the first root of the run. A service's own call cannot.
    assert_eq!(ids(Orphans::Drop), [(7, 5)]);
    assert_eq!(ids(Orphans::Root), [(5, 0), (7, 15)]);
    let preview = Selection::default().plan(&roots).unwrap().preview().unwrap();
    assert_eq!((preview.window.roots, preview.requests.roots), (2, 1));
}

#[test]
fn a_run_without_roots_has_no_arrivals() {
    for by in [By::Thin, By::Overlap, By::Squeeze] {
        assert!(sent(&run(&[]), &scaled(by, "1", 1)).is_empty());
    }
}

#[test]
fn times_at_the_ends_of_their_range_do_not_overflow() {
    let calls = [i64::MIN, -5, 0, i64::MAX].map(|at_ns| call(1, at_ns as u64 ^ 77, at_ns));
    let roots = Files::of(&calls, &[]).read();
    for (by, scale) in [(By::Overlap, "3.5"), (By::Squeeze, "0.001"), (By::Thin, "1")] {
        let plan = scaled(by, scale, 1).plan(&roots).unwrap();
        let found = arrivals(&plan);
        assert!(found.len() >= 4 && found.is_sorted_by_key(|arrival| arrival.offset_ns));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_selection_is_in_order_and_within_its_length(
        mut recorded in prop::collection::vec(0..1_000_000_u64, 1..60),
        (from, length) in (0..500_000_u64, prop::option::of(1..600_000_u64)),
        limit in prop::option::of(0..100_u64),
        (speed, scale, by) in (1..5_000_000_u64, 1..4_000_000_u64, 0..3_usize),
        seed in any::<u64>(),
    ) {
        recorded.sort_unstable();
        let first = recorded[0];
        let by = [By::Thin, By::Overlap, By::Squeeze][by];
        let scale = match by {
            By::Thin => scale.min(1_000_000),
            By::Overlap => scale.max(1_000_000),
            By::Squeeze => scale,
        };
        let selection = Selection {
            from: Duration::from_nanos(from),
            to: length.map(|length| Duration::from_nanos(from + length)),
            limit,
            speed: Factor::from_millionths(speed).unwrap(),
            scale: Factor::from_millionths(scale).unwrap(),
            by,
            seed,
            ..Selection::default()
        };
        let roots = run(&recorded);
        let last = recorded[recorded.len() - 1] - first;
        if from > last {
            prop_assert!(selection.plan(&roots).is_err());
            return Ok(());
        }
        let found = sent(&roots, &selection);
        let inside = recorded.iter().filter(|offset| {
            let offset = **offset - first;
            offset >= from && length.is_none_or(|length| offset < from + length)
        });
        let inside = inside.count() as u64;
        let copies = match by {
            By::Overlap => scale.div_ceil(1_000_000),
            By::Thin | By::Squeeze => 1,
        };
        prop_assert!(found.len() as u64 <= (copies * inside).min(limit.unwrap_or(u64::MAX)));
        if scale.is_multiple_of(1_000_000) || by == By::Squeeze {
            prop_assert_eq!(found.len() as u64, (copies * inside).min(limit.unwrap_or(u64::MAX)));
        }
    }
}
