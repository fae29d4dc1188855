//! Resource use of the host and of this process. The host is sampled once per collection of metrics.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sysinfo::{MemoryRefreshKind, Networks, System};

use super::interfaces::edge;

/// Maximum number of reported interfaces, and of reported block devices.
const DEVICES_MAX: usize = 256;
const CLASS_NET: &str = "/sys/class/net";
/// Size of a sector in /proc/diskstats, whatever the disk's own sector size is.
const SECTOR_BYTES: u64 = 512;

/// The host at one point in time.
#[derive(Debug, Clone, Default)]
pub struct HostSample {
    /// Busy fraction of all CPUs since the last sample, 0 to 1.
    pub cpu_utilization: Option<f64>,
    /// Bytes.
    pub memory_total: u64,
    /// Bytes that processes can still allocate.
    pub memory_available: u64,
    /// Unused bytes, without caches.
    pub memory_free: u64,
    /// Load average over one minute.
    pub load_1m: Option<f64>,
    /// Bytes received and sent since boot, by interface (see [`edge`]).
    pub network: BTreeMap<String, (u64, u64)>,
    /// Bytes read and written since boot, by block device, including partitions and stacked devices.
    pub disks: BTreeMap<String, (u64, u64)>,
}

/// The collection in which an instrument was last observed.
#[derive(Debug, Default)]
pub struct LastCollection(u64);

/// Takes samples of the host. All instruments of a collection share one sample.
pub struct Host {
    system: Option<System>,
    networks: Option<Networks>,
    gap_min: Duration,
    collection: u64,
    taken: Option<Instant>,
    cpu: Option<CpuTicks>,
    sample: Option<HostSample>,
}

impl Host {
    /// A sampler. Its samples omit values that the system does not report. A collection less than `gap_min` after the last
    /// sample, such as the one at shutdown, has no sample: its rates would cover too little time.
    pub fn new(gap_min: Duration) -> Self {
        Self {
            system: System::new().ok(),
            networks: Networks::new().ok(),
            gap_min,
            collection: 0,
            taken: None,
            cpu: CpuTicks::read(),
            sample: None,
        }
    }

    /// The sample of this collection. The next collection begins when an instrument calls this for the second time.
    pub fn sample(&mut self, last: &mut LastCollection) -> Option<&HostSample> {
        if last.0 == self.collection {
            self.collection += 1;
            let is_too_soon = self.taken.is_some_and(|taken| taken.elapsed() < self.gap_min);
            self.sample = (!is_too_soon).then(|| self.take());
        }
        last.0 = self.collection;
        self.sample.as_ref()
    }

    fn take(&mut self) -> HostSample {
        self.taken = Some(Instant::now());
        let mut sample = HostSample {
            cpu_utilization: self.cpu_utilization(),
            load_1m: System::load_average().ok().map(|load| load.one),
            network: self.network(),
            disks: disk_io(&fs::read_to_string("/proc/diskstats").unwrap_or_default()),
            ..HostSample::default()
        };
        if let Some(system) = &mut self.system {
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
            sample.memory_total = system.total_memory();
            sample.memory_available = system.available_memory();
            sample.memory_free = system.free_memory();
        }
        sample
    }

    fn cpu_utilization(&mut self) -> Option<f64> {
        let now = CpuTicks::read()?;
        let before = self.cpu.replace(now)?;
        now.busy_since(before)
    }

    fn network(&mut self) -> BTreeMap<String, (u64, u64)> {
        let Some(networks) = &mut self.networks else {
            return BTreeMap::new();
        };
        networks.refresh(true);
        let at_edge = edge(Path::new(CLASS_NET));
        let named = networks
            .iter()
            .map(|(name, data)| (name.to_string_lossy().into_owned(), data));
        named
            .filter(|(name, _)| at_edge.contains(name))
            .take(DEVICES_MAX)
            .map(|(name, data)| (name, (data.total_received(), data.total_transmitted())))
            .collect()
    }
}

/// Time of all CPUs since boot, in clock ticks.
#[derive(Debug, Clone, Copy)]
struct CpuTicks {
    idle: u64,
    all: u64,
}

