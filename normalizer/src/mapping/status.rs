//! Status codes: converts the names of gRPC codes to numbers, and checks HTTP statuses.

use cctf_proto::cctf::GRPC_CODES;

/// The code of a gRPC or Connect name, in upper or lower case or in the form of Go and .NET (`NotFound`).
pub fn grpc_code(name: &str) -> Option<i64> {
    match GRPC_CODES.iter().position(|known| is_same_name(known, name)) {
        Some(code) => Some(code as i64),
        // Connect and Go spell it with one l.
        None if name.eq_ignore_ascii_case("canceled") => Some(1),
        None => None,
    }
}

fn is_same_name(known: &str, name: &str) -> bool {
    let known_letters = known.bytes().filter(|&byte| byte != b'_');
    let letters = name.bytes().map(|byte| byte.to_ascii_uppercase());
    known.eq_ignore_ascii_case(name) || known_letters.eq(letters)
}

/// Whether a number can be the status of an HTTP answer. Proxies report 0 if there was no answer.
pub fn is_http_status(status: i64) -> bool {
    (100..1000).contains(&status)
}

#[cfg(test)]
mod tests {
    use super::grpc_code;

    #[test]
    fn names_of_grpc_and_connect_are_numbers_and_others_are_not() {
        for (name, code) in [
            ("OK", Some(0)),
            ("unavailable", Some(14)),
            ("CANCELLED", Some(1)),
            ("canceled", Some(1)),
            ("UNAUTHENTICATED", Some(16)),
            ("DeadlineExceeded", Some(4)),
            ("Canceled", Some(1)),
            ("Ok", Some(0)),
            ("OKAY", None),
            ("", None),
        ] {
            assert_eq!(grpc_code(name), code, "{name}");
        }
    }
}
