//! Folds the events of a batch over the state of their swarms: what is new, what follows, what changes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::Timestamp;

use super::{
    Batch, Input, OutboxRange, Outcome, StoredEvent, duplicate_letter, key_of,
    load::{Loaded, SwarmKey},
};
use crate::{
    bus::StreamNames,
    dead_letters::NewDeadLetter,
    decide::{self, FollowUp, Origin, State},
    event::{Context, Event},
    ids::{ActorId, EventId},
};

/// Who acts when the brain itself does.
pub(crate) const BRAIN_ACTOR: &str = "studio-brain";

/// Everything that a batch writes.
#[derive(Debug)]
pub(super) struct Changes {
    pub(super) outcomes: Vec<Outcome>,
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
            for (index, verdict) in (start..end).zip(verdicts) {
                let input = &inputs[index];
                let outcome = match verdict {
                    Some(found) => {
                        duplicates.extend(self.letter_for(input, index, &found));
                        found
                    }
                    None if conflict => Outcome::Skipped,
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
                outcomes.push(outcome);
            }
            start = end;
        }
        for key in std::mem::take(&mut self.loaded.settle) {
            self.settle(&key);
        }
        let outbox = outbox_ranges(&self.events, streams);
        Changes {
            outcomes,
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

    /// Stores one event with all that follows.
    fn take(&mut self, input: &Input) -> Outcome {
        let event = &input.event;
        let key = (event.tenant_id.clone(), event.swarm_id.clone());
        let (last_seq, state) = self.loaded.swarms.entry(key).or_default();
        let decision = decide::decide(state, event);
        *last_seq += 1;
        let outcome = Outcome::Stored {
            seq: *last_seq,
            note: decision.note,
        };
        if let Some(task) = decision.ends {
            state.terminal_events.insert(task, event.id.clone());
        }
        for effect in decision.effects {
            state.apply(effect);
        }
        self.events.push(StoredEvent {
            seq: *last_seq,
            event: Arc::clone(event),
            entry: input.entry.as_ref().map(|entry| entry.id),
            note: decision.note,
        });
        let cause = Origin {
            event_id: event.id.clone(),
            context: event.context.clone(),
        };
        for follow_up in decision.follow_ups {
            *last_seq += 1;
            let event = derive(event, follow_up, &cause, self.now, state);
            self.events.push(StoredEvent {
                seq: *last_seq,
                event: Arc::new(event),
                entry: None,
                note: None,
            });
        }
        outcome
    }

    fn settle(&mut self, key: &SwarmKey) {
        let Some((last_seq, state)) = self.loaded.swarms.get_mut(key) else {
            return;
        };
        for follow_up in decide::settle(state) {
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
            });
        }
    }
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
            stream: streams.of(&swarm_id),
            tenant_id,
            swarm_id,
            first_seq,
            last_seq,
        })
        .collect()
}
