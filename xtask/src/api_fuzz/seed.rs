//! What is there before the first request: the things that the examples of the document name, so that requests about them
//! are about something.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use brain_swarm::bus::StreamNames;
use fred::{
    clients::Client as Redis,
    interfaces::{ClientLike as _, StreamsInterface as _},
    types::config::Config as RedisConfig,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::brain::Brain;

const SETTINGS: &str = include_str!("schemathesis.toml");
/// Dead letters, of which some are replayed and some dropped on the way.
const LETTERS: usize = 8;
/// Tasks beside the one of the examples.
const TASKS: usize = 8;
const LETTERS_LIMIT: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The ids that nobody could guess.
pub(super) struct Seeds {
    tasks: Vec<String>,
    letters: Vec<String>,
    tokens: Vec<String>,
}

impl Seeds {
    /// The settings of schemathesis, but for the place of its hooks.
    pub(super) fn settings(&self, token: &str) -> String {
        SETTINGS
            .replace("{token}", token)
            .replace("{tasks}", &json!(self.tasks).to_string())
            .replace("{letters}", &json!(self.letters).to_string())
            .replace("{tokens}", &json!(self.tokens).to_string())
    }
}

/// Makes them.
pub(super) async fn sow(brain: &Brain) -> Result<Seeds> {
    let api = Api {
        http: reqwest::Client::builder().no_proxy().build()?,
        brain,
    };
    let agent = json!({ "agentId": "builder-1", "capabilities": ["rust"], "capacity": 1000 });
    api.call(Method::POST, "/api/swarm/agents", agent).await?;
    let budget = json!({ "budgetId": "tokens", "maxUnits": 100_000, "unit": "tokens" });
    api.call(Method::POST, "/api/swarm/budgets", budget).await?;
    let mut tasks = vec!["build".to_owned()];
    tasks.extend((0..TASKS).map(|number| format!("build-{number}")));
    let new: Vec<Value> = tasks
        .iter()
        .map(|task| json!({ "taskId": task, "runId": "nightly", "budgetId": "tokens" }))
        .collect();
    api.call(Method::POST, "/api/swarm/tasks", json!({ "tasks": new }))
        .await?;
    let claim = json!({ "agentId": "builder-1", "max": TASKS / 2 });
    api.call(Method::POST, "/api/swarm/tasks/claim", claim).await?;
    let schedule = json!({ "cron": "30 2 * * MON-FRI", "task": { "capability": "rust" } });
    api.call(Method::PUT, "/api/swarm/schedules/nightly-build", schedule)
        .await?;
    let mut tokens = Vec::new();
    for number in 0..4 {
        let new = json!({ "name": format!("builder-{number}"), "role": "agent" });
        let given = api.call(Method::POST, "/api/tokens", new).await?;
        tokens.push(text(&given, "tokenId")?);
    }
    Ok(Seeds {
        tasks,
        letters: letters(&api).await?,
        tokens,
    })
}

/// Sends what nobody can store, and waits until it is put aside.
async fn letters(api: &Api<'_>) -> Result<Vec<String>> {
    let config = &api.brain.config;
    let redis = RedisConfig::from_url(&format!("redis://127.0.0.1:{}", config.redis.port))?;
    let redis = Redis::new(redis, None, None, None);
    redis.init().await?;
    let streams = StreamNames::new(&config.bus);
    let stream = streams.all().first().context("there is no stream")?;
    for number in 0..LETTERS {
        let fields = vec![("event", format!("{{\"type\":\"build.broken\",\"number\":{number}}}"))];
        let () = redis.xadd(stream.as_str(), false, None::<()>, "*", fields).await?;
    }
    redis.quit().await?;
    let begun = Instant::now();
    loop {
        let page = api.call(Method::GET, "/api/swarm/dead-letters", Value::Null).await?;
        let found = page["deadLetters"].as_array().context("no list of dead letters")?;
        if found.len() == LETTERS {
            return found.iter().map(|letter| text(letter, "deadLetterId")).collect();
        }
        if begun.elapsed() > LETTERS_LIMIT {
            bail!("only {} of {LETTERS} dead letters came", found.len());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

struct Api<'a> {
    http: reqwest::Client,
    brain: &'a Brain,
}

impl Api<'_> {
    async fn call(&self, method: Method, path: &str, body: Value) -> Result<Value> {
        let mut request = self
            .http
            .request(method, self.brain.url(path))
            .bearer_auth(&self.brain.token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        let said = answer.text().await?;
        if !status.is_success() {
            bail!("{path} was answered with {status}: {said}");
        }
        Ok(serde_json::from_str(&said)?)
    }
}

fn text(value: &Value, name: &str) -> Result<String> {
    let text = value[name].as_str().map(str::to_owned);
    text.with_context(|| format!("no {name} in {value}"))
}
