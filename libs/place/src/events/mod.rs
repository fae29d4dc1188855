//! Events of a placement: a module moves or is scaled during the run, at a time or at a utilisation.
//!
//! A request from outside, with everything that it causes, follows the placement in force when it arrives. So an event takes
//! effect for later requests, and requests under way end where they began.
//!
//! - [`event`]: one event; [`parse`]: an event in a strategy's answer.
//! - [`joined`]: all placements of a run as one platform; [`play`]: a simulation that finds out when events happen; [`busy`]: the
//!   utilisations that it watches.

mod busy;
mod event;
mod joined;
mod parse;
mod play;

pub use event::{Action, Event, When};
pub use parse::parse;
pub use play::{Played, play};
