//! Roots of runs that SDKs in five languages recorded. The runs belong to the normalizer's tests.

use std::path::Path;

use plan::roots::{Kind, Roots};
use rundir::CCTF;
use rundir::parts::Target;

fn kinds(name: &str) -> Vec<(&'static str, u64)> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../normalizer/tests/golden");
    let logs = tempfile::tempdir().unwrap();
    let cctf = logs.path().join("run").join(CCTF);
    std::fs::create_dir_all(&cctf).unwrap();
    for entry in std::fs::read_dir(golden.join(name).join("expected/run")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), cctf.join(entry.file_name())).unwrap();
    }
    let (run, first) = Target::Folder(logs.path().join("run")).find().unwrap().unwrap();
    let roots = Roots::read(&run, &first, logs.path(), &mut |_| {}).unwrap();
    assert_eq!(roots.damaged, 0, "{name}");
    let count = |kind: Kind| (kind.name(), roots.survey.of_kind(kind));
    let mut found: Vec<_> = Kind::ALL
        .into_iter()
        .map(count)
        .filter(|(_, count)| *count > 0)
        .collect();
    found.extend((roots.survey.orphans > 0).then_some(("orphans", roots.survey.orphans)));
    found
}

#[test]
fn requests_of_users_differ_from_polls_and_background_work() {
    for (name, expected) in [
        // The worker has its own server, and gets messages by polls. The polls have no rows.
        (
            "recorded_java_jms",
            &[("http", 4), ("messaging", 2), ("background", 4)][..],
        ),
        // The worker has no invocation in this run. So nothing shows that its calls are calls of a service.
        ("recorded_node_sqs", &[("http", 2), ("rpc", 3), ("background", 1)]),
        ("recorded_python_pubsub", &[("http", 2), ("background", 7)]),
        ("recorded_python_aiokafka", &[("http", 2), ("background", 4)]),
        // If messages come in a batch, the span of the poll is the parent of the spans that handle the messages.
        (
            "recorded_node_kafka_batch",
            &[("messaging", 3), ("background", 4)],
        ),
        ("recorded_go_stock", &[("orphans", 3)]),
    ] {
        assert_eq!(kinds(name), expected, "{name}");
    }
}
