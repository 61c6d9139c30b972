//! Gateway and core over real links: admission, relay, and what a gateway keeps. What stands behind the core is a
//! recorder, so that a test sees exactly what crossed.

mod admission;
mod enrolment;
mod listen;
mod relay;
mod site;
mod state;
