//! What carries short messages to the phone: Kannel, or an SMPP centre.

use std::path::Path;

use postern_tests::{
    kannel::Kannel,
    site::{READY, Site},
    smsc::Smsc,
    wait,
};
use postern_wire::{
    push::{
        Push,
        sms::{Reassembly, ReassemblyLimits},
        wsp,
    },
    terms::UtcMillis,
};

use crate::NUMBER;

/// What carries short messages.
pub(crate) enum Carrier {
    Kannel(Box<Kannel>),
    Smpp(Smsc),
}

impl Carrier {
    pub(crate) fn bearer(&self) -> &'static str {
        match self {
            Self::Kannel(_) => "pap",
            Self::Smpp(_) => "smpp",
        }
    }

    /// How `bootstrap make --to` names it.
    pub(crate) fn to(&self) -> &'static str {
        match self {
            Self::Kannel(_) => "pap",
            Self::Smpp(_) => "sms",
        }
    }

    /// The core's settings that lead to it.
    pub(crate) fn settings(&self, folder: &Path) -> Vec<(&'static str, String)> {
        match self {
            Self::Kannel(kannel) => vec![
                ("POSTERN_PUSH_PAP_URL", kannel.pap_url()),
                ("POSTERN_PUSH_PAP_USER", Kannel::USER.to_owned()),
                ("POSTERN_PUSH_PAP_PASSWORD_FILE", kannel.password_file().to_string_lossy().into_owned()),
                ("POSTERN_PUSH_PAP_GATEWAY_HOST", "ppg.example".to_owned()),
            ],
            Self::Smpp(smsc) => {
                let file = folder.join("smpp-password");
                std::fs::write(&file, "pw\n").expect("a file in the test's folder");
                vec![
                    ("POSTERN_PUSH_SMPP_ADDRESS", smsc.address().to_string()),
                    ("POSTERN_PUSH_SMPP_SYSTEM_ID", "postern".to_owned()),
                    ("POSTERN_PUSH_SMPP_PASSWORD_FILE", file.to_string_lossy().into_owned()),
                ]
            }
        }
    }

    /// The user data of every short message so far, in order.
    fn messages(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Kannel(kannel) => kannel.received().iter().map(|one| one.user_data()).collect(),
            Self::Smpp(smsc) => smsc.submitted().into_iter().map(|one| one.user_data).collect(),
        }
    }

    /// The next push behind the `taken` short messages that were read before: what the phone's radio puts together and
    /// hands to its push router.
    pub(crate) fn next_push(&self, taken: &mut usize, site: &Site) -> Push {
        let whole = || {
            let mut reassembly = Reassembly::new(ReassemblyLimits::default());
            for (at, message) in self.messages().iter().enumerate().skip(*taken) {
                let put = reassembly.take(UtcMillis(0), NUMBER, message).expect("user data");
                if let Some(whole) = put {
                    return Some((at + 1, whole));
                }
            }
            None
        };
        let (end, whole) = wait::until("a push at the centre", READY, whole, || site.logs());
        *taken = end;
        assert_eq!(whole.ports.expect("a push has ports").destination, 2948);
        wsp::decode(&whole.datagram).expect("a WSP push").push
    }
}
