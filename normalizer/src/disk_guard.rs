//! [`DiskGuard`]: refuses requests before the disks of files and journal are full, and accepts them again when space is free.

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

/// Interval between checks under low load.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The disks are also checked when the accepted bytes reach a 16th of the space above the minimum. This is needed because fast
/// clients can fill a disk within a second, and rows may take several times the bytes of their requests.
const CHECK_PARTS: u64 = 16;
/// Minimum accepted bytes between checks. The default minimum of free space is many times larger.
const CHECK_BYTES_MIN: u64 = 64 * 1024;
/// Default minimum of free bytes. Acknowledged rows that are not written yet fit into this space.
const FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// On small disks, the default minimum is this fraction (a 50th) of the disk.
const FREE_PARTS_MIN: u64 = 50;
/// Requests are accepted again when the free space exceeds the minimum by a 16th of it. Without this hysteresis, the state could
/// change with every file that is written or deleted.
const HYSTERESIS_PARTS: u64 = 16;

/// Checks the disks, and sets whether the journal refuses requests.
pub struct DiskGuard {
    journal: Journal,
    free_bytes_min: Option<u64>,
    disks: Vec<Disk>,
}

struct Disk {
    folder: PathBuf,
    is_low: bool,
    is_error_logged: bool,
}

/// Space on a disk, bytes.
#[derive(Debug, Clone, Copy)]
struct Space {
    free: u64,
    total: u64,
}

impl DiskGuard {
    /// Guards the disks of these folders. The first check is done before this returns.
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
                    is_error_logged: false,
                });
            }
        }
        guard.check();
        guard
    }

    /// Checks the disks periodically.
    pub async fn watch(mut self) {
        let mut interval = tokio::time::interval(CHECK_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = self.journal.allowance_used_up() => {}
            }
            // A separate thread is used, because a network disk can answer slowly.
            let looked = tokio::task::spawn_blocking(move || {
                self.check();
                self
            });
            self = match looked.await {
                Ok(guard) => guard,
                Err(_) => return,
            };
        }
    }

    fn check(&mut self) {
        let mut room = u64::MAX;
        for disk in &mut self.disks {
            room = room.min(disk.check(self.free_bytes_min));
        }
        self.journal
            .allow_bytes((room / CHECK_PARTS).max(CHECK_BYTES_MIN));
        let is_low = self.disks.iter().any(|disk| disk.is_low);
        self.journal.set_disk_full(DiskFull::Low, is_low);
    }
}

impl Disk {
    /// Returns the bytes above the minimum. A disk whose space is unknown sets no limit.
    fn check(&mut self, free_bytes_min: Option<u64>) -> u64 {
        let folder = self.folder.display();
        let space = match space_at(&self.folder) {
            Ok(space) => space,
            Err(error) => {
                if !self.is_error_logged {
                    log_line!("warning: cannot read the free space of {folder}: {error}");
                }
                self.is_error_logged = true;
                return u64::MAX;
            }
        };
        self.is_error_logged = false;
        let free_min = free_bytes_min.unwrap_or_else(|| space.free_bytes_min());
        let is_low = space.is_low(free_min, self.is_low);
        if is_low && !self.is_low {
            let free = space.free;
            log_line!(
                "warning: {folder} has {free} free bytes, less than --disk-free-min ({free_min}): requests are refused \
                 until space is free"
            );
        } else if !is_low && self.is_low {
            log_line!("cctf-normalizer: {folder} has enough free space again: requests are accepted");
        }
        self.is_low = is_low;
        space.free.saturating_sub(free_min)
    }
}

impl Space {
    /// Default minimum.
    fn free_bytes_min(self) -> u64 {
        FREE_BYTES_MIN.min(self.total / FREE_PARTS_MIN)
    }

    fn is_low(self, free_min: u64, was_low: bool) -> bool {
        let extra = if was_low { free_min / HYSTERESIS_PARTS } else { 0 };
        self.free < free_min.saturating_add(extra)
    }
}

/// The space on a folder's disk that is available to unprivileged processes.
fn space_at(folder: &Path) -> io::Result<Space> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    let mut statistics = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: both pointers are valid during the call, and the path ends with a zero.
    if unsafe { libc::statvfs(path.as_ptr(), statistics.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so it has filled the structure.
    let statistics = unsafe { statistics.assume_init() };
    Ok(Space {
        free: statistics.f_bavail.saturating_mul(statistics.f_frsize),
        total: statistics.f_blocks.saturating_mul(statistics.f_frsize),
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
    fn requests_are_accepted_again_only_above_the_hysteresis() {
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
