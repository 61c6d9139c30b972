//! The handshake itself: snow's state machine and its pure-Rust primitives, with randomness from outside.
//!
//! The version and the code stand in the prologue, so that a handshake for one request cannot be turned into one for another.

use snow::{
    Builder, HandshakeState, TransportState,
    params::{CipherChoice, DHChoice, HashChoice},
    resolvers::{CryptoResolver, DefaultResolver},
    types::{Cipher, Dh, Hash, Random},
};
use zeroize::Zeroizing;

use super::{EnrolError, HandshakeId, Psk, RequestCode, VERSION};

const NAME: &str = "Noise_NNpsk0_25519_AESGCM_SHA256";
const PROLOGUE: &[u8] = b"postern enrolment";
/// A public key and a tag; a transport message has the tag only.
const OVERHEAD: usize = 32 + 16;

/// Which side one is.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Device,
    Core,
}

/// A handshake about to begin. `ephemeral` is the private key of this side: 32 octets that nobody can guess, used once.
pub(super) fn handshake(
    side: Side,
    code: RequestCode,
    psk: &Psk,
    ephemeral: &Zeroizing<[u8; 32]>,
) -> HandshakeState {
    let prologue = [PROLOGUE, &[VERSION], code.as_bytes().as_slice()].concat();
    let params = NAME.parse().expect("it is a name of the framework");
    let resolver = Box::new(Given { ephemeral: ephemeral.clone() });
    let built = Builder::with_resolver(params, resolver)
        .prologue(&prologue)
        .and_then(|builder| builder.psk(0, psk.as_bytes()))
        .and_then(|builder| match side {
            Side::Device => builder.build_initiator(),
            Side::Core => builder.build_responder(),
        });
    built.expect("NNpsk0 needs a key, a prologue and the primitives, and has them")
}

/// The next message of the handshake, with `payload` in it.
pub(super) fn write_handshake(state: &mut HandshakeState, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; payload.len() + OVERHEAD];
    let length = state
        .write_message(payload, &mut message)
        .expect("it is this side's turn, and the payload is within its limit");
    message.truncate(length);
    message
}

/// The payload of the other side's message, which is proved by that.
pub(super) fn read_handshake(
    state: &mut HandshakeState,
    message: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EnrolError> {
    let mut payload = Zeroizing::new(vec![0; message.len()]);
    let length = state.read_message(message, &mut payload).map_err(|_| EnrolError::NotProved)?;
    payload.truncate(length);
    Ok(payload)
}

/// The handshake is over: its name, and what encrypts from here on.
pub(super) fn over(state: HandshakeState) -> (HandshakeId, TransportState) {
    let hash = state.get_handshake_hash();
    let id = HandshakeId(std::array::from_fn(|place| hash[place]));
    (id, state.into_transport_mode().expect("both messages were said"))
}

/// A message after the handshake.
pub(super) fn write_transport(state: &mut TransportState, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; payload.len() + OVERHEAD];
    let length = state.write_message(payload, &mut message).expect("the payload is within its limit");
    message.truncate(length);
    message
}

/// The payload of one. A message that is not the next one of the other side changes nothing.
pub(super) fn read_transport(
    state: &mut TransportState,
    message: &[u8],
) -> Result<Zeroizing<Vec<u8>>, EnrolError> {
    let mut payload = Zeroizing::new(vec![0; message.len()]);
    let length = state.read_message(message, &mut payload).map_err(|_| EnrolError::NotProved)?;
    payload.truncate(length);
    Ok(payload)
}

/// snow's own primitives, and the randomness that was passed in.
struct Given {
    ephemeral: Zeroizing<[u8; 32]>,
}

impl CryptoResolver for Given {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        DefaultResolver.resolve_dh(choice)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        DefaultResolver.resolve_cipher(choice)
    }
}

/// Gives its octets away once: a second key of the same randomness would be no ephemeral one.
struct Once(Option<Zeroizing<[u8; 32]>>);

impl Random for Once {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), snow::Error> {
        match self.0.take() {
            Some(octets) if octets.len() == dest.len() => {
                dest.copy_from_slice(&*octets);
                Ok(())
            }
            _ => Err(snow::Error::Rng),
        }
    }
}
