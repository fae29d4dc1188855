//! The settings of the memory allocator for a load.

/// Prevents the C library from postponing the merge of small free blocks.
///
/// One thread allocates requests and another frees them, thousands a second. By default, glibc keeps freed blocks of up to 128
/// bytes unmerged, until a block of 64 KiB is freed: the thread that frees such a body then merges all of them, which took 3 to
/// 17 ms here, and the io loop sent and read nothing in this time. See `M_MXFAST` in mallopt(3).
pub fn merge_free_blocks_at_once() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes the allocator's own lock, so it may be called at any time. Failure leaves the default.
    unsafe {
        libc::mallopt(libc::M_MXFAST, 0);
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    /// Blocks that wait for their merge, bytes.
    fn unmerged() -> usize {
        // SAFETY: the call reads the allocator's figures under its own lock.
        unsafe { libc::mallinfo2() }.fsmblks
    }

    #[test]
    fn freed_blocks_do_not_wait_for_a_large_one() {
        merge_free_blocks_at_once();
        let before = unmerged();
        let mut blocks: Vec<Box<[u8; 64]>> = (0..10_000).map(|_| Box::new([1; 64])).collect();
        // The list itself stays, because it is a large block.
        blocks.clear();
        assert!(unmerged() <= before);
    }
}
