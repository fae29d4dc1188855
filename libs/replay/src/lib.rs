//! Sends the roots of a recorded run again, to live services.
