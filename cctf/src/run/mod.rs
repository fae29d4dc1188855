//! The one-command local run: children, wiring, and what they leave behind.
