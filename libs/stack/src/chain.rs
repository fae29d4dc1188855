//! [`start_chain`] and [`start_single`]: the services that get the load of `cctf run`.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use cctf_load::plan::target::Target;

use super::child::{Child, ChildError};
use super::config::StackConfig;
use super::service::{SERVICE, Service, start_service};
use super::tiers::{ServiceNetwork, Tiers};

/// The services of the chain, from the last to the first: node, stage, and the path that the service before it calls.
const CHAIN: [(&str, &str, &str); 3] = [
    ("cloud0", "cloud", "/kv/set/k1"),
    ("edge0", "edge", GZIP),
    ("ep0", "endpoint", ""),
];
/// Node and stage of the chain's last service.
pub(crate) const END: (&str, &str) = (CHAIN[0].0, CHAIN[0].1);
const GZIP: &str = "/blob/gzip";
/// With level 0, the service does not compress, and sends nearly as many bytes as it received. So the messages on the links have
/// known sizes.
const GZIP_STORED: &str = "/blob/gzip?level=0";

/// Starts the chain's services from the last to the first. Returns them in the order of a request, and the first one's URL.
pub(crate) fn start_chain(
    config: &StackConfig,
    tiers: Option<&Tiers>,
    otlp_endpoint: &str,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Vec<Child>, Target), ChildError> {
    let start = |(node, stage), next_url: Option<&str>| {
        let network = tiers.and_then(|tiers| tiers.network_of(node, 0));
        start_single(
            config,
            (node, stage),
            network,
            next_url,
            otlp_endpoint,
            scratch,
            stop,
        )
    };
    let [(mut callee, stage, mut path), rest @ ..] = CHAIN;
    let (child, mut url) = start((callee, stage), None)?;
    let mut services = vec![child];
    for (node, stage, own_path) in rest {
        let next_url = next_url(tiers, (node, callee), &url, path);
        let (child, own_url) = start((node, stage), Some(&next_url))?;
        services.insert(0, child);
        (url, callee, path) = (own_url, node, own_path);
    }
    Ok((services, url))
}

/// The URL at which the service on node `from` calls the service on node `to`. If the network has links, the call uses the link
/// between the two.
fn next_url(tiers: Option<&Tiers>, (from, to): (&str, &str), url: &Target, path: &str) -> String {
    match tiers {
        Some(tiers) => {
            let url = tiers.by_link(from, to, 0).unwrap_or_else(|| url.clone());
            format!("{url}{}", if path == GZIP { GZIP_STORED } else { path })
        }
        None => format!("{url}{path}"),
    }
}

/// Starts a service that has the run's settings and calls `next_url`.
pub(crate) fn start_single(
    config: &StackConfig,
    (node, stage): (&str, &str),
    network: Option<ServiceNetwork<'_>>,
    next_url: Option<&str>,
    otlp_endpoint: &str,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Child, Target), ChildError> {
    let mut variables = vec![("NODE_ID", node.to_owned()), ("STAGE", stage.to_owned())];
    if let Some(next_url) = next_url {
        let origin = next_url
            .match_indices('/')
            .nth(2)
            .map_or(next_url, |(offset, _)| &next_url[..offset]);
        variables.push(("DEFAULT_NEXT_URL", next_url.to_owned()));
        variables.push(("NEXT_URL_ALLOW", origin.to_owned()));
    }
    for (name, value) in [
        ("WORKERS", config.workers.map(|workers| workers.to_string())),
        ("QUEUE_LIMIT", config.queue_limit.map(|limit| limit.to_string())),
        ("SLOT_POLICY", config.slot_policy.clone()),
        ("APP_ID", config.app_id.clone()),
    ] {
        variables.extend(value.map(|value| (name, value)));
    }
    let service = Service {
        name: format!("{SERVICE}-{node}"),
        variables,
        removed: &[],
        network,
    };
    start_service(config, service, otlp_endpoint, scratch, stop)
}
