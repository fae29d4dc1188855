//! [`Tiers::read`]: reads the file of tiers. Each error is one sentence.

use std::collections::BTreeSet;
use std::path::Path;

use cctf_stack::stand_ins::placement::{SLOTS_MAX, STAGES};
use cctf_stack::tiers::settings::{DELAY_MAX, RATE_BPS};
use cli::bounded;
use cli::document::{Document, Fields, Item};

use super::error::TiersError;
use super::{Link, Node, Rule, Tiers};

/// Maximum size of the file: 1 KiB for each of 1,000 nodes and links.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Maximum number of nodes. A search tries each of them for each module.
const NODES_MAX: usize = 256;
/// Maximum number of links: each of 256 nodes with 16 others.
const LINKS_MAX: usize = 4_096;
/// Maximum number of cores of a node. The largest machines have a few thousand.
const CORES_MAX: u64 = 65_536;
/// An example of a file, for error messages.
const EXAMPLE: &str = r#"{"nodes": {"cloud0": {"cores": 8}}}"#;

impl Tiers {
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or contains anything but tiers.
    pub fn read(path: &Path) -> Result<Self, TiersError> {
        let failed = |cause: String| TiersError::File {
            path: path.to_owned(),
            cause,
        };
        bounded::parse(path, FILE_BYTES_MAX, Self::parse).map_err(failed)
    }

    /// Parses the file's content. The error is a cause without a path.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let document = Document::parse(bytes)?;
        let fields = document.fields(EXAMPLE)?;
        let fields = fields.only(&["nodes", "links", "modules", "outside"])?;
        let nodes = fields.named("nodes", node)?;
        let links = fields.each("links", link)?;
        at_most("nodes", nodes.len(), NODES_MAX)?;
        // Stand-ins cannot be started on such a node.
        if let Some(name) = nodes.keys().find(|name| name.is_empty() || name.contains('\0')) {
            return Err(format!("the name {name:?} of a node is empty or has a NUL byte"));
        }
        at_most("links", links.len(), LINKS_MAX)?;
        Ok(Self {
            nodes,
            links,
            stated_links: Vec::new(),
            modules: fields.named("modules", rule)?,
            outside: text(&fields, "outside")?,
        })
    }
}

fn at_most(what: &str, count: usize, max: usize) -> Result<(), String> {
    match count > max {
        true => Err(format!("it has {count} {what}, and the maximum is {max}")),
        false => Ok(()),
    }
}

fn node(item: &Item<'_>) -> Result<Node, String> {
    let fields = item.fields()?.only(&[
        "cores",
        "host",
        "stage",
        "mips_per_core",
        "cpu_score",
        "slots_max",
        "modules_max",
        "price_per_hour",
        "power_idle_w",
        "power_max_w",
    ])?;
    Ok(Node {
        cores: whole(&fields, "cores", 1..=CORES_MAX)?.map(|cores| cores as u32),
        host: text(&fields, "host")?,
        stage: fields.get("stage").map(|item| item.choice(&STAGES)).transpose()?,
        mips_per_core: above_zero(&fields, "mips_per_core")?,
        cpu_score: above_zero(&fields, "cpu_score")?,
        speed_factor: None,
        slots_max: whole(&fields, "slots_max", 1..=u64::from(SLOTS_MAX))?.map(|slots| slots as u32),
        modules_max: whole(&fields, "modules_max", 0..=u64::from(u32::MAX))?.map(|count| count as u32),
        price_per_hour: not_negative(&fields, "price_per_hour")?,
        power_idle_w: not_negative(&fields, "power_idle_w")?,
        power_max_w: not_negative(&fields, "power_max_w")?,
    })
}

fn link(item: &Item<'_>) -> Result<Link, String> {
    let fields = item
        .fields()?
        .only(&["u", "v", "delay_ms", "rate_bps", "price_per_gb"])?;
    let node = |name: &str| fields.required(name)?.text().map(str::to_owned);
    // The delay is at most a minute.
    let delay_max = DELAY_MAX.as_millis() as u64;
    Ok(Link {
        u: node("u")?,
        v: node("v")?,
        delay_ms: whole(&fields, "delay_ms", 0..=delay_max)?,
        rate_bps: whole(&fields, "rate_bps", RATE_BPS)?,
        price_per_gb: not_negative(&fields, "price_per_gb")?,
    })
}

