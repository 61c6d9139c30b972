//! (skeleton)
use crate::syncml::{Command, DecodeError, DecodeErrorKind, Decoded, Limits, Place, Repairs};

pub(in crate::syncml) fn message(_body: &[u8], _limits: &Limits) -> Result<Decoded, DecodeError> {
    Err(DecodeError { kind: DecodeErrorKind::Empty, place: Place::default() })
}

pub(in crate::syncml) fn commands(
    _body: &[u8],
    _limits: &Limits,
) -> Result<(Vec<Command>, Repairs), DecodeError> {
    Err(DecodeError { kind: DecodeErrorKind::Empty, place: Place::default() })
}
