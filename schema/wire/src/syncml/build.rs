//! Builds the message model from elements, whatever the encoding.
