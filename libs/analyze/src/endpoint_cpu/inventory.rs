//! [`with_cpu_times`]: adds estimated CPU times to `module_inventory.json`, for endpoints whose rows do not report them.

use std::borrow::Cow;
use std::collections::HashMap;

use cctf_proto::cctf::{Endpoint, EndpointCpuSource, Field, Module, Row, Value};
use memchr::memmem;
use rundir::fields::{Fields, NotAnObject, RawField, text};
use serde_json::value::RawValue;

use super::figures::{CpuOfEndpoint, ModuleCpu};
use crate::regression::Estimate;

const MEAN: &[u8] = b"cpu_ms_mean";
const SOURCE: &[u8] = b"cpu_src";
const LOW: &[u8] = b"cpu_ms_low";
const HIGH: &[u8] = b"cpu_ms_high";
/// The fields of an estimated CPU time.
const REGRESSED: [&[u8]; 4] = [MEAN, SOURCE, LOW, HIGH];
const MS_PER_S: f64 = 1e3;

/// An inventory that is not an array of objects.
#[derive(Debug, thiserror::Error)]
pub enum InvalidInventory {
    #[error("it is not an array of modules: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it is not an array of modules: {0}")]
    Module(#[from] NotAnObject),
}

/// An inventory with estimates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimated<'a> {
    pub inventory: Cow<'a, [u8]>,
    /// Number of estimates that this call wrote.
    pub set: u64,
}

/// Adds the estimates to the endpoints. Estimates of an earlier call are replaced. All other fields stay unchanged.
///
/// # Errors
/// If `inventory` is not an array of objects.
pub fn with_cpu_times<'a>(
    inventory: &'a [u8],
    found: &[ModuleCpu],
) -> Result<Estimated<'a>, InvalidInventory> {
    let modules: Vec<&RawValue> = serde_json::from_slice(inventory)?;
    let modules = modules.iter().map(|raw| all(raw.get().as_bytes()));
    let modules: Vec<Vec<RawField<'_>>> = modules.collect::<Result<_, _>>()?;
    // If there is nothing to add or to remove, the inventory stays unchanged.
    if found.is_empty() && !has_regressed(inventory) {
        return Ok(Estimated {
            inventory: inventory.into(),
            set: 0,
        });
    }
    // If another application has a module of the same name, the samples of both are mixed up, so no estimates are written.
    let mut is_unique = HashMap::new();
    let ids: Vec<Option<Cow<'_, str>>> = modules
        .iter()
        .map(|fields| text_of(fields, b"module_id"))
        .collect();
    for id in ids.iter().flatten() {
        is_unique
            .entry(&**id)
            .and_modify(|is_unique| *is_unique = false)
            .or_insert(true);
    }
    let found: HashMap<&str, &ModuleCpu> = found.iter().map(|module| (&*module.module_id, module)).collect();
    let mut out = Vec::with_capacity(inventory.len() * 2);
    let mut set = 0;
    out.extend_from_slice(b"[\n");
    for (number, (fields, id)) in modules.iter().zip(&ids).enumerate() {
        if number > 0 {
            out.extend_from_slice(b",\n");
        }
        let unique = id.as_deref().filter(|id| is_unique.get(id) == Some(&true));
        let found = unique.and_then(|id| found.get(id).copied());
        set += push_module(fields, found, &mut out)?;
    }
    out.extend_from_slice(if modules.is_empty() { b"]\n" } else { b"\n]\n" });
    Ok(Estimated {
        inventory: out.into(),
        set,
    })
}

/// Appends a module. Returns the number of estimates written.
fn push_module(
    read: &[RawField<'_>],
    found: Option<&ModuleCpu>,
    out: &mut Vec<u8>,
) -> Result<u64, InvalidInventory> {
    let (mut object, mut set) = (Object::new(read), 0);
    if let Some((_, endpoints)) = object.0.iter_mut().find(|(name, _)| *name == b"endpoints") {
        let estimated = with_endpoints(endpoints, found)?;
        (*endpoints, set) = (estimated.0.into(), estimated.1);
    }
    object.encode(Module::FIELDS, out);
    Ok(set)
}

/// The endpoints of a module, and the number of estimates written.
fn with_endpoints(raw: &[u8], found: Option<&ModuleCpu>) -> Result<(Vec<u8>, u64), InvalidInventory> {
    let endpoints: Vec<&RawValue> = serde_json::from_slice(raw)?;
    let (mut out, mut set) = (vec![b'['], 0);
    for (number, raw) in endpoints.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        let read = all(raw.get().as_bytes())?;
        let key = [b"method".as_slice(), b"route"].map(|name| text_of(&read, name));
        let is_it = |endpoint: &&CpuOfEndpoint| {
            let of = [&endpoint.method, &endpoint.route].map(Option::as_deref);
            !endpoint.is_other && of == key.each_ref().map(Option::as_deref)
        };
        let endpoint = found.and_then(|module| module.endpoints.iter().find(is_it));
        let mut object = Object::new(&read);
        if let Some(Ok(Estimate { mean, low, high, .. })) = endpoint.map(|endpoint| &endpoint.cpu) {
            set += u64::from(object.add_cpu([*mean, *low, *high]));
        }
        object.encode(Endpoint::FIELDS, &mut out);
    }
    out.push(b']');
    Ok((out, set))
}

