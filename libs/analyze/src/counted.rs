//! [`counted`]: the beginning of a sentence about a number of things.

/// The number and its word, such as `1 row is` or `2 rows are`.
pub fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_has_the_singular() {
        let texts = [0, 1, 2].map(|count| counted(count, "row is", "rows are"));
        assert_eq!(texts, ["0 rows are", "1 row is", "2 rows are"]);
    }
}
