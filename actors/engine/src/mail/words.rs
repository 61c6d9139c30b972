//! What each kind of event is called and what a person is to know of it, and how grave it is in a log.

use postern_wire::terms::EventKind;

/// How an event is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// A few words: the mail's subject and the log line's beginning.
    pub title: &'static str,
    /// What happened, a sentence or two.
    pub lead: &'static str,
    /// What it asks of whoever reads it; empty when nothing.
    pub advice: &'static str,
    /// The severity of RFC 5424 6.2.1: 1 alert … 6 informational.
    pub severity: u8,
}

/// The words for a kind.
#[must_use]
pub const fn of(kind: EventKind) -> Words {
    use EventKind as E;
    let (title, lead, advice, severity) = match kind {
        E::WipeRequested => (
            "Wipe requested",
            "A wipe of this device was asked for. It is sent as soon as the device can be reached.",
            "If nobody of you asked for it, cancel it now while it is pending, and freeze what is destructive.",
            5,
        ),
        E::WipeApprovalNeeded => (
            "Wipe waits for approval",
            "A wipe was asked for that needs another person's approval. Nothing is sent before.",
            "Look at who asks, why, and which devices it hits; then approve it or turn it down.",
            4,
        ),
        E::WipeAccepted => (
            "Wipe accepted by the device",
            "The device took the order to wipe itself. That is no proof that it is empty.",
            "",
            5,
        ),
        E::WipeSucceeded => (
            "Wipe complete",
            "The wipe counts as complete by the evidence named here, and by no more than that. The device's enrolment and certificate are revoked.",
            "",
            5,
        ),
        E::WipeFailed => (
            "Wipe failed",
            "The device refused the wipe or failed at it, and no try is left. Treat its data as NOT wiped.",
            "Look at what the device said. It gets no access but its wipe while it is armed.",
            2,
        ),
        E::WipeInDoubt => (
            "Wipe in doubt",
            "Nobody knows whether the device wiped itself: it may have had the order, and it gave no answer that counts. Treat its data as NOT wiped.",
            "Look at why it stands there and whether the device comes back; then ask for the wipe anew, or let the device off.",
            2,
        ),
        E::WipeExpired => (
            "Wipe expired",
            "The device did not come for the wipe in its time. Treat its data as NOT wiped.",
            "",
            2,
        ),
        E::WipeArmed => (
            "Wipe stays armed",
            "The wipe is not proven. The device has no access but its wipe, whenever it comes back.",
            "Only two persons together can disarm it.",
            4,
        ),
        E::WipeCancelled => (
            "Wipe cancelled",
            "The wipe was taken back before the device had it. The device keeps its data and its access.",
            "",
            5,
        ),
        E::Frozen => (
            "Destructive orders are frozen",
            "Nothing destructive is accepted or sent any more, also what was queued before.",
            "Find out why. Two persons together can thaw it.",
            1,
        ),
        E::Thawed => {
            ("Destructive orders are thawed", "Destructive orders are accepted and sent again.", "", 4)
        }
        E::BreakGlass => (
            "Break-glass was used",
            "Somebody went past limits, approvals or a freeze. It is in the audit log.",
            "Talk to the person today.",
            1,
        ),
        E::ApprovalNeeded => (
            "Approval needed",
            "Something was asked for that needs another person's approval. It waits.",
            "Look at who asks and why; then approve it or turn it down.",
            4,
        ),
        E::RecoveryShown => (
            "Recovery password shown",
            "The recovery password of this device was shown to a person. The device makes a new one.",
            "If you do not know of this, tell your security team.",
            4,
        ),
        E::RecoveryRotated => (
            "Recovery password renewed",
            "The device has made a new recovery password. The one before opens nothing any more.",
            "",
            6,
        ),
        E::DeviceLocked => (
            "Device locked",
            "This device was locked.",
            "If you do not know of this, tell your security team.",
            5,
        ),
        E::Test => ("Test", "Somebody tried whether this arrives. It did.", "", 6),
    };
    Words { title, lead, advice, severity }
}

/// What a fact of an event's data is called for people; a fact that nobody named keeps its own name.
#[must_use]
pub fn label(fact: &str) -> &str {
    LABELS.iter().find(|(name, _)| *name == fact).map_or(fact, |(_, label)| label)
}

/// The facts that have a label, in the order in which a letter shows them; others follow in order of name.
pub const LABELS: &[(&str, &str)] = &[
    ("device", "Device"),
    ("device_id", "Device id"),
    ("owner", "Owner"),
    ("devices", "Devices"),
    ("operation", "Operation"),
    ("wipe", "Wipe"),
    ("approval", "Approval"),
    ("wipe_kind", "Kind of wipe"),
    ("class", "Kind of order"),
    ("state", "State"),
    ("evidence", "Evidence"),
    ("status", "Device's status"),
    ("attempt", "Try"),
    ("by", "Asked for by"),
    ("approved_by", "Approved by"),
    ("cancelled_by", "Taken back by"),
    ("reason", "Reason"),
    ("requested_at", "Requested"),
    ("approved_at", "Approved"),
    ("sent_at", "Sent"),
    ("accepted_at", "Accepted"),
    ("finished_at", "Finished"),
    ("deadline", "Until"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_words_and_none_claims_erasure_that_nobody_saw() {
        for kind in EventKind::ALL {
            let words = of(*kind);
            assert!(!words.title.is_empty() && words.lead.ends_with('.'), "{kind}");
            assert!((1..=6).contains(&words.severity), "{kind}");
            for claim in ["was erased", "is empty now", "data is gone"] {
                assert!(!words.lead.contains(claim), "{kind}");
            }
        }
        for kind in [EventKind::WipeFailed, EventKind::WipeExpired] {
            assert!(of(kind).lead.contains("NOT wiped"));
        }
    }
}
