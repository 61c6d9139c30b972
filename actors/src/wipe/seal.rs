//! The marks on destructive rows: whoever writes into the database without the master key cannot bring about a wipe.
//!
//! A mark is the digest of what a row says, sealed for its enrolment (AES-256-GCM authenticates it). A wipe's is checked
//! before a try is issued, a command's before it is put into a queue.

use postern_store::{Sealer, StoreError, commands::Command, wipes::Wipe};
use postern_wire::terms::EnrolmentId;
use sha2::{Digest as _, Sha256};

/// The mark of a command's row.
pub(crate) fn of_command(sealer: &Sealer, row: &Command) -> Result<Vec<u8>, StoreError> {
    seal(sealer, row.enrolment, command(row))
}

/// Whether a command's row bears the mark that belongs to it.
pub(crate) fn command_holds(sealer: &Sealer, row: &Command) -> bool {
    row.mac.as_ref().is_some_and(|mark| opens(sealer, row.enrolment, mark, command(row)))
}

/// The mark of a wipe's row.
pub(crate) fn of_wipe(sealer: &Sealer, row: &Wipe) -> Result<Vec<u8>, StoreError> {
    seal(sealer, row.enrolment, wipe(row))
}

/// Whether a wipe's row bears the mark that belongs to it.
pub(crate) fn wipe_holds(sealer: &Sealer, row: &Wipe) -> bool {
    opens(sealer, row.enrolment, &row.mark, wipe(row))
}

fn seal(sealer: &Sealer, whose: EnrolmentId, digest: [u8; 32]) -> Result<Vec<u8>, StoreError> {
    Ok(sealer.seal(whose, &digest)?.into_octets())
}

fn opens(sealer: &Sealer, whose: EnrolmentId, mark: &[u8], digest: [u8; 32]) -> bool {
    // What opens was sealed here; the digest in it is no secret.
    sealer.open(whose, mark).is_ok_and(|opened| opened.as_slice() == digest.as_slice())
}

fn command(row: &Command) -> [u8; 32] {
    digest(
        b"postern-destructive-command-1",
        &[
            row.id.0.as_bytes(),
            row.operation.0.as_bytes(),
            row.enrolment.0.as_bytes(),
            &row.generation.to_be_bytes(),
            row.kind.as_str().as_bytes(),
            row.verb.as_str().as_bytes(),
            &row.payload,
        ],
    )
}

fn wipe(row: &Wipe) -> [u8; 32] {
    digest(
        b"postern-wipe-1",
        &[
            row.id.as_bytes(),
            row.enrolment.0.as_bytes(),
            &row.generation.to_be_bytes(),
            row.kind.as_str().as_bytes(),
            row.way.as_bytes(),
            &row.requested_at.0.to_be_bytes(),
        ],
    )
}

fn digest(context: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(context);
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use postern_store::MasterKey;
    use postern_wire::terms::{UtcMillis, WipeKind, WipeState};
    use uuid::Uuid;

    use super::*;

    fn row() -> Wipe {
        Wipe {
            id: Uuid::from_u128(1),
            enrolment: EnrolmentId(Uuid::from_u128(2)),
            generation: 1,
            device_id: String::new(),
            route: [0; 16],
            state: WipeState::Pending,
            kind: WipeKind::Full,
            way: "postern-wipe".to_owned(),
            asked_for: String::new(),
            reason: String::new(),
            lost: false,
            requested_by: String::new(),
            requester: None,
            requested_at: UtcMillis(5),
            settings: String::new(),
            approval: None,
            armed_at: None,
            expires_at: None,
            next_at: None,
            operation: None,
            command: None,
            tries: 0,
            accepted_at: None,
            finished_at: None,
            status: None,
            evidence: None,
            proof: None,
            cause: String::new(),
            perimeter: None,
            disarm_by: None,
            mark: Vec::new(),
            revision: 1,
        }
    }

    #[test]
    fn a_row_that_was_written_past_us_bears_no_mark_that_holds() {
        let sealer = Sealer::new(&MasterKey::from_octets([1; 32]), &[]).unwrap();
        let other = Sealer::new(&MasterKey::from_octets([2; 32]), &[]).unwrap();
        let good = Wipe { mark: of_wipe(&sealer, &row()).unwrap(), ..row() };
        assert!(wipe_holds(&sealer, &good));
        assert!(!wipe_holds(&sealer, &row()));
        assert!(!wipe_holds(&sealer, &Wipe { mark: of_wipe(&other, &row()).unwrap(), ..row() }));
        for changed in [
            Wipe { enrolment: EnrolmentId(Uuid::from_u128(3)), ..good.clone() },
            Wipe { generation: 2, ..good.clone() },
            Wipe { kind: WipeKind::Selective, ..good.clone() },
            Wipe { id: Uuid::from_u128(9), ..good.clone() },
        ] {
            assert!(!wipe_holds(&sealer, &changed));
        }
    }
}
