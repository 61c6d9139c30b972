//! Which push a delivery receipt belongs to. A push of several segments is delivered when all of them are.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use postern_actors::PushOutcome;
use postern_wire::push::smpp::receipt::State;
use tokio::time::Instant;
use uuid::Uuid;

/// Pushes that wait for a receipt; the oldest is forgotten for a new one, and reported by its message's id then.
const MOST_PUSHES: usize = 100_000;
/// Receipts that came before the response that names their message.
const MOST_EARLY: usize = 1_024;

/// The segments and pushes that wait for a receipt.
#[derive(Debug)]
pub(super) struct Tracker {
    /// How long an early receipt waits for its response.
    patience: Duration,
    pushes: HashMap<Uuid, Push>,
    order: VecDeque<Uuid>,
    messages: HashMap<String, Uuid>,
    early: VecDeque<Early>,
}

#[derive(Debug)]
struct Push {
    /// The id of the first segment, as the centre gave it.
    reference: String,
    messages: Vec<String>,
    total: usize,
    delivered: usize,
}

#[derive(Debug)]
struct Early {
    message_id: String,
    outcome: PushOutcome,
    until: Instant,
}

/// What is to be told: the reference of a push and how it ended.
pub(super) type Told = (String, PushOutcome);

impl Tracker {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            pushes: HashMap::new(),
            order: VecDeque::new(),
            messages: HashMap::new(),
            early: VecDeque::new(),
        }
    }

    /// The centre took a segment of the push `id`, which has `total`.
    pub(super) fn submitted(
        &mut self,
        id: Uuid,
        total: usize,
        message_id: &str,
        normal: String,
    ) -> Option<Told> {
        if !self.pushes.contains_key(&id) {
            self.make_room();
            self.order.push_back(id);
            let (reference, messages) = (message_id.to_owned(), Vec::new());
            self.pushes.insert(id, Push { reference, messages, total, delivered: 0 });
        }
        if let Some(push) = self.pushes.get_mut(&id) {
            push.messages.push(normal.clone());
        }
        self.messages.insert(normal.clone(), id);
        let early = self.early.iter().position(|early| early.message_id == normal)?;
        let early = self.early.remove(early)?;
        self.ended(&normal, early.outcome)
    }

    /// A push will not be sent to its end: its segments are not waited for.
    pub(super) fn forget(&mut self, id: Uuid) {
        let Some(push) = self.pushes.remove(&id) else { return };
        self.order.retain(|known| *known != id);
        for message in push.messages {
            self.messages.remove(&message);
        }
    }

    /// A receipt came. One of a message that is not known yet waits while submissions are `open`; one of a message
    /// that was sent before this process started is told by its own id.
    pub(super) fn receipt(
        &mut self,
        message_id: &str,
        normal: String,
        state: State,
        error: Option<&str>,
        now: Instant,
        open: bool,
    ) -> Option<Told> {
        let outcome = match state {
            State::Pending => return None,
            State::Delivered => PushOutcome::Delivered,
            State::Failed(word) => PushOutcome::Failed(
                error.map_or_else(|| word.to_owned(), |error| format!("{word}, error {error}")),
            ),
        };
        if self.messages.contains_key(&normal) {
            return self.ended(&normal, outcome);
        }
        if open && self.early.len() < MOST_EARLY {
            self.early.push_back(Early { message_id: normal, outcome, until: now + self.patience });
            return None;
        }
        Some((message_id.to_owned(), outcome))
    }

    /// Early receipts whose response never came.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Told> {
        let early = self.early.pop_front_if(|early| early.until <= now)?;
        Some((early.message_id, early.outcome))
    }

    /// When [`Self::overdue`] has something to tell.
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        self.early.front().map(|early| early.until)
    }

    fn ended(&mut self, normal: &str, outcome: PushOutcome) -> Option<Told> {
        let id = self.messages.remove(normal)?;
        let push = self.pushes.get_mut(&id)?;
        push.delivered += 1;
        if outcome == PushOutcome::Delivered && push.delivered < push.total {
            return None;
        }
        let reference = push.reference.clone();
        self.forget(id);
        Some((reference, outcome))
    }

    fn make_room(&mut self) {
        while self.pushes.len() >= MOST_PUSHES {
            let Some(oldest) = self.order.front().copied() else { return };
            self.forget(oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracker() -> (Tracker, Instant) {
        (Tracker::new(Duration::from_secs(1)), Instant::now())
    }

    fn came(tracker: &mut Tracker, id: &str, state: State, now: Instant, open: bool) -> Option<Told> {
        tracker.receipt(id, id.to_owned(), state, None, now, open)
    }

    #[test]
    fn a_push_of_several_segments_is_delivered_when_all_are() {
        let (mut tracker, now) = tracker();
        let id = Uuid::from_u128(1);
        for message in ["a", "b", "c"] {
            assert_eq!(tracker.submitted(id, 3, message, message.to_owned()), None);
        }
        assert_eq!(came(&mut tracker, "b", State::Delivered, now, false), None);
        assert_eq!(came(&mut tracker, "a", State::Pending, now, false), None);
        assert_eq!(came(&mut tracker, "a", State::Delivered, now, false), None);
        let told = came(&mut tracker, "c", State::Delivered, now, false);
        assert_eq!(told, Some(("a".to_owned(), PushOutcome::Delivered)));
    }

    #[test]
    fn one_lost_segment_fails_the_push_once() {
        let (mut tracker, now) = tracker();
        let id = Uuid::from_u128(1);
        for message in ["a", "b"] {
            tracker.submitted(id, 2, message, message.to_owned());
        }
        let told = tracker.receipt("b", "b".to_owned(), State::Failed("UNDELIV"), Some("001"), now, false);
        assert_eq!(told, Some(("a".to_owned(), PushOutcome::Failed("UNDELIV, error 001".to_owned()))));
        assert!(tracker.messages.is_empty() && tracker.order.is_empty());
    }

    #[test]
    fn a_receipt_before_its_response_waits_for_it() {
        let (mut tracker, now) = tracker();
        assert_eq!(came(&mut tracker, "a", State::Delivered, now, true), None);
        let told = tracker.submitted(Uuid::from_u128(1), 1, "a", "a".to_owned());
        assert_eq!(told, Some(("a".to_owned(), PushOutcome::Delivered)));

        assert_eq!(came(&mut tracker, "x", State::Delivered, now, true), None);
        assert_eq!(tracker.overdue(now), None);
        let told = tracker.overdue(now + Duration::from_secs(1));
        assert_eq!(told, Some(("x".to_owned(), PushOutcome::Delivered)), "its response never came");
    }

    #[test]
    fn a_receipt_of_an_earlier_process_is_told_by_its_own_id() {
        let (mut tracker, now) = tracker();
        let told = came(&mut tracker, "old", State::Delivered, now, false);
        assert_eq!(told, Some(("old".to_owned(), PushOutcome::Delivered)));
    }
}
