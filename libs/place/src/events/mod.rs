//! Events of a placement: a module moves or is scaled during the run, at a time or at a utilisation.
//!
//! A request from outside, with everything that it causes, follows the placement that is in force when it arrives. So an event takes
//! effect for later requests, and those that are under way end where they began.
//!
//! - [`event`]: one of them; [`parse`]: as strategies write them.
//! - [`joined`]: all placements of a run as one platform; [`play`]: a simulation that finds out when events happen.

mod event;
mod joined;
mod parse;
mod play;

pub use event::{Action, EVENTS_MAX, Event, REPLICAS_MAX, When};
pub use parse::parse;
pub use play::{Played, WINDOW_NS, play};
