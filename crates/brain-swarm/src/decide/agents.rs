//! Agents join, speak, drain and are lost.

use serde_json::Value;

use super::{Agent, Decision, Refusal, State, TaskStatus, agent_id, endings, number, tasks, text};
use crate::event::Event;

/// An agent says who it is: `pull` unless it says `push`.
pub(super) fn registered(state: &mut State, event: &Event) -> Decision {
    join(
        state,
        event,
        text(&event.payload, "assignment").as_deref() != Some("push"),
    );
    Decision::default()
}

/// The actor of the event joins, or joins again with these properties.
pub(super) fn join(state: &mut State, event: &Event, pulls: bool) {
    let payload = &event.payload;
    let capabilities = payload.get("capabilities").and_then(Value::as_array);
    state.join(Agent {
        id: event.actor_id.clone(),
        run_id: event.run_id.clone(),
        role: text(payload, "role").unwrap_or_else(|| "worker".to_owned()),
        capabilities: capabilities
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        capacity: number(payload, "capacity").and_then(|n| i32::try_from(n).ok()),
        pulls,
        draining: false,
        live: true,
        load: 0,
        last_seen_at: state.now,
    });
}

/// An agent is to take nothing new, or may again.
pub(super) fn draining(state: &mut State, event: &Event, draining: bool) -> Decision {
    let Some(id) = agent_id(&event.payload, "agentId") else {
        return Refusal::NoAgent.into();
    };
    match state.agent(&id) {
        None => Refusal::UnknownAgent.into(),
        Some(agent) if agent.draining == draining => Decision::repeated(),
        Some(_) => {
            state.edit_agent(&id, |agent| agent.draining = draining);
            Decision::default()
        }
    }
}

/// An agent says something, perhaps about a task that it holds.
pub(super) fn message(state: &mut State, event: &Event) -> Decision {
    match event.payload.get("state").and_then(Value::as_str) {
        None => tasks::said(state, event),
        Some("running") => tasks::started(state, event),
        Some("done" | "completed") => endings::ended(state, event, TaskStatus::Completed, false),
        Some("released") => endings::released(state, event),
        Some(_) => endings::ended(state, event, TaskStatus::Failed, false),
    }
}

/// An agent has not been heard for too long.
pub(super) fn lost(state: &mut State, event: &Event) -> Decision {
    let named = agent_id(&event.payload, "agentId");
    let Some(agent) = named.as_ref().and_then(|id| state.agent(id)) else {
        return Refusal::UnknownAgent.into();
    };
    if !agent.live {
        return Refusal::AgentLostAlready.into();
    }
    let heard_until = text(&event.payload, "lastSeenAt").and_then(|at| at.parse::<jiff::Timestamp>().ok());
    match heard_until {
        Some(until) if agent.last_seen_at <= until => {
            let id = agent.id.clone();
            state.edit_agent(&id, |agent| agent.live = false);
            Decision::default()
        }
        Some(_) => Refusal::AgentHeardSince.into(),
        None => Refusal::NotATime.into(),
    }
}
