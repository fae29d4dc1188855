//! [`UnlistedOut`]: invocations of endpoints that a bucket does not list. Another bucket may list them.

use std::borrow::Cow;
use std::path::Path;

use aggregate::modules::InvocationFacts;
use rundir::output::LinesOut;
use serde::{Deserialize, Serialize};

use crate::registry::ModuleName;

/// A line of the file: an invocation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unlisted<'a> {
    pub module: Cow<'a, str>,
    pub app: Option<Cow<'a, str>>,
    /// Method and route.
    pub endpoint: Cow<'a, str>,
    pub service_ns: Option<i64>,
    pub cpu_ns: Option<u64>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
}

impl Unlisted<'_> {
    pub fn facts(&self) -> InvocationFacts {
        InvocationFacts {
            endpoint: None,
            service_ns: self.service_ns,
            cpu_ns: self.cpu_ns,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
        }
    }
}

/// The file.
pub struct UnlistedOut(LinesOut);

impl UnlistedOut {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        Ok(Self(LinesOut::create(path)?))
    }

    pub fn add(
        &mut self,
        module: &ModuleName,
        endpoint: &str,
        facts: &InvocationFacts,
    ) -> anyhow::Result<()> {
        let line = Unlisted {
            module: Cow::Borrowed(&module.module_id),
            app: module.app_id.as_deref().map(Cow::Borrowed),
            endpoint: Cow::Borrowed(endpoint),
            service_ns: facts.service_ns,
            cpu_ns: facts.cpu_ns,
            bytes_in: facts.bytes_in,
            bytes_out: facts.bytes_out,
        };
        self.0.write_with(|out| Ok(serde_json::to_writer(out, &line)?))
    }

    /// Makes the file durable.
    pub fn finish(self) -> anyhow::Result<()> {
        self.0.finish().map(drop)
    }
}
