//! Faults, injected for real into the real binary: what was acknowledged is in the files once, nothing else is, and
//! no line is torn. Each test counts what its clients were acknowledged and compares it with the files; each says how it
//! was seen to fail.

mod bombs;
mod checkpoint;
mod clients;
mod clock;
mod cut_off;
mod http2;
mod kill;
mod names;
mod normalizer;
mod output;
mod requests;
mod resend;
mod shim;
mod silent;
mod slow;
mod stopped;
mod writes;
