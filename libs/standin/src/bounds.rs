//! [`CALLS_MAX`] and the other bounds of a plan that a stand-in accepts.

/// Maximum number of calls of one invocation. Plans have the same maximum.
pub const CALLS_MAX: usize = 1_024;
/// Maximum number of invocations that one call causes. A message to a thousand consumers fits.
pub const CALLEES_MAX: usize = 1_024;
/// Maximum number of invocations that all calls of one invocation cause. In a plan, all invocations of a root have the same
/// maximum.
pub const CALLEES_TOTAL_MAX: usize = 16_384;
/// Maximum number of ends for which all calls of one invocation wait. In a plan, a call waits for at most 64 ends, or for at
/// most 128 if it also waits for a group.
pub const WAITS_TOTAL_MAX: usize = 128 * CALLS_MAX;
/// Maximum depth of calls below the first invocation. Plans have the same maximum.
pub const DEPTH_MAX: u32 = 64;
/// Maximum size of a text. Texts in rows of CCTF have the same maximum.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Maximum size of the work in one body, including all nested work. This is 1 KiB for each of 16,384 invocations, the maximum
/// of a root.
pub const WORK_BYTES_MAX: usize = 16 << 20;
/// Maximum size of the body of a request or answer. By default, the service accepts no larger bodies.
pub const BODY_BYTES_MAX: u32 = 64 << 20;
/// Maximum of one duration, and of the CPU time of one invocation: one hour. Without a maximum, a damaged number could occupy a
/// slot forever.
pub const DURATION_NS_MAX: u64 = 3_600_000_000_000;

/// The error for a plan that exceeds [`CALLS_MAX`].
pub(crate) const CALLS_BEYOND: &str = "an invocation has more than 1,024 calls";
/// The error for a plan that exceeds [`CALLEES_MAX`].
pub(crate) const CALLEES_BEYOND: &str = "a call has more than 1,024 callees";
/// The error for a plan that exceeds [`CALLEES_TOTAL_MAX`].
pub(crate) const CALLEES_TOTAL_BEYOND: &str = "an invocation causes more than 16,384 others";
/// The error for a call that waits for more than [`CALLS_MAX`] calls.
pub(crate) const WAITS_BEYOND: &str = "a call waits for more than 1,024 calls";
/// The error for a plan that exceeds [`WAITS_TOTAL_MAX`].
pub(crate) const WAITS_TOTAL_BEYOND: &str = "calls wait for more than 131,072 ends";
