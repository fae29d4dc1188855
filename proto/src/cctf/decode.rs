//! [`decode`]: reads a row in one pass, if its text is exactly what the encoder writes.

use super::digits::{DIGITS_AT_ONCE, leading_digits};

/// A value that can be read from exactly the text that `Value::encode` writes for it.
pub trait Decode<'a>: Sized {
    /// Reads the value from the beginning of a text. Returns `None` if the encoder would write the text differently, and for
    /// rare values that only the general reader accepts. So if a value is returned, encoding it gives the same bytes.
    fn decode(from: &mut Encoded<'a>) -> Option<Self>;
}

/// Reads a value from a whole text: the strict inverse of `Value::encode`. `None` does not mean that the text is invalid: the
/// general reader, `serde_json`, also accepts other orders, spaces and unknown fields.
pub fn decode<'a, T: Decode<'a>>(text: &'a str) -> Option<T> {
    let mut from = Encoded(text);
    let value = T::decode(&mut from)?;
    from.0.is_empty().then_some(value)
}

/// The part of a text that is still unread.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a>(&'a str);

impl<'a> Encoded<'a> {
    /// Skips a text if the unread part starts with it.
    #[inline]
    pub(super) fn skip(&mut self, text: &str) -> bool {
        match self.0.strip_prefix(text) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    #[inline]
    pub(super) fn rest(&self) -> &'a str {
        self.0
    }

    /// Takes this many bytes.
    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Option<&'a str> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Eight bytes from an offset, with zeros after the end.
    #[inline]
    fn word(&self, offset: usize) -> [u8; 8] {
        let rest = self.0.as_bytes().get(offset..).unwrap_or_default();
        rest.first_chunk().copied().unwrap_or_else(|| {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            last
        })
    }

    /// Takes a quoted string, if no byte in it is escaped.
    #[inline]
    pub(super) fn plain_string(&mut self) -> Option<&'a str> {
        if !self.skip("\"") {
            return None;
        }
        let mut end = 0;
        loop {
            let found = escapes(u64::from_le_bytes(self.word(end)));
            if found != 0 {
                end += found.trailing_zeros() as usize / 8;
                break;
            }
            end += 8;
        }
        let text = self.take(end)?;
        self.skip("\"").then_some(text)
    }

    /// Takes a number of at most 15 digits without a leading zero.
    #[inline]
    pub(super) fn digits(&mut self) -> Option<u64> {
        let first = self.word(0);
        let (mut value, mut count) = leading_digits(first);
        if count == DIGITS_AT_ONCE {
            let (more, further) = leading_digits(self.word(DIGITS_AT_ONCE));
            value = value * *POWERS_OF_TEN.get(further)? + more;
            count += further;
        }
        if count == 0 || (count > 1 && first[0] == b'0') {
            return None;
        }
        self.take(count)?;
        Some(value)
    }

    /// Takes exactly this many digits, fewer than eight.
    #[inline]
    pub(super) fn decimals(&mut self, wanted: usize) -> Option<u64> {
        let (value, count) = leading_digits(self.word(0));
        (count == wanted && self.take(count).is_some()).then_some(value)
    }
}

/// Powers of ten by the number of zeros. Eight or more further digits are not supported.
const POWERS_OF_TEN: [u64; DIGITS_AT_ONCE] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// Sets the high bit of each byte that must be escaped in a JSON string. Bits after the first such byte may be wrong.
#[inline]
pub(super) fn escapes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES * 0x80;
    let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let is_control = word.wrapping_sub(ONES * 0x20) & !word;
    let is_quote = is_zero(word ^ (ONES * u64::from(b'"')));
    let is_backslash = is_zero(word ^ (ONES * u64::from(b'\\')));
    (is_control | is_quote | is_backslash) & HIGH
}

impl Decode<'_> for u64 {
    #[inline]
    fn decode(from: &mut Encoded<'_>) -> Option<Self> {
        from.digits()
    }
}

impl Decode<'_> for i64 {
    #[inline]
    fn decode(from: &mut Encoded<'_>) -> Option<Self> {
        let is_negative = from.skip("-");
        let magnitude = i64::try_from(from.digits()?).ok()?;
        match (is_negative, magnitude) {
            (true, 0) => None,
            (true, magnitude) => Some(-magnitude),
            (false, magnitude) => Some(magnitude),
        }
    }
}

impl Decode<'_> for f64 {
    /// The number is written again for comparison, because only this shows whether its text is the shortest one.
    fn decode(from: &mut Encoded<'_>) -> Option<Self> {
        let rest = from.rest();
        let text = from.take(rest.find([',', '}', ']'])?)?;
        let value: f64 = text.parse().ok()?;
        (value.is_finite() && ryu::Buffer::new().format_finite(value) == text).then_some(value)
    }
}

impl Decode<'_> for bool {
    #[inline]
    fn decode(from: &mut Encoded<'_>) -> Option<Self> {
        if from.skip("true") {
            return Some(true);
        }
        from.skip("false").then_some(false)
    }
}

impl<'a, T: Decode<'a>> Decode<'a> for Vec<T> {
    fn decode(from: &mut Encoded<'a>) -> Option<Self> {
        if !from.skip("[") {
            return None;
        }
        let mut items = Self::new();
        while !from.skip("]") {
            if !items.is_empty() && !from.skip(",") {
                return None;
            }
            items.push(T::decode(from)?);
        }
        Some(items)
    }
}
