//! Writing registries: each change is read back by our own reader.

use std::path::{Path, PathBuf};

use brain_skills::{
    digest::Digest,
    registry::{
        Clock, Source, TrustRoot,
        author::{Author, Error, Expiries, Outcome, RoleOf, Roles, SecretKey},
        revoked::Subject,
    },
};

use super::{Reader, listed, resolve, skill};

pub(super) struct Registry {
    pub(super) folder: tempfile::TempDir,
    pub(super) author: Author,
}

/// A key that is the same in each run; keys of people are generated.
pub(super) fn key(folder: &Path, name: &str) -> SecretKey {
    let path = folder.join(format!("{name}.pem"));
    if !path.exists() {
        SecretKey::generate().unwrap().save(&path).unwrap();
    }
    SecretKey::load(&path).unwrap()
}

pub(super) fn role(keys: &[&SecretKey], threshold: u64) -> RoleOf {
    RoleOf {
        keys: keys.iter().map(|key| key.public().unwrap()).collect(),
        threshold,
    }
}

impl Registry {
    fn empty() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let author = Author::new(&folder.path().join("registry"), Expiries::default(), Clock::default());
        Self { folder, author }
    }

    /// One key for each role.
    pub(super) fn new() -> Self {
        let new = Self::empty();
        let keys = new.keys(&["root", "targets", "snapshot", "timestamp"]);
        let roles = Roles {
            root: role(&[&keys[0]], 1),
            targets: role(&[&keys[1]], 1),
            snapshot: role(&[&keys[2]], 1),
            timestamp: role(&[&keys[3]], 1),
        };
        assert_eq!(new.author.init(&roles, &keys).unwrap(), Outcome::Published);
        new
    }

    pub(super) fn keys(&self, names: &[&str]) -> Vec<SecretKey> {
        names.iter().map(|name| key(self.folder.path(), name)).collect()
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("registry")
    }

    pub(super) fn archive(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("archive");
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn with_publisher(self, name: &str, glob: &str) -> Self {
        let of = role(&[&key(self.folder.path(), name)], 1);
        let keys = self.keys(&["targets", name, "snapshot", "timestamp"]);
        assert_eq!(
            self.author.add_publisher(name, &of, &[glob], &keys).unwrap(),
            Outcome::Published
        );
        self
    }

    pub(super) fn publish(&self, text: &str, publisher: &str) -> Result<Outcome, Error> {
        let keys = self.keys(&[publisher, "snapshot", "timestamp"]);
        let (archive, tree) = (self.archive(&format!("archive of {text}")), Digest::of(text.as_bytes()));
        self.author.publish(&archive, &skill(text), &tree, publisher, &keys)
    }

    fn reader(&self) -> Reader {
        let root = std::fs::read_to_string(self.path().join("metadata/1.root.json")).unwrap();
        Reader::new(&root, &jiff::Timestamp::now().to_string())
    }

    async fn read(&self, reader: &Reader) -> brain_skills::registry::Registry {
        let registry = reader.open(Source::Directory(self.path())).await;
        registry.refresh().await.unwrap();
        registry
    }
}

#[tokio::test]
async fn what_is_published_is_read() {
    let made = Registry::new().with_publisher("acme", "acme-*");
    assert_eq!(made.publish("acme-mail@1.0.0", "acme").unwrap(), Outcome::Published);
    assert_eq!(
        made.publish("core@2.0.0-rc.1+b7", "targets").unwrap(),
        Outcome::Published
    );
    let reader = made.reader();
    let registry = made.read(&reader).await;
    assert_eq!(listed(&registry), ["acme-mail@1.0.0", "core@2.0.0-rc.1+b7"]);
    for (text, publisher) in [("acme-mail@1.0.0", "acme"), ("core@2.0.0-rc.1+b7", "targets")] {
        let found = resolve(&registry, text).unwrap();
        assert_eq!(
            (found.publisher.as_str(), found.tree),
            (publisher, Digest::of(text.as_bytes()))
        );
        let file = registry.fetch(&found).await.unwrap();
        assert_eq!(std::io::read_to_string(file).unwrap(), format!("archive of {text}"));
    }
    // A version never changes; the same once more is no change.
    assert_eq!(made.publish("acme-mail@1.0.0", "acme").unwrap(), Outcome::Published);
    let keys = made.keys(&["acme", "snapshot", "timestamp"]);
    let other = made.archive("other bytes");
    let again = made
        .author
        .publish(&other, &skill("acme-mail@1.0.0"), &Digest::of(b""), "acme", &keys);
    assert!(matches!(again, Err(Error::Published { .. })));
    assert!(matches!(
        made.publish("globex-tool@1.0.0", "acme"),
        Err(Error::NotOwner { .. })
    ));
    assert!(matches!(
        made.publish("acme-mail@2.0.0", "nobody"),
        Err(Error::UnknownRole { .. })
    ));
    let registry = made.read(&reader).await;
    assert_eq!(listed(&registry).len(), 2);
}

