//! The rule that decides whether the start of one instance and the stop of another are a migration.

/// Instances of a module that started within this time of each other belong to one deployment, so they are not a migration.
const DEPLOYMENT_NANOS: u64 = 2_000_000_000;

/// Whether a start on one node and a stop on another can be a migration. The time between them must be at most the stale time.
/// The stopped instance started at `began`; it must not belong to the same deployment as the new one. All times are
/// nanoseconds.
pub fn is_migration(start: u64, stop: u64, began: u64, stale: u64) -> bool {
    start.abs_diff(stop) <= stale && start >= began.saturating_add(DEPLOYMENT_NANOS)
}
