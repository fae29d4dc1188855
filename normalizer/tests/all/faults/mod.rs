//! Real faults in the real binary. The files must contain each acknowledged row once and no other row, and every line must be
//! complete. Each test compares the acknowledgements of its clients with the files, and describes a change of the code with
//! which it fails.

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
