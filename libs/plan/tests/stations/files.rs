//! The work of a run from its files.

use std::fs;
use std::path::Path;

use plan::plan::{Window, read};
use plan::work::{Recorded, WorkError};
use rundir::parts::Target;

fn invocation(span: u64, enqueue_ms: u64) -> String {
    format!(
        r#"{{"trace_id":"000102030405060708090a0b0c0d0e0f","span_id":"{span:016x}","parent_id":null,"parent_span_id":null,"module_id":"m","instance_id":"i","ts_enqueue":{enqueue_ms},"ts_start":{enqueue_ms},"ts_end":{enqueue_ms},"node":"n","stage":"edge","method":"GET","path":"/","bytes_in":0,"bytes_out":0,"cpu_time_ms":null,"queue_time_ms":0,"service_time_ms":0,"rt_ms":0,"status":200,"downstream_ms":null,"kind":"server"}}"#
    )
}

fn part(logs: &Path, name: &str, meta: &str, lines: &str, inventory: &str) {
    let cctf = logs.join(name).join("cctf");
    fs::create_dir_all(&cctf).unwrap();
    fs::write(cctf.join("run_meta.json"), meta).unwrap();
    fs::write(cctf.join("invocations.jsonl"), lines).unwrap();
    fs::write(cctf.join("calls.jsonl"), "").unwrap();
    fs::write(cctf.join("module_inventory.json"), inventory).unwrap();
}

fn inventory(workers: u64, source: &str) -> String {
    format!(
        r#"[{{"app_id":null,"module_id":"m","name":"m","type":"SINK","resources":null,"instances":[{{"instance_id":"i","node_id":"n","workers":{workers},"queue_limit":7,"slot_policy":"released","slots_src":"{source}"}}]}}]"#
    )
}

fn read_run(logs: &Path) -> Recorded {
    let (run, first) = Target::Folder(logs.join("r")).find().unwrap().unwrap();
    read(&run, &first, Window::default(), &mut |_| {}).unwrap().0
}

#[test]
fn all_parts_count_and_the_last_inventory_has_the_slots() {
    let logs = tempfile::tempdir().unwrap();
    let lines = format!("{}\nno row\n{}\n", invocation(1, 10), invocation(2, 20));
    part(
        logs.path(),
        "r",
        r#"{"run_id":"r","ended_ts":1}"#,
        &lines,
        &inventory(1, "told"),
    );
    let open = invocation(4, 40);
    let lines = format!("{}\n{}", invocation(3, 30), &open[..40]);
    part(
        logs.path(),
        "r-0002",
        r#"{"run_id":"r","part":2}"#,
        &lines,
        &inventory(3, "told"),
    );
    let recorded = read_run(logs.path());
    assert_eq!((recorded.works.len(), recorded.notes.damaged_lines), (3, 1));
    let station = recorded.names.instances[0].station;
    assert_eq!(
        (station.slots, station.queue_limit, station.is_released),
        (Some(3), Some(7), true)
    );
}

#[test]
fn a_damaged_inventory_leaves_the_one_of_an_earlier_part() {
    let logs = tempfile::tempdir().unwrap();
    let parts = [
        ("r", r#"{"run_id":"r","ended_ts":1}"#, inventory(2, "told")),
        ("r-0002", r#"{"run_id":"r","part":2}"#, "[{".to_owned()),
    ];
    for (number, (name, meta, inventory)) in (1..).zip(parts) {
        part(
            logs.path(),
            name,
            meta,
            &format!("{}\n", invocation(number, 10)),
            &inventory,
        );
    }
    let recorded = read_run(logs.path());
    assert_eq!(recorded.names.instances[0].station.slots, Some(2));
}

#[test]
fn inferred_slots_and_a_missing_inventory_are_no_station() {
    let logs = tempfile::tempdir().unwrap();
    for (text, notes) in [(inventory(1, "inferred"), 0), ("{".to_owned(), 1)] {
        part(
            logs.path(),
            "r",
            r#"{"run_id":"r"}"#,
            &(invocation(1, 1) + "\n"),
            &text,
        );
        let recorded = read_run(logs.path());
        assert_eq!(
            (
                recorded.names.instances[0].station.slots,
                recorded.notes.missing.len()
            ),
            (None, notes)
        );
    }
}

#[test]
fn too_many_rows_are_an_error_that_names_the_flags() {
    let error = WorkError::TooMany {
        run: "r".to_owned(),
        too_many: plan::work::TooMany {
            what: "invocations",
            max: plan::work::INVOCATIONS_MAX,
        },
    };
    let text = error.to_string();
    assert_eq!(
        text,
        "cannot read r: it has more than the maximum of 4000000 invocations; choose a part of it with --from and --to"
    );
}
