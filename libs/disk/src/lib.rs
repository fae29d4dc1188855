//! Large files, written past the page cache (`O_DIRECT`).
//!
//! A page of the cache costs time to find, fill, mark, write back and free. On a virtual machine, the host may first have to
//! provide the memory of the page. For bytes that nobody reads soon, the cache has no benefit.
//!
//! - [`aligned`]: a buffer whose address is aligned, as writes past the cache require.
//! - [`direct`]: the switch between such writes and ordinary ones.
//! - [`large`]: a new file, whose whole blocks go past the cache.
//! - [`reserve`]: disk space beyond the end of a file that grows.

pub mod aligned;
pub mod direct;
pub mod large;
pub mod reserve;

/// Alignment of address, offset and length of a direct write. No disk has larger blocks.
pub const BLOCK_BYTES: usize = 4096;
