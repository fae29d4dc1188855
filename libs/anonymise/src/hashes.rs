//! [`Hashes`]: keyed hashes (HMAC-SHA-256). They are shortened and written as letters, digits, ids, addresses or ports.

use std::net::Ipv6Addr;

use cctf_proto::cctf::{SpanId, TraceId};
use ring::hmac::{HMAC_SHA256, Key as HmacKey, sign};

use crate::key::Key;

/// Number of letters in a hash, which are 84 bits. The probability that two of 10^9 different texts get the same hash is 2 *
/// 10^-8.
pub const LETTERS: usize = 18;
/// Number of digits in the hash of a path's segment that is an id, which are 86 bits. The probability that two of 10^9 different
/// segments get the same hash is 5 * 10^-9.
pub const DIGITS: usize = 26;

const PORTS: usize = u16::MAX as usize;

/// Values of different domains are never compared, so equal texts of different domains get different hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// A part of the name of a node, module, instance, application or host.
    Name,
    /// A segment of a path.
    Segment,
    /// A text that is hashed as a whole.
    Text,
    RunId,
    TraceId,
    SpanId,
    Address,
    Port,
    Shift,
}

/// Each domain with the text from which its key is derived. These texts never change, so that later builds give the same
/// hashes.
const DOMAINS: [(Domain, &str); 9] = [
    (Domain::Name, "cctf anonymise 1: name"),
    (Domain::Segment, "cctf anonymise 1: segment"),
    (Domain::Text, "cctf anonymise 1: text"),
    (Domain::RunId, "cctf anonymise 1: run id"),
    (Domain::TraceId, "cctf anonymise 1: trace id"),
    (Domain::SpanId, "cctf anonymise 1: span id"),
    (Domain::Address, "cctf anonymise 1: address"),
    (Domain::Port, "cctf anonymise 1: port"),
    (Domain::Shift, "cctf anonymise 1: shift"),
];

/// Computes hashes with one key.
pub struct Hashes {
    keys: [HmacKey; DOMAINS.len()],
    /// The replacement of port `p` at position `p - 1`. It is a permutation, so that two ports never get the same replacement.
    ports: Vec<u16>,
}

impl Hashes {
    pub fn new(key: &Key) -> Self {
        let root = HmacKey::new(HMAC_SHA256, key.bytes());
        let keys = DOMAINS.map(|(_, text)| HmacKey::new(HMAC_SHA256, sign(&root, text.as_bytes()).as_ref()));
        let mut hashes = Self {
            keys,
            ports: (1..=u16::MAX).collect(),
        };
        hashes.shuffle_ports();
        hashes
    }

    /// A Fisher-Yates shuffle with numbers that depend on the key only. The remainder of a division of 64 bits is uniform up to
    /// an error of 2^-48.
    fn shuffle_ports(&mut self) {
        let mut draws = (0_u64..).flat_map(|counter| {
            let bytes = hash(&self.keys[Domain::Port as usize], &counter.to_be_bytes());
            bytes.as_chunks().0.to_vec().into_iter().map(u64::from_be_bytes)
        });
        let draws: Vec<usize> = (1..PORTS)
            .rev()
            .map(|last| (draws.next().unwrap_or_default() % (last as u64 + 1)) as usize)
            .collect();
        for (last, other) in (1..PORTS).rev().zip(draws) {
            self.ports.swap(last, other);
        }
    }

    fn of(&self, domain: Domain, bytes: &[u8]) -> [u8; 32] {
        hash(&self.keys[domain as usize], bytes)
    }

    fn number(&self, domain: Domain, text: &str) -> u128 {
        let [high, _] = halves(&self.of(domain, text.as_bytes()));
        u128::from_be_bytes(high)
    }

    /// Appends the hash of a text as lower-case letters, so that no reader takes it for a number or an id.
    pub fn push_letters(&self, domain: Domain, text: &str, out: &mut String) {
        let mut rest = self.number(domain, text);
        for _ in 0..LETTERS {
            out.push(char::from(b'a' + (rest % 26) as u8));
            rest /= 26;
        }
    }

