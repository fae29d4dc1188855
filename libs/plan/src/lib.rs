//! What a recorded run asks of a system: its roots in order of time, and the stations that answer them.
