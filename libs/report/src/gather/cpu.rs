//! [`read`]: the CPU times of endpoints that `cctf stats --cpu --write-inventory` or a merge estimated and wrote into the
//! inventory.

use std::collections::BTreeMap;

use analyze::stats::cells::Key;
use analyze::stats::instances::inventory;
use analyze::stats::opened::Opened;
use cctf_proto::cctf::{Endpoint, EndpointCpuSource, Module};
use rundir::ReadError;

use crate::model::CpuEstimate;

const NS_PER_MS: f64 = 1e6;
/// Maximum number of estimates: much more than the rows of a page.
const ESTIMATES_MAX: usize = 1024;

/// The estimates in the inventory of the last part that has one. Empty if no inventory is valid: `stats` then has a note.
///
/// # Errors
/// If a file cannot be read.
pub fn read(opened: &Opened) -> Result<BTreeMap<Key, CpuEstimate>, ReadError> {
    let inventory = inventory(&opened.run, &opened.parts)?;
    let modules: Vec<Module<'_>> = serde_json::from_slice(&inventory).unwrap_or_default();
    let mut estimates = BTreeMap::new();
    for module in &modules {
        for endpoint in module.endpoints.iter().flatten() {
            if let Some(estimate) = estimate(endpoint)
                && estimates.len() < ESTIMATES_MAX
            {
                estimates.insert(key(module, endpoint), estimate);
            }
        }
    }
    Ok(estimates)
}

fn estimate(endpoint: &Endpoint<'_>) -> Option<CpuEstimate> {
    let is_regressed = endpoint.cpu_src == Some(EndpointCpuSource::Regressed);
    let ns = |ms: Option<f64>| Some(ms? * NS_PER_MS);
    Some(CpuEstimate {
        mean_ns: ns(endpoint.cpu_ms_mean.filter(|_| is_regressed))?,
        low_ns: ns(endpoint.cpu_ms_low)?,
        high_ns: ns(endpoint.cpu_ms_high)?,
    })
}

/// The key of the endpoint's group in `cctf stats`.
fn key(module: &Module<'_>, endpoint: &Endpoint<'_>) -> Key {
    Key {
        app_id: module.app_id.as_ref().map(|text| text.to_string()),
        module_id: Some(module.module_id.to_string()),
        method: endpoint.method.as_ref().map(|text| text.to_string()),
        route: endpoint.route.as_ref().map(|text| text.to_string()),
        ..Key::default()
    }
}
