//! [`Part`]: the parts of a response time, with one colour and one pattern each in every chart.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Queue,
    /// Service time that is not CPU time: waiting for others, for disks, for locks.
    Service,
    Cpu,
    Network,
    /// Time within a callee.
    Callee,
    Other,
}
