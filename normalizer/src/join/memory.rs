//! How large tables ask for memory: [`prefetch`] before it is needed, [`large_vec`] in large pages.
//!
//! Tables that hold minutes of spans are larger than any cache, and a span asks them at places that nobody can foresee.
//! One question after the other waited for memory for half of what a span cost.

use std::mem::MaybeUninit;

/// Asks for the cache line of this item, so that it is there when its turn comes.
#[inline]
pub fn prefetch<T>(item: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of every x86-64, and a prefetch reads nothing that the program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
    // Elsewhere the look-up itself fetches it.
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

/// Asks for large pages below memory that nothing has been written to. In pages of 4 KiB each question to a large table
/// first waits for the page's address. Where a virtual machine's host backs its memory by small pages nothing is gained.
pub fn use_large_pages<T>(unused: &mut [MaybeUninit<T>]) {
    #[cfg(target_os = "linux")]
    {
        const LARGE_PAGE_BYTES: usize = 2 * 1024 * 1024;
        let begin = unused.as_mut_ptr().cast::<u8>();
        let bytes = size_of_val(unused);
        let skipped = begin.align_offset(LARGE_PAGE_BYTES);
        let len = bytes.saturating_sub(skipped) / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
        if len > 0 {
            // SAFETY: the range lies within memory that is borrowed here alone, and the advice changes no byte of it.
            // A kernel without large pages refuses it, which changes nothing.
            let _ = unsafe { libc::madvise(begin.add(skipped).cast(), len, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = unused;
}
