//! The core's side: [`Responder`] → [`Waiting`] → [`Asked`], each state by the message that it waits for.
//!
//! Promise: a Hello for a code that does not exist costs the same and fails the same as one with a wrong password. A Hello may be a
//! repetition of somebody else's; only a finish shows that the device is there, so nothing is committed before it.

use snow::{HandshakeState, TransportState};
use zeroize::Zeroizing;

use super::{
    Admitted, Application, EnrolError, Finish, HandshakeId, Hello, Psk, RequestCode, Start, Welcome, frame,
    noise::{self, Side},
};

/// Has read a Hello.
#[derive(Debug)]
pub struct Responder {
    code: RequestCode,
    state: HandshakeState,
}

/// Has answered, and waits for the finish; to be kept for [`super::HANDSHAKE_LIFE_MS`].
#[derive(Debug)]
pub struct Waiting {
    handshake: HandshakeId,
    code: RequestCode,
    transport: TransportState,
    finished: bool,
}

/// Has read the application of a device that proved itself.
#[derive(Debug)]
pub struct Asked(TransportState);

impl Responder {
    /// Reads a start with the key of its code, `None` where there is no such request. `ephemeral` comes from the
    /// caller's random source and is used for nothing else.
    ///
    /// # Errors
    /// [`EnrolError::NotProved`] alike for a wrong password and for no request; [`EnrolError::Content`] for what a device that
    /// knows the password should not say.
    pub fn start(
        start: &Start<'_>,
        psk: Option<&Psk>,
        ephemeral: Zeroizing<[u8; 32]>,
    ) -> Result<(Self, Hello), EnrolError> {
        let nobodys = Psk::from_bytes(*ephemeral); // as secret as a key that exists
        let mut state = noise::handshake(Side::Core, start.code, psk.unwrap_or(&nobodys), &ephemeral);
        let payload = noise::read_handshake(&mut state, start.noise)?;
        if psk.is_none() {
            return Err(EnrolError::NotProved);
        }
        Ok((Self { code: start.code, state }, Hello::read(&payload)?))
    }

    /// Answers; gives the body of the answer.
    ///
    /// # Errors
    /// [`EnrolError::Content`]: the welcome is beyond its limits.
    pub fn welcome(mut self, welcome: &Welcome) -> Result<(Waiting, Vec<u8>), EnrolError> {
        let message = noise::write_handshake(&mut self.state, &welcome.write()?);
        let (handshake, transport) = noise::over(self.state);
        let waiting = Waiting { handshake, code: self.code, transport, finished: false };
        Ok((waiting, frame::write(&[], &message)))
    }
}

impl Waiting {
    /// The key to keep it by: what the finish will name.
    #[must_use]
    pub const fn handshake(&self) -> HandshakeId {
        self.handshake
    }

    /// Whose handshake it is.
    #[must_use]
    pub const fn code(&self) -> RequestCode {
        self.code
    }

    /// Reads the finish: only the device that was welcomed can have written it. One that fails leaves the state as it was.
    ///
    /// # Errors
    /// [`EnrolError::Finished`] from the second one on; [`EnrolError::NotProved`]; [`EnrolError::Content`].
    pub fn finish(&mut self, finish: &Finish<'_>) -> Result<Application, EnrolError> {
        if self.finished {
            return Err(EnrolError::Finished);
        }
        if finish.handshake != self.handshake {
            return Err(EnrolError::NotProved);
        }
        let payload = noise::read_transport(&mut self.transport, finish.noise)?;
        self.finished = true;
        Ok(Application::read(&payload)?)
    }

    /// Ready to answer what was asked; `None` before a finish.
    #[must_use]
    pub fn asked(self) -> Option<Asked> {
        self.finished.then_some(Asked(self.transport))
    }
}

impl Asked {
    /// The body of the answer.
    ///
    /// # Errors
    /// [`EnrolError::Content`]: it is beyond its limits.
    pub fn admit(mut self, admitted: &Admitted) -> Result<Vec<u8>, EnrolError> {
        let message = noise::write_transport(&mut self.0, &admitted.write()?);
        Ok(frame::write(&[], &message))
    }
}
