//! A lane of the service: gathers what waits, commits it together, answers, and keeps claims that found nothing.
//!
//! Invariants: whoever calls is answered after the commit; what was handed over is committed even when its caller goes away,
//! except claims, which nobody would work on; a batch that the database refuses is taken apart, so that one call's bad data
//! does not refuse the others'.

use tokio::sync::broadcast::{self, error::RecvError};

use super::{
    Arc, CancellationToken, Duration, Instant, Kind, Postgres, RelayQueue, StreamNames,
    calls::{Answer, Call, ClaimCall, EventCall, answer_claim},
    mpsc, oneshot,
    parked::Parked,
    postgres, refusal,
};
use crate::{
    bells::Bell,
    decide::Task,
    event::{Context, Event, EventType},
    ids::EventId,
    ingest::{self, Batch, ClaimInput, ClaimOutcome, Committed, Input, Terms},
};

/// How often a batch is tried when the database says to try again, before its callers are told so.
const ATTEMPTS: u32 = 3;
/// How often other tasks get a turn before a batch goes without them.
const TURNS: u32 = 2;
/// How many claims may wait at a time.
const MAX_PARKED: usize = 10_000;

/// Commits what is handed over for some of the swarms.
pub(super) struct Lane {
    postgres: Postgres,
    streams: StreamNames,
    batch_size: usize,
    calls: mpsc::Receiver<Call>,
    closing: CancellationToken,
    relay: RelayQueue,
    parked: Parked,
    /// What claims got whose callers were gone.
    returned: Vec<Call>,
    /// What becomes ready by others' commits; `None` before the first claim waits.
    bells: Option<broadcast::Receiver<Bell>>,
    /// Ends with the service.
    service: CancellationToken,
}

impl Lane {
    pub(super) fn new(
        (postgres, streams, batch_size): (Postgres, StreamNames, usize),
        calls: mpsc::Receiver<Call>,
        relay: RelayQueue,
        (closing, service): (CancellationToken, CancellationToken),
    ) -> Self {
        Self {
            postgres,
            streams,
            batch_size,
            calls,
            closing,
            relay,
            parked: Parked::default(),
            returned: Vec::new(),
            bells: None,
            service,
        }
    }

