//! Writes the message model in DTD order, whatever the encoding.
