//! A preloaded library that makes system calls of the normalizer fail. It is built once, and environment variables configure
//! it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// Calls of the C library on certain files, and the numbers of the calls that fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Names of the calls, separated by commas.
    pub calls: &'static str,
    /// Part of the path of the files.
    pub path: &'static str,
    /// Error number. 0: the call writes only a part of the data.
    pub errno: i32,
    /// Number of the first call that fails, counted from 1.
    pub first: u64,
    /// Number of calls from one failing call to the next. 0: only one call fails.
    pub every: u64,
    /// Whether the file system has direct writes.
    pub direct: bool,
    /// Number of the first call that works again. 0: none.
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

/// These variables, and the variable that preloads the library.
pub fn variables(variables: &[(&str, String)]) -> Vec<(String, String)> {
    let preload = ("LD_PRELOAD", library().display().to_string());
    variables
        .iter()
        .cloned()
        .chain([preload])
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// Compiles the library. A C compiler exists, because the crates for zstd and TLS need one, too.
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

/// The difference between the normalizers' clocks and those of the machine.
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

    /// The variables for a normalizer whose monotonic clock runs slower by the factor `slowed`.
    pub fn variables(&self, slowed: u64) -> Vec<(String, String)> {
        variables(&[
            ("FAULT_CLOCK", self.path.display().to_string()),
            ("FAULT_SLOWED", slowed.to_string()),
        ])
    }

    /// Shifts the wall clock.
    pub fn move_wall(&self, seconds: i64) {
        self.add(0, seconds);
    }

    /// Advances the wall clock and the monotonic clock.
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
