//! Name resolution that filters out forbidden addresses.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

use super::allow::is_forbidden;

/// The system's resolver with a check of each address. The connection uses exactly the checked addresses, so a name that
/// changes its address between check and use has no effect.
#[derive(Clone)]
pub struct CheckedResolver(GaiResolver);

/// The error if all addresses of a name are forbidden.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves only to forbidden addresses")]
pub struct ForbiddenAddress;

impl CheckedResolver {
    pub fn new() -> Self {
        Self(GaiResolver::new())
    }
}

impl Default for CheckedResolver {
    fn default() -> Self {
        Self::new()
    }
}

impl Service<Name> for CheckedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let lookup = self.0.call(name);
        Box::pin(async move { keep_allowed(lookup.await?).map(Vec::into_iter) })
    }
}

fn keep_allowed(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    let mut some_forbidden = false;
    let allowed: Vec<_> = addresses
        .filter(|address| {
            let forbidden = is_forbidden(address.ip());
            some_forbidden |= forbidden;
            !forbidden
        })
        .collect();
    if allowed.is_empty() && some_forbidden {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, ForbiddenAddress));
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_addresses_of_a_name_are_left_out() {
        let good: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let bad: SocketAddr = "169.254.169.254:80".parse().unwrap();
        assert_eq!(keep_allowed([bad, good].into_iter()).unwrap(), [good]);
        let error = keep_allowed([bad].into_iter()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