fn rule(item: &Item<'_>) -> Result<Rule, String> {
    let fields = item.fields()?.only(&["on", "not_on"])?;
    let nodes = |name: &str| -> Result<Option<BTreeSet<String>>, String> {
        let Some(item) = fields.get(name) else {
            return Ok(None);
        };
        let names = item.list()?;
        let names = names.iter().map(|item| item.text().map(str::to_owned));
        names.collect::<Result<_, _>>().map(Some)
    };
    Ok(Rule {
        on: nodes("on")?,
        not_on: nodes("not_on")?.unwrap_or_default(),
    })
}

fn text(fields: &Fields<'_>, name: &str) -> Result<Option<String>, String> {
    let text = fields.get(name).map(|item| item.text().map(str::to_owned));
    text.transpose()
}

fn whole(
    fields: &Fields<'_>,
    name: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, String> {
    fields.get(name).map(|item| item.whole(range)).transpose()
}

fn above_zero(fields: &Fields<'_>, name: &str) -> Result<Option<f64>, String> {
    number(fields, name, "a number above 0", |value| value > 0.0)
}

fn not_negative(fields: &Fields<'_>, name: &str) -> Result<Option<f64>, String> {
    number(fields, name, "a number from 0", |value| value >= 0.0)
}

fn number(
    fields: &Fields<'_>,
    name: &str,
    what: &str,
    is_valid: impl Fn(f64) -> bool,
) -> Result<Option<f64>, String> {
    let Some(item) = fields.get(name) else {
        return Ok(None);
    };
    let value = item.number().map_err(|_| item.must_be(what))?;
    match value.is_finite() && is_valid(value) {
        true => Ok(Some(value)),
        false => Err(item.must_be(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::Group;

    #[test]
    fn a_file_that_has_no_tiers_is_refused_with_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.json");
        for (text, cause) in [
            ("", "it is empty"),
            ("[]", "it must be an object such as"),
            (
                r#"{"node": {}}"#,
                "the field node is unknown; use nodes, links, modules, outside",
            ),
            (r#"{"nodes": {"a": {}, "a": {}}}"#, "nodes.a is there twice"),
            (
                r#"{"nodes": {"": {}}}"#,
                r#"the name "" of a node is empty or has a NUL byte"#,
            ),
            (
                r#"{"nodes": {"a": {"cores": 0}}}"#,
                "nodes.a.cores must be a whole number from 1 to 65536, not 0",
            ),
            (
                r#"{"nodes": {"a": {"mips_per_core": -1}}}"#,
                "nodes.a.mips_per_core must be a number above 0, not -1",
            ),
            (
                r#"{"nodes": {"a": {"price_per_hour": "x"}}}"#,
                r#"nodes.a.price_per_hour must be a number from 0, not "x""#,
            ),
            (r#"{"links": [{"u": "a"}]}"#, "the field links[0].v is missing"),
            (
                r#"{"links": [{"u": "a", "v": "b", "rate_bps": 5}]}"#,
                "links[0].rate_bps must be a whole number from 100000 to 1000000000, not 5",
            ),
            (
                r#"{"modules": {"m": {"on": "a"}}}"#,
                r#"modules.m.on must be a list in brackets, not "a""#,
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Tiers::read(&path).unwrap_err().to_string();
            let begin = format!("cannot read tiers {}: ", path.display());
            assert!(error.starts_with(&begin) && error.contains(cause), "{error}");
        }
    }

    #[test]
    fn what_a_file_states_is_read() {
        let text = r#"{
            "nodes": {"a": {"cores": 2, "slots_max": 4, "power_idle_w": 1.5}, "b": {"host": "vm", "stage": "cloud"}},
            "links": [{"u": "a", "v": "b", "delay_ms": 20, "rate_bps": 50000000}],
            "modules": {"m": {"on": ["a", "b"], "not_on": ["b"]}, "other@c": {"not_on": ["c"]}},
            "outside": "home"
        }"#;
        let tiers = Tiers::parse(text.as_bytes()).unwrap();
        assert_eq!(tiers.nodes["a"].cores, Some(2));
        assert_eq!(tiers.nodes["b"].host.as_deref(), Some("vm"));
        assert_eq!(tiers.link("b", "a"), tiers.links.first());
        let group = |module: &str| Group {
            name: format!("{module}@c"),
            module: module.to_owned(),
            node: "c".to_owned(),
            invocations: 1,
            cpu_unknown: 0,
            queue_unknown: 0,
            cpu_ns: 1,
        };
        assert!(tiers.allows(&group("m"), "a") && !tiers.allows(&group("m"), "b"));
        assert!(tiers.allows(&group("other"), "b") && !tiers.allows(&group("other"), "c"));
        assert_eq!(tiers.outside(), "home");
    }
}
