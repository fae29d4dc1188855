//! Stand-ins for the instances of a recorded run: their nodes, their links, and their start.
//!
//! - [`recording`]: modules, nodes and links of the recorded run.
//! - [`placement`]: the user's file that changes them; [`write`]: writes such a file; [`error`]: the errors in such a file.
//! - [`groups`]: the instances of a module on one node, which a placement can change separately.
//! - [`placed`]: the list of stand-ins that results; [`stand_in`]: one of them.
//! - [`stages`]: the events of a placement, and the stand-ins that they need.
//! - [`figures`]: delay and rate of links; [`pairs`]: the nodes that call each other; [`links`]: the network of the stand-ins;
//!   [`ways`]: the links between given nodes or instances.
//! - [`launch`]: the processes of the stand-ins, and the files with their addresses.

pub mod error;
#[cfg(test)]
mod event_tests;
pub mod figures;
pub mod groups;
pub mod launch;
#[cfg(test)]
mod link_tests;
mod links;
pub mod pairs;
pub mod placed;
pub mod placement;
pub mod recording;
pub mod stages;
pub mod stand_in;
#[cfg(test)]
mod tests;
pub mod ways;
mod write;

pub use error::PlacementError;
pub use placed::Placed;
pub use placement::Placement;
pub use recording::Recording;
pub use stand_in::StandIn;
