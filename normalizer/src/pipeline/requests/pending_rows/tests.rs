//! Tests of waiting rows, and of the counts of spans without a row.

use aggregate::modules::InvocationFacts;
use cctf_proto::cctf::Flags;

use super::super::row_facts::RowType;
use super::*;

const OUTCOME: Outcome = Outcome::Call {
    ancestor: None,
    callee: None,
    orphan: false,
};

fn hold(
    rows: &mut PendingRows,
    trace: u8,
    run: Option<RunId>,
    outcome: Option<Outcome>,
    deadline: u64,
) -> PendingId {
    let at_the_end = DerivedFieldOffsets { first: 1, second: 1 };
    rows.add(b"{", at_the_end, facts(trace), run, outcome, deadline)
}

/// Sets the run of a trace, and removes the rows that can be written.
fn set_run_and_remove(rows: &mut PendingRows, trace: u8, run: RunId) -> Vec<PendingId> {
    let complete = rows.set_run_of_trace(&[trace; 16], run, |_| ());
    complete.iter().for_each(|&id| rows.remove(id));
    complete
}

fn facts(trace: u8) -> RowFacts {
    RowFacts {
        row_type: RowType::Invocation,
        is_server: false,
        is_message: false,
        flags: Flags::NONE,
        trace_id: [trace; 16],
        instance: None,
        node: None,
        duration_ns: 0,
        start_unix_ns: 0,
        end_unix_ns: 0,
        starts_after_body: false,
        is_error: false,
        invocation: InvocationFacts::default(),
    }
}

#[test]
fn a_row_goes_when_both_its_run_and_its_outcome_are_known() {
    let mut rows = PendingRows::default();
    let outcome_first = hold(&mut rows, 1, None, None, 10);
    let run_first = hold(&mut rows, 1, None, None, 10);
    hold(&mut rows, 2, None, Some(OUTCOME), 10);
    assert!(!rows.resolve(outcome_first, OUTCOME));
    assert_eq!(set_run_and_remove(&mut rows, 1, RunId::new(3)), [outcome_first]);
    assert!(rows.resolve(run_first, OUTCOME));
    assert_eq!(rows.get(run_first).and_then(|row| row.run), Some(RunId::new(3)));
    rows.remove(run_first);
    assert_eq!(set_run_and_remove(&mut rows, 2, RunId::new(4)).len(), 1);
    assert_eq!((rows.len(), rows.by_trace.len()), (0, 0));
}

#[test]
fn a_row_whose_run_never_comes_leaves_once_and_its_trace_is_forgotten() {
    let mut rows = PendingRows::default();
    let first = hold(&mut rows, 1, None, Some(OUTCOME), 10);
    let second = hold(&mut rows, 1, None, None, 20);
    assert_eq!(rows.next_without_run(9), None);
    assert_eq!(rows.next_without_run(10), Some(first));
    assert!(rows.set_run(first, RunId::new(0)));
    rows.remove(first);
    assert_eq!(rows.next_without_run(10), None);
    assert_eq!(rows.next_without_run(20), Some(second));
    assert!(rows.by_trace.is_empty());
    assert!(set_run_and_remove(&mut rows, 1, RunId::new(1)).is_empty());
    rows.refuse(second);
    assert_eq!(rows.len(), 1, "the join still refers to it");
    assert!(!rows.resolve(second, OUTCOME));
    assert_eq!(rows.len(), 0);
}

#[test]
fn a_place_that_is_used_again_is_not_taken_for_the_row_that_had_it() {
    let mut rows = PendingRows::default();
    let old = hold(&mut rows, 1, None, None, 10);
    assert!(!rows.resolve(old, OUTCOME));
    assert_eq!(set_run_and_remove(&mut rows, 1, RunId::new(0)), [old]);
    let new = hold(&mut rows, 2, None, Some(OUTCOME), 30);
    assert_eq!(old, new);
    assert!(set_run_and_remove(&mut rows, 1, RunId::new(0)).is_empty());
    assert_eq!(rows.next_without_run(10), None);
    assert_eq!(rows.next_without_run(30), Some(new));
}

#[test]
fn spans_without_a_row_wait_for_their_run_in_one_place() {
    let mut rows = PendingRows::default();
    let server = hold(&mut rows, 1, None, None, 10);
    for fate in [Fate::Inner, Fate::Aside, Fate::Inner] {
        rows.add_rowless(fate, facts(1), 10);
    }
    assert_eq!(rows.len(), 2);
    assert!(!rows.resolve(server, Outcome::Nothing));
    assert!(!rows.has_line(server));
    let gone = rows.set_run_of_trace(&[1; 16], RunId::new(3), |_| ());
    let counted: Vec<_> = gone
        .iter()
        .filter_map(|&id| Some(rows.get(id)?.rowless.by_fate()))
        .collect();
    let of = |inner, asides| [(Fate::Inner, inner), (Fate::Aside, asides)];
    assert_eq!(counted, [of(1, 0), of(2, 1)]);
    gone.into_iter().for_each(|id| rows.remove(id));
    assert_eq!((rows.len(), rows.by_trace.len()), (0, 0));
}

#[test]
fn buffers_for_reuse_have_a_maximum_size_in_all() {
    const MAX: u64 = 10_000;
    let mut rows = PendingRows::new(MAX);
    let spare = |rows: &PendingRows| rows.spare.iter().map(|line| line.capacity() as u64).sum::<u64>();
    let fill_and_empty = |rows: &mut PendingRows| {
        let at_the_end = DerivedFieldOffsets { first: 1, second: 1 };
        let line = [b' '; 3000];
        let all = [(); 5].map(|()| rows.add(&line, at_the_end, facts(1), Some(RunId::new(3)), None, 10));
        all.into_iter().for_each(|id| rows.remove(id));
    };
    for _ in 0..2 {
        fill_and_empty(&mut rows);
        assert_eq!((rows.spare.len(), rows.spare_bytes), (3, spare(&rows)));
        assert!((1..=MAX).contains(&rows.spare_bytes), "{}", rows.spare_bytes);
    }
    rows.set_spare_max(MAX / 2);
    assert_eq!((rows.spare.len(), rows.spare_bytes), (1, spare(&rows)));
    // A restart has no buffers, and keeps none before it knows the settings.
    let mut restored: PendingRows =
        serde_json::from_slice(&serde_json::to_vec(&PendingRows::new(MAX)).unwrap()).unwrap();
    fill_and_empty(&mut restored);
    assert_eq!(spare(&restored), 0);
}
