//! Tests of the HTTP interface against a real database, over real sockets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod brain;
mod dead_letters;
mod every_answer;
mod headers;
mod health;
mod hostile;
mod http2;
mod lifecycle;
mod log;
mod publish;
mod raw;
mod reading;
mod schedules;
mod shown;
mod status;