/// The fields of an object: names and values, each either unchanged or new.
struct Object<'a>(Vec<(&'a [u8], Cow<'a, [u8]>)>);

impl<'a> Object<'a> {
    /// The fields as read, without the estimates of an earlier call.
    fn new(read: &[RawField<'a>]) -> Self {
        let was_regressed = text_of(read, SOURCE).as_deref() == Some(EndpointCpuSource::Regressed.as_str());
        let kept = read
            .iter()
            .filter(|field| !(was_regressed && REGRESSED.contains(&field.name)));
        Self(
            kept.map(|field| (field.name, Cow::Borrowed(field.value)))
                .collect(),
        )
    }

    /// Adds a mean (in seconds) and both ends of its interval, unless the object already has a CPU time. Returns whether they
    /// were added.
    fn add_cpu(&mut self, seconds: [f64; 3]) -> bool {
        let has_cpu = self
            .0
            .iter()
            .any(|(name, value)| *name == MEAN && **value != *b"null");
        if has_cpu || seconds.iter().any(|seconds| !seconds.is_finite()) {
            return false;
        }
        self.0.retain(|(name, _)| !REGRESSED.contains(name));
        let source = format!("\"{}\"", EndpointCpuSource::Regressed.as_str());
        self.0.push((SOURCE, source.into_bytes().into()));
        for (name, seconds) in [MEAN, LOW, HIGH].into_iter().zip(seconds) {
            let mut value = Vec::new();
            (seconds * MS_PER_S).encode(&mut value);
            self.0.push((name, value.into()));
        }
        true
    }

    /// Appends the known fields in the order of CCTF, and then the other fields in their original order.
    fn encode(mut self, known: &[Field], out: &mut Vec<u8>) {
        let place = |name: &[u8]| known.iter().position(|field| field.name.as_bytes() == name);
        self.0.sort_by_key(|(name, _)| place(name).unwrap_or(known.len()));
        out.push(b'{');
        for (number, (name, value)) in self.0.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(name);
            out.extend_from_slice(b"\":");
            out.extend_from_slice(value);
        }
        out.push(b'}');
    }
}

/// Whether the inventory may contain an estimated CPU time. The check also finds values that are written with escapes.
fn has_regressed(inventory: &[u8]) -> bool {
    let has = |text: &str| memmem::find(inventory, text.as_bytes()).is_some();
    has(EndpointCpuSource::Regressed.as_str()) || has("\\u")
}

fn all(raw: &[u8]) -> Result<Vec<RawField<'_>>, NotAnObject> {
    let mut fields = Fields::new(raw)?;
    let mut found = Vec::new();
    while let Some(field) = fields.next_field()? {
        found.push(field);
    }
    Ok(found)
}

