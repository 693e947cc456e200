//! Folds the events of a batch over the state of their swarms: what is new, what follows, what changes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    Batch, ClaimInput, ClaimOutcome, Input, OutboxRange, Outcome, StoredEvent, Terms, View, duplicate_letter, key_of,
    load::{Loaded, SwarmKey},
};
use crate::{
    bus::StreamNames,
    dead_letters::NewDeadLetter,
    decide::{self, FollowUp, Origin, State},
    event::{Context, Event, EventType},
    ids::{ActorId, EventId},
};

/// Who acts when the brain itself does.
pub(crate) const BRAIN_ACTOR: &str = "studio-brain";

/// Everything that a batch writes.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) outcomes: Vec<Outcome>,
    pub(super) views: Vec<Option<Box<View>>>,
    pub(super) claims: Vec<ClaimOutcome>,
    pub(super) settled: usize,
    /// Swarms of which tasks are ready that were not before.
    pub(super) ready: Vec<SwarmKey>,
    pub(super) events: Vec<StoredEvent>,
    pub(super) swarms: BTreeMap<SwarmKey, (i64, State)>,
    pub(super) outbox: Vec<OutboxRange>,
    pub(super) duplicates: Vec<NewDeadLetter>,
}

pub(super) struct Fold<'a> {
    batch: &'a Batch,
    loaded: Loaded,
    same: HashMap<usize, bool>,
    events: Vec<StoredEvent>,
    now: Timestamp,
}

impl<'a> Fold<'a> {
    pub(super) fn new(batch: &'a Batch, loaded: Loaded) -> Self {
        let events = Vec::with_capacity(batch.inputs.len() * 2);
        Self {
            batch,
            loaded,
            same: HashMap::new(),
            events,
            now: Timestamp::now(),
        }
    }

    /// The inputs whose id is stored already, with its seq, but not by the same stream entry.
    pub(super) fn comparisons(&self) -> Vec<(usize, i64)> {
        if self.loaded.known.is_empty() {
            return Vec::new();
        }
        let inputs = self.batch.inputs.iter().enumerate();
        let pairs = inputs.filter_map(|(index, input)| {
            let known = self.loaded.known.get(&key_of(&input.event))?;
            let redelivery = input.entry.is_some() && known.entry == input.entry.as_ref().map(|entry| entry.id);
            (!redelivery).then_some((index, known.seq))
        });
        pairs.collect()
    }

    pub(super) fn compared(&mut self, same: &HashMap<usize, bool>) {
        self.same.clone_from(same);
    }

    pub(super) fn run(mut self, streams: &StreamNames) -> Changes {
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(self.batch.inputs.len());
        let mut views: Vec<Option<Box<View>>> = Vec::with_capacity(self.batch.inputs.len());
        let mut duplicates = Vec::new();
        // Where this batch itself stored an id: index into `events`.
        let mut accepted: HashMap<super::EventKey, usize> = HashMap::new();
        let inputs = &self.batch.inputs;
        let mut start = 0;
        while start < inputs.len() {
            let group = inputs[start].group;
            let end = start + inputs[start..].iter().take_while(|input| input.group == group).count();
            let verdicts: Vec<Option<Outcome>> = (start..end)
                .map(|index| self.stored_before(index, start, &accepted))
                .collect();
            let conflict = verdicts
                .iter()
                .any(|verdict| matches!(verdict, Some(Outcome::Conflict { .. })));
            let refused = if conflict {
                None
            } else {
                self.refused_together(start, &verdicts)
            };
            for (index, verdict) in (start..end).zip(verdicts) {
                let input = &inputs[index];
                let outcome = match verdict {
                    Some(found) => {
                        duplicates.extend(self.letter_for(input, index, &found));
                        found
                    }
                    None if conflict => Outcome::Skipped,
                    None if refused.is_some() => match refused {
                        Some((place, refusal)) if place == index => Outcome::Refused(refusal),
                        _ => Outcome::Skipped,
                    },
                    None => {
                        // The same id twice in one group: the second finds the first here.
                        match accepted.get(&key_of(&input.event)) {
                            Some(first) => Outcome::Duplicate {
                                seq: self.events[*first].seq,
                            },
                            None => {
                                accepted.insert(key_of(&input.event), self.events.len());
                                self.take(input)
                            }
                        }
                    }
                };
                views.push((input.terms == Terms::Require).then(|| self.view(input)));
                outcomes.push(outcome);
            }
            start = end;
        }
        let mut settled = 0;
        for key in std::mem::take(&mut self.loaded.settle) {
            settled += self.settle(&key);
        }
        let claims = self.batch.claims.iter().map(|input| self.claim(input)).collect();
        let ready = self.loaded.swarms.iter().filter(|(_, (_, state))| state.has_ready());
        let ready = ready.map(|(key, _)| key.clone()).collect();
        let outbox = outbox_ranges(&self.events, streams);
        Changes {
            outcomes,
            views,
            claims,
            settled,
            ready,
            events: self.events,
            swarms: self.loaded.swarms,
            outbox,
            duplicates,
        }
    }

