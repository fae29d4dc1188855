//! [`Attributes`]: a list of OTLP attributes that grows. [`described`]: name, attributes and status of a row's span.
//!
//! The normalizer reads all of these names. Most of them belong to the current semantic conventions. Some conventions require a value
//! that the row does not have, such as the name of a database system. Then the value is [`UNKNOWN`], if the normalizer could not
//! recognize the protocol without it.

use std::net::Ipv6Addr;

use cctf_proto::cctf::{Call, Invocation, SpanKind};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// The value of an attribute without which the normalizer would not recognize the protocol, if the row has no such value.
const UNKNOWN: &str = "unknown";
/// Statuses of HTTP. Receivers ignore all other numbers.
const HTTP_STATUSES: std::ops::Range<i64> = 100..1000;
const HTTP_STATUS: &str = "http.response.status_code";
const REQUEST_SIZE: &str = "http.request.body.size";
const RESPONSE_SIZE: &str = "http.response.body.size";

/// A list of attributes. Missing values are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes(pub Vec<KeyValue>);

impl Attributes {
    fn add(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        });
    }

    pub fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.add(key, Value::StringValue(value.to_owned()));
        }
    }

    pub fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        let value = |text: &str| AnyValue {
            value: Some(Value::StringValue(text.to_owned())),
        };
        let values = values.map(value).collect();
        self.add(key, Value::ArrayValue(ArrayValue { values }));
    }

    /// Numbers of CCTF are at most 2^63 - 1.
    pub fn unsigned(&mut self, key: &str, value: Option<u64>) {
        self.integer(key, value.and_then(|value| i64::try_from(value).ok()));
    }

    pub fn integer(&mut self, key: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.add(key, Value::IntValue(value));
        }
    }

    pub fn double(&mut self, key: &str, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.add(key, Value::DoubleValue(value));
        }
    }

    pub fn boolean(&mut self, key: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.add(key, Value::BoolValue(value));
        }
    }
}

/// The facts of a row that the conventions can express.
#[derive(Debug, Clone, Copy)]
struct Facts<'r> {
    kind: SpanKind,
    protocol: Option<&'r str>,
    method: Option<&'r str>,
    path: Option<&'r str>,
    route: Option<&'r str>,
    name: Option<&'r str>,
    status: Option<i64>,
    status_text: Option<&'r str>,
    error_type: Option<&'r str>,
    bytes_in: Option<u64>,
    bytes_out: Option<u64>,
    session_id: Option<&'r str>,
    is_call: bool,
    peer: Option<&'r str>,
}

/// A row in the words of the conventions.
#[derive(Debug, Clone, PartialEq)]
pub struct Described {
    pub name: String,
    pub attributes: Attributes,
    pub is_failed: bool,
    /// Whether receivers find all facts again. Rows that no normalizer wrote can have facts that no convention expresses.
    pub is_exact: bool,
    /// Whether the span is described as HTTP although the row states no protocol, because some field of the row needs one.
    pub is_protocol_assumed: bool,
}

pub fn of_invocation(row: &Invocation<'_>) -> Described {
    described(&Facts {
        kind: row.kind,
        protocol: row.protocol.as_deref(),
        method: row.method.as_deref(),
        path: row.path.as_deref(),
        route: row.route.as_deref(),
        name: row.name.as_deref(),
        status: row.status,
        status_text: row.status_text.as_deref(),
        error_type: row.error_type.as_deref(),
        bytes_in: row.bytes_in,
        bytes_out: row.bytes_out,
        session_id: row.session_id.as_deref(),
        is_call: false,
        peer: None,
    })
}

pub fn of_call(row: &Call<'_>, kind: SpanKind) -> Described {
    let mut described = described(&Facts {
        kind,
        protocol: row.protocol.as_deref(),
        method: row.method.as_deref(),
        path: row.path.as_deref(),
        route: None,
        name: row.name.as_deref(),
        status: row.status,
        status_text: None,
        error_type: row.error_type.as_deref(),
        bytes_in: row.bytes_in,
        bytes_out: row.bytes_out,
        session_id: row.session_id.as_deref(),
        is_call: true,
        peer: row.peer.as_deref(),
    });
    let attributes = &mut described.attributes;
    attributes.unsigned("http.request.resend_count", row.resend_count);
    described
}

