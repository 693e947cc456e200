//! The dashboard in a browser: logging in, seeing a task end, deciding about a dead letter, foreign text, barriers.

mod browser;

use std::path::Path;

use brain_testkit::TestDatabase;
use serde_json::{Value, json};

use self::browser::Browser;
use crate::brain_process::{BrainProcess, migrated};

const TOKEN: &str = "the-administrators-token-of-this-test";
const SWARM: &str = "writers";
/// Names a folder under which pictures of the pages are kept, for the documentation.
const PICTURES: &str = "BRAIN_TEST_PICTURES";
/// The pictures that the documentation shows.
const SHOWN: [&str; 6] = [
    "approval-desktop-light",
    "overview-desktop-light",
    "task-desktop-dark",
    "dead-letter-desktop-light",
    "overview-phone-dark",
    "task-phone-light",
];
/// What would act in a page that let it.
const HOSTILE: &str =
    "\"'><script>window.pwned=1</script><img src=x onerror=window.pwned=2>\u{202e}<svg/onload=alert(3)>";

/// What agents may do here.
const POLICY: &str = r#"
    [[capability]]
    id = "mail.send"
    target = "the mailing list of the publisher"
    description = "Sends a mail to the readers."
    risk = "high"
    owner = "editor"
    rollback_plan = "Send a correction."
    escalation_path = "the publisher"
    input_schema = '{"type": "object", "required": ["subject"], "properties": {"subject": {"type": "string"}}}'
    executor = { type = "webhook", url = "https://mail.example/send" }
"#;

/// A brain that asks who calls, and a way to call it.
struct Plane {
    brain: BrainProcess,
    http: reqwest::Client,
    database: TestDatabase,
    _policy: tempfile::TempDir,
}

impl Plane {
    async fn start() -> Self {
        let database = migrated().await;
        let mut config = database.config();
        config.swarm.orchestrator_enabled = true;
        config.swarm.swarm_id = SWARM.to_owned();
        let policy = tempfile::tempdir().unwrap();
        let file = policy.path().join("capabilities.toml");
        std::fs::write(&file, POLICY).unwrap();
        let overrides = [
            ("STUDIO_BRAIN_CAPABILITIES_FILE", file.to_str().unwrap()),
            ("STUDIO_BRAIN_ADMIN_TOKEN", TOKEN),
            ("STUDIO_BRAIN_SWARM_RUN_ID", "chapter-one"),
        ];
        Self {
            brain: BrainProcess::start(&config, &overrides).await,
            http: reqwest::Client::new(),
            database,
            _policy: policy,
        }
    }

