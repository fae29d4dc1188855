//! [`DiskGuard`]: refuses requests before the disks of files and journal are full, and takes them again by itself.

use std::ffi::CString;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cctf_proto::log_line;
use tokio::time::MissedTickBehavior;

use crate::journal::{DiskFull, Journal};

/// How often the disks are looked at, if little is accepted.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// They are also looked at whenever one part of so many of what is left above the minimum has been accepted, as fast
/// clients fill much of a disk within a second. Rows may take several times the bytes of their requests.
const LOOK_PARTS: u64 = 16;
/// But not for fewer accepted bytes than these, of which the minimum has room for many.
const LOOK_BYTES_MIN: u64 = 64 * 1024;
/// Free bytes that are kept by default: what is acknowledged and not yet written finds room in them.
const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// On small disks it is one part of so many of the disk instead.
const FREE_PARTS_MIN: u64 = 50;
/// Requests are taken again when one part of so many of the minimum is free on top of it, so that a disk at its edge
/// does not change its mind with every file.
const TAKEN_AGAIN_PARTS: u64 = 16;

/// Looks at the disks and tells the journal.
pub struct DiskGuard {
    journal: Journal,
    free_bytes_min: Option<u64>,
    disks: Vec<Disk>,
}

struct Disk {
    folder: PathBuf,
    is_low: bool,
    trouble_told: bool,
}

/// What a disk has, bytes.
#[derive(Debug, Clone, Copy)]
struct Space {
    free: u64,
    total: u64,
}

impl DiskGuard {
    /// A guard of the disks on which these folders are. It has looked at them once when it returns.
    pub fn new<'a>(
        journal: Journal,
        folders: impl Iterator<Item = &'a PathBuf>,
        free_bytes_min: Option<u64>,
    ) -> Self {
        let mut guard = Self {
            journal,
            free_bytes_min,
            disks: Vec::new(),
        };
        let mut devices = Vec::new();
        for folder in folders {
            let device = fs::metadata(folder).ok().map(|metadata| metadata.dev());
            if device.is_none() || !devices.contains(&device) {
                devices.push(device);
                guard.disks.push(Disk {
                    folder: folder.clone(),
                    is_low: false,
                    trouble_told: false,
                });
            }
        }
        guard.look();
        guard
    }

    /// Looks again and again, for ever.
    pub async fn watch(mut self) {
        let mut interval = tokio::time::interval(LOOK_EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = self.journal.allowance_used_up() => {}
            }
            // A disk that is far away may take its time to answer.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            self = match looked.await {
                Ok(guard) => guard,
                Err(_) => return,
            };
        }
    }

    fn look(&mut self) {
        let mut room = u64::MAX;
        for disk in &mut self.disks {
            room = room.min(disk.look(self.free_bytes_min));
        }
        self.journal.allow_bytes((room / LOOK_PARTS).max(LOOK_BYTES_MIN));
        let is_low = self.disks.iter().any(|disk| disk.is_low);
        self.journal.set_disk_full(DiskFull::Low, is_low);
    }
}

impl Disk {
    /// Bytes that are left above the minimum. A disk that tells nothing limits nothing.
    fn look(&mut self, free_bytes_min: Option<u64>) -> u64 {
        let folder = self.folder.display();
        let space = match space_at(&self.folder) {
            Ok(space) => space,
            Err(error) => {
                if !self.trouble_told {
                    log_line!("warning: cannot find out how much room is left in {folder}: {error}");
                }
                self.trouble_told = true;
                return u64::MAX;
            }
        };
        self.trouble_told = false;
        let free_min = free_bytes_min.unwrap_or_else(|| space.free_bytes_min());
        let is_low = space.is_low(free_min, self.is_low);
        if is_low && !self.is_low {
            let free = space.free;
            log_line!(
                "warning: {free} bytes are free in {folder}, fewer than the {free_min} of --disk-free-min: requests \
                 are refused until there is room again"
            );
        } else if !is_low && self.is_low {
            log_line!("cctf-normalizer: there is room again in {folder}");
        }
        self.is_low = is_low;
        space.free.saturating_sub(free_min)
    }
}

impl Space {
    /// What is to stay free if nothing is set.
    fn free_bytes_min(self) -> u64 {
        FREE_BYTES_MIN.min(self.total / FREE_PARTS_MIN)
    }

    fn is_low(self, free_min: u64, was_low: bool) -> bool {
        let extra = if was_low { free_min / TAKEN_AGAIN_PARTS } else { 0 };
        self.free < free_min.saturating_add(extra)
    }
}

/// What the disk of a folder has for processes without privileges.
fn space_at(folder: &Path) -> io::Result<Space> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    let mut told = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: both pointers are valid during the call, and the path ends with a zero.
    if unsafe { libc::statvfs(path.as_ptr(), told.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so it has filled the structure.
    let told = unsafe { told.assume_init() };
    Ok(Space {
        free: told.f_bavail.saturating_mul(told.f_frsize),
        total: told.f_blocks.saturating_mul(told.f_frsize),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_small_disk_keeps_a_part_free_and_a_large_one_a_fixed_size() {
        for (total, free_bytes_min) in [(100 * GIB, FREE_BYTES_MIN), (GIB, GIB / 50), (0, 0)] {
            assert_eq!(Space { free: 0, total }.free_bytes_min(), free_bytes_min);
        }
    }

    #[test]
    fn requests_are_taken_again_only_when_a_little_more_is_free() {
        let is_low = |free, was_low| Space { free, total: GIB }.is_low(1600, was_low);
        assert_eq!([is_low(1599, false), is_low(1600, false)], [true, false]);
        assert_eq!([is_low(1699, true), is_low(1700, true)], [true, false]);
        let never = Space { free: 0, total: GIB }.is_low(0, true);
        assert!(!never);
    }

    #[test]
    fn free_space_is_known_for_a_folder_that_exists() {
        let folder = tempfile::TempDir::new().unwrap();
        let space = space_at(folder.path()).unwrap();
        assert!(space.free <= space.total && space.total > 0, "{space:?}");
        assert!(space_at(&folder.path().join("none")).is_err());
    }
}
