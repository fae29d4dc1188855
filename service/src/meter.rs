//! What the kernel charges a thread: its CPU time, and the time it was ready to run and had no CPU.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// `/proc/thread-self/schedstat` holds three decimal numbers of 64 bits.
const SCHEDSTAT_LEN_MAX: usize = 64;

/// Time without a CPU that no thread can have spent in a run queue: being switched out and in again takes longer.
const OFF_CPU_MIN: Duration = Duration::from_micros(1);

thread_local! {
    static METER: ThreadMeter = ThreadMeter::open();
}

/// A point on this thread's two clocks. Only differences of two readings of one thread mean anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// CPU time used, nanoseconds.
    pub cpu_ns: u64,
    /// Time spent runnable without a CPU, nanoseconds; 0 where the kernel does not tell.
    pub wait_ns: u64,
}

impl Reading {
    /// What has been used since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            wait_ns: self.wait_ns.saturating_sub(earlier.wait_ns),
        }
    }

    /// Adds what another stretch of work has used.
    pub fn add(&mut self, other: Self) {
        self.cpu_ns = self.cpu_ns.saturating_add(other.cpu_ns);
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
    }
}

/// Reads the calling thread's clocks: two system calls, 0.6 us. The second one is left out if the thread has had a CPU all the
/// time since its last reading, for then the delay cannot have grown.
pub fn read() -> Reading {
    METER.with(ThreadMeter::read)
}

/// CPU time of the calling thread, nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live timespec of this frame, which is all that clock_gettime asks for.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if result != 0 {
        return 0;
    }
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

struct ThreadMeter {
    // Kept open: the file stays bound to the thread that opened it, and a pread costs a third of an open.
    schedstat: Option<File>,
    last: Cell<Option<(Instant, Reading)>>,
}

impl ThreadMeter {
    fn open() -> Self {
        Self {
            schedstat: File::open("/proc/thread-self/schedstat").ok(),
            last: Cell::new(None),
        }
    }

    fn read(&self) -> Reading {
        // In this order: if the thread loses its CPU in between, it is the next reading that finds it missing.
        let now = Instant::now();
        let cpu_ns = thread_cpu_ns();
        let unchanged = self.last.get().filter(|(then, last)| {
            let on_cpu = Duration::from_nanos(cpu_ns.saturating_sub(last.cpu_ns));
            now.saturating_duration_since(*then).saturating_sub(on_cpu) < OFF_CPU_MIN
        });
        let wait_ns = match unchanged {
            Some((_, last)) => last.wait_ns,
            None => self.run_queue_delay_ns().unwrap_or(0),
        };
        let reading = Reading { cpu_ns, wait_ns };
        self.last.set(Some((now, reading)));
        reading
    }

    fn run_queue_delay_ns(&self) -> Option<u64> {
        let mut buffer = [0_u8; SCHEDSTAT_LEN_MAX];
        let length = self.schedstat.as_ref()?.read_at(&mut buffer, 0).ok()?;
        second_number(&buffer[..length])
    }
}

fn second_number(text: &[u8]) -> Option<u64> {
    let word = text.split(|byte| *byte == b' ').nth(1)?;
    std::str::from_utf8(word).ok()?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_queue_delay_is_the_second_number_of_schedstat() {
        assert_eq!(second_number(b"60533 59787 2\n"), Some(59_787));
        assert_eq!(second_number(b"60533"), None);
        assert_eq!(second_number(b""), None);
    }

    #[test]
    fn work_costs_cpu_time_and_sleep_does_not() {
        let before = read();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let slept = read();
        let mut sum = 0_u64;
        while thread_cpu_ns() < slept.cpu_ns + 5_000_000 {
            sum = std::hint::black_box(sum + 1);
        }
        let worked = read();
        assert!(worked.since(slept).cpu_ns >= 5_000_000);
        assert!(slept.since(before).cpu_ns < worked.since(slept).cpu_ns);
    }

    /// Fails if a reading keeps the last delay though the thread was without a CPU (seen with that comparison at a second).
    #[test]
    fn what_is_not_read_again_has_not_changed() {
        pin_to_one_cpu();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        // Inherits the CPU, so that one of the two always waits.
        let other = std::thread::spawn({
            let stop = stop.clone();
            move || while !stop.load(std::sync::atomic::Ordering::Relaxed) {}
        });
        let direct = ThreadMeter::open();
        let told = || direct.run_queue_delay_ns().unwrap_or(0);
        let (outer, first, inner) = (told(), read(), told());
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut readings = 0;
        while told() < inner + 20_000_000 && Instant::now() < deadline {
            let reading = read();
            readings += 1;
            // Readings far apart, so that what they may leave out is little beside what was waited.
            while thread_cpu_ns() < reading.cpu_ns + 200_000 {}
        }
        let (inner, last, outer) = (told() - inner, read(), told() - outer);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        other.join().unwrap();
        let waited = last.since(first).wait_ns;
        let unseen_max = readings * u64::try_from(OFF_CPU_MIN.as_nanos()).unwrap();
        assert!(waited <= outer, "{waited} of at most {outer}");
        assert!(
            waited + unseen_max >= inner,
            "{waited} of at least {inner}, {readings} readings"
        );
    }

    fn pin_to_one_cpu() {
        // SAFETY: the set is of this frame and as large as is said; zero is the calling thread.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            assert_eq!(libc::sched_getaffinity(0, size_of_val(&set), &raw mut set), 0);
            let first = (0..libc::CPU_SETSIZE as usize).find(|cpu| libc::CPU_ISSET(*cpu, &set));
            libc::CPU_ZERO(&mut set);
            libc::CPU_SET(first.unwrap(), &mut set);
            assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
        }
    }

    #[test]
    fn a_difference_never_underflows() {
        let later = Reading {
            cpu_ns: 5,
            wait_ns: 5,
        };
        assert_eq!(Reading::default().since(later), Reading::default());
    }
}
