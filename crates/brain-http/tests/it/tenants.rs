//! Two tenants who name everything alike, over HTTP and under load: neither ever sees a word of the other.

use std::sync::Arc;

use brain_http::access::Role;
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    access::{give, guarded, wish},
    brain::Brain,
};

const TENANTS: [&str; 2] = ["one", "two"];
const PUBLISHERS: usize = 4;
const ROUNDS: usize = 25;
const SWARM: &str = "swarmId=s";

/// What one of the tenants does; everything that it writes holds its name, and nothing else tells it from the other.
struct Tenant {
    name: &'static str,
    token: String,
    brain: Arc<Brain>,
}

impl Tenant {
    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.brain.post(&format!("/api/swarm/{path}")).bearer_auth(&self.token);
        let response = request.json(body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.brain.get(&format!("/api/swarm/{path}")).bearer_auth(&self.token);
        request.send().await.unwrap().json().await.unwrap()
    }

    fn mark(&self) -> String {
        format!("only {} knows", self.name)
    }

    async fn publishes(&self, publisher: usize) {
        for round in 0..ROUNDS {
            let event = |n: usize| {
                let id = format!("e-{publisher}-{round}-{n}");
                json!({"id": id, "type": "note.taken", "swarmId": "s", "runId": "r", "actorId": "a",
                    "payload": {"text": self.mark()}, "createdAt": "2026-01-02T03:04:05Z"})
            };
            let events: Vec<Value> = (0..4).map(event).collect();
            let (status, answer) = self.post("events", &json!(events)).await;
            assert_eq!(status, 201, "{answer}");
            assert!(
                answer["events"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|event| event["duplicate"] == false)
            );
            let task = json!({"taskId": format!("t-{publisher}-{round}"), "runId": "r", "inputs": {"text": self.mark()},
                "idempotencyKey": format!("k-{publisher}-{round}")});
            let (status, answer) = self.post(&format!("tasks?{SWARM}"), &task).await;
            assert_eq!(status, 201, "{answer}");
        }
    }

    /// Claims and completes until all of its own tasks are done.
    async fn works(&self, agent: &str) {
        self.post(&format!("agents?{SWARM}"), &json!({"agentId": agent})).await;
        let mut idle = 0;
        while idle < 20 {
            let ask = json!({"agentId": agent, "max": 10, "waitMs": 200});
            let (status, claimed) = self.post(&format!("tasks/claim?{SWARM}"), &ask).await;
            assert_eq!(status, 200, "{claimed}");
            let tasks = claimed["tasks"].as_array().unwrap();
            idle = if tasks.is_empty() { idle + 1 } else { 0 };
            for task in tasks {
                assert_eq!(task["inputs"]["text"], self.mark(), "{task}");
            }
            let done = |task: &Value| json!({"taskId": task["taskId"], "fencingToken": task["fencingToken"], "outputs": {"text": self.mark()}});
            let results: Vec<Value> = tasks.iter().map(done).collect();
            if !results.is_empty() {
                let body = json!({"agentId": agent, "results": results});
                let (status, answer) = self.post(&format!("tasks/finish?{SWARM}"), &body).await;
                assert_eq!(status, 200, "{answer}");
            }
        }
    }

    /// Follows its stream until it has seen that many notes.
    async fn follows(&self, stream: Response, notes: usize, foreign: &str) {
        let mut stream = stream;
        let (mut text, mut seen, mut last) = (Vec::new(), 0, 0);
        while seen < notes {
            let chunk = tokio::time::timeout(std::time::Duration::from_secs(60), stream.chunk());
            text.extend_from_slice(&chunk.await.unwrap().unwrap().unwrap());
            while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = text.drain(..end + 2).collect();
                let block = String::from_utf8(block).unwrap();
                assert!(!block.contains(foreign), "{block}");
                if let (Some(id), true) = (
                    block.lines().find_map(|line| line.strip_prefix("id: ")),
                    block.contains("event: "),
                ) {
                    let id: i64 = id.parse().unwrap();
                    assert_eq!(id, last + 1, "no gap and no repetition");
                    last = id;
                }
                seen += usize::from(block.contains("event: note.taken"));
            }
        }
    }
}

#[tokio::test]
async fn tenants_who_name_everything_alike_never_meet() {
    let brain = Arc::new(guarded().await);
    let mut tenants = Vec::new();
    for name in TENANTS {
        let token = give(&brain, &wish(name, Role::Admin)).await;
        let brain = Arc::clone(&brain);
        tenants.push(Arc::new(Tenant { name, token, brain }));
    }
    let mut parts = Vec::new();
    for (tenant, other) in [(0, 1), (1, 0)] {
        let (tenant, foreign) = (Arc::clone(&tenants[tenant]), tenants[other].mark());
        let stream = brain
            .get(&format!("/api/swarm/events/stream?{SWARM}&after=0"))
            .bearer_auth(&tenant.token);
        let stream = stream.send().await.unwrap();
        assert_eq!(stream.status(), 200);
        let follower = Arc::clone(&tenant);
        parts.push(tokio::spawn(async move {
            follower.follows(stream, PUBLISHERS * ROUNDS * 4, &foreign).await;
        }));
        for publisher in 0..PUBLISHERS {
            let tenant = Arc::clone(&tenant);
            parts.push(tokio::spawn(async move { tenant.publishes(publisher).await }));
        }
        for worker in ["w-1", "w-2"] {
            let tenant = Arc::clone(&tenant);
            parts.push(tokio::spawn(async move { tenant.works(worker).await }));
        }
    }
    for part in parts {
        part.await.unwrap();
    }
    let tasks = PUBLISHERS * ROUNDS;
    for (tenant, other) in [(0, 1), (1, 0)] {
        let (tenant, foreign) = (&tenants[tenant], tenants[other].mark());
        let (mut cursor, mut found) = (String::new(), 0);
        loop {
            let page = tenant
                .get(&format!("tasks?{SWARM}&limit=500&status=completed{cursor}"))
                .await;
            let text = page.to_string();
            assert!(!text.contains(&foreign), "{text}");
            found += page["tasks"].as_array().unwrap().len();
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(found, tasks);
        let run = tenant.get(&format!("runs/r?{SWARM}")).await;
        assert_eq!(run["tasks"]["completed"], tasks, "{run}");
        // The same id with other content is a conflict within a tenant, and none of the other tenant's business.
        let clash = json!({"id": "e-0-0-0", "type": "note.taken", "swarmId": "s", "runId": "r", "actorId": "a",
            "payload": {"text": "other"}, "createdAt": "2026-01-02T03:04:05Z"});
        let (status, problem) = tenant.post("events", &clash).await;
        assert_eq!(status, 409);
        assert!(!problem.to_string().contains("knows"), "{problem}");
    }
}
