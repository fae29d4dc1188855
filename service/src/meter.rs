//! The kernel's accounting of a thread: its CPU time, and its run-queue delay (runnable without a CPU).

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Enough for `/proc/thread-self/schedstat`, which contains three decimal 64-bit numbers.
const SCHEDSTAT_LEN_MAX: usize = 64;

/// Shorter times off the CPU cannot be run-queue delay, because two context switches take longer.
const OFF_CPU_MIN: Duration = Duration::from_micros(1);

thread_local! {
    static METER: ThreadMeter = ThreadMeter::open();
}

/// A reading of this thread's two clocks. Only differences between readings of the same thread are meaningful.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// CPU time used, nanoseconds.
    pub cpu_ns: u64,
    /// Run-queue delay, nanoseconds; 0 if the kernel does not report it.
    pub wait_ns: u64,
}

impl Reading {
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            wait_ns: self.wait_ns.saturating_sub(earlier.wait_ns),
        }
    }

    pub fn add(&mut self, other: Self) {
        self.cpu_ns = self.cpu_ns.saturating_add(other.cpu_ns);
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
    }
}

/// Reads the calling thread's clocks: two system calls, 0.6 us. The second call is skipped if the thread has been on a CPU
/// without a break since its last reading, because the delay cannot have grown.
pub fn read() -> Reading {
    METER.with(ThreadMeter::read)
}

/// CPU time of the calling thread, nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the argument is a pointer to a live timespec on this stack frame, as clock_gettime requires.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    if result != 0 {
        return 0;
    }
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

struct ThreadMeter {
    // Kept open: the file stays bound to the thread that opened it, and pread costs a third of open.
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
        // In this order, a preemption between the two lines is detected by the next reading.
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

    /// Fails if a reading keeps the last delay although the thread was off the CPU (seen when OFF_CPU_MIN was one second).
    #[test]
    fn a_skipped_reading_has_not_changed() {
        pin_to_one_cpu();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        // The new thread inherits the CPU affinity, so that one of the two threads always waits.
        let other = std::thread::spawn({
            let stop = stop.clone();
            move || while !stop.load(std::sync::atomic::Ordering::Relaxed) {}
        });
        let direct = ThreadMeter::open();
        let delay_ns = || direct.run_queue_delay_ns().unwrap_or(0);
        let (outer, first, inner) = (delay_ns(), read(), delay_ns());
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut readings = 0;
        while delay_ns() < inner + 20_000_000 && Instant::now() < deadline {
            let reading = read();
            readings += 1;
            // The readings are far apart, so that the skipped delay is small compared with the total.
            while thread_cpu_ns() < reading.cpu_ns + 200_000 {}
        }
        let (inner, last, outer) = (delay_ns() - inner, read(), delay_ns() - outer);
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
        // SAFETY: the set is on this stack frame and has the given size; zero is the calling thread.
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
