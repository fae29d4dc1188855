//! Check, admission and views of OTLP requests, each compared with prost's decoding of the same bytes.

mod admission;
mod check;
mod differential;
mod fields;
mod layouts;
mod pattern;
mod repair;
mod support;
