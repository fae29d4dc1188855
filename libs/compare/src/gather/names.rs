//! [`Names`]: a table of texts. Both runs share it, so equal texts have equal numbers.

use foldhash::HashMap;
use foldhash::fast::FixedState;

/// Maximum number of texts, and of their total bytes. Without routes, each request can have another path. Further texts count
/// as [`OTHER`].
const NAMES_MAX: usize = 1 << 18;
const NAME_BYTES_MAX: usize = 64 << 20;
/// Name that replaces all texts beyond the maximum.
pub const OTHER: &str = "(other)";
/// Name of all peers that have only an address, and no name.
pub const EXTERNAL: &str = "(external)";

/// The texts of both runs.
#[derive(Debug, Clone, Default)]
pub struct Names {
    texts: Vec<String>,
    numbers: HashMap<String, u32>,
    bytes: usize,
}

impl Names {
    /// The number of a text.
    pub fn number(&mut self, text: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let is_full = self.texts.len() >= NAMES_MAX || self.bytes + text.len() > NAME_BYTES_MAX;
        if is_full && text != OTHER {
            return self.number(OTHER);
        }
        let number = self.texts.len() as u32;
        self.bytes += text.len();
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    pub fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or(OTHER, String::as_str)
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// Adds the texts of another table. Returns the number in this table for each number of the other one.
    pub fn adopt(&mut self, others: &Self) -> Vec<u32> {
        others.texts.iter().map(|text| self.number(text)).collect()
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

/// A hash map that iterates in the same order in every process.
pub type FixedMap<K, V> = std::collections::HashMap<K, V, FixedState>;

/// The name of a peer. If the peer is named by its address or port, the name is [`EXTERNAL`], because another machine would have
/// another address.
pub fn peer_of(peer: &str) -> &str {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_address = peer.parse::<std::net::IpAddr>().is_ok();
    match peer.rsplit_once(':') {
        Some((_, port)) if is_port(port) => EXTERNAL,
        _ if is_address => EXTERNAL,
        _ => peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_number_in_all_sets() {
        let (mut all, mut part) = (Names::default(), Names::default());
        let b = all.number("b");
        part.number("a");
        part.number("b");
        let adopted = all.adopt(&part);
        assert_eq!(adopted[1], b);
        assert_eq!(all.text(adopted[0]), "a");
        assert_eq!((all.len(), all.find("c"), all.text(99)), (2, None, OTHER));
    }

    #[test]
    fn an_address_is_not_part_of_a_name() {
        for (peer, name) in [
            ("10.0.0.7:5432", "(external)"),
            ("db.internal:5432", "(external)"),
            ("::1", "(external)"),
            ("sqlite", "sqlite"),
            ("orders:", "orders:"),
        ] {
            assert_eq!(peer_of(peer), name);
        }
    }

    #[test]
    fn texts_past_the_maximum_are_the_same() {
        let mut names = Names::default();
        let long = "x".repeat(NAME_BYTES_MAX / 2);
        names.number(&long);
        let a = names.number(&format!("{long}y"));
        assert_eq!(names.text(a), OTHER);
        assert_eq!(names.number(&format!("{long}z")), a);
    }
}