    /// What is known of an input before its group is taken: stored in the database, earlier in this batch, or not at all.
    fn stored_before(
        &self,
        index: usize,
        group_start: usize,
        accepted: &HashMap<super::EventKey, usize>,
    ) -> Option<Outcome> {
        let input = &self.batch.inputs[index];
        let key = key_of(&input.event);
        if let Some(known) = self.loaded.known.get(&key) {
            let same = self.same.get(&index).copied().unwrap_or(true);
            return Some(if same {
                Outcome::Duplicate { seq: known.seq }
            } else {
                Outcome::Conflict { seq: known.seq }
            });
        }
        if let Some(first) = accepted.get(&key) {
            let first = &self.events[*first];
            let same = says_the_same(&first.event, &input.event);
            return Some(if same {
                Outcome::Duplicate { seq: first.seq }
            } else {
                Outcome::Conflict { seq: first.seq }
            });
        }
        let earlier = self.batch.inputs[group_start..index].iter().find(|earlier| {
            earlier.event.id == input.event.id
                && earlier.event.swarm_id == input.event.swarm_id
                && earlier.event.tenant_id == input.event.tenant_id
        })?;
        (!says_the_same(&earlier.event, &input.event)).then_some(Outcome::Conflict { seq: 0 })
    }

    /// A second stream entry with the same id is parked where an operator sees it; a redelivered one is not worth a word.
    fn letter_for(&self, input: &Input, index: usize, outcome: &Outcome) -> Option<NewDeadLetter> {
        let position = self.batch.position.as_ref()?;
        let entry = input.entry.as_ref()?;
        let known = self.loaded.known.get(&key_of(&input.event));
        let redelivery = known.is_some() && !self.same.contains_key(&index);
        match outcome {
            Outcome::Duplicate { seq } if !redelivery => Some(duplicate_letter(position, input, entry, *seq, true)),
            Outcome::Conflict { seq } => Some(duplicate_letter(position, input, entry, *seq, false)),
            _ => None,
        }
    }

    /// Tasks that are created together are created all or not at all: the first that cannot be, with the reason.
    fn refused_together(&self, start: usize, verdicts: &[Option<Outcome>]) -> Option<(usize, decide::Refusal)> {
        if verdicts.len() < 2 {
            return None;
        }
        let mut earlier = HashSet::new();
        for (index, verdict) in (start..).zip(verdicts) {
            let input = &self.batch.inputs[index];
            let creates = input.terms == Terms::Require && input.event.kind == EventType::TaskCreated;
            if verdict.is_none() && creates {
                let key = (input.event.tenant_id.clone(), input.event.swarm_id.clone());
                if let Some((_, state)) = self.loaded.swarms.get(&key)
                    && let Err(refusal) = decide::may_create(state, &input.event, &earlier)
                {
                    return Some((index, refusal));
                }
            }
            earlier.extend(decide::task_id(&input.event));
        }
        None
    }

