//! What the host and this process use, sampled once per collection.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use sysinfo::{DiskRefreshKind, Disks, MemoryRefreshKind, Networks, System};

/// Callbacks of one collection come within this time, and share a sample.
const SAMPLE_AGE_MAX: Duration = Duration::from_millis(5);
/// Interfaces and disks told of at most, each.
const DEVICES_MAX: usize = 64;

/// One look at the host and this process.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Busy fraction of all CPUs since the last sample, 0 to 1; none in the first.
    pub cpu_utilization: Option<f64>,
    /// All memory, bytes.
    pub memory_total: u64,
    /// Memory that can still be used, bytes.
    pub memory_available: u64,
    /// Memory that nothing uses at all, bytes.
    pub memory_free: u64,
    /// Load average over one minute.
    pub load_1m: Option<f64>,
    /// Bytes received and sent since boot, by interface, without loopback.
    pub network: BTreeMap<String, (u64, u64)>,
    /// Bytes read and written since boot, by device.
    pub disks: BTreeMap<String, (u64, u64)>,
    /// CPU seconds of this process in user and in system mode.
    pub process_cpu: (f64, f64),
    /// Resident memory of this process, bytes.
    pub process_memory: Option<u64>,
}

/// Samples the host, at most once in a short while.
pub struct Host {
    system: Option<System>,
    networks: Option<Networks>,
    disks: Option<Disks>,
    primed: bool,
    sampled: Option<(Instant, Sample)>,
}

impl Host {
    /// A sampler; what the system does not tell is left out of its samples.
    pub fn new() -> Self {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            system.refresh_cpu_usage();
        }
        Self {
            system,
            networks: Networks::new().ok(),
            disks: Disks::new().ok(),
            primed: false,
            sampled: None,
        }
    }

    /// The host as it is now.
    pub fn sample(&mut self) -> &Sample {
        let fresh = self
            .sampled
            .as_ref()
            .is_some_and(|(taken, _)| taken.elapsed() < SAMPLE_AGE_MAX);
        if !fresh {
            let sample = self.take();
            self.sampled = Some((Instant::now(), sample));
        }
        &self
            .sampled
            .get_or_insert_with(|| (Instant::now(), Sample::default()))
            .1
    }

    fn take(&mut self) -> Sample {
        let mut sample = Sample {
            load_1m: System::load_average().ok().map(|load| load.one),
            network: self.network(),
            disks: self.disk_io(),
            process_cpu: process_cpu(),
            process_memory: process_memory(),
            ..Sample::default()
        };
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
            let busy = f64::from(system.global_cpu_usage()) / 100.0;
            sample.cpu_utilization = self.primed.then_some(busy.clamp(0.0, 1.0));
            self.primed = true;
            sample.memory_total = system.total_memory();
            sample.memory_available = system.available_memory();
            sample.memory_free = system.free_memory();
        }
        sample
    }

    fn network(&mut self) -> BTreeMap<String, (u64, u64)> {
        let Some(networks) = &mut self.networks else {
            return BTreeMap::new();
        };
        networks.refresh(true);
        let named = networks
            .iter()
            .map(|(name, data)| (name.to_string_lossy().into_owned(), data));
        named
            .filter(|(name, _)| name != "lo")
            .take(DEVICES_MAX)
            .map(|(name, data)| (name, (data.total_received(), data.total_transmitted())))
            .collect()
    }

    /// A device that is mounted at several places is told once.
    fn disk_io(&mut self) -> BTreeMap<String, (u64, u64)> {
        let Some(disks) = &mut self.disks else {
            return BTreeMap::new();
        };
        disks.refresh_specifics(true, DiskRefreshKind::nothing().with_io_usage());
        let named = disks
            .iter()
            .map(|disk| (disk.name().to_string_lossy().into_owned(), disk.usage()));
        named
            .take(DEVICES_MAX)
            .map(|(name, usage)| (name, (usage.total_read_bytes, usage.total_written_bytes)))
            .collect()
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

fn process_cpu() -> (f64, f64) {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole rusage of this frame, for which all-zero bytes are a valid value.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime), seconds(usage.ru_stime))
}

fn process_memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
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
        let mut host = Host::new();
        assert_eq!(host.sample().cpu_utilization, None);
        let sample = host.take();
        assert!(
            sample
                .cpu_utilization
                .is_some_and(|busy| (0.0..=1.0).contains(&busy))
        );
        assert!(sample.memory_total >= sample.memory_available && sample.memory_available > 0);
        assert!(sample.process_memory.is_some_and(|bytes| bytes > 1 << 20));
        assert!(sample.process_cpu.0 + sample.process_cpu.1 > 0.0);
        assert!(!sample.network.contains_key("lo"));
    }
}
