//! Whether two runs are the same workload, and what differs.
