//! Attributes of metrics: known keys are kept, and other keys are hashed. Numbers, texts and nested values are hashed.

use std::collections::BTreeMap;

use cctf_proto::cctf::{ATTRIBUTE, Untreatable, push_json_string};
use serde_json::{Map, Value};

use crate::hashes::{Domain, Hashes};

/// Appends the replacement of attributes as a JSON object with sorted keys.
///
/// # Errors
/// Returns an error if `attributes` is not a JSON object.
pub fn push_attributes(hashes: &Hashes, attributes: &str, out: &mut Vec<u8>) -> Result<(), Untreatable> {
    let read: Map<String, Value> = serde_json::from_str(attributes).map_err(|_| Untreatable::Attributes)?;
    let hashed = |text: &str| {
        let mut hash = String::new();
        hashes.push_letters(Domain::Text, text, &mut hash);
        hash
    };
    let replaced: BTreeMap<String, Value> = read
        .into_iter()
        .map(|(key, value)| {
            let key = match (ATTRIBUTE.holds)(&key) {
                true => key,
                false => hashed(&key),
            };
            let value = match value {
                Value::Null | Value::Bool(_) => value,
                Value::String(text) => hashed(&text).into(),
                // A number can be an id, so it is hashed like a text.
                other => hashed(&other.to_string()).into(),
            };
            (key, value)
        })
        .collect();
    out.push(b'{');
    for (index, (key, value)) in replaced.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_json_string(key, out);
        out.push(b':');
        out.extend_from_slice(value.to_string().as_bytes());
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    #[test]
    fn keys_are_sorted_and_no_value_stays() {
        let hashes = Hashes::new(&Key::new(&(0..32).collect::<Vec<u8>>()));
        let mut out = Vec::new();
        let text = r#"{"cpu.mode":"user","customer":"alice","retry":true,"tenant":17,"nested":{"a":["b"]}}"#;
        push_attributes(&hashes, text, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        let read: Map<String, Value> = serde_json::from_str(&out).unwrap();
        assert_eq!(read.len(), 5);
        assert!(read["cpu.mode"].is_string() && read.values().any(|value| value == &Value::Bool(true)));
        for original in ["user", "customer", "alice", "retry", "tenant", "17", "nested"] {
            assert!(!out.contains(original), "{original} in {out}");
        }
        let keys: Vec<usize> = read
            .keys()
            .map(|key| out.find(&format!("\"{key}\":")).unwrap())
            .collect();
        assert!(keys.is_sorted(), "{out}");
        assert!(push_attributes(&hashes, "[]", &mut Vec::new()).is_err());
    }
}
