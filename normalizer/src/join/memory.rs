//! Hints to the processor and kernel for large tables: [`prefetch`] loads memory before it is needed, and [`large_vec`] uses
//! large pages.
//!
//! Tables that hold minutes of spans are larger than any cache, and lookups read random positions. Without prefetching, half
//! the cost of a span was the wait for memory.

use std::mem::MaybeUninit;

/// Loads the cache line of this item before it is used.
#[inline]
pub fn prefetch<T>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of every x86-64, and a prefetch has no effect that the program can observe.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
    // On other architectures, the line is loaded when it is used.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}

/// A vector of `len` copies of this item. It uses large pages if it is large.
pub fn large_vec<T: Clone>(item: T, len: usize) -> Vec<T> {
    let mut items = Vec::with_capacity(len);
    use_large_pages(items.spare_capacity_mut());
    items.resize(len, item);
    items
}

/// Requests large pages for memory to which nothing has been written. With pages of 4 KiB, each lookup in a large table would
/// first wait for the address of its page. In a virtual machine this has no effect if the host uses small pages for the
/// machine's memory.
pub fn use_large_pages<T>(unused: &mut [MaybeUninit<T>]) {
    #[cfg(target_os = "linux")]
    {
        const LARGE_PAGE_BYTES: usize = 2 * 1024 * 1024;
        let begin = unused.as_mut_ptr().cast::<u8>();
        let bytes = size_of_val(unused);
        let skipped = begin.align_offset(LARGE_PAGE_BYTES);
        let len = bytes.saturating_sub(skipped) / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
        if len > 0 {
            // SAFETY: the range lies within memory that only this function borrows, and the advice changes no byte of it.
            // A kernel without large pages rejects the advice, which is harmless.
            let _ = unsafe { libc::madvise(begin.add(skipped).cast(), len, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = unused;
}
