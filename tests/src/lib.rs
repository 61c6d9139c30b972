//! System tests against real parts, import rules, benchmarks.
#![forbid(unsafe_code)]
