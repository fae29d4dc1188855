//! Parts of a run as handmade folders: which lines are read, in which order, and when it ends.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::Mutex;
use std::time::Instant;

use super::*;

/// Maximum wait for lines.
const TIMEOUT: Duration = Duration::from_secs(180);

/// The lines so far.
#[derive(Default)]
struct Seen(Mutex<Vec<u8>>);

impl Seen {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + TIMEOUT;
        while self.text() != text {
            assert!(
                Instant::now() < deadline,
                "{:?} was read instead of {text:?}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Sink for &Seen {
    fn lines(&mut self, lines: &[u8]) -> io::Result<()> {
        assert_eq!(lines.last(), Some(&b'\n'));
        self.0.lock().unwrap().extend_from_slice(lines);
        Ok(())
    }
}

/// A folder of runs.
struct Logs(tempfile::TempDir);

impl Logs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Appends to the rows of a part, whose folder is created if necessary.
    fn rows(&self, part: &Part, text: &str) {
        let cctf = self.0.path().join(part.folder()).join("cctf");
        fs::create_dir_all(&cctf).unwrap();
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(cctf.join("invocations.jsonl"))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn meta(&self, part: &Part, ended: bool) {
        let number = match part.number() {
            1 => String::new(),
            number => format!(r#","part":{number}"#),
        };
        let ended = if ended { "1.000000" } else { "null" };
        let meta = format!(r#"{{"run_id":"{}"{number},"ended_ts":{ended}}}"#, part.run_id());
        let folder = self.0.path().join(part.folder());
        fs::write(folder.join(".tmp"), meta).unwrap();
        fs::rename(folder.join(".tmp"), folder.join("cctf/run_meta.json")).unwrap();
    }

    fn delete(&self, part: &Part) {
        fs::remove_dir_all(self.0.path().join(part.folder())).unwrap();
    }

    fn follow(&self, target: Target, begin: Begin, until: Until) -> Follow {
        Follow {
            target,
            file: File::Invocations,
            begin,
            until,
        }
    }

    fn run_id(&self, id: &str) -> Target {
        Target::RunId(self.0.path().to_owned(), id.to_owned())
    }

    /// The existing lines.
    fn existing(&self, target: Target, begin: Begin) -> Result<String, TailError> {
        let seen = Seen::default();
        let follow = self.follow(target, begin, Until::NoMore);
        let left_out = follow.run(&mut &seen, &mut |_| {}, &AtomicBool::new(false))?;
        assert_eq!(left_out, 0);
        Ok(seen.text())
    }
}

fn parts() -> [Part; 3] {
    let first = Part::first("r");
    let second = first.next();
    let third = second.next();
    [first, second, third]
}

#[test]
fn a_run_is_followed_over_its_parts_even_if_old_ones_are_deleted() {
    let logs = Logs::new();
    let [first, second, third] = parts();
    let (seen, notices) = (Seen::default(), Mutex::new(Vec::new()));
    let follow = logs.follow(logs.run_id("r"), Begin::LastLines(10), Until::RunEnded);
    std::thread::scope(|scope| {
        let tail = scope.spawn(|| {
            let mut notice = |text: &Notice| notices.lock().unwrap().push(text.to_string());
            follow.run(&mut &seen, &mut notice, &AtomicBool::new(false))
        });
        logs.rows(&first, "1\n2\n3");
        seen.wait_for("1\n2\n");
        logs.meta(&first, false);
        logs.rows(&first, "3\n");
        seen.wait_for("1\n2\n33\n");
        // The order of the normalizer: the next part's folder, then the last rows, then the end.
        logs.rows(&second, "");
        logs.rows(&first, "4\n");
        logs.meta(&first, true);
        seen.wait_for("1\n2\n33\n4\n");
        logs.delete(&first);
        assert!(!tail.is_finished(), "the next part has no run_meta.json yet");
        logs.rows(&second, "5\n");
        logs.meta(&second, false);
        seen.wait_for("1\n2\n33\n4\n5\n");
        // Closed and deleted at once: an open file is still read to its end.
        logs.rows(&second, "6\n");
        logs.rows(&third, "7\n");
        logs.meta(&third, false);
        logs.meta(&second, true);
        logs.delete(&second);
        seen.wait_for("1\n2\n33\n4\n5\n6\n7\n");
        logs.rows(&third, "8\n");
        logs.meta(&third, true);
        assert_eq!(tail.join().unwrap().unwrap(), 0);
    });
    assert_eq!(seen.text(), "1\n2\n33\n4\n5\n6\n7\n8\n");
    let notices = notices.into_inner().unwrap();
    for expected in [
        "r continues in r-0002",
        "r-0002 continues in r-0003",
        "r-0003 has ended",
    ] {
        assert!(
            notices.iter().any(|notice| notice == expected),
            "{expected}: {notices:?}"
        );
    }
}

#[test]
fn the_last_lines_are_counted_over_all_parts() {
    let logs = Logs::new();
    for (part, rows) in parts().iter().zip(["1\n2\n3\n", "4\n", "5\n6\n7"]) {
        logs.rows(part, rows);
        logs.meta(part, true);
    }
    for (wanted, rows) in [
        (0, ""),
        (1, "6\n"),
        (2, "5\n6\n"),
        (3, "4\n5\n6\n"),
        (5, "2\n3\n4\n5\n6\n"),
        (9, "1\n2\n3\n4\n5\n6\n"),
    ] {
        assert_eq!(
            logs.existing(logs.run_id("r"), Begin::LastLines(wanted)).unwrap(),
            rows,
            "{wanted}"
        );
    }
    let folder = Target::Folder(logs.0.path().join("r-0002"));
    assert_eq!(logs.existing(folder, Begin::FirstLine).unwrap(), "4\n5\n6\n");
    let inner = Target::Folder(logs.0.path().join("r-0003/cctf"));
    assert_eq!(logs.existing(inner, Begin::FirstLine).unwrap(), "5\n6\n");
    std::os::unix::fs::symlink("r-0003", logs.0.path().join("latest")).unwrap();
    let latest = || Target::Latest(logs.0.path().to_owned());
    assert_eq!(
        logs.existing(latest(), Begin::FirstLine).unwrap(),
        "1\n2\n3\n4\n5\n6\n"
    );
    logs.delete(&parts()[0]);
    assert_eq!(
        logs.existing(logs.run_id("r"), Begin::FirstLine).unwrap(),
        "4\n5\n6\n"
    );
    assert_eq!(logs.existing(latest(), Begin::LastLines(3)).unwrap(), "4\n5\n6\n");
}

#[test]
fn another_run_that_is_named_like_a_part_is_not_followed() {
    let logs = Logs::new();
    let [first, _, third] = parts();
    let other = Part::first("r-0002");
    for (part, row) in [(&first, "1\n"), (&other, "other\n"), (&third, "3\n")] {
        logs.rows(part, row);
        logs.meta(part, true);
    }
    assert_eq!(
        logs.existing(logs.run_id("r"), Begin::FirstLine).unwrap(),
        "1\n3\n"
    );
    assert_eq!(
        logs.existing(logs.run_id("r-0002"), Begin::FirstLine).unwrap(),
        "other\n"
    );
}

#[test]
fn a_folder_that_is_not_a_run_is_an_error() {
    let logs = Logs::new();
    let folder = |name: &str| Target::Folder(logs.0.path().join(name));
    fs::create_dir(logs.0.path().join("empty")).unwrap();
    fs::create_dir_all(logs.0.path().join("no-rows/cctf")).unwrap();
    for until in [Until::NoMore, Until::RunEnded] {
        let outcome = |name: &str| {
            let follow = logs.follow(folder(name), Begin::FirstLine, until);
            follow.run(&mut &Seen::default(), &mut |_| {}, &AtomicBool::new(false))
        };
        assert!(
            matches!(outcome("absent"), Err(TailError::NotThere(_))),
            "{until:?}"
        );
        assert!(
            matches!(outcome("empty"), Err(TailError::Read(ReadError::NotARun { .. }))),
            "{until:?}"
        );
    }
    let existing = |target| logs.existing(target, Begin::FirstLine);
    assert!(matches!(existing(folder("no-rows")), Err(TailError::NotThere(_))));
    assert!(matches!(
        existing(logs.run_id("absent")),
        Err(TailError::NotThere(_))
    ));
}

#[test]
fn a_run_that_is_deleted_before_its_end_is_an_error() {
    let logs = Logs::new();
    let [first, ..] = parts();
    logs.rows(&first, "1\n");
    logs.meta(&first, false);
    let seen = Seen::default();
    let follow = logs.follow(logs.run_id("r"), Begin::FirstLine, Until::RunEnded);
    let outcome = std::thread::scope(|scope| {
        let tail = scope.spawn(|| follow.run(&mut &seen, &mut |_| {}, &AtomicBool::new(false)));
        seen.wait_for("1\n");
        logs.delete(&first);
        tail.join().unwrap()
    });
    assert!(matches!(outcome, Err(TailError::Deleted(_))), "{outcome:?}");
}

#[test]
fn late_rows_are_shown_until_an_interrupt() {
    let logs = Logs::new();
    let [first, ..] = parts();
    logs.rows(&first, "1\n");
    logs.meta(&first, true);
    let (seen, stop) = (Seen::default(), AtomicBool::new(false));
    let follow = logs.follow(logs.run_id("r"), Begin::FirstLine, Until::Interrupted);
    std::thread::scope(|scope| {
        let tail = scope.spawn(|| follow.run(&mut &seen, &mut |_| {}, &stop));
        seen.wait_for("1\n");
        logs.rows(&first, "late\n");
        seen.wait_for("1\nlate\n");
        stop.store(true, Ordering::Relaxed);
        assert_eq!(tail.join().unwrap().unwrap(), 0);
    });
}
