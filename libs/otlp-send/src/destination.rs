//! [`Destination`]: receiver and protocol of one signal. Flags override the signal's variables, which override general ones.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::flags::Flags;
use crate::list;
use crate::options::{Compression, Protocol, Signal};
use crate::variables::Variables;

/// Default deadline of one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);
const VARIABLE: &str = "OTEL_EXPORTER_OTLP_";

/// PEM files of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// CA certificates that verify the receiver's certificate; `None` means those of the system.
    pub(crate) certificate: Option<PathBuf>,
    /// Client certificate and its key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

/// The resolved receiver and protocol of one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub(crate) signal: Signal,
    /// For HTTP, including the signal's path.
    pub(crate) url: Url,
    pub(crate) protocol: Protocol,
    pub(crate) headers: HeaderMap,
    pub(crate) compression: Compression,
    pub(crate) timeout: Option<Duration>,
    pub(crate) tls: TlsFiles,
}

/// An invalid setting, with a remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl Destination {
    /// Resolves the destination of `signal`; none if neither a flag nor a variable sets an endpoint. `own_endpoint` is the
    /// flag for only this signal, `endpoint` the general one.
    ///
    /// # Errors
    /// An invalid setting.
    pub fn resolve(
        signal: Signal,
        own_endpoint: Option<&str>,
        endpoint: Option<&str>,
        flags: &Flags,
        variables: &mut Variables,
    ) -> Result<Option<Self>, SettingsError> {
        let protocol = protocol(signal, flags, variables);
        let variable = |of: &str| variables.text(&format!("{VARIABLE}{of}ENDPOINT")).map(str::trim);
        let own = own_endpoint.or_else(|| variable(signal.in_variables()).filter(|_| endpoint.is_none()));
        let url = match (own, endpoint.or_else(|| variable(""))) {
            (Some(own), _) => parse_url(own)?,
            (None, Some(base)) => with_path(parse_url(base)?, signal, protocol),
            (None, None) => return Ok(None),
        };
        Self::with_url(signal, url, protocol, flags, variables).map(Some)
    }

    /// Like [`Destination::resolve`], with a receiver on this machine as the default.
    ///
    /// # Errors
    /// An invalid setting.
    pub fn resolve_or_local(
        signal: Signal,
        endpoint: Option<&str>,
        flags: &Flags,
        variables: &mut Variables,
    ) -> Result<Self, SettingsError> {
        if let Some(resolved) = Self::resolve(signal, None, endpoint, flags, variables)? {
            return Ok(resolved);
        }
        let protocol = protocol(signal, flags, variables);
        let url = with_path(parse_url(protocol.local_endpoint())?, signal, protocol);
        Self::with_url(signal, url, protocol, flags, variables)
    }

    /// An OTLP/gRPC receiver with default options, regardless of the variables.
    ///
    /// # Errors
    /// An invalid endpoint.
    pub fn plain(signal: Signal, endpoint: &str) -> Result<Self, SettingsError> {
        Self::with_url(
            signal,
            parse_url(endpoint)?,
            Protocol::Grpc,
            &Flags::default(),
            &mut Variables::default(),
        )
    }

    fn with_url(
        signal: Signal,
        url: Url,
        protocol: Protocol,
        flags: &Flags,
        variables: &mut Variables,
    ) -> Result<Self, SettingsError> {
        let text = |variables: &Variables, option: &str| {
            let [own, general] = names(signal, option);
            variables
                .text(&own)
                .or_else(|| variables.text(&general))
                .map(str::to_owned)
        };
        let headers = flags.otlp_headers.clone().or_else(|| text(variables, "HEADERS"));
        let file = |flag: &Option<PathBuf>, option| {
            flag.clone()
                .or_else(|| text(variables, option).map(PathBuf::from))
        };
        let certificate = file(&flags.otlp_certificate, "CERTIFICATE");
        let client = (
            file(&flags.otlp_client_certificate, "CLIENT_CERTIFICATE"),
            file(&flags.otlp_client_key, "CLIENT_KEY"),
        );
        let client = match client {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(SettingsError(format!(
                    "{VARIABLE}CLIENT_CERTIFICATE and {VARIABLE}CLIENT_KEY belong together: set both or neither"
                )));
            }
        };
        let compression = match flags.otlp_compression {
            Some(flag) => flag,
            None => first_valid(signal, "COMPRESSION", variables, Compression::parse).unwrap_or_default(),
        };
        let timeout = match flags.otlp_timeout_ms {
            Some(flag) => Some(flag),
            None => first_valid(signal, "TIMEOUT", variables, |text| text.parse().ok()),
        };
        Ok(Self {
            signal,
            url,
            protocol,
            headers: parse_headers(headers.as_deref().unwrap_or_default())?,
            compression,
            timeout: timeout.map_or(Some(TIMEOUT), |ms| (ms > 0).then(|| Duration::from_millis(ms))),
            tls: TlsFiles { certificate, client },
        })
    }
}

fn protocol(signal: Signal, flags: &Flags, variables: &mut Variables) -> Protocol {
    flags
        .otlp_protocol
        .or_else(|| first_valid(signal, "PROTOCOL", variables, Protocol::parse))
        .unwrap_or_default()
}

/// The variable of the signal, and the general one.
fn names(signal: Signal, option: &str) -> [String; 2] {
    [signal.in_variables(), ""].map(|of| format!("{VARIABLE}{of}{option}"))
}

/// The first valid value of the two variables.
fn first_valid<T>(
    signal: Signal,
    option: &str,
    variables: &mut Variables,
    parse: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    names(signal, option)
        .iter()
        .find_map(|name| variables.parsed(name, &parse))
}

/// Appends the signal's path to a general endpoint. gRPC has its own paths.
fn with_path(mut base: Url, signal: Signal, protocol: Protocol) -> Url {
    if protocol == Protocol::HttpProtobuf {
        let path = format!("{}{}", base.path().trim_end_matches('/'), signal.http_path());
        base.set_path(&path);
    }
    base
}

fn parse_url(text: &str) -> Result<Url, SettingsError> {
    let invalid = |why: &str| {
        SettingsError(format!(
            "invalid OTLP endpoint {text:?}: {why}; write it as in http://127.0.0.1:4317"
        ))
    };
    if !text.contains("://") {
        return Err(invalid("it has no scheme"));
    }
    let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
    match url.scheme() {
        "http" | "https" if !url.has_host() => Err(invalid("it has no host")),
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => {
            // Not repeated in the error, because it contains a secret.
            Err(SettingsError(
                "invalid OTLP endpoint: it has a user name or password; send them as a header".to_owned(),
            ))
        }
        "http" | "https" => Ok(url),
        other => Err(invalid(&format!(
            "only http and https are supported, not {other}"
        ))),
    }
}

fn parse_headers(text: &str) -> Result<HeaderMap, SettingsError> {
    let invalid = |why: String| SettingsError(format!("invalid {VARIABLE}HEADERS: {why}"));
    let mut headers = HeaderMap::new();
    for (key, value) in list::parse(text).map_err(|error| invalid(error.to_string()))? {
        let name = HeaderName::try_from(&key).map_err(|_| invalid(format!("invalid header name {key:?}")))?;
        let mut value =
            HeaderValue::try_from(&value).map_err(|_| invalid(format!("invalid value of {key:?}")))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests;
