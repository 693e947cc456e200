//! An MCP server that others wrote, as it comes from their package, is a skill.
//!
//! It is installed by `python3 -m pip` with every hash checked, once for each target directory. Without it the test fails.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use brain_skills::{
    calls::{Answer, Call, Error, Failure, Pool, Protocol, Settings, Sink, Skill, Terms},
    digest::Digest,
    launch::{Limits, Program},
};
use brain_testkit::python;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::plain::Plain;

/// The example has the versions and hashes.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../skills/examples/mcp-time");
/// The pinned version, in the name of its folder: another one is installed beside it.
const INSTALLED: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/mcp-server-time-2026.10.19");

struct Server {
    code: PathBuf,
    pool: Pool,
}

impl Server {
    async fn call(&self, pinned: Option<Digest>, tool: &str, arguments: Value) -> Result<Answer, Failure> {
        let skill = Skill {
            program: Program {
                digest: Digest::of(b"mcp-server-time"),
                code: self.code.clone(),
                argv: ["python3", "-m", "mcp_server_time", "--local-timezone", "UTC"]
                    .map(String::from)
                    .into(),
                environment: BTreeMap::new(),
                limits: Limits::default(),
                egress: Arc::default(),
                mounts: vec![],
            },
            protocol: Protocol::Mcp { tools: pinned },
        };
        let call = Call {
            command: tool.into(),
            payload: arguments,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let (cancel, sink): (_, Sink) = (CancellationToken::new(), Arc::new(|_| {}));
        let terms = Terms::new(deadline, &cancel, &sink);
        self.pool.call(&skill, "tenant", &call, &terms).await
    }
}

#[tokio::test]
async fn an_unmodified_server_from_a_package_serves_its_tools() {
    let settings = Settings {
        // The first start compiles all of its modules.
        start_time: Duration::from_secs(50),
        ..Settings::default()
    };
    let server = Server {
        code: tokio::task::spawn_blocking(|| python::install(python::python(), FOLDER.as_ref(), INSTALLED.as_ref()))
            .await
            .unwrap(),
        pool: Pool::new(Arc::new(Plain), settings),
    };
    let arguments = json!({"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"});
    let answer = server.call(None, "convert_time", arguments.clone()).await.unwrap();
    let text = answer.value["content"][0]["text"].as_str().unwrap();
    let converted: Value = serde_json::from_str(text).unwrap();
    assert_eq!(converted["time_difference"], "+9.0h");
    assert!(
        converted["target"]["datetime"].as_str().unwrap().contains("T21:00:00"),
        "{converted}"
    );
    assert!(!answer.warm);

    // Its tools are pinned by what they were found to be, and it is warm from the second call on.
    let pinned = answer.tools.unwrap();
    let first = server
        .call(Some(pinned), "convert_time", arguments.clone())
        .await
        .unwrap();
    let second = server
        .call(Some(pinned), "get_current_time", json!({"timezone": "UTC"}))
        .await
        .unwrap();
    assert!(!first.warm && second.warm && second.tools == Some(pinned));

    let failure = server
        .call(Some(pinned), "get_current_time", json!({"timezone": "Nowhere"}))
        .await
        .unwrap_err();
    assert!(matches!(failure.error(), Error::Refused(_)), "{failure}");
    let failure = server
        .call(Some(pinned), "delete_everything", json!({}))
        .await
        .unwrap_err();
    assert!(matches!(failure.error(), Error::UnknownTool(_)), "{failure}");
    let other = Digest::of(b"what somebody reviewed once");
    let failure = server.call(Some(other), "convert_time", arguments).await.unwrap_err();
    assert!(
        matches!(failure.error(), Error::ToolsChanged { found, .. } if *found == pinned),
        "{failure}"
    );
    assert!(
        server.pool.close(Instant::now() + Duration::from_secs(30)).await,
        "nothing is left"
    );
}