    /// A proposal that waits for a person; gives its id.
    async fn propose(&self, words: &str) -> String {
        let proposal = json!({"capabilityId": "mail.send", "input": {"subject": words}, "summary": words,
            "rationale": format!("The readers wait for it: {words}"), "expectedEffects": [words]});
        let request = self
            .http
            .post(self.url("/api/capabilities/proposals"))
            .bearer_auth(TOKEN);
        let made: Value = request.json(&proposal).send().await.unwrap().json().await.unwrap();
        made["proposalId"]
            .as_str()
            .unwrap_or_else(|| panic!("{made}"))
            .to_owned()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.brain.url())
    }

    async fn call(&self, path: &str, body: Value) -> Value {
        let request = self
            .http
            .post(self.url(&format!("/api/swarm/{path}")))
            .bearer_auth(TOKEN);
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status();
        let answer: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "{path}: {answer}");
        answer
    }

    /// An agent takes the next task; gives its id and its token.
    async fn claim(&self, agent: &str) -> (String, i64) {
        let claimed = self.call("tasks/claim", json!({ "agentId": agent })).await;
        let task = &claimed["tasks"][0];
        (
            task["taskId"].as_str().unwrap().to_owned(),
            task["fencingToken"].as_i64().unwrap(),
        )
    }

    async fn park(&self, entry: &str, raw: &str) -> String {
        let id = uuid::Uuid::now_v7();
        let insert =
            "INSERT INTO swarm_dead_letters (dead_letter_id, stream_name, entry_id, raw_sha256, reason, detail, raw)
            VALUES ($1, 'studiobrain.events', $2, encode(sha256($4), 'hex'), 'apply_failed', $3, $4)";
        let detail = "the database refused it, every time";
        let client = self.database.client().await;
        client
            .execute(insert, &[&id, &entry, &detail, &raw.as_bytes()])
            .await
            .unwrap();
        id.to_string()
    }

    /// Work that looks like some.
    async fn furnish(&self) -> String {
        self.call(
            "budgets",
            json!({"budgetId": "tokens", "maxUnits": 50_000, "unit": "tokens"}),
        )
        .await;
        for agent in ["editor", "writer-1", "writer-2"] {
            self.call(
                "agents",
                json!({"agentId": agent, "role": "worker", "capabilities": ["prose"]}),
            )
            .await;
        }
        for number in 1..=12 {
            let inputs = json!({"topic": format!("Scene {number}"), "words": 800});
            let task = json!({"taskId": format!("scene-{number:02}"), "inputs": inputs, "budgetId": "tokens", "maxAttempts": 1});
            self.call("tasks", task).await;
        }
        for number in 0..8 {
            let agent = format!("writer-{}", number % 2 + 1);
            let (task, token) = self.claim(&agent).await;
            match number {
                5 => {
                    let failed = json!({"agentId": agent, "fencingToken": token, "error": "the model gave no answer"});
                    self.call(&format!("tasks/{task}/fail"), failed).await;
                }
                7 => {}
                _ => {
                    let done = json!({"agentId": agent, "fencingToken": token, "outputs": {"words": 790 + number}});
                    self.call(&format!("tasks/{task}/complete"), done).await;
                }
            }
        }
        let event = json!({"id": "parked-1", "type": "scene.reviewed", "swarmId": SWARM, "runId": "chapter-one",
            "actorId": "editor", "payload": {"scene": 3, "verdict": "good"}, "createdAt": "2026-01-02T03:04:05Z"});
        self.park("1767323045000-0", &event.to_string()).await
    }
}

/// Opens every page in both schemes and lets axe-core look at it; keeps pictures of some where that is wanted.
async fn look_at_all(browser: &Browser, plane: &Plane, pages: &[(&str, String)]) {
    let pictures = std::env::var_os(PICTURES);
    for scheme in ["light", "dark"] {
        browser.prefers(scheme).await;
        for (name, path) in pages {
            for (device, width, height) in [("desktop", 1100, 800), ("phone", 390, 760)] {
                browser.width(width, height).await;
                browser.open(&plane.url(path)).await;
                let barriers = browser.barriers().await;
                assert!(
                    barriers.is_empty(),
                    "{path} in {scheme} on a {device}:\n{}",
                    barriers.join("\n")
                );
                let wide = browser
                    .run("return document.documentElement.scrollWidth - window.innerWidth")
                    .await;
                assert!(
                    wide.as_i64().unwrap() <= 0,
                    "{path} on a {device} is {wide} pixels too wide"
                );
                let picture = format!("{name}-{device}-{scheme}");
                if let (Some(folder), true) = (&pictures, SHOWN.contains(&picture.as_str())) {
                    let file = Path::new(folder).join(format!("dashboard-{picture}.png"));
                    std::fs::write(file, browser.picture().await).unwrap();
                }
            }
        }
    }
    browser.prefers("light").await;
    browser.width(1280, 900).await;
}