fn text_of<'a>(fields: &[RawField<'a>], name: &[u8]) -> Option<Cow<'a, str>> {
    let field = fields.iter().find(|field| field.name == name)?;
    text(field.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint_cpu::NoCpuTime;
    use crate::regression::NoRegression;

    fn endpoint(route: &str, requests: u64, mean: Option<f64>) -> CpuOfEndpoint {
        let estimate = |mean: f64| Estimate {
            mean,
            low: mean / 2.0,
            high: mean * 2.0,
            half_width: mean / 2.0,
        };
        CpuOfEndpoint {
            method: Some("GET".to_owned()),
            route: Some(route.to_owned()),
            is_other: false,
            requests,
            cpu: mean.map(estimate).ok_or(NoCpuTime::Process(NoRegression::NoCpu)),
        }
    }

    fn module(endpoints: Vec<CpuOfEndpoint>) -> ModuleCpu {
        ModuleCpu {
            module_id: "m".to_owned(),
            endpoints,
        }
    }

    /// Writes these estimates to an inventory, checks their number, and returns the result.
    fn written(inventory: &str, found: &ModuleCpu) -> String {
        let found = std::slice::from_ref(found);
        let estimated = with_cpu_times(inventory.as_bytes(), found).unwrap();
        let text = String::from_utf8(estimated.inventory.into_owned()).unwrap();
        assert_eq!(
            text.matches("\"regressed\"").count() as u64,
            estimated.set,
            "{text}"
        );
        text
    }

    const INVENTORY: &str = "[\n{\"module_id\":\"m\",\"endpoints\":[{\"method\":\"GET\",\"route\":\"/a\",\"calls\":1},{\"method\":\"GET\",\"route\":\"/\\u0062\",\"calls\":3}],\"mine\":1.50},\n{\"module_id\":\"n\",\"cpu_ms_mean\":1.0,\"cpu_src\":\"measured\"}\n]\n";

    #[test]
    fn estimates_are_added_and_all_other_fields_stay() {
        let found = module(vec![
            endpoint("/a", 1, Some(0.002)),
            endpoint("/b", 3, Some(0.004)),
        ]);
        let once = written(INVENTORY, &found);
        let expected = INVENTORY
            .replace("\"calls\":1", "\"calls\":1,\"cpu_ms_mean\":2.0,\"cpu_src\":\"regressed\",\"cpu_ms_low\":1.0,\"cpu_ms_high\":4.0")
            .replace("\"calls\":3}]", "\"calls\":3,\"cpu_ms_mean\":4.0,\"cpu_src\":\"regressed\",\"cpu_ms_low\":2.0,\"cpu_ms_high\":8.0}]");
        assert_eq!(once, expected);
        serde_json::from_str::<serde_json::Value>(&once).unwrap();
        assert_eq!(written(&once, &found), once, "a second call");
        assert_eq!(written(&once, &module(Vec::new())), INVENTORY);
    }

    #[test]
    fn figures_of_modules_stay_and_so_do_endpoints_without_an_estimate() {
        let found = module(vec![endpoint("/a", 1, Some(0.002)), endpoint("/b", 3, None)]);
        let partly = written(INVENTORY, &found);
        assert_eq!(partly.matches("regressed").count(), 1, "{partly}");
        let estimated = INVENTORY.replace("\"mine\":1.50", "\"cpu_ms_mean\":9.0,\"cpu_src\":\"estimated\"");
        let all = module(vec![
            endpoint("/a", 1, Some(0.002)),
            endpoint("/b", 3, Some(0.004)),
        ]);
        let kept = written(&estimated, &all);
        assert!(
            kept.contains("\"cpu_ms_mean\":9.0,\"cpu_src\":\"estimated\""),
            "{kept}"
        );
        assert_eq!(kept.matches("regressed").count(), 2, "{kept}");
    }

    #[test]
    fn two_modules_of_one_name_get_no_estimate_and_damage_is_an_error() {
        let twice = INVENTORY.replace("\"n\"", "\"m\"");
        let found = module(vec![endpoint("/a", 1, Some(0.002))]);
        assert_eq!(written(&twice, &found), twice);
        assert_eq!(written("[]", &found), "[\n]\n");
        for invalid in ["{}", "[1]", "[{\"endpoints\":7}]", ""] {
            let found = std::slice::from_ref(&found);
            assert!(with_cpu_times(invalid.as_bytes(), found).is_err(), "{invalid}");
        }
    }

    #[test]
    fn without_estimates_an_inventory_stays_and_an_earlier_estimate_goes() {
        let compact = "[{\"endpoints\":[ ], \"module_id\":\"m\"}]";
        let kept = with_cpu_times(compact.as_bytes(), &[]).unwrap();
        assert!(
            matches!(kept.inventory, Cow::Borrowed(_)) && kept.set == 0,
            "{kept:?}"
        );
        let found = module(vec![endpoint("/a", 1, Some(0.002))]);
        let estimated = written(INVENTORY, &found);
        for earlier in [
            estimated.clone(),
            estimated.replace("regressed", "\\u0072egressed"),
        ] {
            let without = with_cpu_times(earlier.as_bytes(), &[]).unwrap();
            assert_eq!(without.inventory, INVENTORY.as_bytes());
        }
    }
}