fn described(facts: &Facts<'_>) -> Described {
    let mut out = Attributes::default();
    let is_protocol_assumed = facts.protocol.is_none() && !has_no_protocol(facts);
    let is_protocol_exact = match facts.protocol {
        None if is_protocol_assumed => http(facts, &mut out),
        Some("http") => http(facts, &mut out),
        Some("rpc") => rpc(facts, &mut out),
        Some("messaging") => messaging(facts, &mut out),
        Some("db") => database(facts, &mut out),
        Some("faas") => function(facts, &mut out),
        protocol => protocol.is_none(),
    };
    let is_peer_exact = !facts.is_call || peer(facts, &mut out);
    sizes(facts, &mut out);
    out.text("session.id", facts.session_id);
    out.text("error.type", facts.error_type);
    // Messaging and databases can use HTTP as their transport. If such a span is marked as failed, receivers ignore an HTTP status
    // below 400. So it is not marked as failed, and `error.type` states the error.
    let hides_status =
        matches!(facts.protocol, Some("messaging" | "db")) && facts.status.is_some_and(|status| status < 400);
    Described {
        name: name(facts),
        attributes: out,
        is_failed: facts.error_type.is_some() && !hides_status,
        is_exact: is_protocol_exact && is_peer_exact,
        is_protocol_assumed,
    }
}

/// The name that the row states. If the row has none, a name made of its method and its route or path. A normalizer that receives
/// the span recognizes such a name, and writes a row without a name.
fn name(facts: &Facts<'_>) -> String {
    if let Some(name) = facts.name {
        return name.to_owned();
    }
    match (facts.method, facts.path) {
        (Some(method), Some(service)) if facts.protocol == Some("rpc") => format!("{service}/{method}"),
        (Some(method), path) => match facts.route.or(path) {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        },
        (None, path) => facts.route.or(path).unwrap_or_default().to_owned(),
    }
}

fn has_no_protocol(facts: &Facts<'_>) -> bool {
    let texts = [facts.method, facts.path, facts.route, facts.status_text];
    facts.status.is_none() && texts.iter().all(Option::is_none)
}

/// The status in the attribute of HTTP.
fn http_status(facts: &Facts<'_>, out: &mut Attributes) -> bool {
    out.integer(HTTP_STATUS, facts.status);
    if facts.status.is_none() {
        out.text(HTTP_STATUS, facts.status_text);
    }
    facts
        .status
        .is_none_or(|status| HTTP_STATUSES.contains(&status) && facts.status_text.is_none())
}

fn http(facts: &Facts<'_>, out: &mut Attributes) -> bool {
    out.text("http.request.method", facts.method);
    out.text("url.path", facts.path);
    out.text("http.route", facts.route);
    let has_status = facts.status.is_some() || facts.status_text.is_some();
    if facts.method.is_none() && facts.route.is_none() && !has_status {
        // Receivers take a span for HTTP only if it has a method, a route or a status. Proxies report the status 0 if there was no
        // answer.
        out.integer(HTTP_STATUS, Some(0));
    }
    http_status(facts, out)
}

fn rpc(facts: &Facts<'_>, out: &mut Attributes) -> bool {
    const STATUS: &str = "rpc.response.status_code";
    out.text("rpc.service", facts.path);
    out.text("rpc.method", facts.method);
    out.text(
        "rpc.system.name",
        Some(UNKNOWN).filter(|_| facts.method.is_none()),
    );
    out.integer(STATUS, facts.status);
    if facts.status.is_none() {
        out.text(STATUS, facts.status_text);
    }
    // Receivers take `package.Service/Method` apart.
    let whole = facts.method.unwrap_or_default().trim_start_matches('/');
    let is_apart = whole
        .rsplit_once('/')
        .is_none_or(|(service, _)| facts.path.is_some_and(|path| path != service));
    let is_one_status = facts.status.is_none() || facts.status_text.is_none();
    is_apart && is_one_status && facts.route.is_none()
}

fn messaging(facts: &Facts<'_>, out: &mut Attributes) -> bool {
    out.text("messaging.system", Some(UNKNOWN).filter(|_| facts.path.is_none()));
    out.text("messaging.destination.name", facts.path);
    out.text("messaging.operation.type", facts.method);
    out.text("celery.task_name", facts.route);
    let is_settled = facts.kind == SpanKind::Consumer && facts.method == Some("settle");
    carried_status(facts, out) && !is_settled
}

