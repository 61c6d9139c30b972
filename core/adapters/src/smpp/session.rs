//! The life of the client: connects, binds, keeps a window of submissions, connects again.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use postern_actors::{PushError, PushReport, PushReports};
use postern_wire::push::smpp::{Body, CommandStatus, Pdu, ShortMessage, StatusClass, receipt::Receipt};
use tokio::{
    sync::{mpsc, mpsc::error::TrySendError, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};
use uuid::Uuid;

use super::{
    SmppState,
    config::IdForm,
    connection::{Broken, Connection, Incoming, Peer},
    receipts::{Told, Tracker},
};

/// The longest pause after throttling.
const LONGEST_THROTTLE: Duration = Duration::from_secs(30);
const MOST_SEQUENCE: u32 = 0x7FFF_FFFF;

/// One segment on its way.
pub(super) struct Submit {
    /// The push that it is part of, and of how many segments.
    pub(super) push: Uuid,
    pub(super) total: usize,
    /// Whether it is the first of them.
    pub(super) first: bool,
    pub(super) message: ShortMessage,
    /// The centre's id of it.
    pub(super) reply: oneshot::Sender<Result<String, PushError>>,
}

/// What the client is asked.
pub(super) enum Ask {
    Submit(Box<Submit>),
    /// A push is given up: receipts of what went out are nobody's.
    Forget(Uuid),
}

pub(super) struct Pace {
    pub(super) window: usize,
    pub(super) response: Duration,
    pub(super) enquire: Duration,
    pub(super) reconnect: Duration,
    pub(super) reconnect_most: Duration,
    pub(super) throttle: Duration,
}

pub(super) struct Client {
    pub(super) name: String,
    pub(super) peer: Peer,
    pub(super) pace: Pace,
    pub(super) response_ids: IdForm,
    pub(super) receipt_ids: IdForm,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) reports: PushReports,
    pub(super) state: watch::Sender<SmppState>,
    pub(super) tracker: Tracker,
    /// Submissions that wait for the window or for a pause to end.
    pub(super) waiting: VecDeque<Submit>,
}

/// What is in flight on one connection.
struct Flight {
    sequence: u32,
    open: HashMap<u32, (Submit, Instant)>,
    /// Nothing is submitted before this.
    paused: Instant,
    throttle: Duration,
    /// When the centre was last heard.
    heard: Instant,
    /// When an enquire_link has to be answered by.
    enquired: Option<Instant>,
}

impl Client {
    /// Runs until every handle is dropped.
    pub(super) async fn run(mut self) {
        let mut pause = self.pace.reconnect;
        loop {
            let broken = match Connection::bound(&self.peer).await {
                Ok(connection) => {
                    tracing::info!(address = %self.peer.address, "bound to the short-message centre");
                    self.state.send_replace(SmppState::Bound);
                    pause = self.pace.reconnect;
                    match self.serve(connection).await {
                        None => return,
                        Some(broken) => broken,
                    }
                }
                Err(broken) => broken,
            };
            let reason = broken.to_string();
            tracing::warn!(address = %self.peer.address, reason, pause_ms = pause.as_millis() as u64,
                "no connection to the short-message centre");
            self.state.send_replace(SmppState::Down(reason.clone()));
            for submit in std::mem::take(&mut self.waiting) {
                give_up(submit, &reason, Some(pause));
            }
            if !self.rest(pause, &reason).await {
                return;
            }
            pause = (pause * 2).min(self.pace.reconnect_most);
        }
    }

