//! A disk whose writes can be incomplete, and on which every k-th operation fails.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cctf_normalizer::sink::{Disk, Storage};

/// The faults, shared with the test.
#[derive(Debug, Default, Clone, Copy)]
pub struct Plan {
    calls: u64,
    /// Calls whose number is a multiple of this fail. 0: none.
    pub every: u64,
    /// The error of these calls.
    pub errno: i32,
    /// Maximum number of bytes that a call writes. 0: no maximum.
    pub piece: usize,
}

impl Plan {
    fn step(plan: &Mutex<Self>, is_write: bool) -> io::Result<()> {
        let mut plan = plan.lock().unwrap();
        plan.calls += 1;
        // The standard library repeats all other calls that a signal interrupts.
        let is_spared = plan.errno == libc::EINTR && !is_write;
        if plan.every > 0 && plan.calls.is_multiple_of(plan.every) && !is_spared {
            return Err(io::Error::from_raw_os_error(plan.errno));
        }
        Ok(())
    }
}

/// The faulty disk.
pub struct Faulty(pub Arc<Mutex<Plan>>);

struct FaultyFile {
    file: Box<dyn Write + Send>,
    plan: Arc<Mutex<Plan>>,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Plan::step(&self.plan, true)?;
        let piece = self.plan.lock().unwrap().piece;
        let len = if piece == 0 {
            bytes.len()
        } else {
            bytes.len().min(piece)
        };
        self.file.write(&bytes[..len])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Faulty {
    fn step(&self) -> io::Result<()> {
        Plan::step(&self.0, false)
    }

    fn wrap(&self, file: Box<dyn Write + Send>) -> Box<dyn Write + Send> {
        let plan = Arc::clone(&self.0);
        Box::new(FaultyFile { file, plan })
    }
}

impl Storage for Faulty {
    fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| Disk.create_folder(path))
    }
    fn exists(&mut self, path: &Path) -> io::Result<bool> {
        self.step().and_then(|()| Disk.exists(path))
    }
    fn open_append(&mut self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        self.step()?;
        Ok(self.wrap(Disk.open_append(path)?))
    }
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        self.step()?;
        Ok(self.wrap(Disk.create(path)?))
    }
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step().and_then(|()| Disk.rename(from, to))
    }
    fn symlink(&mut self, target: &Path, link: &Path) -> io::Result<()> {
        self.step().and_then(|()| Disk.symlink(target, link))
    }
    fn read_link(&mut self, link: &Path) -> io::Result<PathBuf> {
        Disk.read_link(link)
    }
    fn remove(&mut self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }
    fn lock(&mut self, path: &Path) -> io::Result<Box<dyn Send>> {
        self.step().and_then(|()| Disk.lock(path))
    }
    fn cut_torn_line(&mut self, path: &Path) -> io::Result<u64> {
        self.step().and_then(|()| Disk.cut_torn_line(path))
    }
    fn len(&mut self, path: &Path) -> io::Result<Option<u64>> {
        self.step().and_then(|()| Disk.len(path))
    }
    fn holds(&mut self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        self.step().and_then(|()| Disk.holds(path, offset, bytes))
    }
    fn read(&mut self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.step().and_then(|()| Disk.read(path))
    }
    // A real sync would only take time, because the test simulates a power loss on the bytes of the journal.
    fn sync(&mut self, _path: &Path) -> io::Result<()> {
        self.step()
    }
    fn sync_folder(&mut self, _path: &Path) -> io::Result<()> {
        self.step()
    }
}
