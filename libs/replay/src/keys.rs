//! [`Keys`]: finds values that must be stored before a replay, because the replay reads them but does not send the requests
//! that stored them.

use std::collections::HashSet;

use plan::roots::Root;

use crate::bodies::{GET, GET_ROUTE, SET, SET_ROUTE, has_route};

/// Maximum number of keys that are stored before the replay. Each needs a separate request.
pub const KEYS_MAX: usize = 10_000;
const FOUND: i64 = 200;
const NOT_FOUND: i64 = 404;

/// Keys of the key-value store, by service and path, in the order of their first use.
#[derive(Debug, Default)]
pub struct Keys {
    seen: HashSet<(usize, String)>,
    missing: Vec<Key>,
    /// Number of requests that read a key beyond [`KEYS_MAX`].
    pub beyond: u64,
}

/// A value to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Index of the service.
    pub target: usize,
    /// Path of the request that stores the value.
    pub path: String,
    /// Size of the value, bytes.
    pub bytes: u64,
}

impl Keys {
    /// Adds the next root, in order of time. The first use of a key decides. If it is a read that returned a value, this value
    /// must be stored before the replay. If it is a write, or a read that found nothing, the replay starts with the same values
    /// as the recorded run. A failed request, for example because of a full queue, shows nothing about the value.
    pub fn add(&mut self, root: &Root, target: usize) {
        let (Some(method), Some(path)) = (root.method.as_deref(), root.path.as_deref()) else {
            return;
        };
        let (prefix, route) = match method {
            "GET" => (GET, GET_ROUTE),
            "POST" => (SET, SET_ROUTE),
            _ => return,
        };
        let key = path.strip_prefix(prefix).filter(|key| !key.is_empty());
        let Some(key) = key.filter(|_| has_route(root, route)) else {
            return;
        };
        let is_decided = root
            .status
            .is_some_and(|status| (200..300).contains(&status) || status == NOT_FOUND);
        if !is_decided {
            return;
        }
        let is_read = method == "GET" && root.status == Some(FOUND);
        if self.seen.len() >= KEYS_MAX {
            self.beyond += u64::from(is_read && !self.seen.contains(&(target, key.to_owned())));
            return;
        }
        if self.seen.insert((target, key.to_owned())) && is_read {
            self.missing.push(Key {
                target,
                path: format!("{SET}{key}"),
                bytes: root.answer_bytes.unwrap_or(0),
            });
        }
    }

    /// The values that must be stored.
    pub fn missing(&self) -> &[Key] {
        &self.missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::root;

    fn read(key: &str, status: i64, bytes: u64) -> Root {
        Root {
            status: Some(status),
            answer_bytes: Some(bytes),
            ..root("GET", &format!("/kv/get/{key}"), None)
        }
    }

    #[test]
    fn only_values_that_were_found_and_not_written_before_are_stored() {
        let mut keys = Keys::default();
        let write = |key: &str, status| Root {
            status: Some(status),
            ..root("POST", &format!("/kv/set/{key}"), Some(8))
        };
        for root in [
            write("own", 200),
            read("own", 200, 8),
            read("old", 200, 77),
            read("old", 200, 99),
            read("none", 404, 30),
            read("none", 200, 5),
            read("full", 503, 30),
            read("full", 200, 6),
            write("refused", 503),
            read("refused", 200, 7),
            root("GET", "/kv/get/", None),
        ] {
            keys.add(&root, 0);
        }
        keys.add(&read("old", 200, 1), 1);
        let key = |target, path: &str, bytes| Key {
            target,
            path: path.to_owned(),
            bytes,
        };
        assert_eq!(
            keys.missing(),
            [
                key(0, "/kv/set/old", 77),
                key(0, "/kv/set/full", 6),
                key(0, "/kv/set/refused", 7),
                key(1, "/kv/set/old", 1)
            ]
        );
        assert_eq!(keys.beyond, 0);
    }

    #[test]
    fn a_key_of_another_service_s_route_is_not_stored() {
        let mut keys = Keys::default();
        for (key, route) in [("theirs", "/kv/{action}/{id}"), ("ours", "/kv/get/{key}")] {
            let routed = Root {
                route: Some(route.into()),
                ..read(key, 200, 8)
            };
            keys.add(&routed, 0);
        }
        let paths: Vec<&str> = keys.missing().iter().map(|key| key.path.as_str()).collect();
        assert_eq!(paths, ["/kv/set/ours"]);
    }

    #[test]
    fn keys_beyond_the_maximum_are_counted_by_the_requests_that_read_them() {
        let mut keys = Keys::default();
        for number in 0..KEYS_MAX + 3 {
            keys.add(&read(&number.to_string(), 200, 1), 0);
        }
        keys.add(&read(&KEYS_MAX.to_string(), 200, 1), 0);
        keys.add(&read("0", 200, 1), 0);
        assert_eq!((keys.missing().len(), keys.beyond), (KEYS_MAX, 4));
    }
}
