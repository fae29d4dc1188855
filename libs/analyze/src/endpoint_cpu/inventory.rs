//! [`with_cpu_times`]: `module_inventory.json` with the CPU times of endpoints whose rows report none.

use std::borrow::Cow;

use cctf_proto::cctf::{Endpoint, EndpointCpuSource, Field, Module, Row, Value};
use rundir::fields::{Fields, NotAnObject, RawField, text};
use serde_json::value::RawValue;

use super::figures::{CpuOfEndpoint, ModuleCpu};
use crate::regression::Estimate;

const MEAN: &[u8] = b"cpu_ms_mean";
const SOURCE: &[u8] = b"cpu_src";
const LOW: &[u8] = b"cpu_ms_low";
const HIGH: &[u8] = b"cpu_ms_high";
/// Fields of a regressed CPU time.
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

/// Adds the estimates to the endpoints, in place of those of an earlier call. All other fields stay as they are
/// written.
///
/// # Errors
/// If `inventory` is not an array of objects.
pub fn with_cpu_times(inventory: &[u8], found: &[ModuleCpu]) -> Result<Vec<u8>, InvalidInventory> {
    let modules: Vec<&RawValue> = serde_json::from_slice(inventory)?;
    let modules = modules.iter().map(|raw| all(raw.get().as_bytes()));
    let modules: Vec<Vec<RawField<'_>>> = modules.collect::<Result<_, _>>()?;
    let mut out = Vec::with_capacity(inventory.len() * 2);
    out.extend_from_slice(b"[\n");
    for (number, fields) in modules.iter().enumerate() {
        if number > 0 {
            out.extend_from_slice(b",\n");
        }
        let id = text_of(fields, b"module_id");
        // A module of the same name in another application has the same instances' samples.
        let is_unique = modules
            .iter()
            .filter(|other| text_of(other, b"module_id") == id)
            .count()
            == 1;
        let of = |module: &&ModuleCpu| is_unique && Some(&*module.module_id) == id.as_deref();
        push_module(fields, found.iter().find(of), &mut out)?;
    }
    out.extend_from_slice(if modules.is_empty() { b"]\n" } else { b"\n]\n" });
    Ok(out)
}

fn push_module(
    read: &[RawField<'_>],
    found: Option<&ModuleCpu>,
    out: &mut Vec<u8>,
) -> Result<(), InvalidInventory> {
    let mut object = Object::new(read);
    if let Some((_, endpoints)) = object.0.iter_mut().find(|(name, _)| *name == b"endpoints") {
        *endpoints = with_endpoints(endpoints, found)?.into();
    }
    object.encode(Module::FIELDS, out);
    Ok(())
}

fn with_endpoints(raw: &[u8], found: Option<&ModuleCpu>) -> Result<Vec<u8>, InvalidInventory> {
    let endpoints: Vec<&RawValue> = serde_json::from_slice(raw)?;
    let mut out = vec![b'['];
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
            object.add_cpu([*mean, *low, *high]);
        }
        object.encode(Endpoint::FIELDS, &mut out);
    }
    out.push(b']');
    Ok(out)
}

/// Names and values, as written or new.
struct Object<'a>(Vec<(&'a [u8], Cow<'a, [u8]>)>);

impl<'a> Object<'a> {
    /// The fields as read, without an earlier regression.
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

    /// Adds a mean in seconds and both ends of its interval, unless the object has a CPU time.
    fn add_cpu(&mut self, seconds: [f64; 3]) {
        let has_cpu = self
            .0
            .iter()
            .any(|(name, value)| *name == MEAN && **value != *b"null");
        if has_cpu || seconds.iter().any(|seconds| !seconds.is_finite()) {
            return;
        }
        self.0.retain(|(name, _)| !REGRESSED.contains(name));
        let source = format!("\"{}\"", EndpointCpuSource::Regressed.as_str());
        self.0.push((SOURCE, source.into_bytes().into()));
        for (name, seconds) in [MEAN, LOW, HIGH].into_iter().zip(seconds) {
            let mut value = Vec::new();
            (seconds * MS_PER_S).encode(&mut value);
            self.0.push((name, value.into()));
        }
    }

    /// Appends the fields in the order of the contract, then others as they came.
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

fn all(raw: &[u8]) -> Result<Vec<RawField<'_>>, NotAnObject> {
    let mut fields = Fields::new(raw)?;
    let mut found = Vec::new();
    while let Some(field) = fields.next_field()? {
        found.push(field);
    }
    Ok(found)
}

fn text_of(fields: &[RawField<'_>], name: &[u8]) -> Option<String> {
    let field = fields.iter().find(|field| field.name == name)?;
    text(field.value).map(Cow::into_owned)
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

    fn written(inventory: &str, found: &ModuleCpu) -> String {
        let found = std::slice::from_ref(found);
        String::from_utf8(with_cpu_times(inventory.as_bytes(), found).unwrap()).unwrap()
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
            assert!(with_cpu_times(invalid.as_bytes(), &[]).is_err(), "{invalid}");
        }
    }
}
