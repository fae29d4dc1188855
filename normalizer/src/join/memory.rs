//! How large tables ask for memory: [`prefetch`] before it is needed, [`large_vec`] in large pages.
//!
//! Tables that hold minutes of spans are larger than any cache, and the place of a lookup is random. Without prefetching,
//! half the cost of a span was waiting for memory.

use std::mem::MaybeUninit;

/// Requests the cache line of this item ahead of its use.
#[inline]
pub fn prefetch<T>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of every x86-64, and a prefetch has no effect that the program can observe.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
    // On other architectures the lookup itself loads it.
    #[cfg(not(target_arch = "x86_64"))]
    let _ = item;
}

/// `len` times this item, in large pages if they are many.
pub fn large_vec<T: Clone>(item: T, len: usize) -> Vec<T> {
    let mut items = Vec::with_capacity(len);
    use_large_pages(items.spare_capacity_mut());
    items.resize(len, item);
    items
}

/// Requests large pages for memory that nothing has been written to. With pages of 4 KiB, each lookup in a large table first
/// waits for the address of its page. It gains nothing in a virtual machine whose host backs its memory with small pages.
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
