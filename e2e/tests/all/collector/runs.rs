//! `cctf run --collector`: short versions of `make real-all COLLECTOR=1` and `make real-chain COLLECTOR=1`.

use e2e::binaries::short_run;
use e2e::rows::{self, text};

use e2e::collector::COLLECTOR;
use e2e::sources::root;

#[test]
fn a_run_through_the_collector_is_whole_and_no_row_is_late_or_an_orphan() {
    let logs = tempfile::tempdir().unwrap();
    let collector = root().join(COLLECTOR);
    let through = ["--collector", collector.to_str().unwrap()];
    let report = short_run(logs.path(), &through).unwrap();
    assert_eq!(report["broken_rules"], 0);
    let run = logs.path().join("r");
    let invocations = rows::lines(&run.join("events.jsonl")).unwrap();
    assert_eq!(invocations.len(), 5 * 40 * 2);
    assert!(
        invocations
            .iter()
            .all(|row| text(row, "caller_span_id").is_some())
    );
    let meta = rows::document(&run.join("run_meta.json")).unwrap();
    for none in ["orphans", "late", "duplicates", "unknown_node"] {
        assert_eq!(meta["counts"][none], 0, "{none}: {meta}");
    }
    // Both the Collector and the service report this node. The normalizer uses only one of them at a time.
    let host = rows::lines(&run.join("resources.jsonl")).unwrap();
    let mut timestamps: Vec<_> = host.iter().map(|row| row["ts_ms"].as_f64().unwrap()).collect();
    timestamps.sort_by(f64::total_cmp);
    assert!(!timestamps.is_empty() && host.iter().all(|row| text(row, "node") == Some("cloud0")));
    // Both report every second. If an interval had two rows, these would be much closer.
    assert!(
        timestamps.windows(2).all(|pair| pair[1] - pair[0] > 300.0),
        "{timestamps:?}"
    );
}

#[test]
fn a_chain_through_the_collector_keeps_its_parents() {
    let logs = tempfile::tempdir().unwrap();
    let collector = root().join(COLLECTOR);
    let args = [
        "--chain",
        "--endpoints",
        "json",
        "--collector",
        collector.to_str().unwrap(),
    ];
    short_run(logs.path(), &args).unwrap();
    let invocations = rows::lines(&logs.path().join("r/events.jsonl")).unwrap();
    assert_eq!(invocations.len(), 3 * 80);
    for (node, caller) in [("ep0", None), ("edge0", Some("ep0")), ("cloud0", Some("edge0"))] {
        let here: Vec<_> = invocations
            .iter()
            .filter(|row| text(row, "node") == Some(node))
            .collect();
        assert_eq!(here.len(), 80, "{node}");
        for row in here {
            let parent = text(row, "parent_id");
            let parent = parent.map(|id| {
                invocations
                    .iter()
                    .find(|row| text(row, "span_id") == Some(id))
                    .unwrap()
            });
            assert_eq!(parent.and_then(|parent| text(parent, "node")), caller);
        }
    }
}