#[tokio::test]
async fn what_is_revoked_is_refused() {
    let made = Registry::new().with_publisher("acme", "acme-*");
    for text in ["acme-one@1.0.0", "acme-two@1.0.0", "acme-three@1.0.0"] {
        made.publish(text, "acme").unwrap();
    }
    let reader = made.reader();
    assert_eq!(listed(&made.read(&reader).await).len(), 3);
    let keys = made.keys(&["targets", "snapshot", "timestamp"]);
    let tree = Digest::of(b"acme-two@1.0.0");
    for subject in [Subject::Reference(skill("acme-one@1.0.0")), Subject::Tree(tree)] {
        assert_eq!(
            made.author.revoke(subject, "it mines coins", &keys).unwrap(),
            Outcome::Published
        );
    }
    assert!(matches!(
        made.author.revoke(Subject::Tree(tree), "", &keys),
        Err(Error::Reason { .. })
    ));
    let registry = made.read(&reader).await;
    assert_eq!(listed(&registry), ["acme-three@1.0.0"]);
    let list = registry.revocations().unwrap();
    assert_eq!(list.len(), 2);
    assert!(list.of(&skill("other@1.0.0"), &tree).is_some());
}

#[tokio::test]
async fn publishers_come_and_go() {
    let made = Registry::new()
        .with_publisher("acme", "acme-*")
        .with_publisher("globex", "globex-*");
    made.publish("acme-mail@1.0.0", "acme").unwrap();
    made.publish("globex-tool@1.0.0", "globex").unwrap();
    let reader = made.reader();
    made.read(&reader).await;
    let keys = made.keys(&["targets", "snapshot", "timestamp", "acme", "acme-2"]);
    let of = role(&[&keys[4]], 1);
    for (name, glob) in [
        ("root", "x-*"),
        ("../x", "x-*"),
        ("x", "x/*"),
        ("x", "X*"),
        ("acme", "x-*"),
    ] {
        let added = made.author.add_publisher(name, &of, &[glob], &keys);
        assert!(matches!(added, Err(Error::Publisher { .. })), "{name} {glob}");
    }
    // A new key takes over; the old one can no longer publish.
    assert_eq!(made.author.rotate("acme", &of, &keys).unwrap(), Outcome::Published);
    assert!(matches!(
        made.publish("acme-mail@1.1.0", "acme").unwrap(),
        Outcome::Waits(_)
    ));
    made.author.discard().unwrap();
    assert_eq!(
        listed(&made.read(&reader).await),
        ["acme-mail@1.0.0", "globex-tool@1.0.0"]
    );
    assert_eq!(made.author.remove_publisher("acme", &keys).unwrap(), Outcome::Published);
    assert!(matches!(
        made.author.remove_publisher("acme", &keys),
        Err(Error::UnknownRole { .. })
    ));
    assert_eq!(listed(&made.read(&reader).await), ["globex-tool@1.0.0"]);
    // The name may come back, and its versions go on from where they were.
    assert_eq!(
        made.author.add_publisher("acme", &of, &["acme-*"], &keys).unwrap(),
        Outcome::Published
    );
    assert_eq!(listed(&made.read(&reader).await), ["globex-tool@1.0.0"]);
}