    /// Appends the hash of a text as digits.
    pub fn push_digits(&self, domain: Domain, text: &str, out: &mut String) {
        let mut rest = self.number(domain, text);
        for _ in 0..DIGITS {
            out.push(char::from(b'0' + (rest % 10) as u8));
            rest /= 10;
        }
    }

    pub fn trace_id(&self, id: TraceId) -> TraceId {
        let [bytes, other] = halves(&self.of(Domain::TraceId, &id.0));
        // The second half is also zero with a probability of 2^-256.
        TraceId::from_bytes(&bytes).unwrap_or(TraceId(other))
    }

    pub fn span_id(&self, id: SpanId) -> SpanId {
        let [first, second, ..] = quarters(&self.of(Domain::SpanId, &id.0));
        SpanId::from_bytes(&first).unwrap_or(SpanId(second))
    }

    /// The replacement of an address: 96 bits of its hash in the range for documentation (RFC 3849), which no host uses.
    pub fn address(&self, address: &str) -> Ipv6Addr {
        let hashed = self.number(Domain::Address, address);
        Ipv6Addr::from_bits(0x2001_0db8 << 96 | hashed >> 32)
    }

    /// The replacement of a port that is not 0.
    pub fn port(&self, port: u16) -> u16 {
        match port {
            0 => 0,
            port => self.ports[usize::from(port) - 1],
        }
    }

    /// A number that depends on the key only.
    pub fn shift(&self) -> u64 {
        let [first, ..] = quarters(&self.of(Domain::Shift, b""));
        u64::from_be_bytes(first)
    }
}

fn hash(key: &HmacKey, bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(sign(key, bytes).as_ref());
    out
}

fn halves(bytes: &[u8; 32]) -> [[u8; 16]; 2] {
    let mut halves = [[0; 16]; 2];
    halves.as_flattened_mut().copy_from_slice(bytes);
    halves
}

fn quarters(bytes: &[u8; 32]) -> [[u8; 8]; 4] {
    let mut quarters = [[0; 8]; 4];
    quarters.as_flattened_mut().copy_from_slice(bytes);
    quarters
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn letters(hashes: &Hashes, domain: Domain, text: &str) -> String {
        let mut out = String::new();
        hashes.push_letters(domain, text, &mut out);
        out
    }

    /// Rows that an earlier build anonymised must still have the same hashes as those of a later build.
    #[test]
    fn hashes_depend_on_key_domain_and_text_and_on_nothing_else() {
        let bytes: Vec<u8> = (0..32).collect();
        let hashes = Hashes::new(&Key::new(&bytes));
        assert_eq!(letters(&hashes, Domain::Name, "cart"), "nkfpgjlifirvjkskbc");
        assert_eq!(hashes.span_id(SpanId([7; 8])).to_string(), "4dcd3d815868d241");
        let other = Hashes::new(&Key::new(&[&bytes[..31], &[0]].concat()));
        let all = [&hashes, &other].into_iter().flat_map(|hashes| {
            [Domain::Name, Domain::Segment, Domain::Text, Domain::RunId]
                .map(|domain| ["cart", "Cart", ""].map(|text| letters(hashes, domain, text)))
        });
        let all: Vec<String> = all.flatten().collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 24);
        assert!(
            all.iter()
                .all(|text| text.len() == LETTERS && text.bytes().all(|byte| byte.is_ascii_lowercase()))
        );
    }

    #[test]
    fn ports_are_permuted() {
        let hashes = Hashes::new(&Key::new(&(0..32).collect::<Vec<u8>>()));
        let ports: HashSet<u16> = (1..=u16::MAX).map(|port| hashes.port(port)).collect();
        assert_eq!((ports.len(), ports.contains(&0)), (PORTS, false));
        let kept = (1..=u16::MAX).filter(|&port| hashes.port(port) == port).count();
        // A random permutation keeps one of its elements on average.
        assert!(kept < 10, "{kept}");
    }

    #[test]
    fn an_address_is_one_of_the_range_for_documentation() {
        let hashes = Hashes::new(&Key::new(&(0..32).collect::<Vec<u8>>()));
        let address = hashes.address("10.0.0.1");
        assert_eq!(address.segments()[..2], [0x2001, 0xdb8]);
        assert_ne!(address, hashes.address("10.0.0.2"));
    }
}
