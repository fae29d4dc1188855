//! The library that is loaded before the C library and makes calls of the normalizer fail: built once, told by variables.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// Calls of the C library on some files, of which some are to fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Their names, with commas.
    pub calls: &'static str,
    /// Part of the files' paths.
    pub path: &'static str,
    /// What it fails with; 0: a write that is cut short.
    pub errno: i32,
    /// Number of the first that fails, from 1.
    pub first: u64,
    /// And every so many after it; 0: none.
    pub every: u64,
    /// Whether the file system can write past the page cache.
    pub direct: bool,
    /// Number of the first that does not fail any more; 0: there is none.
    pub until: u64,
}

impl Fault {
    /// The variables that tell the library; each fault adds a line to `log`.
    pub fn variables(&self, log: &Path) -> Vec<(String, String)> {
        variables(&[
            ("FAULT_CALLS", self.calls.to_owned()),
            ("FAULT_PATH", self.path.to_owned()),
            ("FAULT_ERRNO", self.errno.to_string()),
            ("FAULT_FIRST", self.first.to_string()),
            ("FAULT_EVERY", self.every.to_string()),
            ("FAULT_UNTIL", self.until.to_string()),
            ("FAULT_DIRECT", u8::from(self.direct).to_string()),
            ("FAULT_LOG", log.display().to_string()),
        ])
    }
}

/// How many faults a log tells of.
pub fn faults_in(log: &Path) -> usize {
    fs::read_to_string(log).map_or(0, |text| text.lines().count())
}

/// These variables, and the one that loads the library.
pub fn variables(variables: &[(&str, String)]) -> Vec<(String, String)> {
    let preload = ("LD_PRELOAD", library().display().to_string());
    variables
        .iter()
        .cloned()
        .chain([preload])
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The C compiler is there, since the crates of zstd and TLS need it, too.
fn library() -> PathBuf {
    static LIBRARY: OnceLock<TempDir> = OnceLock::new();
    let folder = LIBRARY.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/faults/shim.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.path().join("shim.so"))
            .arg(source)
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(built.success(), "cannot compile the library of faults");
        folder
    });
    folder.path().join("shim.so")
}

/// The clocks of normalizers, as far as they differ from the machine's.
#[derive(Debug)]
pub struct Clocks {
    file: File,
    path: PathBuf,
}

impl Clocks {
    /// Clocks that go right.
    pub fn new(folder: &Path) -> Self {
        let path = folder.join("clocks");
        let file = File::options()
            .create_new(true)
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        file.write_all_at(&[0; 16], 0).unwrap();
        Self { file, path }
    }

    /// The variables that hand them to a normalizer, for whom the monotonic one goes at one part in `slowed` of its pace.
    pub fn variables(&self, slowed: u64) -> Vec<(String, String)> {
        variables(&[
            ("FAULT_CLOCK", self.path.display().to_string()),
            ("FAULT_SLOWED", slowed.to_string()),
        ])
    }

    /// Sets the wall clock.
    pub fn move_wall(&self, seconds: i64) {
        self.add(0, seconds);
    }

    /// Lets time go by.
    pub fn let_go_by(&self, seconds: i64) {
        self.add(8, seconds);
    }

    fn add(&self, at: u64, seconds: i64) {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        let moved = i64::from_ne_bytes(bytes) + seconds * 1_000_000_000;
        self.file.write_all_at(&moved.to_ne_bytes(), at).unwrap();
    }
}
