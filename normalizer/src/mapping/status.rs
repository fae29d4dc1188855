//! Status codes: gRPC's names turned into numbers.

/// Names of the gRPC status codes 0 to 16 (gRPC, "Status codes and their use in gRPC").
const GRPC_NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The code that a gRPC or Connect name stands for, upper or lower case.
pub fn grpc_code(name: &str) -> Option<i64> {
    let same = |known: &&str| known.eq_ignore_ascii_case(name);
    match GRPC_NAMES.iter().position(|known| same(&known)) {
        Some(code) => Some(code as i64),
        // Connect and some SDKs spell it with one l.
        None if name.eq_ignore_ascii_case("canceled") => Some(1),
        None => None,
    }
}