    /// Stores one event with all that follows.
    fn take(&mut self, input: &Input) -> Outcome {
        let mut event = Arc::clone(&input.event);
        let key = (event.tenant_id.clone(), event.swarm_id.clone());
        let (last_seq, state) = self.loaded.swarms.entry(key).or_default();
        state.seq = *last_seq + 1;
        if input.terms == Terms::Require {
            event = joined(event, state);
        }
        let decision = decide::decide(state, &event);
        let refused = decision.refusal.filter(|_| input.terms == Terms::Require);
        let note = decision.refusal.or(decision.remark).map(decide::Refusal::note);
        let cause = Origin::of(&event);
        if refused.is_none() {
            *last_seq += 1;
            if let Some(task) = decision.ends {
                state.terminal_events.insert(task, event.id.clone());
            }
            self.events.push(StoredEvent {
                seq: *last_seq,
                event: Arc::clone(&event),
                entry: input.entry.as_ref().map(|entry| entry.id),
                note,
                root: input.root,
                attempt: decision.attempt,
            });
        }
        let outcome_seq = *last_seq;
        for mut follow_up in decision.follow_ups {
            let attempt = follow_up.attempt.take();
            // What follows from an event that is not stored goes back to what it says it does.
            let origin = follow_up.origin.clone();
            let cause = match (&origin, refused) {
                (Some(origin), Some(_)) => origin,
                (None, Some(_)) => continue,
                _ => &cause,
            };
            *last_seq += 1;
            let event = derive(&event, follow_up, cause, self.now, state);
            self.events.push(StoredEvent {
                seq: *last_seq,
                event: Arc::new(event),
                entry: None,
                note: None,
                root: false,
                attempt,
            });
        }
        match refused {
            Some(_) if decision.repeated => Outcome::Repeated,
            Some(refusal) => Outcome::Refused(refusal),
            None => Outcome::Stored { seq: outcome_seq, note },
        }
    }

    fn view(&self, input: &Input) -> Box<View> {
        let event = &input.event;
        let state = self
            .loaded
            .swarms
            .get(&(event.tenant_id.clone(), event.swarm_id.clone()));
        Box::new(state.map_or_else(View::default, |(_, state)| View::of(state, event)))
    }

    /// Returns how many tasks were looked at.
    fn settle(&mut self, key: &SwarmKey) -> usize {
        let Some((last_seq, state)) = self.loaded.swarms.get_mut(key) else {
            return 0;
        };
        state.seq = *last_seq + 1;
        let looked_at = state.idle_tasks().count();
        let follow_ups = decide::settle(state);
        self.follow_on(key, follow_ups);
        looked_at
    }

    fn claim(&mut self, input: &ClaimInput) -> ClaimOutcome {
        let Some((last_seq, state)) = self.loaded.swarms.get_mut(&input.swarm) else {
            return ClaimOutcome::default();
        };
        state.seq = *last_seq + 1;
        let claimed = match decide::claim(state, &input.claim) {
            Ok(claimed) => claimed,
            Err(refusal) => {
                return ClaimOutcome {
                    refusal: Some(refusal),
                    ..ClaimOutcome::default()
                };
            }
        };
        let tasks = claimed.tasks.iter().filter_map(|id| state.task(id)).cloned().collect();
        let draining = state.agent(&input.claim.agent).is_some_and(|agent| agent.draining);
        self.follow_on(&input.swarm, claimed.follow_ups);
        ClaimOutcome {
            tasks,
            refusal: None,
            look_again: claimed.look_again,
            draining,
            next_due: self.loaded.next_due.get(&input.swarm).copied(),
        }
    }