#[tokio::test]
async fn people_see_and_steer_a_swarm() {
    let plane = Plane::start().await;
    let letter = plane.furnish().await;
    let browser = Browser::start().await;

    // In by the form, with a word about a wrong token.
    browser.open(&plane.url("/dashboard/tasks/scene-08")).await;
    assert_eq!(browser.text("h1").await, "Log in to Studio Brain");
    look_at_all(&browser, &plane, &[("login", "/dashboard/login".to_owned())]).await;
    browser.open(&plane.url("/dashboard/tasks/scene-08")).await;
    browser.type_into("#token", "wrong\n").await;
    browser.says("#error", "not known").await;
    assert!(browser.barriers().await.is_empty());
    browser.type_into("#token", &format!("{TOKEN}\n")).await;
    browser.says("h1", "Task scene-08").await;
    assert_eq!(
        browser.run("return document.cookie").await,
        "",
        "no script reaches the session"
    );

    // A task ends while somebody looks.
    browser.says("#state", "running").await;
    browser.says("#live-status", "Live updates are on.").await;
    browser
        .run("window.marker = 1; document.querySelector('#actions input').focus();")
        .await;
    let task = plane
        .http
        .get(plane.url("/api/swarm/tasks/scene-08"))
        .bearer_auth(TOKEN);
    let task: Value = task.send().await.unwrap().json().await.unwrap();
    let agent = task["assignedAgentId"].as_str().unwrap();
    // Whoever claims again is given nothing else meanwhile, so the token is the one of the only lease.
    let client = plane.database.client().await;
    let token = "SELECT fencing_token FROM swarm_tasks WHERE task_id = 'scene-08'";
    let token: i64 = client.query_one(token, &[]).await.unwrap().get(0);
    let done = json!({"agentId": agent, "fencingToken": token, "outputs": {"words": 801}});
    plane.call("tasks/scene-08/complete", done).await;
    browser.says("#state", "completed").await;
    browser.says("#data", "801").await;
    assert_eq!(
        browser.run("return window.marker").await,
        1,
        "the page was not loaded again"
    );

    // Paused, it stays as it is; resumed, it catches up.
    browser.open(&plane.url("/dashboard/events")).await;
    browser.says("#live-status", "Live updates are on.").await;
    browser.click("#live-pause").await;
    browser.says("#live-status", "paused").await;
    let before = browser.text("#rows p").await;
    let note = json!({"type": "note.taken", "swarmId": SWARM, "actorId": "editor", "payload": {"text": "later"}});
    plane.call("events", note).await;
    assert_eq!(browser.text("#rows p").await, before);
    browser.click("#live-pause").await;
    browser.says("#rows", "note.taken").await;

    // A dead letter is published after all.
    browser
        .open(&plane.url(&format!("/dashboard/dead-letters/{letter}")))
        .await;
    browser.click("#replay").await;
    browser.says(".done", "The dead letter was published.").await;
    browser.open(&plane.url("/dashboard/events?type=scene.reviewed")).await;
    browser.says("#rows", "scene.reviewed").await;

    // A person reads what is about to happen, and approves it.
    let proposal = plane.propose("Chapter one is out").await;
    browser.open(&plane.url("/dashboard/approvals")).await;
    browser.says("#rows", "Chapter one is out").await;
    browser.click("#rows th a").await;
    browser.says("pre", "\"subject\": \"Chapter one is out\"").await;
    browser.type_into("#approve-reason", "I read it, and it is fine").await;
    browser.click("#approve").await;
    browser.says(".done", "The proposal was approved.").await;
    browser.says("#state", "approved").await;
    browser.says("#decision", "I read it, and it is fine").await;
    let open = plane.propose("Chapter two is out").await;

    let waiting = plane.park("1767323045001-0", "{\"type\": \"scene.lost\"}").await;
    let pages = [
        ("overview", "/dashboard".to_owned()),
        ("runs", "/dashboard/runs".to_owned()),
        ("run", "/dashboard/runs/chapter-one".to_owned()),
        ("tasks", "/dashboard/tasks".to_owned()),
        ("task", "/dashboard/tasks/scene-06".to_owned()),
        ("task-open", "/dashboard/tasks/scene-11".to_owned()),
        ("agents", "/dashboard/agents".to_owned()),
        ("events", "/dashboard/events".to_owned()),
        ("dead-letters", "/dashboard/dead-letters".to_owned()),
        ("dead-letter", format!("/dashboard/dead-letters/{waiting}")),
        ("budgets", "/dashboard/budgets".to_owned()),
        ("approvals", "/dashboard/approvals?status=all".to_owned()),
        ("approval", format!("/dashboard/approvals/{open}")),
        ("approved", format!("/dashboard/approvals/{proposal}")),
        ("capabilities", "/dashboard/capabilities".to_owned()),
        ("audit", "/dashboard/audit".to_owned()),
        ("problem", "/dashboard/tasks/nothing".to_owned()),
    ];
    look_at_all(&browser, &plane, &pages).await;

    browser.open(&plane.url("/dashboard")).await;
    browser.click(".who button").await;
    browser.says("h1", "Log in").await;
    browser.close().await;
}

