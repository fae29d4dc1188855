//! The preloaded library that makes system calls of the normalizer fail: built once, configured by variables.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// Selects calls of the C library on some files, and those of them that fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Names of the calls, separated by commas.
    pub calls: &'static str,
    /// Part of the files' paths.
    pub path: &'static str,
    /// Error number; 0: a short write.
    pub errno: i32,
    /// Number of the first failing call, from 1.
    pub first: u64,
    /// Distance of further failing calls; 0: none.
    pub every: u64,
    /// Whether the file system has direct writes.
    pub direct: bool,
    /// Number of the first call that no longer fails; 0: none.
    pub until: u64,
}

impl Fault {
    /// The variables that configure the library. Each fault adds a line to `log`.
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

/// Number of faults in a log.
pub fn faults_in(log: &Path) -> usize {
    fs::read_to_string(log).map_or(0, |text| text.lines().count())
}

/// These variables, and the one that preloads the library.
pub fn variables(variables: &[(&str, String)]) -> Vec<(String, String)> {
    let preload = ("LD_PRELOAD", library().display().to_string());
    variables
        .iter()
        .cloned()
        .chain([preload])
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// There is a C compiler, because the crates for zstd and TLS need one as well.
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

/// The offsets of the normalizers' clocks from the machine's.
#[derive(Debug)]
pub struct Clocks {
    file: File,
    path: PathBuf,
}

impl Clocks {
    /// Clocks without an offset.
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

    /// The variables for a normalizer whose monotonic clock is slowed down by `slowed`.
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

    /// Advances both clocks.
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
