//! Roots of handmade runs: which there are, what they are, and when they are sent.

mod hostile;
mod reading;
mod recorded;
mod run;
mod selecting;
