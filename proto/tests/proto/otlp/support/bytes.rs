//! Bytes that may be a request or not: damaged requests, and sequences of arbitrary fields.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// A change to the bytes of a request.
#[derive(Debug, Clone)]
pub enum Damage {
    FlipBit(Index, u8),
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Truncate(Index),
    /// Copies a range to another offset.
    Splice {
        from: Index,
        length: usize,
        to: Index,
    },
}

/// Any change.
pub fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    prop_oneof![
        (index(), 0..8u8).prop_map(|(at, bit)| Damage::FlipBit(at, bit)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (index(), fields()).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (index(), 1..12usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        index().prop_map(Damage::Truncate),
        (index(), 1..80usize, index()).prop_map(|(from, length, to)| Damage::Splice { from, length, to }),
    ]
}

impl Damage {
    /// Applies the change.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |index: &Index, bytes: &Vec<u8>| index.index(bytes.len() + 1);
        match self {
            _ if bytes.is_empty() => {}
            Damage::FlipBit(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Damage::Replace(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Damage::Insert(at, inserted) => {
                let at = place(at, bytes);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Damage::Remove(at, length) => {
                let at = place(at, bytes);
                let end = bytes.len().min(at + length);
                bytes.drain(at..end);
            }
            Damage::Truncate(at) => bytes.truncate(place(at, bytes)),
            Damage::Splice { from, length, to } => {
                let from = from.index(bytes.len());
                let range = bytes[from..bytes.len().min(from + length)].to_vec();
                let to = place(to, bytes);
                bytes.splice(to..to, range);
            }
        }
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A varint that is sometimes longer than necessary, or longer than allowed.
fn any_varint() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0..40u64).prop_map(varint),
        4 => any::<u64>().prop_map(varint),
        1 => (vec(0x80..=0xffu8, 0..12), 0..3u8).prop_map(|(mut head, last)| {
            head.push(last);
            head
        }),
    ]
}

fn field_of(number: u32, wire_type: u8, value: Vec<u8>) -> Vec<u8> {
    [varint(u64::from(number) << 3 | u64::from(wire_type)), value].concat()
}

/// A field, usually with a number that some OTLP message defines.
fn field() -> impl Strategy<Value = Vec<u8>> {
    let number = || prop_oneof![40 => 1..17u32, 2 => Just(17u32), 1 => Just(0u32), 1 => 0..(1u32 << 30)];
    let leaf = prop_oneof![
        4 => (number(), any_varint()).prop_map(|(number, value)| field_of(number, 0, value)),
        2 => (number(), vec(any::<u8>(), 8)).prop_map(|(number, value)| field_of(number, 1, value)),
        2 => (number(), vec(any::<u8>(), 4)).prop_map(|(number, value)| field_of(number, 5, value)),
        2 => (number(), "[a-zé]{0,9}").prop_map(|(number, text)| {
            field_of(number, 2, [varint(text.len() as u64), text.into_bytes()].concat())
        }),
        1 => (number(), vec(any::<u8>(), 0..9)).prop_map(|(number, bytes)| {
            field_of(number, 2, [varint(bytes.len() as u64), bytes].concat())
        }),
        1 => (number(), 0..8u8, vec(any::<u8>(), 0..9)).prop_map(|(number, wire_type, value)| {
            field_of(number, wire_type, value)
        }),
    ];
    leaf.prop_recursive(6, 24, 4, move |inner| {
        let message = (number(), vec(inner.clone(), 0..4)).prop_map(|(number, fields)| {
            let inside = fields.concat();
            field_of(number, 2, [varint(inside.len() as u64), inside].concat())
        });
        // Messages of requests have low numbers.
        let low = (1..4u32, vec(inner.clone(), 0..4)).prop_map(|(number, fields)| {
            let inside = fields.concat();
            field_of(number, 2, [varint(inside.len() as u64), inside].concat())
        });
        let group = (17..20u32, vec(inner, 0..3)).prop_map(|(number, fields)| {
            [field_of(number, 3, fields.concat()), field_of(number, 4, vec![])].concat()
        });
        prop_oneof![2 => message, 4 => low, 1 => group]
    })
}

/// A sequence of fields, which need not be a message of any type.
pub fn fields() -> impl Strategy<Value = Vec<u8>> {
    vec(field(), 0..4).prop_map(|fields| fields.concat())
}

/// A length that is correct, encoded in two bytes instead of one, or off by one.
#[derive(Debug, Clone, Copy)]
enum LengthStyle {
    Right,
    Overlong,
    TooShort,
    TooLong,
}

fn length_style() -> impl Strategy<Value = LengthStyle> {
    prop_oneof![
        12 => Just(LengthStyle::Right),
        1 => Just(LengthStyle::Overlong),
        1 => Just(LengthStyle::TooShort),
        1 => Just(LengthStyle::TooLong),
    ]
}

fn styled(number: u32, inside: Vec<u8>, style: LengthStyle) -> Vec<u8> {
    let length = inside.len() as u64;
    let length = match style {
        LengthStyle::Right => varint(length),
        LengthStyle::Overlong if length < 0x80 => vec![length as u8 | 0x80, 0],
        LengthStyle::Overlong => varint(length),
        LengthStyle::TooShort => varint(length.saturating_sub(1)),
        LengthStyle::TooLong => varint(length + 1),
    };
    field_of(number, 2, [length, inside].concat())
}

/// A pair of key and value. Its encoding is the usual one, or differs in one detail.
pub fn attribute() -> impl Strategy<Value = Vec<u8>> {
    let text = || prop_oneof![4 => "[a-z.]{0,20}", 1 => "[a-z]{118,134}", 1 => "[a-zé]{0,20}"];
    let value = prop_oneof![
        (text(), length_style()).prop_map(|(text, style)| styled(1, text.into_bytes(), style)),
        (2..4u32, any_varint()).prop_map(|(number, value)| field_of(number, 0, value)),
        (vec(0x80..=0xffu8, 0..11), 0..4u8).prop_map(|(head, last)| field_of(
            3,
            0,
            [head, vec![last]].concat()
        )),
        vec(0x80..=0xffu8, 0..11).prop_map(|head| field_of(3, 0, head)),
        vec(any::<u8>(), 7..10).prop_map(|bytes| field_of(4, 1, bytes)),
        Just(Vec::new()),
    ];
    (text(), length_style(), value, length_style(), 0..8u8).prop_map(
        |(key, key_style, value, value_style, order)| {
            let key = styled(1, key.into_bytes(), key_style);
            let value = styled(2, value, value_style);
            match order {
                0 => [value, key].concat(),
                1 => key,
                2 => value,
                3 => [key.clone(), key].concat(),
                _ => [key, value].concat(),
            }
        },
    )
}

/// A field with a length-delimited value.
pub fn field_around(number: u32, inside: &[u8]) -> Vec<u8> {
    styled(number, inside.to_vec(), LengthStyle::Right)
}
