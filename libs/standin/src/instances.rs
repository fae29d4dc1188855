//! [`StandIns`]: the stand-ins file. For each recorded instance, the file has the address of the stand-in that executes the
//! invocations of the instance.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use cli::bounded;
use cli::document::Document;
use serde::Serialize;

use crate::bounds::TEXT_BYTES_MAX;
use crate::error::StandInError;

/// Maximum number of stand-ins in one file. With eight times as many, a machine would run out of ports.
pub const INSTANCES_MAX: usize = 4_096;
/// Maximum size of the file: 256 bytes for each stand-in.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Version of the file.
const VERSION: u32 = 1;
/// The beginning of a valid file, shown in errors.
const EXAMPLE: &str = r#"{"version": 1, "instances": [...]}"#;

/// A stand-in that replaces one recorded instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instance {
    pub module: String,
    pub instance: String,
    /// `http://HOST:PORT`.
    pub url: String,
}

/// All stand-ins, by module.
#[derive(Debug)]
pub struct StandIns {
    /// Instances in the order of the file.
    instances: Vec<Instance>,
    modules: HashMap<String, Module>,
}

#[derive(Debug, Default)]
struct Module {
    /// Indices in `instances`; never empty.
    all: Vec<usize>,
    by_instance: HashMap<String, usize>,
    /// Number of requests so far for instances without a stand-in of their own. It selects the next stand-in in turn.
    turn: AtomicUsize,
}

#[derive(Serialize)]
struct Content<'a> {
    version: u32,
    instances: &'a [Instance],
}

impl StandIns {
    /// Checks a list of stand-ins. The error text does not include a path.
    pub fn new(instances: Vec<Instance>) -> Result<Self, String> {
        if instances.is_empty() {
            return Err("it names no stand-in".into());
        }
        if instances.len() > INSTANCES_MAX {
            return Err(format!(
                "it names {} stand-ins; the maximum is {INSTANCES_MAX}",
                instances.len()
            ));
        }
        let mut modules: HashMap<String, Module> = HashMap::new();
        for (index, each) in instances.iter().enumerate() {
            one(each).map_err(|cause| format!("stand-in {}: {cause}", index + 1))?;
            let module = modules.entry(each.module.clone()).or_default();
            module.all.push(index);
            match module.by_instance.entry(each.instance.clone()) {
                Entry::Vacant(entry) => _ = entry.insert(index),
                Entry::Occupied(_) => {
                    return Err(format!(
                        "it names instance {:?} of module {:?} twice",
                        each.instance, each.module
                    ));
                }
            }
        }
        Ok(Self { instances, modules })
    }

    /// Reads the file. The error text includes the path.
    pub fn read(path: &Path) -> Result<Self, StandInError> {
        let failed = |cause: String| StandInError::File {
            path: path.to_owned(),
            cause,
        };
        bounded::parse(path, FILE_BYTES_MAX, Self::parse).map_err(failed)
    }

    /// Parses the content of the file. The error text does not include a path.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document = Document::parse(bytes)?;
        let fields = document.fields(EXAMPLE)?;
        let version = fields.required("version")?;
        if version.number()? != f64::from(VERSION) {
            return Err(version.must_be(&format!("{VERSION}, which this program reads")));
        }
        let instances = fields.required("instances")?.list()?;
        let instances = instances.iter().map(|item| {
            let fields = item.fields()?;
            let text = |name: &str| fields.required(name)?.text().map(str::to_owned);
            Ok(Instance {
                module: text("module")?,
                instance: text("instance")?,
                url: text("url")?,
            })
        });
        Self::new(instances.collect::<Result<_, String>>()?)
    }

    /// The content of the file as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let content = Content {
            version: VERSION,
            instances: &self.instances,
        };
        // Serializing texts and numbers cannot fail.
        serde_json::to_vec_pretty(&content).unwrap_or_default()
    }

    /// All stand-ins, in the order of the file.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Whether the module has a stand-in.
    pub fn has(&self, module: &str) -> bool {
        self.modules.contains_key(module)
    }

    /// The stand-in for a recorded instance. If the instance has none, the stand-ins of its module take turns; `None` if the
    /// module has none.
    pub fn choose(&self, module: &str, instance: &str) -> Option<&Instance> {
        let index = self.choose_index(module, instance)?;
        self.instances.get(index)
    }

    /// Like [`StandIns::choose`], but returns the index in [`StandIns::instances`].
    pub fn choose_index(&self, module: &str, instance: &str) -> Option<usize> {
        let module = self.modules.get(module)?;
        Some(match module.by_instance.get(instance) {
            Some(index) => *index,
            None => {
                let turn = module.turn.fetch_add(1, Ordering::Relaxed);
                module.all[turn % module.all.len()]
            }
        })
    }

    /// All stand-ins that [`StandIns::choose_index`] can return for a recorded instance.
    pub fn candidates(&self, module: &str, instance: &str) -> &[usize] {
        let Some(module) = self.modules.get(module) else {
            return &[];
        };
        match module.by_instance.get(instance) {
            Some(index) => std::slice::from_ref(index),
            None => &module.all,
        }
    }
}

