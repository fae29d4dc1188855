//! [`Disk`]: a disk that is soon full.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A small disk, unmounted when dropped.
pub struct Disk(TempDir);

impl Disk {
    /// `size` is an option of tmpfs, such as `size=128k`.
    pub fn new(size: &str) -> Self {
        let disk = Self(TempDir::new().unwrap());
        let mut mount = Command::new("mount");
        let mounted = mount
            .args(["-t", "tmpfs", "-o", size, "tmpfs"])
            .arg(disk.path())
            .status()
            .unwrap();
        assert!(mounted.success(), "cannot mount a tmpfs, run this test as root");
        disk
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
