//! Stand-ins are services that execute a recorded plan in place of an application. This crate has the code that stand-ins share
//! with the programs that send requests to them.
//!
//! - [`work`]: the work of one invocation. [`codec`]: encodes it as a request body. [`bounds`], [`check`]: limits for received
//!   work.
//! - [`request`]: the HTTP request that carries the body. [`instances`]: the file with the addresses of the stand-ins.

pub mod bounds;
pub mod check;
pub mod codec;
pub mod error;
pub mod instances;
pub mod request;
pub mod work;

pub use bounds::{
    BODY_BYTES_MAX, CALLEES_MAX, CALLS_MAX, DEPTH_MAX, DURATION_NS_MAX, TEXT_BYTES_MAX, WORK_BYTES_MAX,
};
pub use check::check;
pub use codec::{HEAD_BYTES, body, decode, encode};
pub use error::StandInError;
pub use instances::{INSTANCES_MAX, Instance, StandIns};
pub use request::{NO_PLAN, NO_STAND_IN, PLAN_HEADER, PLAN_VERSION, Probe, RESPONSE_HEADER, STAND_IN_PATH};
pub use work::{Call, Callee, Ends, Kind, Wait, What, Work};