fn one(each: &Instance) -> Result<(), String> {
    if each.module.is_empty() || each.instance.is_empty() {
        return Err("module and instance must not be empty".into());
    }
    if each.module.len() > TEXT_BYTES_MAX || each.instance.len() > TEXT_BYTES_MAX {
        return Err(format!("a name is longer than {TEXT_BYTES_MAX} bytes"));
    }
    let authority = each.url.strip_prefix("http://").unwrap_or_default();
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    match is_authority(authority) {
        true => Ok(()),
        false => Err(format!("invalid url {:?}: use http://HOST:PORT", each.url)),
    }
}

/// Whether the text is a host, with or without a port, to which a request can be sent.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse().is_ok_and(|port: u16| port > 0)
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let in_brackets = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match in_brackets {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_name),
    };
    is_host && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Instance, StandIns};

    fn instance(module: &str, instance: &str, url: &str) -> Instance {
        Instance {
            module: module.into(),
            instance: instance.into(),
            url: url.into(),
        }
    }

    fn two() -> Vec<Instance> {
        vec![
            instance("cart", "cart-1", "http://127.0.0.1:1"),
            instance("cart", "cart-2", "http://[::1]:2/"),
        ]
    }

    #[test]
    fn recorded_instances_have_their_own_stand_in_others_take_turns() {
        let all = StandIns::new(two()).unwrap();
        let url = |instance: &str| all.choose("cart", instance).unwrap().url.as_str();
        assert_eq!(url("cart-2"), "http://[::1]:2/");
        let turns = ["cart-3", "cart-4", "cart-3"].map(url);
        assert_eq!(
            turns,
            ["http://127.0.0.1:1", "http://[::1]:2/", "http://127.0.0.1:1"]
        );
        assert!(all.choose("till", "till-1").is_none() && !all.has("till"));
        assert_eq!(all.candidates("cart", "cart-2"), [1]);
        assert_eq!(all.candidates("cart", "cart-3"), [0, 1]);
        assert!(all.candidates("till", "till-1").is_empty());
    }

    #[test]
    fn a_written_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stand-ins.json");
        std::fs::write(&path, StandIns::new(two()).unwrap().to_json()).unwrap();
        assert_eq!(StandIns::read(&path).unwrap().instances(), two());
    }

    #[test]
    fn bad_files_are_refused_with_the_cause() {
        let cause = |text: &str| StandIns::parse(text.as_bytes()).unwrap_err();
        let with = |fields: &str| format!(r#"{{"version": 1, "instances": [{fields}]}}"#);
        for (text, expected) in [
            ("{".to_owned(), "it is not valid JSON: EOF"),
            ("[]".to_owned(), "it must be an object such as {\"version\": 1, "),
            (
                r#"{"version": 2, "instances": 7}"#.to_owned(),
                "version must be 1, which this program reads, not 2",
            ),
            ("{\"version\": 1}".to_owned(), "the field instances is missing"),
            (with(""), "it names no stand-in"),
            (
                with("[]"),
                "instances[0] must be an object in braces, not an empty list",
            ),
            (
                with(r#"{"module": "a", "instance": 1}"#),
                "instances[0].instance must be a text in quotes, not 1",
            ),
            (
                with(r#"{"module": "a", "instance": "b"}"#),
                "the field instances[0].url is missing",
            ),
        ] {
            let found = cause(&text);
            assert!(found.starts_with(expected), "{text}: {found}");
        }
        let bad = StandIns::new(vec![instance("a", "a-1", "https://a")]).unwrap_err();
        assert_eq!(bad, "stand-in 1: invalid url \"https://a\": use http://HOST:PORT");
        for (url, is_good) in [
            ("http://a:1", true),
            ("http://a.b-c_d", true),
            ("http://[::1]", true),
            ("http://a:1/x", false),
            ("http://a:99999", false),
            ("http://a:0", false),
            ("http://a:", false),
            ("http://a:+1", false),
            ("http://a:b:c", false),
            ("http://[", false),
            ("http://[::1", false),
            ("http://[a]:1", false),
            ("http://u@a:1", false),
            ("http://:1", false),
        ] {
            let read = StandIns::new(vec![instance("a", "a-1", url)]);
            assert_eq!(read.is_ok(), is_good, "{url}");
        }
        let twice = StandIns::new([two(), two()].concat()).unwrap_err();
        assert_eq!(twice, "it names instance \"cart-1\" of module \"cart\" twice");
        let missing = StandIns::read(Path::new("/missing/file")).unwrap_err();
        assert!(
            missing
                .to_string()
                .starts_with("cannot read the stand-ins file /missing/file: ")
        );
    }
}
