//! `/api/swarm/agents`, `/api/swarm/runs` and what is said to them.

use axum::http::Method;
use brain_swarm::{
    agents::StoredAgent,
    calls::{Beat, Registration, Said},
    decide::RunState,
    ids::{ActorId, RunId},
    runs::StoredRun,
};
use serde_json::json;

use super::{Described, described, operation::Operation};
use crate::{
    problem::Kind,
    routes::{Order, agents, messages, runs},
};

const OWN_NAME: &str = "A token that is bound speaks for its own name alone: the agent must be that name.";
const OWN_ACTOR: &str = "A token that is bound acts as its own name alone: `actorId` is left out or that name.";

pub(super) const AGENTS: &[Described] = &[
    described(Method::GET, "/api/swarm/agents", |it| {
        it.named("listAgents", "Agents of a swarm by id, by page")
            .swarm()
            .query_as(
                "status",
                "Only those that are heard of, or that are not.",
                json!({ "type": "string", "enum": ["live", "lost"] }),
            )
            .paged()
            .gives::<agents::Page>(200, "A page of agents.")
    }),
    described(Method::POST, "/api/swarm/agents", |it| {
        it.named("registerAgent", "An agent joins, or joins again with other properties")
            .says(
                "It keeps what it holds. An agent that is not heard of for a while is lost until it is heard of again.",
            )
            .rule(OWN_NAME)
            .swarm()
            .body::<Registration>()
            .example(json!({ "agentId": "builder-1", "capabilities": ["rust"], "capacity": 4 }))
            .gives::<StoredAgent>(200, "The agent.")
            .leads_to(200, "heartbeat", "agentId", "/agentId")
            .leads_to(200, "messageAgent", "agentId", "/agentId")
            .stores()
            .problems(&[Kind::NotFound])
    }),
    described(Method::POST, "/api/swarm/agents/{agentId}/heartbeat", |it| {
        of_agent(it.named("heartbeat", "An agent says that it lives and what it works on"))
            .says("It learns what it lost, and renews the leases of the rest.")
            .rule(OWN_NAME)
            .body_if_any::<agents::Pulse>()
            .gives::<Beat>(200, "How the agent stands.")
            .problems(&[Kind::Rejected])
            .limit("tasks", 4096)
    }),
    described(Method::POST, "/api/swarm/agents/{agentId}/drain", |it| {
        of_agent(it.named(
            "drainAgent",
            "An agent is to finish what it has and is given nothing new",
        ))
        .rule(OWN_ACTOR)
        .body_if_any::<agents::Drain>()
        .gives::<StoredAgent>(200, "The agent.")
        .stores()
    }),
    described(Method::POST, "/api/swarm/agents/{agentId}/resume", |it| {
        of_agent(it.named("resumeAgent", "An agent is given tasks again"))
            .rule(OWN_ACTOR)
            .body_if_any::<agents::Drain>()
            .gives::<StoredAgent>(200, "The agent.")
            .stores()
    }),
    described(Method::GET, "/api/swarm/agents/{agentId}/messages", |it| {
        heard(of_agent(
            it.named("listAgentMessages", "What was said to an agent, oldest first"),
        ))
    }),
    described(Method::POST, "/api/swarm/agents/{agentId}/messages", |it| {
        said(of_agent(it.named(
            "messageAgent",
            "Say something to an agent, which finds it in its inbox",
        )))
    }),
];

pub(super) const RUNS: &[Described] = &[
    described(Method::GET, "/api/swarm/runs", |it| {
        it.named("listRuns", "Runs of a swarm by id, by page")
            .swarm()
            .query::<RunState>("state", "Only runs that stand there.")
            .paged()
            .gives::<runs::Page>(200, "A page of runs.")
    }),
    described(Method::GET, "/api/swarm/runs/{runId}", |it| {
        of_run(it.named("getRun", "One run")).gives_thing::<StoredRun>("The run.")
    }),
    described(Method::POST, "/api/swarm/runs/{runId}/cancel", |it| {
        of_run(it.named("cancelRun", "Call a run off, with all its tasks"))
            .rule(OWN_ACTOR)
            .body_if_any::<Order>()
            .gives::<StoredRun>(200, "The run.")
            .stores()
    }),
    described(Method::POST, "/api/swarm/runs/{runId}/finish", |it| {
        of_run(it.named("finishRun", "End a run, and sum it up"))
            .rule(OWN_ACTOR)
            .body_if_any::<runs::End>()
            .gives::<StoredRun>(200, "The run.")
            .stores()
    }),
    described(Method::GET, "/api/swarm/runs/{runId}/messages", |it| {
        heard(of_run(
            it.named("listRunMessages", "What was said to a run, oldest first"),
        ))
    }),
    described(Method::POST, "/api/swarm/runs/{runId}/messages", |it| {
        said(of_run(
            it.named("messageRun", "Say something to all that work in a run"),
        ))
    }),
];

fn of_agent(it: Operation<'_>) -> Operation<'_> {
    it.path::<ActorId>("agentId", "builder-1").swarm()
}

fn of_run(it: Operation<'_>) -> Operation<'_> {
    it.path::<RunId>("runId", "nightly").swarm()
}

fn heard(it: Operation<'_>) -> Operation<'_> {
    it.after("Only messages after this `seq`; `nextAfter` of the page before.")
        .limited()
        .gives::<messages::Page>(200, "A page of messages.")
}

fn said(it: Operation<'_>) -> Operation<'_> {
    it.rule(OWN_ACTOR)
        .body::<messages::Given>()
        .example(json!({ "message": "the build is red" }))
        .gives::<Said>(200, "Where the message is.")
        .stores()
}
