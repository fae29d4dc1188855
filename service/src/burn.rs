//! [`burn`]: uses CPU time of the calling thread.

use sha2::{Digest, Sha256};

use crate::meter::thread_cpu_ns;

/// Bytes that are hashed between two readings of the thread's CPU clock. Hashing them takes about 2 us. So the readings take a
/// tenth of the time, and the end is exact to 2 us.
const BLOCK: [u8; 4096] = [0x5a; 4096];

/// Uses CPU time of this thread. Time in which the thread has no CPU does not count.
pub fn burn(cpu_ns: u64) {
    let end = thread_cpu_ns().saturating_add(cpu_ns);
    while cpu_ns > 0 && thread_cpu_ns() < end {
        std::hint::black_box(Sha256::digest(BLOCK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_this_threads_cpu_time() {
        let before = thread_cpu_ns();
        burn(3_000_000);
        assert!(thread_cpu_ns() - before >= 3_000_000);
    }
}