impl CpuTicks {
    fn read() -> Option<Self> {
        Self::from_stat(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// Reads the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. The guest times after them
    /// are already part of user and nice.
    fn from_stat(stat: &str) -> Option<Self> {
        const MODES: usize = 8;
        let mut words = stat.lines().next()?.split_ascii_whitespace();
        words.next().filter(|&name| name == "cpu")?;
        let ticks: Vec<u64> = words.take(MODES).map_while(|word| word.parse().ok()).collect();
        Some(Self {
            idle: ticks.get(3)? + ticks.get(4)?,
            all: ticks.iter().sum(),
        })
    }

    /// Busy fraction of all CPUs. The kernel sometimes decreases iowait, so the idle time may seem to shrink.
    fn busy_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|&ticks| ticks > 0)?;
        let idle = self.idle.saturating_sub(before.idle).min(all);
        Some((all - idle) as f64 / all as f64)
    }
}

/// Bytes read and written by device, from /proc/diskstats. Devices without any I/O are left out.
fn disk_io(diskstats: &str) -> BTreeMap<String, (u64, u64)> {
    let device = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let bytes = |index: usize| {
            let sectors: u64 = words.get(index)?.parse().ok()?;
            sectors.checked_mul(SECTOR_BYTES)
        };
        Some(((*words.get(2)?).to_owned(), (bytes(5)?, bytes(9)?)))
    };
    diskstats
        .lines()
        .filter_map(device)
        .filter(|(_, bytes)| *bytes != (0, 0))
        .take(DEVICES_MAX)
        .collect()
}

/// CPU seconds of this process in user and in system mode.
pub fn process_cpu() -> (f64, f64) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole rusage on this stack frame, for which all-zero bytes are a valid value.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime), seconds(usage.ru_stime))
}

/// Resident memory of this process, bytes.
pub fn process_memory() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    // SAFETY: sysconf only reads a constant of the system.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(page_bytes).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_the_values_of_the_system() {
        let mut host = Host::new(Duration::ZERO);
        let sample = host.sample(&mut LastCollection::default()).unwrap();
        assert!(
            sample
                .cpu_utilization
                .is_none_or(|busy| (0.0..=1.0).contains(&busy))
        );
        assert!(sample.memory_total >= sample.memory_available && sample.memory_available > 0);
        assert!(!sample.network.contains_key("lo"));
        assert!(process_memory().is_some_and(|bytes| bytes > 1 << 20));
        let cpu = process_cpu();
        assert!(cpu.0 + cpu.1 > 0.0);
    }

    #[test]
    fn a_collection_has_one_sample_and_none_if_it_is_too_early() {
        for (gap_min, has_second) in [(Duration::ZERO, true), (Duration::MAX, false)] {
            let mut host = Host::new(gap_min);
            let (mut one, mut other) = (LastCollection::default(), LastCollection::default());
            host.sample(&mut one).unwrap();
            // Marks this sample.
            host.sample.as_mut().unwrap().memory_total = 1;
            assert_eq!(host.sample(&mut other).unwrap().memory_total, 1);
            for last in [&mut one, &mut other] {
                let second = host.sample(last);
                assert_eq!(second.is_some(), has_second);
                assert!(second.is_none_or(|sample| sample.memory_total > 1));
            }
            assert_eq!(host.collection, 2);
        }
    }

    #[test]
    fn cpu_use_is_all_time_except_idle_and_iowait() {
        let before = CpuTicks::from_stat("cpu  100 0 50 1000 20 0 0 0 7 0\ncpu0 1").unwrap();
        let after = CpuTicks::from_stat("cpu  130 5 60 1040 30 1 2 2 9 0\n").unwrap();
        assert_eq!(after.busy_since(before), Some(0.5));
        assert_eq!(before.busy_since(before), None);
        assert!(CpuTicks::from_stat("intr 1 2 3 4 5").is_none());
    }

    #[test]
    fn sectors_of_each_device_become_bytes() {
        let diskstats = "   7  0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n 254  0 vda 7 5 4 9 3 1 2 2 0 9 1 1 1 6 1 1 7\n";
        assert_eq!(
            disk_io(diskstats),
            BTreeMap::from([("vda".to_owned(), (2048, 1024))])
        );
    }
}