    /// Waits for the next attempt; whoever asks meanwhile is told. `false` when nobody will ask any more.
    async fn rest(&mut self, pause: Duration, reason: &str) -> bool {
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => return true,
                ask = self.asks.recv() => match ask {
                    None => return false,
                    Some(Ask::Submit(submit)) => {
                        give_up(*submit, reason, Some(until.saturating_duration_since(Instant::now())));
                    }
                    Some(Ask::Forget(push)) => self.tracker.forget(push),
                },
            }
        }
    }

    /// Serves one connection; `None` when nobody will ask any more.
    async fn serve(&mut self, mut connection: Connection) -> Option<Broken> {
        let now = Instant::now();
        let mut flight = Flight {
            sequence: 1,
            open: HashMap::new(),
            paused: now,
            throttle: self.pace.throttle,
            heard: now,
            enquired: None,
        };
        let broken = loop {
            match self.turn(&mut connection, &mut flight).await {
                Ok(true) => {}
                Ok(false) => {
                    let unbind = Pdu::request(flight.next(), Body::Unbind);
                    let _ = connection.send(&unbind).await;
                    let _ = timeout(self.pace.response, connection.next()).await;
                    return None;
                }
                Err(broken) => break broken,
            }
        };
        let reason = broken.to_string();
        for (_, (submit, _)) in flight.open {
            // It may have arrived: whoever tries again says the same, so a device takes both for one.
            give_up(submit, &reason, None);
        }
        Some(broken)
    }

    /// One event; `false` when nobody will ask any more.
    async fn turn(&mut self, connection: &mut Connection, flight: &mut Flight) -> Result<bool, Broken> {
        self.submit_what_may_go(connection, flight).await?;
        let deadline = self.deadline(flight);
        let may_ask = self.waiting.len() < self.pace.window;
        tokio::select! {
            incoming = connection.next() => {
                flight.heard = Instant::now();
                match incoming? {
                    Incoming::Pdu(pdu) => self.take(*pdu, connection, flight).await?,
                    Incoming::Unreadable(sequence) => {
                        let nack = Pdu::response(sequence, CommandStatus::INVALID_LENGTH, Body::GenericNack);
                        connection.send(&nack).await?;
                    }
                }
            }
            ask = self.asks.recv(), if may_ask => match ask {
                None => return Ok(false),
                Some(Ask::Submit(submit)) => self.waiting.push_back(*submit),
                Some(Ask::Forget(push)) => self.tracker.forget(push),
            },
            () = sleep_until(deadline) => self.on_time(connection, flight).await?,
        }
        Ok(true)
    }

    async fn submit_what_may_go(
        &mut self,
        connection: &mut Connection,
        flight: &mut Flight,
    ) -> Result<(), Broken> {
        while flight.open.len() < self.pace.window && Instant::now() >= flight.paused {
            let Some(submit) = self.waiting.pop_front() else { return Ok(()) };
            if submit.reply.is_closed() {
                continue; // whoever asked has given up
            }
            let sequence = flight.next();
            let pdu = Pdu::request(sequence, Body::SubmitSm(submit.message.clone()));
            if let Err(error) = pdu.encode() {
                let _ = submit.reply.send(Err(PushError::refused(error.to_string())));
                continue;
            }
            flight.open.insert(sequence, (submit, Instant::now() + self.pace.response));
            connection.send(&pdu).await?;
        }
        Ok(())
    }

    /// When something is due although nothing comes.
    fn deadline(&self, flight: &Flight) -> Instant {
        let link = flight.enquired.unwrap_or(flight.heard + self.pace.enquire);
        let responses = flight.open.values().map(|(_, until)| *until);
        let paused = (!self.waiting.is_empty() && flight.paused > Instant::now()).then_some(flight.paused);
        responses.chain(paused).chain(self.tracker.next_overdue()).min().map_or(link, |first| first.min(link))
    }

    async fn on_time(&mut self, connection: &mut Connection, flight: &mut Flight) -> Result<(), Broken> {
        let now = Instant::now();
        if flight.open.values().any(|(_, until)| *until <= now)
            || flight.enquired.is_some_and(|until| until <= now)
        {
            return Err(Broken::Time);
        }
        if flight.enquired.is_none() && flight.heard + self.pace.enquire <= now {
            flight.enquired = Some(now + self.pace.response);
            let enquiry = Pdu::request(flight.next(), Body::EnquireLink);
            connection.send(&enquiry).await?;
        }
        while let Some(told) = self.tracker.overdue(now) {
            self.report(told);
        }
        Ok(())
    }

    async fn take(
        &mut self,
        pdu: Pdu,
        connection: &mut Connection,
        flight: &mut Flight,
    ) -> Result<(), Broken> {
        let ok = |body| Some(Pdu::response(pdu.sequence, CommandStatus::OK, body));
        let answer = match &pdu.body {
            Body::SubmitSmResp { message_id } => {
                self.response(pdu.sequence, pdu.status, message_id, flight);
                None
            }
            Body::GenericNack => {
                self.response(pdu.sequence, pdu.status, "", flight);
                None
            }
            Body::EnquireLinkResp => {
                flight.enquired = None;
                None
            }
            Body::EnquireLink => ok(Body::EnquireLinkResp),
            Body::DeliverSm(message) => {
                let status = self.delivered(message, !flight.open.is_empty());
                Some(Pdu::response(pdu.sequence, status, Body::DeliverSmResp))
            }
            Body::DataSm(message) => {
                let status = self.delivered(message, !flight.open.is_empty());
                Some(Pdu::response(pdu.sequence, status, Body::DataSmResp))
            }
            Body::Unbind => {
                connection.send(&Pdu::response(pdu.sequence, CommandStatus::OK, Body::UnbindResp)).await?;
                return Err(Broken::End);
            }
            body if body.is_response() => None,
            _ => Some(Pdu::response(pdu.sequence, CommandStatus::INVALID_COMMAND, Body::GenericNack)),
        };
        match answer {
            Some(answer) => connection.send(&answer).await,
            None => Ok(()),
        }
    }

    /// The centre's response to a submission.
    fn response(&mut self, sequence: u32, status: CommandStatus, message_id: &str, flight: &mut Flight) {
        let Some((submit, _)) = flight.open.remove(&sequence) else { return };
        match status.class() {
            StatusClass::Ok if message_id.is_empty() => {
                let _ =
                    submit.reply.send(Err(PushError::retry("the short-message centre gave no message id")));
            }
            StatusClass::Ok => {
                flight.throttle = self.pace.throttle;
                let normal = self.response_ids.normal(message_id);
                if submit.first {
                    // An earlier try of the same push is over.
                    self.tracker.forget(submit.push);
                }
                if submit.message.registered_delivery != 0 {
                    let told = self.tracker.submitted(submit.push, submit.total, message_id, normal);
                    told.into_iter().for_each(|told| self.report(told));
                }
                let _ = submit.reply.send(Ok(message_id.to_owned()));
            }
            StatusClass::Throttled => {
                flight.paused = Instant::now() + flight.throttle;
                flight.throttle = (flight.throttle * 2).min(LONGEST_THROTTLE);
                self.waiting.push_front(submit);
            }
            StatusClass::Retry => give_up(submit, &said(status), None),
            StatusClass::Refused => {
                let _ = submit.reply.send(Err(PushError::refused(said(status))));
            }
        }
    }

    /// A deliver_sm or data_sm. A receipt that nobody could take is not acknowledged: the centre sends it again.
    fn delivered(&mut self, message: &ShortMessage, open: bool) -> CommandStatus {
        let Some(receipt) = Receipt::of(message) else { return CommandStatus::OK };
        // There has to be room for the report before the receipt is counted.
        let room = match self.reports.try_reserve() {
            Ok(_) | Err(TrySendError::Closed(())) => true,
            Err(TrySendError::Full(())) => false,
        };
        if !room {
            return CommandStatus::QUEUE_FULL;
        }
        let normal = self.receipt_ids.normal(&receipt.message_id);
        let error = receipt.error.as_deref();
        let told =
            self.tracker.receipt(&receipt.message_id, normal, receipt.state, error, Instant::now(), open);
        told.into_iter().for_each(|told| self.report(told));
        CommandStatus::OK
    }

    fn report(&self, (reference, outcome): Told) {
        let report = PushReport { bearer: self.name.clone(), reference, outcome };
        if let Err(error) = self.reports.try_send(report) {
            tracing::warn!(%error, "a delivery report was dropped");
        }
    }
}

impl Flight {
    fn next(&mut self) -> u32 {
        self.sequence = if self.sequence >= MOST_SEQUENCE { 1 } else { self.sequence + 1 };
        self.sequence
    }
}

fn give_up(submit: Submit, reason: &str, after: Option<Duration>) {
    let _ = submit.reply.send(Err(PushError::Retry { reason: reason.to_owned(), after }));
}

fn said(status: CommandStatus) -> String {
    format!("the short-message centre says {status}")
}
