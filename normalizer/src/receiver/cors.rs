//! [`Cors`]: the origins whose pages may send telemetry from a browser (the Fetch standard, section 3.3).

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};

use super::answer::AnswerBody;

/// Allows any origin.
const ANY: &str = "*";
/// Time that a browser may cache a preflight: Chromium's maximum.
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("7200");

/// The permitted origins. They do not apply to gRPC, because browsers do not use it.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    /// `None` means that answers have no CORS headers, so no page may send.
    origins: Option<Arc<[String]>>,
}

/// The CORS headers of a request's answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Permission {
    is_on: bool,
    /// The origin in the answer; `None` if its pages may not send.
    origin: Option<HeaderValue>,
}

impl Cors {
    /// Permits these origins, each in the form that [`parse_origin`] returns.
    pub fn new(origins: &[String]) -> Self {
        Self {
            origins: (!origins.is_empty()).then(|| origins.into()),
        }
    }

    /// The permission of this request's origin.
    pub(super) fn permission<B>(&self, request: &Request<B>) -> Permission {
        let Some(origins) = &self.origins else {
            return Permission::default();
        };
        let asked = request.headers().get(ORIGIN);
        let origin = asked.and_then(|asked| {
            if origins.iter().any(|origin| origin == ANY) {
                return Some(HeaderValue::from_static(ANY));
            }
            origins
                .iter()
                .any(|origin| origin.as_bytes() == asked.as_bytes())
                .then(|| asked.clone())
        });
        Permission { is_on: true, origin }
    }
}

impl Permission {
    /// The answer to a preflight request, which a browser sends without a token before a page's request. `None` if the request
    /// is not a preflight, or its origin is not permitted.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<AnswerBody>> {
        let is_preflight = request.method() == Method::OPTIONS
            && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight || self.origin.is_none() {
            return None;
        }
        let mut response = Response::new(AnswerBody::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        // All headers are permitted, because the token is checked in the request itself, and other headers are ignored.
        if let Some(asked) = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        self.allow(headers);
        headers.insert(
            VARY,
            HeaderValue::from_static("origin, access-control-request-headers"),
        );
        Some(response)
    }

    /// Adds the headers to an answer. A refusal needs them, too, or the page could not read it.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        if !self.is_on {
            return;
        }
        headers.insert(VARY, HeaderValue::from_static("origin"));
        if self.origin.is_some() {
            headers.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("retry-after"),
            );
            self.allow(headers);
        }
    }

    fn allow(&self, headers: &mut HeaderMap) {
        let Some(origin) = &self.origin else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        // Exporters use `navigator.sendBeacon`, which always sends credentials. For these, browsers do not accept the value
        // "*".
        if origin != ANY {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// Checks an origin and returns the form that browsers use: in lower case, without the scheme's default port.
///
/// # Errors
/// A sentence with the expected form.
pub fn parse_origin(text: &str) -> Result<String, String> {
    let wrong =
        || format!("invalid origin {text:?}: write scheme and host, such as https://shop.example, or *");
    if text == ANY {
        return Ok(ANY.to_owned());
    }
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong());
    };
    let has_more = text.matches('/').count() > 2 || uri.query().is_some() || authority.as_str().contains('@');
    if has_more || authority.host().is_empty() {
        return Err(wrong());
    }
    let port = match (scheme, authority.port_u16()) {
        ("http", Some(80)) | ("https", Some(443)) | (_, None) => String::new(),
        (_, Some(port)) => format!(":{port}"),
    };
    Ok(format!("{scheme}://{}{port}", authority.host()).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_as_browsers_write_it() {
        for (text, origin) in [
            ("https://Shop.Example", "https://shop.example"),
            ("https://shop.example:443", "https://shop.example"),
            ("http://shop.example:80", "http://shop.example"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("chrome-extension://abc", "chrome-extension://abc"),
            ("*", "*"),
        ] {
            assert_eq!(parse_origin(text).as_deref(), Ok(origin));
        }
        for wrong in [
            "shop.example",
            "https://a/",
            "https://a?b",
            "https://u@a",
            "null",
            "",
        ] {
            assert!(parse_origin(wrong).is_err(), "{wrong}");
        }
    }
}
