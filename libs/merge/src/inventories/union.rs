//! [`Object`]: a JSON object of an inventory, whose values are kept as text, and the union of two objects that describe the
//! same thing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use cctf_proto::cctf::{Field, Presence};
use rundir::fields::{Fields, NotAnObject, Order, UNKNOWN, text};
use serde_json::value::RawValue;

use crate::model::Conflict;

/// Maximum number of conflicts that are kept for the summary. All are counted.
const CONFLICTS_KEPT: usize = 20;

/// Contradictions between the folders.
#[derive(Debug, Default)]
pub struct Conflicts {
    /// The first conflicts.
    pub kept: Vec<Conflict>,
    /// Number of all conflicts.
    pub count: u64,
}

impl Conflicts {
    pub fn add(&mut self, file: &'static str, of: &str, field: &str, kept: &[u8], dropped: &[u8]) {
        self.count += 1;
        if self.kept.len() < CONFLICTS_KEPT {
            let text = |raw: &[u8]| String::from_utf8_lossy(raw).into_owned();
            self.kept.push(Conflict {
                file,
                of: of.to_owned(),
                field: field.to_owned(),
                kept: text(kept),
                dropped: text(dropped),
            });
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// Values by the index of the field in the contract.
    values: BTreeMap<usize, Vec<u8>>,
    /// Fields that are not in the contract, by name.
    others: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Object {
    pub fn read(raw: &[u8], fields: &'static [Field]) -> Result<Self, NotAnObject> {
        let (mut scan, mut order, mut object) = (Fields::new(raw)?, Order::new(fields), Self::default());
        while let Some(field) = scan.next_field()? {
            match order.index(field.name) {
                UNKNOWN => {
                    object.others.insert(field.name.to_vec(), field.value.to_vec());
                }
                index => object.set(index, field.value.to_vec()),
            }
        }
        Ok(object)
    }

    /// The value of a field. `None` if it is absent or null.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let value = self.values.get(&index).map(Vec::as_slice);
        value.filter(|raw| *raw != b"null")
    }

    /// The text of a field that is a string.
    pub fn text(&self, index: usize) -> Option<String> {
        text(self.get(index)?).map(Cow::into_owned)
    }

    pub fn set(&mut self, index: usize, raw: Vec<u8>) {
        self.values.insert(index, raw);
    }

    pub fn remove(&mut self, index: usize) -> Option<Vec<u8>> {
        self.values.remove(&index)
    }

    /// Adds the fields of another object that describes the same thing. If two values differ, the greater number or the lesser
    /// text is kept, so that the order of unions does not matter. `on_conflict` gets the field, the kept value and the other
    /// value.
    pub fn unite(
        &mut self,
        other: &Self,
        fields: &'static [Field],
        mut on_conflict: impl FnMut(&str, &[u8], &[u8]),
    ) {
        for (&index, theirs) in &other.values {
            unite_value(&mut self.values, index, theirs, |kept, dropped| {
                on_conflict(fields[index].name, kept, dropped);
            });
        }
        for (name, theirs) in &other.others {
            unite_value(&mut self.others, name.clone(), theirs, |kept, dropped| {
                on_conflict(&String::from_utf8_lossy(name), kept, dropped);
            });
        }
    }

    /// Appends the object: the contract's fields in its order, then the others.
    pub fn encode(&self, fields: &'static [Field], out: &mut Vec<u8>) {
        let mut separator = b'{';
        let mut push = |name: &[u8], value: &[u8]| {
            out.push(std::mem::replace(&mut separator, b','));
            out.push(b'"');
            out.extend_from_slice(name);
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value);
        };
        for (index, field) in fields.iter().enumerate() {
            match self.get(index) {
                Some(value) => push(field.name.as_bytes(), value),
                None if field.presence == Presence::Optional => {}
                None => push(field.name.as_bytes(), b"null"),
            }
        }
        for (name, value) in &self.others {
            push(name, value);
        }
        if separator == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
    }
}

fn unite_value<K: Ord>(
    values: &mut BTreeMap<K, Vec<u8>>,
    key: K,
    theirs: &[u8],
    mut on_conflict: impl FnMut(&[u8], &[u8]),
) {
    let Some(ours) = values.get_mut(&key) else {
        values.insert(key, theirs.to_vec());
        return;
    };
    if ours == theirs || theirs == b"null" {
        return;
    }
    if *ours == b"null" {
        *ours = theirs.to_vec();
    } else if is_kept(ours, theirs) {
        on_conflict(ours, theirs);
    } else {
        on_conflict(theirs, ours);
        *ours = theirs.to_vec();
    }
}

/// Whether the first of two different values is kept.
fn is_kept(ours: &[u8], theirs: &[u8]) -> bool {
    match number(ours).zip(number(theirs)) {
        Some((one, other)) if one != other => one > other,
        _ => ours < theirs,
    }
}

/// The number, if it is finite. It is parsed exactly.
pub fn number(raw: &[u8]) -> Option<f64> {
    let first = *raw.first()?;
    if !(first.is_ascii_digit() || first == b'-') {
        return None;
    }
    std::str::from_utf8(raw)
        .ok()?
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

/// The items of a JSON array.
pub fn items(bytes: &[u8]) -> serde_json::Result<Vec<&RawValue>> {
    serde_json::from_slice(bytes)
}

/// The content of a `.json` file with an array. Each object is on its own line.
pub fn encode_array<'o>(objects: impl Iterator<Item = &'o Object>, fields: &'static [Field]) -> Vec<u8> {
    let mut out = b"[\n".to_vec();
    for (index, object) in objects.enumerate() {
        if index > 0 {
            out.extend_from_slice(b",\n");
        }
        object.encode(fields, &mut out);
    }
    out.extend_from_slice(if out.len() == 2 { b"]\n" } else { b"\n]\n" });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use cctf_proto::cctf::{Node, Row};
    use proptest::prelude::*;

    fn united(objects: &[&Object]) -> Object {
        let mut all = Object::default();
        objects
            .iter()
            .for_each(|object| all.unite(object, Node::FIELDS, |_, _, _| {}));
        all
    }

    #[test]
    fn a_field_that_only_one_object_has_is_not_a_conflict() {
        let read = |raw: &str| Object::read(raw.as_bytes(), Node::FIELDS).unwrap();
        let one = read(r#"{"node_id":"n","stage":"edge","cpu_cores":null,"mem_mb":9.5,"mine":1}"#);
        let other = read(r#"{"node_id":"n","stage":"edge","cpu_cores":10,"mem_mb":10.25,"arch":"arm"}"#);
        let (mut all, mut conflicts) = (one.clone(), Vec::new());
        all.unite(&other, Node::FIELDS, |field, kept, _| {
            conflicts.push((field.to_owned(), String::from_utf8(kept.to_vec()).unwrap()));
        });
        let mut out = Vec::new();
        all.encode(Node::FIELDS, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"node_id":"n","stage":"edge","cpu_cores":10,"mem_mb":10.25,"arch":"arm","mine":1}"#
        );
        assert_eq!(conflicts, [("mem_mb".to_owned(), "10.25".to_owned())]);
    }

    proptest! {
        #[test]
        fn the_order_of_unions_does_not_matter(
            values in prop::collection::vec(prop::collection::vec((0_usize..4, prop::sample::select(vec![
                "null", "1", "1.0", "10", "-2.5", "\"a\"", "\"b\"", "[1]", "true",
            ])), 0..5), 3),
        ) {
            let objects: Vec<Object> = values.iter().map(|values| {
                let mut object = Object::default();
                values.iter().for_each(|(index, raw)| object.set(*index, raw.as_bytes().to_vec()));
                object
            }).collect();
            let [a, b, c] = [&objects[0], &objects[1], &objects[2]];
            let all = united(&[a, b, c]);
            prop_assert_eq!(&all, &united(&[c, a, b]));
            prop_assert_eq!(&all, &united(&[&united(&[a, b]), c]));
            prop_assert_eq!(&all, &united(&[a, &united(&[b, c])]));
        }
    }
}
