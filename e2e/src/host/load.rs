//! A known load on a CPU, a disk and a veth pair. The veth pair needs root.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use super::machine::ip;

/// Bytes of a write. A read has half of this size.
const CHUNK_BYTES: usize = 64 * 1024;
/// Length of the file. Writes start at the beginning when they reach its end.
const FILE_CHUNKS: u64 = 1024;
/// Payload of a datagram. It is one packet, because the interfaces accept jumbo frames.
pub const DATAGRAM_BYTES: usize = 8_000;
/// Ethernet, IP and UDP headers, which the interfaces count as well.
pub const HEADER_BYTES: usize = 14 + 20 + 8;
/// One of this number of datagrams is echoed.
pub const ECHO_EACH: u64 = 4;
/// Interval between two batches of datagrams or chunks.
const TICK: Duration = Duration::from_millis(8);

/// Memory aligned for direct I/O.
#[repr(align(4096))]
struct Chunk([u8; CHUNK_BYTES]);

/// Threads that work until [`Load::finish`].
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Load {
    pub fn new() -> Self {
        Self {
            stop: Arc::default(),
            threads: Vec::new(),
        }
    }

    fn spawn(&mut self, work: impl FnOnce(&AtomicBool) -> anyhow::Result<()> + Send + 'static) {
        let stop = self.stop.clone();
        self.threads.push(std::thread::spawn(move || work(&stop)));
    }

    /// Keeps one CPU busy.
    pub fn burn(&mut self) {
        self.spawn(|stop| {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            Ok(())
        });
    }

    /// Writes `bytes_per_second` to a disk, and reads half of that. Both bypass the page cache.
    pub fn write(&mut self, folder: &Path, bytes_per_second: u64) -> anyhow::Result<()> {
        let cannot = || format!("cannot write to {} past the page cache", folder.display());
        let named = tempfile::NamedTempFile::new_in(folder).with_context(cannot)?;
        let mut options = File::options();
        options.read(true).write(true).custom_flags(libc::O_DIRECT);
        let file = options.open(named.path()).with_context(cannot)?;
        let mut memory = Box::new(Chunk([7; CHUNK_BYTES]));
        // The blocks are allocated before the measurement, so that later writes contain only data.
        for place in 0..FILE_CHUNKS {
            file.write_all_at(&memory.0, place * CHUNK_BYTES as u64)
                .with_context(cannot)?;
        }
        file.sync_all()?;
        self.spawn(move |stop| {
            // The file is deleted when this is dropped.
            let _named = named;
            let mut place = 0;
            pace(stop, bytes_per_second / CHUNK_BYTES as u64, || {
                let at = place * CHUNK_BYTES as u64;
                file.write_all_at(&memory.0, at)?;
                file.read_exact_at(&mut memory.0[..CHUNK_BYTES / 2], at)?;
                place = (place + 1) % FILE_CHUNKS;
                Ok(())
            })
        });
        Ok(())
    }

    /// Sends `datagrams_per_second` over a veth pair. The far end echoes some of them.
    pub fn transfer(&mut self, veth: &Veth, datagrams_per_second: u64) -> anyhow::Result<()> {
        let echo = veth.peer_socket()?;
        let socket = UdpSocket::bind(veth.near)?;
        socket.connect(veth.far)?;
        let arrived = veth.arrived.clone();
        self.spawn(move |stop| {
            let mut datagram = [0; DATAGRAM_BYTES];
            while !stop.load(Ordering::Relaxed) {
                match echo.recv_from(&mut datagram) {
                    Ok((_, from)) => {
                        if arrived.fetch_add(1, Ordering::Relaxed).is_multiple_of(ECHO_EACH) {
                            echo.send_to(&datagram, from)?;
                        }
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        });
        self.spawn(move |stop| {
            pace(stop, datagrams_per_second, || {
                socket.send(&[0; DATAGRAM_BYTES])?;
                Ok(())
            })
        });
        Ok(())
    }

    /// Stops all threads and returns their first error.
    pub fn finish(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .map_err(|_| anyhow!("a thread of the load panicked"))?
        })
    }
}

impl Default for Load {
    fn default() -> Self {
        Self::new()
    }
}

/// Calls `work` a number of times per second. Each call has an absolute time, so that delays of a busy machine do not add up.
fn pace(
    stop: &AtomicBool,
    per_second: u64,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (start, mut done) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_secs_f64() * per_second as f64) as u64;
        while done < due && !stop.load(Ordering::Relaxed) {
            work()?;
            done += 1;
        }
        std::thread::sleep(TICK);
    }
    Ok(())
}

/// A veth pair whose far end has its own network namespace. Dropping it deletes both ends.
pub struct Veth {
    namespace: String,
    near: SocketAddr,
    far: SocketAddr,
    arrived: Arc<AtomicU64>,
}

impl Veth {
    pub fn new() -> anyhow::Result<Self> {
        let id = std::process::id();
        // 198.18.0.0/15 is reserved for measurements. Each process takes four addresses.
        let (third, fourth) = (id / 64 % 256, id % 64 * 4);
        let address = |host: u32| format!("198.18.{third}.{}", fourth + host);
        let veth = Self {
            namespace: format!("cctf{id}"),
            near: format!("{}:0", address(1)).parse()?,
            far: format!("{}:9", address(2)).parse()?,
            arrived: Arc::default(),
        };
        let (here, there, space) = (format!("cctf{id}a"), format!("cctf{id}b"), &veth.namespace);
        ip(&format!("netns add {space}"))?;
        ip(&format!(
            "link add {here} mtu 9000 type veth peer name {there} mtu 9000 netns {space}"
        ))?;
        ip(&format!("addr add {}/30 dev {here}", address(1)))?;
        ip(&format!("link set {here} up"))?;
        ip(&format!("-n {space} addr add {}/30 dev {there}", address(2)))?;
        ip(&format!("-n {space} link set {there} up"))?;
        Ok(veth)
    }

    /// Number of datagrams that the far end received.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// A socket at the far end. A thread that enters the namespace opens it.
    fn peer_socket(&self) -> anyhow::Result<UdpSocket> {
        let namespace = Path::new("/run/netns").join(&self.namespace);
        let address = self.far;
        let made = std::thread::spawn(move || {
            let namespace =
                File::open(&namespace).with_context(|| format!("cannot open {}", namespace.display()))?;
            // SAFETY: the descriptor is open; only this thread, which ends, changes its namespace.
            if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                bail!(
                    "cannot enter a network namespace: {}",
                    std::io::Error::last_os_error()
                );
            }
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(Duration::from_millis(100)))?;
            Ok(socket)
        });
        made.join()
            .map_err(|_| anyhow!("the thread at the far end panicked"))?
    }
}

impl Drop for Veth {
    fn drop(&mut self) {
        // Deleting the namespace deletes the pair.
        let _ = ip(&format!("netns del {}", self.namespace));
    }
}
