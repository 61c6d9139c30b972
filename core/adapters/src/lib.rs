//! The outside world behind the actors' traits.
#![forbid(unsafe_code)]
