//! (skeleton)
use crate::syncml::{EncodeError, Message, Style};

pub(in crate::syncml) fn message(_message: &Message, _style: &Style) -> Result<Vec<u8>, EncodeError> {
    Err(EncodeError::Markup("skeleton".to_owned()))
}
