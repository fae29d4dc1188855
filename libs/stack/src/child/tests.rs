//! Children that are shells: their start, their end, and what they leave.

use super::*;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn shell(script: &str, scratch: &Path) -> Child {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    Child::start("child", command, scratch).unwrap()
}

#[test]
fn a_child_announces_its_ports_and_stops_when_asked() {
    let scratch = tempfile::tempdir().unwrap();
    let script = r#"trap 'exit 0' TERM; echo '{"admin":"http://127.0.0.1:1"}'; while :; do sleep 0.01; done"#;
    let mut child = shell(script, scratch.path());
    assert_eq!(child.announcement(&GO_ON).unwrap()["admin"], "http://127.0.0.1:1");
    child.stop().unwrap();
}

#[test]
fn a_child_that_dies_is_reported_with_its_standard_error() {
    let scratch = tempfile::tempdir().unwrap();
    let mut child = shell("echo 'port 4317 is in use' >&2; exit 3", scratch.path());
    let error = child.announcement(&GO_ON).unwrap_err().to_string();
    assert!(
        error.contains("exit code 3") && error.contains("port 4317 is in use"),
        "{error}"
    );
}

#[test]
fn a_dropped_child_is_gone() {
    let scratch = tempfile::tempdir().unwrap();
    let child = shell("exec sleep 1000", scratch.path());
    let pid = child.process.id();
    drop(child);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

/// This test fails if only the child itself is killed.
#[test]
fn dropping_a_child_also_kills_what_it_started() {
    let scratch = tempfile::tempdir().unwrap();
    let mut child = shell("trap '' TERM; sleep 1000 & echo $!; wait", scratch.path());
    let started = child.announcement(&GO_ON).unwrap();
    drop(child);
    // A dead process keeps its entry until its parent waits for it.
    let is_dead = || {
        let stat = std::fs::read_to_string(format!("/proc/{started}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ") || stat.contains(") X ")
    };
    let deadline = Instant::now() + Duration::from_secs(180);
    while !is_dead() {
        assert!(Instant::now() < deadline, "{started} still runs");
        std::thread::sleep(CHECK_INTERVAL);
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_a_silent_child() {
    let scratch = tempfile::tempdir().unwrap();
    let mut child = shell("exec sleep 1000", scratch.path());
    assert!(matches!(
        child.announcement(&AtomicBool::new(true)),
        Err(ChildError::Interrupted)
    ));
}
