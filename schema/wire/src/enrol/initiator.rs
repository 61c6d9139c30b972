//! The device's side: [`Initiator`] → [`Greeted`] → [`Applied`], each state by the message that it waits for.
//!
//! Promise: what the core says is handed out only after it has proved the password for this very handshake. A state that met a wrong
//! answer is gone; the device begins again.

use snow::{HandshakeState, TransportState};
use zeroize::Zeroizing;

use super::{
    Admitted, Application, EnrolError, HandshakeId, Hello, Psk, RequestCode, Welcome, frame,
    noise::{self, Side},
};

/// Has said Hello.
#[derive(Debug)]
pub struct Initiator(HandshakeState);

/// Has been welcomed: the core is proved.
#[derive(Debug)]
pub struct Greeted {
    handshake: HandshakeId,
    transport: TransportState,
}

/// Has applied.
#[derive(Debug)]
pub struct Applied(TransportState);

impl Initiator {
    /// Begins; gives the body of the start. `ephemeral` comes from the caller's random source and is used for nothing else.
    ///
    /// # Errors
    /// [`EnrolError::Content`]: the Hello is beyond its limits.
    pub fn start(
        code: RequestCode,
        psk: &Psk,
        hello: &Hello,
        ephemeral: Zeroizing<[u8; 32]>,
    ) -> Result<(Self, Vec<u8>), EnrolError> {
        let payload = hello.write()?;
        let mut state = noise::handshake(Side::Device, code, psk, &ephemeral);
        let message = noise::write_handshake(&mut state, &payload);
        Ok((Self(state), frame::write(code.as_bytes(), &message)))
    }

    /// Reads the answer to the start. Only now is the core believed, and what it names to be trusted with it.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub fn welcomed(mut self, body: &[u8]) -> Result<(Greeted, Welcome), EnrolError> {
        let payload = noise::read_handshake(&mut self.0, frame::read_welcome(body)?)?;
        let welcome = Welcome::read(&payload)?;
        let (handshake, transport) = noise::over(self.0);
        Ok((Greeted { handshake, transport }, welcome))
    }
}

impl Greeted {
    /// The handshake's name.
    #[must_use]
    pub const fn handshake(&self) -> HandshakeId {
        self.handshake
    }

    /// Applies; gives the body of the finish.
    ///
    /// # Errors
    /// [`EnrolError::Content`]: the application is beyond its limits.
    pub fn apply(mut self, application: &Application) -> Result<(Applied, Vec<u8>), EnrolError> {
        let message = noise::write_transport(&mut self.transport, &application.write()?);
        Ok((Applied(self.transport), frame::write(&self.handshake.0, &message)))
    }
}

impl Applied {
    /// Reads the answer to the finish.
    ///
    /// # Errors
    /// [`EnrolError`].
    pub fn admitted(mut self, body: &[u8]) -> Result<Admitted, EnrolError> {
        let payload = noise::read_transport(&mut self.0, frame::read_admitted(body)?)?;
        Ok(Admitted::read(&payload)?)
    }
}
