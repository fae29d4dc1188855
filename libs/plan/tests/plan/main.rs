//! Tests of the plan of a run: what calls wait for, the self-check, unusual traces, and its lines.

mod dependence;
mod lines;
mod own_time;
mod programs;
mod rows;
mod unusual;
