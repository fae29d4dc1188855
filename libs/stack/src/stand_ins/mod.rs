//! Stand-ins for the instances of a recorded run: which ones, where they run, over which links, and how they start.
//!
//! - [`recording`]: modules, nodes and links of the recorded run.
//! - [`placement`]: the user's file that changes them; [`error`]: what is invalid in it.
//! - [`placed`]: the stand-ins that result; [`figures`]: delay and rate of links; [`links`]: the network of the stand-ins.
//! - [`launch`]: their processes, and the files with their addresses.

pub mod error;
pub mod figures;
pub mod launch;
mod links;
pub mod placed;
pub mod placement;
pub mod recording;
#[cfg(test)]
mod tests;

pub use error::PlacementError;
pub use placed::{Placed, StandIn};
pub use placement::Placement;
pub use recording::Recording;