#[tokio::test]
async fn people_sign_a_root_one_after_the_other() {
    let made = Registry::empty();
    let online = made.keys(&["targets", "snapshot", "timestamp"]);
    let people = made.keys(&["ann", "bea", "cem", "dan"]);
    let roles = Roles {
        root: role(&[&people[0], &people[1], &people[2]], 2),
        targets: role(&[&online[0]], 1),
        snapshot: role(&[&online[1]], 1),
        timestamp: role(&[&online[2]], 1),
    };
    let ann = &people[..1];
    let Outcome::Waits(missing) = made.author.init(&roles, ann).unwrap() else {
        panic!("it waits")
    };
    let root = missing.iter().find(|missing| missing.role == "root").unwrap();
    assert_eq!((root.valid, root.threshold), (1, 2));
    assert!(!made.path().join("metadata").exists());
    // Signing twice is no second signature.
    assert!(matches!(made.author.sign(ann).unwrap(), Outcome::Waits(_)));
    assert!(matches!(made.author.sign(&people[1..2]).unwrap(), Outcome::Waits(_)));
    assert_eq!(made.author.sign(&online).unwrap(), Outcome::Published);
    assert!(matches!(made.author.sign(&online), Err(Error::NothingWaits)));
    let reader = made.reader();
    made.read(&reader).await;

    // Dan takes Ann's place: the old quorum and the new one must sign.
    let to = role(&[&people[3], &people[1], &people[2]], 2);
    assert!(matches!(
        made.author.rotate("root", &to, &people[3..]).unwrap(),
        Outcome::Waits(_)
    ));
    assert_eq!(made.author.waiting().unwrap().unwrap()["root"]["version"], 2);
    // What is in force goes on meanwhile, but no second change begins.
    assert_eq!(made.author.refresh(&online).unwrap(), Outcome::Published);
    assert!(matches!(made.author.renew("targets", &online), Err(Error::Waiting)));
    assert!(matches!(made.author.sign(&people[1..2]).unwrap(), Outcome::Waits(_)));
    let registry = made.read(&reader).await;
    assert_eq!(registry.status().unwrap()[0].version, Some(1));
    assert!(matches!(made.author.sign(&people[2..3]).unwrap(), Outcome::Waits(_)));
    assert_eq!(made.author.sign(&online).unwrap(), Outcome::Published);
    let registry = made.read(&reader).await;
    assert_eq!(registry.status().unwrap()[0].version, Some(2));
    assert!(made.author.waiting().unwrap().is_none());
}

#[tokio::test]
async fn every_role_gets_new_keys() {
    let made = Registry::new().with_publisher("acme", "acme-*");
    made.publish("acme-mail@1.0.0", "acme").unwrap();
    let reader = made.reader();
    made.read(&reader).await;
    let mut names = vec!["root", "targets", "snapshot", "timestamp"];
    for (at, new) in ["root-2", "targets-2", "snapshot-2", "timestamp-2"]
        .into_iter()
        .enumerate()
    {
        let old = names[at];
        names.push(new);
        let keys = made.keys(&names);
        let to = role(&[&key(made.folder.path(), new)], 1);
        assert_eq!(
            made.author.rotate(old, &to, &keys).unwrap(),
            Outcome::Published,
            "{old}"
        );
        let registry = made.read(&reader).await;
        assert_eq!(listed(&registry), ["acme-mail@1.0.0"], "{old}");
    }
    let old = made.keys(&["root", "targets", "snapshot", "timestamp"]);
    assert!(matches!(made.author.refresh(&old), Err(Error::MissingKey { .. })));
    let new = made.keys(&["root-2", "targets-2", "snapshot-2", "timestamp-2"]);
    for renewed in ["root", "targets"] {
        assert_eq!(made.author.renew(renewed, &new).unwrap(), Outcome::Published);
    }
    made.read(&reader).await;
    // A threshold that its keys cannot meet is refused before anything is written.
    let to = role(&[&new[2]], 2);
    assert!(made.author.rotate("snapshot", &to, &new).is_err());
    made.read(&reader).await;
}

#[tokio::test]
async fn what_was_put_into_the_directory_without_a_key_is_not_signed() {
    let made = Registry::new();
    let path = made.path().join("metadata/1.targets.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replace(
        "\"targets\": {}",
        "\"targets\": {\"evil/1.0.0.tar.gz\": {\"length\": 1, \"hashes\": {}}}",
    );
    assert_ne!(text, changed);
    std::fs::write(&path, changed).unwrap();
    let keys = made.keys(&["root", "targets", "snapshot", "timestamp"]);
    let refused = made.author.renew("targets", &keys);
    assert!(matches!(
        refused,
        Err(Error::Registry(brain_skills::registry::Error::Signatures { .. }))
    ));
}

#[test]
fn a_registry_is_not_made_twice_and_its_first_root_can_be_pinned() {
    let made = Registry::new();
    let keys = made.keys(&["root"]);
    let roles = Roles {
        root: role(&[&keys[0]], 1),
        targets: role(&[&keys[0]], 1),
        snapshot: role(&[&keys[0]], 1),
        timestamp: role(&[&keys[0]], 1),
    };
    assert!(matches!(made.author.init(&roles, &keys), Err(Error::Exists { .. })));
    let text = std::fs::read_to_string(made.path().join("metadata/1.root.json")).unwrap();
    TrustRoot::new(&text).unwrap();
}
