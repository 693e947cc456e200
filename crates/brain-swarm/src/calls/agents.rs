//! Calls about agents, and messages to them and to runs.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Calls, Error, Scope};
use crate::{
    agents::{self, StoredAgent},
    decide::Refusal,
    event::EventType,
    events::{self, StoredEvent},
    ids::{ActorId, EventId, RunId, TaskId},
};

/// An agent says who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "NewAgent")]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    /// Its id.
    pub agent_id: ActorId,
    /// The run it joins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// What it is; `worker` when it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<crate::ids::Text>")]
    pub role: Option<String>,
    /// What it can do.
    #[serde(default)]
    #[schemars(with = "Vec<crate::ids::Text>", length(max = 64))]
    pub capabilities: Vec<String>,
    /// How many tasks it may hold at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub capacity: Option<i32>,
    /// `pull`: it claims its tasks; `push`: it is given them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Assignment>")]
    pub assignment: Option<String>,
}

/// The words of [`Registration::assignment`], for its schema.
#[derive(schemars::JsonSchema)]
#[schemars(inline, rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
enum Assignment {
    Pull,
    Push,
}

/// Something that is said to an agent or to a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who says it.
    pub actor_id: ActorId,
    /// In words.
    pub message: String,
    /// For programs.
    pub data: Option<Value>,
    /// The task that it is about.
    pub task_id: Option<TaskId>,
}

/// A message that is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "SentMessage")]
pub struct Said {
    /// The id of its event.
    pub id: EventId,
    /// The number of its event.
    pub seq: i64,
}

impl Calls {
    /// An agent joins the swarm, or joins again with other properties; it keeps what it holds.
    ///
    /// # Errors
    /// Properties that are not valid are named.
    pub async fn register_agent(
        &self,
        scope: &Scope,
        default_run: &RunId,
        agent: Registration,
    ) -> Result<StoredAgent, Error> {
        let run = agent.run_id.clone().unwrap_or_else(|| default_run.clone());
        let mut payload = json!({ "capabilities": agent.capabilities });
        for (field, value) in [
            ("role", agent.role.map(Value::from)),
            ("capacity", agent.capacity.map(Value::from)),
            ("assignment", agent.assignment.map(Value::from)),
        ] {
            if let Some(value) = value {
                payload[field] = value;
            }
        }
        let event = self.event(scope, Some(run), EventType::AgentRegistered, &agent.agent_id, payload)?;
        self.one(event).await?;
        self.agent(scope, &agent.agent_id).await
    }

    /// An agent finishes what it has and is given nothing new; or it is given tasks again.
    ///
    /// # Errors
    /// The agent must be known.
    pub async fn drain_agent(
        &self,
        scope: &Scope,
        agent: &ActorId,
        actor: &ActorId,
        draining: bool,
    ) -> Result<StoredAgent, Error> {
        let kind = if draining {
            EventType::AgentDraining
        } else {
            EventType::AgentResumed
        };
        let run = self.agent(scope, agent).await?.run_id;
        let event = self.event(scope, Some(run), kind, actor, json!({ "agentId": agent }))?;
        self.one(event).await?;
        self.agent(scope, agent).await
    }

    async fn agent(&self, scope: &Scope, agent: &ActorId) -> Result<StoredAgent, Error> {
        agents::get(&self.postgres, &scope.tenant_id, &scope.swarm_id, agent)
            .await?
            .ok_or(Error::NotFound(Refusal::UnknownAgent))
    }

    /// Says something to an agent, which finds it in its inbox.
    ///
    /// # Errors
    /// The agent must be known.
    pub async fn message_agent(&self, scope: &Scope, agent: &ActorId, message: Message) -> Result<Said, Error> {
        let run = self.agent(scope, agent).await?.run_id;
        self.say(scope, run, json!({ "toAgentId": agent }), message).await
    }

    /// Says something to all that work in a run.
    ///
    /// # Errors
    /// Those of storing it.
    pub async fn message_run(&self, scope: &Scope, run: &RunId, message: Message) -> Result<Said, Error> {
        self.say(scope, run.clone(), json!({ "toRunId": run }), message).await
    }

    async fn say(&self, scope: &Scope, run: RunId, mut payload: Value, message: Message) -> Result<Said, Error> {
        payload["message"] = json!(message.message);
        if let Some(data) = message.data {
            payload["data"] = data;
        }
        if let Some(task) = message.task_id {
            payload["taskId"] = json!(task);
        }
        let event = self.event(scope, Some(run), EventType::AgentMessage, &message.actor_id, payload)?;
        let id = event.id.clone();
        let (_, seq, _) = self.one(event).await?;
        Ok(Said { id, seq })
    }

    /// What was said to an agent after that number, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn agent_messages(
        &self,
        scope: &Scope,
        agent: &ActorId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Error> {
        let sql = include_str!("../sql/select_agent_messages.sql");
        Ok(events::messages(
            &self.postgres,
            sql,
            (&scope.tenant_id, &scope.swarm_id),
            agent.as_str(),
            after,
            limit,
        )
        .await?)
    }

    /// What was said to a run after that number, oldest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn run_messages(
        &self,
        scope: &Scope,
        run: &RunId,
        after: i64,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Error> {
        let sql = include_str!("../sql/select_run_messages.sql");
        Ok(events::messages(
            &self.postgres,
            sql,
            (&scope.tenant_id, &scope.swarm_id),
            run.as_str(),
            after,
            limit,
        )
        .await?)
    }
}