    /// Runs until `shutdown`; then refuses new calls, commits those accepted, and returns.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        let closing = self.closing.clone();
        let mut closed = false;
        let mut waiting: Vec<Call> = Vec::new();
        loop {
            waiting.append(&mut self.returned);
            let next = if waiting.is_empty() {
                self.parked.next()
            } else {
                Some(Instant::now())
            };
            tokio::select! {
                biased;
                call = self.calls.recv() => match call {
                    Some(call) => waiting.push(call),
                    None => break,
                },
                () = shutdown.cancelled(), if !closed => {
                    closed = true;
                    closing.cancel();
                    self.calls.close();
                    self.parked.dismiss();
                    continue;
                }
                bell = ring(&mut self.bells) => match bell {
                    Bell::Swarm(swarm) => self.parked.wake(&swarm),
                    Bell::Anything => self.parked.wake_all(),
                },
                () = at(next) => {}
            }
            self.fill(&mut waiting).await;
            let again = self.parked.take(Instant::now()).into_iter().map(Call::Claim);
            waiting.extend(again);
            self.invite(&mut waiting);
            if !waiting.is_empty() {
                self.commit(std::mem::take(&mut waiting)).await;
            }
        }
        closing.cancel();
        self.parked.dismiss();
        let returned = std::mem::take(&mut self.returned);
        if !returned.is_empty() {
            self.commit(returned).await;
        }
    }

    /// Takes what else is there. Callers that were just answered get a few turns to hand over what they do next: a batch that
    /// leaves half of them behind costs as much as one that takes them all.
    async fn fill(&mut self, waiting: &mut Vec<Call>) {
        let mut weight: usize = waiting.iter().map(Call::weight).sum();
        let mut turns = TURNS;
        while weight < self.batch_size {
            match self.calls.try_recv() {
                Ok(call) => {
                    weight += call.weight();
                    waiting.push(call);
                    turns = TURNS;
                }
                Err(_) if turns > 0 => {
                    turns -= 1;
                    tokio::task::yield_now().await;
                }
                Err(_) => break,
            }
        }
    }

    /// Claims that wait in a swarm where this batch creates tasks join the batch: they are answered by the same commit.
    fn invite(&mut self, waiting: &mut Vec<Call>) {
        if self.parked.is_empty() {
            return;
        }
        let mut invited = Vec::new();
        for call in waiting.iter() {
            let Call::Events(call) = call else { continue };
            for event in &call.events {
                if event.kind == EventType::TaskCreated {
                    let swarm = (event.tenant_id.clone(), event.swarm_id.clone());
                    invited.extend(self.parked.take_for(&swarm, 1));
                }
            }
        }
        waiting.extend(invited.into_iter().map(Call::Claim));
    }

    async fn commit(&mut self, calls: Vec<Call>) {
        match self.try_commit(&calls).await {
            Ok(committed) => self.answer(calls, committed),
            // One call holds data that the database refuses: find it, so that the others are not refused with it.
            Err(error) if error.kind() == Kind::InvalidData && calls.len() > 1 => {
                for call in calls {
                    Box::pin(self.commit(vec![call])).await;
                }
            }
            Err(error) => {
                let error = refusal(error);
                for call in calls {
                    call.refuse(&error);
                }
            }
        }
    }

    async fn try_commit(&self, calls: &[Call]) -> Result<Committed, postgres::Error> {
        let mut batch = gather(calls);
        let mut attempt = 1;
        loop {
            let started = std::time::Instant::now();
            let error = match ingest::commit(&self.postgres, &self.streams, &self.relay.tracer, &batch).await {
                Ok(committed) => {
                    crate::metric_names::batch_committed("api", batch.inputs.len(), started.elapsed());
                    return Ok(committed);
                }
                Err(ingest::Error::Database(error)) => error,
                // Publishing holds no lease that could be lost.
                Err(ingest::Error::LeaseLost(stream)) => {
                    return Err(postgres::Error::Unexpected {
                        reason: format!("a lease on {stream} was asked for"),
                    });
                }
            };
            if !error.retryable() || attempt >= ATTEMPTS {
                return Err(error);
            }
            tracing::warn!(attempt, error = %error, "publishing is tried again");
            tokio::time::sleep(Duration::from_millis(20 * u64::from(attempt))).await;
            attempt += 1;
            // The connection may have broken during the commit: whether it was stored is found out by the ids.
            for input in &mut batch.inputs {
                input.fresh = false;
            }
        }
    }

    fn answer(&mut self, calls: Vec<Call>, committed: Committed) {
        self.relay.bells.committed_by_a_lane(&committed);
        let Committed {
            outcomes,
            views,
            claims,
            settled,
            ready,
            relay,
            stored: _,
        } = committed;
        self.relay.add(relay);
        let mut answers = outcomes
            .into_iter()
            .zip(views)
            .map(|(outcome, view)| Answer { outcome, view });
        let mut claims = claims.into_iter();
        let now = Instant::now();
        for swarm in &ready {
            self.parked.wake(swarm);
        }
        for call in calls {
            match call {
                Call::Events(call) => {
                    let own = answers.by_ref().take(call.events.len()).collect();
                    // A caller that went away does not change what is stored.
                    let _ = call.answer.send(Ok(own));
                }
                Call::Claim(call) => {
                    let outcome = claims.next().unwrap_or_default();
                    let got_nothing = outcome.tasks.is_empty() && outcome.refusal.is_none() && !outcome.draining;
                    if got_nothing
                        && call.wait_until > now
                        && self.parked.len() < MAX_PARKED
                        && !self.closing.is_cancelled()
                    {
                        self.park(call, outcome.look_again, outcome.next_due);
                    } else if let Some(outcome) = answer_claim(call.answer, outcome) {
                        // Its caller went away meanwhile: nobody would work on what it got until the leases ran out.
                        self.give_back(&call.input, &outcome);
                    }
                }
                Call::Settle { answer, .. } => drop(answer.send(Ok(settled))),
            }
        }
    }

    fn give_back(&mut self, input: &ClaimInput, outcome: &ClaimOutcome) {
        let events: Vec<Arc<Event>> = outcome
            .tasks
            .iter()
            .map(|task| Arc::new(released(input, task)))
            .collect();
        if !events.is_empty() {
            self.returned.push(Call::Events(EventCall {
                events,
                roots: Vec::new(),
                terms: Terms::Require,
                fresh: true,
                together: false,
                // Nobody waits for the answer: what is refused has been taken back already.
                answer: oneshot::channel().0,
            }));
        }
    }

    fn park(&mut self, call: ClaimCall, look_again: bool, next_due: Option<jiff::Timestamp>) {
        self.listen();
        let due = if look_again {
            Some(Duration::ZERO)
        } else {
            // A little later than exactly then, so that it is found to be due.
            next_due.map(|due| {
                let left = due.duration_since(jiff::Timestamp::now());
                Duration::try_from(left).unwrap_or_default() + Duration::from_millis(2)
            })
        };
        self.parked.park(call, due);
    }

    /// From the first claim that waits, others are heard.
    fn listen(&mut self) {
        if self.bells.is_none() {
            self.bells = Some(self.relay.bells.ready(&self.postgres, &self.service));
        }
    }
}

/// The event by which an agent gives a task back.
fn released(input: &ClaimInput, task: &Task) -> Event {
    Event {
        tenant_id: input.swarm.0.clone(),
        id: EventId::generate(),
        kind: EventType::AgentMessage,
        schema_version: 1,
        swarm_id: input.swarm.1.clone(),
        run_id: task.run_id.clone(),
        actor_id: input.claim.agent.clone(),
        payload: serde_json::json!({ "taskId": task.id, "fencingToken": task.token, "state": "released" }),
        created_at: jiff::Timestamp::now(),
        context: Context::default(),
    }
}

/// Everything that waits as one batch.
fn gather(calls: &[Call]) -> Batch {
    let mut batch = Batch::default();
    let mut group = 0;
    for call in calls {
        match call {
            Call::Events(call) => {
                let roots = call.roots.iter().copied().chain(std::iter::repeat(false));
                for (event, root) in call.events.iter().zip(roots) {
                    batch.inputs.push(input(call, event, (group, root)));
                    group += usize::from(!call.together);
                }
                group += 1;
            }
            Call::Claim(call) => batch.claims.push(call.input.clone()),
            Call::Settle { swarm, .. } => batch.settle.push(swarm.clone()),
        }
    }
    batch
}

fn input(call: &EventCall, event: &Arc<Event>, (group, root): (usize, bool)) -> Input {
    Input {
        event: Arc::clone(event),
        terms: call.terms,
        fresh: call.fresh,
        group,
        root,
        entry: None,
    }
}

async fn ring(bells: &mut Option<broadcast::Receiver<Bell>>) -> Bell {
    match bells {
        Some(receiver) => match receiver.recv().await {
            Ok(bell) => bell,
            Err(RecvError::Lagged(_)) => Bell::Anything,
            Err(RecvError::Closed) => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
