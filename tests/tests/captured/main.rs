//! What a captured gateway can do and cannot: the matrix of docs/THREATS.md, cell by cell, with a gateway that holds real
//! link keys (`postern_tests::captured`), the real core and our real device.
//!
//! Promise: where the matrix says *no* the attack is tried and fails, nothing changes of the enrolment, and the refusal can
//! be seen; where it says *yes* the attack is shown to succeed, so that nobody counts on what is not there. Which test is
//! of which cell stands in docs/THREATS.md; `tests/matrix.rs` holds the two together.
#![forbid(unsafe_code)]

mod forge_down;
mod forge_up;
mod hide;
mod kit;
mod lie;
mod mix_up;
mod read;
mod replay_down;
mod replay_up;