fn database(facts: &Facts<'_>, out: &mut Attributes) -> bool {
    let system = facts.peer.filter(|peer| address(peer).is_none());
    out.text("db.system.name", Some(system.unwrap_or(UNKNOWN)));
    out.text("db.operation.name", facts.method);
    out.text("db.collection.name", facts.path);
    carried_status(facts, out) && facts.route.is_none()
}

/// The HTTP status of a span of another protocol that uses HTTP as its transport. A server's span gets none, because receivers
/// take a server's span with an HTTP status for HTTP itself.
fn carried_status(facts: &Facts<'_>, out: &mut Attributes) -> bool {
    if facts.kind != SpanKind::Server {
        return http_status(facts, out);
    }
    facts.status.is_none() && facts.status_text.is_none()
}

fn function(facts: &Facts<'_>, out: &mut Attributes) -> bool {
    out.text("faas.trigger", facts.method);
    out.text("faas.invoked_name", facts.path);
    let is_bare = facts.method.is_none() && facts.path.is_none();
    out.text("faas.invocation_id", Some(UNKNOWN).filter(|_| is_bare));
    facts.status.is_none() && facts.status_text.is_none() && facts.route.is_none()
}

/// The receiver of a call: an address, a database system, a destination of messages, or another name.
fn peer(facts: &Facts<'_>, out: &mut Attributes) -> bool {
    let of_protocol = match facts.protocol {
        Some("messaging") => facts.path,
        Some("db") => facts.peer.or(Some(UNKNOWN)),
        _ => None,
    };
    let Some(peer) = facts.peer else {
        return of_protocol.is_none();
    };
    match address(peer) {
        Some((address, port)) => {
            out.text("server.address", Some(address));
            out.unsigned("server.port", Some(port));
        }
        None if of_protocol == Some(peer) => {}
        None => out.text("server.address", Some(peer)),
    }
    true
}

/// Splits `peer` into address and port. `None` if a receiver would not join them to the same text again.
fn address(peer: &str) -> Option<(&str, u64)> {
    let (address, digits) = peer.rsplit_once(':')?;
    let port: u64 = digits.parse().ok()?;
    if address.is_empty() || port.to_string() != digits {
        return None;
    }
    if !address.contains(':') {
        return Some((address, port));
    }
    let inner = address.strip_prefix('[')?.strip_suffix(']')?;
    let without_zone = inner.split('%').next().unwrap_or(inner);
    without_zone.parse::<Ipv6Addr>().ok().map(|_| (inner, port))
}

/// Sizes of bodies. A client receives the response, a server the request.
fn sizes(facts: &Facts<'_>, out: &mut Attributes) {
    const MESSAGE_SIZE: &str = "messaging.message.body.size";
    let is_message = facts.protocol == Some("messaging");
    match facts.kind {
        SpanKind::Server | SpanKind::Consumer => {
            let is_message = is_message && facts.kind == SpanKind::Consumer;
            out.unsigned(
                if is_message { MESSAGE_SIZE } else { REQUEST_SIZE },
                facts.bytes_in,
            );
            out.unsigned(RESPONSE_SIZE, facts.bytes_out);
        }
        SpanKind::Client | SpanKind::Producer | SpanKind::Internal => {
            out.unsigned(
                if is_message { MESSAGE_SIZE } else { REQUEST_SIZE },
                facts.bytes_out,
            );
            out.unsigned(RESPONSE_SIZE, facts.bytes_in);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_a_port_if_a_receiver_writes_it_the_same_way() {
        for (peer, expected) in [
            ("stock:8080", Some(("stock", 8080))),
            ("[::1]:80", Some(("::1", 80))),
            ("[fe80::1%eth0]:80", Some(("fe80::1%eth0", 80))),
            ("postgresql", None),
            ("a:b:80", None),
            ("[x]:80", Some(("[x]", 80))),
            ("[a:b]:80", None),
            (":80", None),
            ("h:080", None),
            ("h:http", None),
        ] {
            assert_eq!(address(peer), expected, "{peer}");
        }
    }
}
