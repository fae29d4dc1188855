//! Real faults in the real binary: acknowledged rows are in the files once, no others are, and no line is torn. Each test compares the
//! acknowledgements of its clients with the files, and describes how it was seen to fail.

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
