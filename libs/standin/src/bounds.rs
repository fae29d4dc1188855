//! [`CALLS_MAX`] and further bounds of a plan that is executed.

/// Maximum number of calls of one invocation: that of a plan.
pub const CALLS_MAX: usize = 1_024;
/// Maximum number of invocations that one call causes. A message to a thousand consumers fits.
pub const CALLEES_MAX: usize = 1_024;
/// Maximum number of invocations that the calls of one invocation cause: the maximum of a root's plan.
pub const CALLEES_TOTAL_MAX: usize = 16_384;
/// Maximum number of ends for which the calls of one invocation wait. Those of a plan wait for 64 each, twice if they have a group.
pub const WAITS_TOTAL_MAX: usize = 128 * CALLS_MAX;
/// Maximum depth of calls below the first invocation: that of a plan.
pub const DEPTH_MAX: u32 = 64;
/// Maximum size of a text: that of a text in a row of CCTF.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Maximum size of the work in one body, with all work nested in it. 16,384 invocations, the maximum of a root, have 1 KiB each.
pub const WORK_BYTES_MAX: usize = 16 << 20;
/// Maximum size of a request's or answer's body. The service accepts no larger ones by default.
pub const BODY_BYTES_MAX: u32 = 64 << 20;
/// Maximum of one duration, and of the CPU time of one invocation, so that a damaged number occupies no slot forever: one hour.
pub const DURATION_NS_MAX: u64 = 3_600_000_000_000;

/// What is wrong with a plan beyond [`CALLS_MAX`].
pub(crate) const CALLS_BEYOND: &str = "an invocation has more than 1,024 calls";
/// Beyond [`CALLEES_MAX`].
pub(crate) const CALLEES_BEYOND: &str = "a call has more than 1,024 callees";
/// Beyond [`CALLEES_TOTAL_MAX`].
pub(crate) const CALLEES_TOTAL_BEYOND: &str = "an invocation causes more than 16,384 others";
/// Beyond [`CALLS_MAX`], in a list of calls for which one waits.
pub(crate) const WAITS_BEYOND: &str = "a call waits for more than 1,024 calls";
/// Beyond [`WAITS_TOTAL_MAX`].
pub(crate) const WAITS_TOTAL_BEYOND: &str = "calls wait for more than 131,072 ends";