    /// Stores what no event of the batch brought about.
    fn follow_on(&mut self, key: &SwarmKey, follow_ups: Vec<FollowUp>) {
        let Some((last_seq, state)) = self.loaded.swarms.get_mut(key) else {
            return;
        };
        for mut follow_up in follow_ups {
            let attempt = follow_up.attempt.take();
            let Some(cause) = follow_up.origin.clone() else {
                continue;
            };
            *last_seq += 1;
            let event = follow(key, follow_up, &cause, self.now, state);
            self.events.push(StoredEvent {
                seq: *last_seq,
                event: Arc::new(event),
                entry: None,
                note: None,
                root: false,
                attempt,
            });
        }
    }
}

/// A call about a task belongs to the story of the task, unless it says to which it belongs.
fn joined(event: Arc<Event>, state: &State) -> Arc<Event> {
    let task = decide::task_id(&event).and_then(|id| state.task(&id));
    let Some(task) = task.filter(|_| event.context.correlation_id.is_none()) else {
        return event;
    };
    let origin = &task.origin;
    let mut event = Arc::unwrap_or_clone(event);
    event.run_id.clone_from(&task.run_id);
    let correlation = origin.context.correlation_id.clone();
    event.context.correlation_id = Some(correlation.unwrap_or_else(|| origin.event_id.to_string()));
    if event.context.runbook_id.is_none() {
        event.context.runbook_id.clone_from(&origin.context.runbook_id);
    }
    if event.context.traceparent.is_none() {
        event.context.traceparent.clone_from(&origin.context.traceparent);
        event.context.tracestate.clone_from(&origin.context.tracestate);
    }
    Arc::new(event)
}

fn says_the_same(a: &Event, b: &Event) -> bool {
    a.kind == b.kind && a.run_id == b.run_id && a.actor_id == b.actor_id && a.payload == b.payload
}

fn derive(cause_event: &Event, follow_up: FollowUp, cause: &Origin, now: Timestamp, state: &mut State) -> Event {
    follow(
        &(cause_event.tenant_id.clone(), cause_event.swarm_id.clone()),
        follow_up,
        cause,
        now,
        state,
    )
}

/// Makes an event of a follow-up: its own id, the context of its cause.
fn follow(key: &SwarmKey, follow_up: FollowUp, cause: &Origin, now: Timestamp, state: &mut State) -> Event {
    let id = EventId::generate();
    if let Some(task) = follow_up.ends {
        state.terminal_events.insert(task, id.clone());
    }
    Event {
        tenant_id: key.0.clone(),
        id,
        kind: follow_up.kind,
        schema_version: 1,
        swarm_id: key.1.clone(),
        run_id: follow_up.run_id,
        actor_id: ActorId::trusted(BRAIN_ACTOR),
        payload: follow_up.payload,
        created_at: now,
        context: Context {
            correlation_id: Some(
                cause
                    .context
                    .correlation_id
                    .clone()
                    .unwrap_or_else(|| cause.event_id.to_string()),
            ),
            causation_id: Some(cause.event_id.clone()),
            runbook_id: cause.context.runbook_id.clone(),
            traceparent: cause.context.traceparent.clone(),
            tracestate: cause.context.tracestate.clone(),
        },
    }
}

/// Per swarm, from the first to the last event that no stream entry brought.
fn outbox_ranges(events: &[StoredEvent], streams: &StreamNames) -> Vec<OutboxRange> {
    let mut ranges: BTreeMap<SwarmKey, (i64, i64)> = BTreeMap::new();
    for stored in events.iter().filter(|stored| stored.entry.is_none()) {
        let key = (stored.event.tenant_id.clone(), stored.event.swarm_id.clone());
        ranges
            .entry(key)
            .and_modify(|(first, last)| {
                *first = (*first).min(stored.seq);
                *last = (*last).max(stored.seq);
            })
            .or_insert((stored.seq, stored.seq));
    }
    ranges
        .into_iter()
        .map(|((tenant_id, swarm_id), (first_seq, last_seq))| OutboxRange {
            stream: streams.of(&tenant_id, &swarm_id),
            tenant_id,
            swarm_id,
            first_seq,
            last_seq,
        })
        .collect()
}
