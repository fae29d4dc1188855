//! Tests of lives of one instance that several folders show.

use super::*;
use cctf_proto::cctf::{ALREADY_RUNNING, Stage, Text};

fn event(second: i64, kind: PlacementKind, inferred: bool, reason: Option<&'static str>) -> Event<'static> {
    Event::from_row(PlacementEvent {
        ts: Milliseconds::from_ns(second * 1_000_000_000),
        app_id: None,
        module_id: "m".into(),
        instance_id: Some("m-1".into()),
        node_id: "n".into(),
        event: kind,
        stage: Stage::Edge,
        inferred,
        workers: None,
        queue_limit: None,
        slot_policy: None,
        replicas: None,
        from_node_id: None,
        image: None,
        cpu_limit: None,
        mem_limit_mb: None,
        reason: reason.map(Text::from),
    })
}

fn start(second: i64, inferred: bool) -> Event<'static> {
    event(second, PlacementKind::Start, inferred, None)
}

fn stop(second: i64, inferred: bool) -> Event<'static> {
    event(second, PlacementKind::Stop, inferred, None)
}

fn already_running(second: i64) -> Event<'static> {
    event(second, PlacementKind::Start, false, Some(ALREADY_RUNNING))
}

/// A folder is the second of its last row, and its events. Returns the second of each event, and whether the event is a start.
fn lives(folders: Vec<(i64, Vec<Event<'static>>)>, stale_seconds: i64) -> Vec<(i64, bool)> {
    const SECOND: i64 = 1_000_000_000;
    let folders = (0..).zip(folders).map(|(folder, (last, events))| FolderEvents {
        folder,
        last_seen: Some(last * SECOND),
        events,
    });
    one_for_each_life(folders.collect(), stale_seconds * SECOND)
        .iter()
        .map(|event| (event.ts() / SECOND, event.is_start()))
        .collect()
}

#[test]
fn a_life_in_several_folders_has_one_start_and_the_reported_has_priority() {
    assert_eq!(
        lives(
            vec![
                (9, vec![start(1, true)]),
                (9, vec![start(2, false)]),
                (9, vec![start(3, true)])
            ],
            180
        ),
        [(2, true)]
    );
    let parts = vec![
        (4, vec![start(1, false)]),
        (10, vec![already_running(5), stop(10, true)]),
        (9, vec![start(2, true), stop(9, true)]),
    ];
    assert_eq!(lives(parts, 180), [(1, true), (10, false)]);
    let late_rows = vec![
        (8, vec![start(1, false), stop(8, false)]),
        (9, vec![start(2, true), stop(9, true)]),
    ];
    assert_eq!(lives(late_rows, 180), [(1, true), (8, false)]);
}

#[test]
fn a_silence_in_only_one_folder_ends_no_life() {
    let ended = || (9, vec![start(1, true), stop(9, true)]);
    assert_eq!(lives(vec![ended(), (10, vec![start(2, true)])], 180), [(1, true)]);
    assert_eq!(
        lives(vec![ended(), (200, vec![start(100, true)])], 180),
        [(1, true)]
    );
    let apart = vec![ended(), (901, vec![start(900, true)])];
    assert_eq!(lives(apart, 180), [(1, true), (9, false), (900, true)]);
}

#[test]
fn a_folder_that_saw_the_whole_life_fills_the_gaps_of_others() {
    let early = || (2, vec![start(1, true), stop(2, true)]);
    let late = || (9, vec![start(8, true), stop(9, true)]);
    let both = || (8, vec![start(1, true), stop(8, true)]);
    let wanted = [(1, true), (9, false)];
    assert_eq!(lives(vec![early(), late(), both()], 1), wanted);
    assert_eq!(lives(vec![both(), early(), late()], 1), wanted);
    assert_eq!(
        lives(vec![early(), late()], 1),
        [(1, true), (2, false), (8, true), (9, false)]
    );
}

#[test]
fn a_life_without_a_stop_ends_with_its_last_row_before_the_next_life() {
    let open = || (15, vec![start(5, true)]);
    let between = || (18, vec![start(17, true), stop(18, true)]);
    let next = || (25, vec![start(20, true), stop(25, true)]);
    assert_eq!(
        lives(vec![open(), next()], 2),
        [(5, true), (15, false), (20, true), (25, false)]
    );
    assert_eq!(
        lives(vec![open(), between(), next()], 3),
        [(5, true), (25, false)]
    );
}

#[test]
fn a_part_that_began_after_the_last_row_starts_no_life() {
    let ended = (9, vec![start(1, true), stop(9, true)]);
    assert_eq!(
        lives(vec![ended, (9, vec![already_running(10)])], 180),
        [(1, true), (9, false)]
    );
    assert_eq!(
        lives(vec![(9, vec![stop(9, true), already_running(10)])], 180),
        [(9, true), (9, false)]
    );
}