#[tokio::test]
async fn foreign_text_does_nothing() {
    let plane = Plane::start().await;
    plane
        .call(
            "tasks",
            json!({"taskId": HOSTILE, "runId": HOSTILE, "inputs": {HOSTILE: HOSTILE}}),
        )
        .await;
    plane
        .call(
            "agents",
            json!({"agentId": HOSTILE, "role": "worker", "capabilities": [HOSTILE]}),
        )
        .await;
    plane.call("budgets", json!({"budgetId": HOSTILE, "maxUnits": 5})).await;
    let (_, token) = plane.claim(HOSTILE).await;
    let failed = json!({"agentId": HOSTILE, "results": [{"taskId": HOSTILE, "fencingToken": token, "error": HOSTILE}]});
    plane.call("tasks/finish", failed).await;
    let letter = plane.park(HOSTILE, HOSTILE).await;
    plane.propose(HOSTILE).await;

    let browser = Browser::start().await;
    browser.open(&plane.url("/dashboard/login")).await;
    browser.type_into("#token", &format!("{TOKEN}\n")).await;
    browser.says("h1", "Overview").await;
    let links = "return [...document.querySelectorAll('#rows th a')].map((link) => link.getAttribute('href'))";
    let mut pages: Vec<String> = Vec::new();
    for list in [
        "runs",
        "tasks",
        "agents",
        "events",
        "dead-letters",
        "budgets",
        "approvals",
        "audit",
    ] {
        pages.push(format!("/dashboard/{list}"));
        browser.open(&plane.url(&format!("/dashboard/{list}"))).await;
        let found = browser.run(links).await;
        pages.extend(
            found
                .as_array()
                .unwrap()
                .iter()
                .map(|link| link.as_str().unwrap().to_owned()),
        );
    }
    pages.push(format!("/dashboard/dead-letters/{letter}"));
    assert!(pages.len() >= 10, "{pages:?}");
    let mut shown = 0;
    for page in &pages {
        browser.open(&plane.url(page)).await;
        // What comes by a live update too.
        plane
            .call(
                "events",
                json!({"type": "note.taken", "actorId": HOSTILE, "payload": {HOSTILE: HOSTILE}}),
            )
            .await;
        browser.says("#live-status", "Live updates are on.").await;
        assert!(!browser.has_dialog().await, "{page}");
        let state = "return [window.pwned ?? null, document.querySelectorAll('main script, main img, main svg:not(.spark)').length,
            document.body.innerText.includes('window.pwned=1'), document.querySelector('h1').textContent]";
        let state = browser.run(state).await;
        assert_eq!((&state[0], &state[1]), (&Value::Null, &json!(0)), "{page}: {state}");
        assert_ne!(state[3], "Not found", "the link leads somewhere: {page}");
        shown += usize::from(state[2] == true);
    }
    assert!(shown >= 8, "it was shown: {shown} of {}", pages.len());
    let errors = browser.barriers().await;
    assert!(errors.is_empty(), "{errors:?}");
    browser.close().await;
}
