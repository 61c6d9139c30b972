//! Policy without a directory: documents in YAML or JSON, assigned to groups (docs/POLICY.md, "Policy documents").
//!
//! Promise: pure functions of texts and of what a device is in. A text is read within limits before anything is built from it,
//! without anchors, aliases and tags; a refusal says the line and the path. What a document says is held against the
//! descriptions of the nodes and never reaches a protected one. **Order** is that of linked GPOs: groups from the outermost to the
//! innermost, at one depth the highest `order` first, so that 1 wins there, then by name; behind them the enforced
//! ones the other way round. Documents come behind every GPO that is not enforced, and before every one that is.

pub mod check;
pub mod claims;
pub mod diff;
pub mod expect;
pub mod layer;
pub mod model;
pub mod node;
pub mod read;
pub mod resolve;
pub mod schema;
mod write;

pub use check::{Checker, Finding, Rule, Unknown};
pub use claims::{Claim, Claims};
pub use model::{Assign, Assignment, Document, Setting, Subject, Value};
pub use node::{Error, ErrorKind, Limits};
pub use resolve::{Effective, Held, InGroup, Layered, effective, resolve};
