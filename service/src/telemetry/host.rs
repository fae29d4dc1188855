//! What the host and this process use: the host sampled once per collection of metrics.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sysinfo::{MemoryRefreshKind, Networks, System};

use super::interfaces::edge;

/// Interfaces and block devices told of at most, each.
const DEVICES_MAX: usize = 256;
const CLASS_NET: &str = "/sys/class/net";
/// Unit of the sectors in /proc/diskstats, whatever the disk's own is.
const SECTOR_BYTES: u64 = 512;

/// One look at the host.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Busy fraction of all CPUs since the last sample, 0 to 1.
    pub cpu_utilization: Option<f64>,
    /// All memory, bytes.
    pub memory_total: u64,
    /// Memory that can still be used, bytes.
    pub memory_available: u64,
    /// Memory that nothing uses at all, bytes.
    pub memory_free: u64,
    /// Load average over one minute.
    pub load_1m: Option<f64>,
    /// Bytes received and sent since boot, by interface at the machine's edge.
    pub network: BTreeMap<String, (u64, u64)>,
    /// Bytes read and written since boot, by block device, partitions and what is stacked on disks included.
    pub disks: BTreeMap<String, (u64, u64)>,
}

/// Which collection an instrument was last asked in.
#[derive(Debug, Default)]
pub struct Asked(u64);

/// Samples the host. The instruments of one collection share a sample, however long the collection takes.
pub struct Host {
    system: Option<System>,
    networks: Option<Networks>,
    gap_min: Duration,
    collection: u64,
    taken: Option<Instant>,
    cpu: Option<CpuTicks>,
    sample: Option<Sample>,
}

impl Host {
    /// A sampler; what the system does not tell is left out of its samples. A collection that comes sooner than `gap_min`
    /// after a sample, as the one of the shutdown may, has none: its rates would be those of a moment.
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

    /// The host as it is in this collection: an instrument that asks for the second time begins the next one.
    pub fn sample(&mut self, asked: &mut Asked) -> Option<&Sample> {
        if asked.0 == self.collection {
            self.collection += 1;
            let is_too_soon = self.taken.is_some_and(|taken| taken.elapsed() < self.gap_min);
            self.sample = (!is_too_soon).then(|| self.take());
        }
        asked.0 = self.collection;
        self.sample.as_ref()
    }

    fn take(&mut self) -> Sample {
        self.taken = Some(Instant::now());
        let mut sample = Sample {
            cpu_utilization: self.cpu_utilization(),
            load_1m: System::load_average().ok().map(|load| load.one),
            network: self.network(),
            disks: disk_io(&fs::read_to_string("/proc/diskstats").unwrap_or_default()),
            ..Sample::default()
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

/// Time of all CPUs since boot, in the kernel's ticks.
#[derive(Debug, Clone, Copy)]
struct CpuTicks {
    idle: u64,
    all: u64,
}

impl CpuTicks {
    fn read() -> Option<Self> {
        Self::of(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// Of the first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal. What follows, the time of
    /// guests, is in user and nice already.
    fn of(stat: &str) -> Option<Self> {
        const MODES: usize = 8;
        let mut words = stat.lines().next()?.split_ascii_whitespace();
        words.next().filter(|&name| name == "cpu")?;
        let ticks: Vec<u64> = words.take(MODES).map_while(|word| word.parse().ok()).collect();
        Some(Self {
            idle: ticks.get(3)? + ticks.get(4)?,
            all: ticks.iter().sum(),
        })
    }

    /// Busy fraction of all CPUs; the kernel lets the time spent waiting for disks go back at times.
    fn busy_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|&ticks| ticks > 0)?;
        let idle = self.idle.saturating_sub(before.idle).min(all);
        Some((all - idle) as f64 / all as f64)
    }
}

/// Bytes read and written by device, of /proc/diskstats. A device that has moved none yet is left out.
fn disk_io(diskstats: &str) -> BTreeMap<String, (u64, u64)> {
    let device = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let bytes = |place: usize| {
            let sectors: u64 = words.get(place)?.parse().ok()?;
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
    // SAFETY: the pointer is to a whole rusage of this frame, for which all-zero bytes are a valid value.
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
    fn a_sample_tells_what_the_system_knows() {
        let mut host = Host::new(Duration::ZERO);
        let sample = host.sample(&mut Asked::default()).unwrap();
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
    fn instruments_of_a_collection_share_a_sample_and_the_next_one_has_another_if_it_is_not_too_soon() {
        for (gap_min, has_second) in [(Duration::ZERO, true), (Duration::MAX, false)] {
            let mut host = Host::new(gap_min);
            let (mut one, mut other) = (Asked::default(), Asked::default());
            host.sample(&mut one).unwrap();
            // Marks this sample.
            host.sample.as_mut().unwrap().memory_total = 1;
            assert_eq!(host.sample(&mut other).unwrap().memory_total, 1);
            for asked in [&mut one, &mut other] {
                let second = host.sample(asked);
                assert_eq!(second.is_some(), has_second);
                assert!(second.is_none_or(|sample| sample.memory_total > 1));
            }
            assert_eq!(host.collection, 2);
        }
    }

    #[test]
    fn cpu_use_is_all_time_but_idle_and_waiting_for_disks() {
        let before = CpuTicks::of("cpu  100 0 50 1000 20 0 0 0 7 0\ncpu0 1").unwrap();
        let after = CpuTicks::of("cpu  130 5 60 1040 30 1 2 2 9 0\n").unwrap();
        assert_eq!(after.busy_since(before), Some(0.5));
        assert_eq!(before.busy_since(before), None);
        assert!(CpuTicks::of("intr 1 2 3 4 5").is_none());
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
