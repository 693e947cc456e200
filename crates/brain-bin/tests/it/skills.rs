//! Skills with the real program: a signed registry made by the command line, a sandbox, tasks and capabilities that skills carry out.

mod revoked;
mod used;

use std::{collections::BTreeMap, path::PathBuf};

use brain_config::Config;
use brain_testkit::scratch_dir;
use serde_json::Value;

use crate::brain_process::{BrainProcess, Ended, run};

/// What a machine may lack where these tests run as an ordinary user.
const MAY_LACK: &str = "dedicated_user,private_proc,cgroup_memory,cgroup_pids,cgroup_cpu";

/// A registry of a test, with its keys.
struct Shop {
    folder: PathBuf,
}

impl Shop {
    /// Makes a registry in which `examples` may publish what begins with `word-` or `sandbox-`.
    async fn new() -> Self {
        let shop = Self { folder: scratch_dir() };
        done(
            &shop
                .brain(&["init", &shop.path("registry"), "--keys", &shop.path("keys")])
                .await,
        );
        let made = shop.brain(&["key", "generate", &shop.path("publisher.pem")]).await;
        done(&made);
        let add = [
            "publisher",
            "add",
            "examples",
            "--names",
            "word-*",
            "--names",
            "sandbox-*",
        ];
        done(
            &shop
                .change(&[&add[..], &["--public", made.stdout.trim()]].concat())
                .await,
        );
        shop
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// `brain skill registry ...`
    async fn brain(&self, words: &[&str]) -> Ended {
        run(&BTreeMap::new(), &[&["skill", "registry"], words].concat()).await
    }

    /// A change of the registry, signed with all keys.
    async fn change(&self, words: &[&str]) -> Ended {
        let (registry, keys, publisher) = (self.path("registry"), self.path("keys"), self.path("publisher.pem"));
        let with = ["--registry", &registry, "--keys", &keys, "--keys", &publisher];
        let with: Vec<&str> = match self.folder.join("publisher.pem").exists() {
            true => with.to_vec(),
            false => with[..4].to_vec(),
        };
        self.brain(&[words, &with].concat()).await
    }

    async fn publish(&self, example: &str) {
        let bundle = format!("{}/../../skills/examples/{example}", env!("CARGO_MANIFEST_DIR"));
        done(&self.change(&["publish", &bundle, "--publisher", "examples"]).await);
    }

    /// A brain that trusts this registry.
    async fn serve(&self, config: &Config, more: &[(&str, &str)]) -> BrainProcess {
        let (registry, root) = (self.path("registry"), self.path("registry/metadata/1.root.json"));
        let installed = self.path("installed");
        let settings = [
            ("STUDIO_BRAIN_SKILL_REGISTRY_LOCAL_PATH", registry.as_str()),
            ("STUDIO_BRAIN_SKILL_REGISTRY_ROOT", &root),
            ("STUDIO_BRAIN_SKILL_INSTALL_ROOT", &installed),
            ("STUDIO_BRAIN_SKILL_REQUIRE_SIGNATURE", "true"),
            ("STUDIO_BRAIN_SKILL_REFRESH_INTERVAL_MS", "1000"),
            ("STUDIO_BRAIN_SKILL_SANDBOX_MAY_LACK", MAY_LACK),
        ];
        BrainProcess::start(config, &[&settings, more].concat()).await
    }
}

async fn call(brain: &BrainProcess, skill: &str, command: &str, payload: &str) -> Value {
    brain
        .json(&["skill", "call", skill, command, "--payload", payload])
        .await
}

#[track_caller]
fn done(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

#[tokio::test]
async fn a_machine_is_looked_at() {
    let lack = [("STUDIO_BRAIN_SKILL_SANDBOX_MAY_LACK".to_owned(), MAY_LACK.to_owned())].into();
    let checked = run(&lack, &["sandbox", "check"]).await;
    done(&checked);
    assert!(checked.stdout.contains("landlock_files") && checked.stdout.contains("skills can run confined"));
    let checked = run(&lack, &["sandbox", "check", "--output", "json"]).await;
    let document: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(
        (&document["ok"], document["mechanisms"].as_array().unwrap().len()),
        (&true.into(), 19)
    );
}

#[tokio::test]
async fn a_bundle_is_checked_before_anybody_publishes_it() {
    let example = format!("{}/../../skills/examples/word-count", env!("CARGO_MANIFEST_DIR"));
    let checked = run(&BTreeMap::new(), &["skill", "check", &example]).await;
    done(&checked);
    assert!(checked.stdout.contains("word-count@1.0.0"), "{}", checked.stdout);
    let folder = scratch_dir();
    std::fs::write(folder.join("manifest.json"), r#"{"name": "a", "name": "b"}"#).unwrap();
    let checked = run(&BTreeMap::new(), &["skill", "check", &folder.display().to_string()]).await;
    assert_eq!(checked.code, Some(1));
    assert!(
        checked.stdout.contains("NOT USABLE") && checked.stdout.contains("twice"),
        "{}",
        checked.stdout
    );
}

/// Whoever holds half of the keys changes nothing alone.
#[tokio::test]
async fn a_registry_of_two_needs_both() {
    let shop = Shop { folder: scratch_dir() };
    let other = shop.brain(&["key", "generate", &shop.path("other.pem")]).await;
    done(&other);
    let init = shop.path("registry");
    let init = [
        "init",
        &init,
        "--keys",
        &shop.path("keys"),
        "--root",
        other.stdout.trim(),
        "--root-threshold",
        "2",
    ];
    let made = shop.brain(&init).await;
    done(&made);
    assert!(
        made.stdout.contains("waits for signatures of root (1 of 2 are there)"),
        "{}",
        made.stdout
    );
    assert!(!shop.folder.join("registry/metadata/1.root.json").exists());
    let sign = [
        "sign",
        "--registry",
        &shop.path("registry"),
        "--keys",
        &shop.path("keys"),
        "--keys",
        &shop.path("other.pem"),
    ];
    done(&shop.brain(&sign).await);
    assert!(shop.folder.join("registry/metadata/1.root.json").exists());
    let again = shop.brain(&init).await;
    assert_eq!(again.code, Some(1));
    assert!(again.stderr.contains("is a registry already"), "{}", again.stderr);
}
