//! The rule by which a start and a stop of one module are a migration.

/// Instances that started within this time of each other are one deployment, not a migration.
const DEPLOYMENT_NANOS: u64 = 2_000_000_000;

/// Whether a start on one node and a stop on another can be one migration. They must be within the stale time of each other,
/// and the stopped instance, which started at `began`, must not be of the same deployment. All in nanoseconds.
pub fn is_migration(start: u64, stop: u64, began: u64, stale: u64) -> bool {
    start.abs_diff(stop) <= stale && start >= began.saturating_add(DEPLOYMENT_NANOS)
}
