//! One refresh: from what was trusted to what the registry says now, by the client workflow of the TUF specification.
//!
//! Invariants: each document is verified before it leads to the next; what was verified is remembered at once, so that
//! an interrupted refresh still refuses to go back; the view is replaced only by one that is complete and not expired.

use jiff::Timestamp as Time;

use super::{
    Error, Limits,
    keys::read_keys,
    metadata::{Envelope, Kind as _, Root, Snapshot, Targets},
    names::{self, REVOKED},
    source::Files,
    state::{Floor, Lock, Saved, State},
    view::{self, Documents, View, check_age},
};
use crate::digest::Digest;

/// The most rotations of the root that one refresh follows.
const MAX_ROTATIONS: u64 = 256;
/// The most publishers of a registry.
const MAX_PUBLISHERS: usize = 1024;
/// The most bytes of all publishers' documents together; each has an equal part, so that none takes another's.
const MAX_PUBLISHED: u64 = 128 << 20;

pub(super) struct Refresh<'a> {
    pub(super) files: &'a Files,
    pub(super) limits: &'a Limits,
    pub(super) state: &'a State,
    pub(super) lock: &'a Lock,
    pub(super) now: Time,
}

/// The root of a document that nothing is known of yet: signed by its own keys.
pub(super) fn first_root(text: &str) -> Result<Root, Error> {
    let what = "root.json";
    let envelope = Envelope::read(what, text.as_bytes())?;
    let root: Root = envelope.content(what)?;
    root.quorum("root")?
        .check(what, &envelope.message(), &envelope.signatures)?;
    Ok(root)
}

/// The next root: signed by the quorum of the old one and by its own.
pub(super) fn next_root(old: &Root, what: &str, text: &str) -> Result<Root, Error> {
    let envelope = Envelope::read(what, text.as_bytes())?;
    let root: Root = envelope.verified(what, &old.quorum("root")?)?;
    root.quorum("root")?
        .check(what, &envelope.message(), &envelope.signatures)?;
    match root.version {
        version if version == old.version + 1 => Ok(root),
        version if version <= old.version => Err(Error::Rollback {
            what: what.to_owned(),
            had: old.version,
            got: version,
        }),
        version => Err(Error::mixed(what, format_args!("it says that it is version {version}"))),
    }
}

/// Whether two roots have the same keys for what says which versions are new.
pub(super) fn same_online_keys(old: &Root, new: &Root) -> Result<bool, Error> {
    for role in ["timestamp", "snapshot"] {
        if old.quorum(role)? != new.quorum(role)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Refresh<'_> {
    /// Brings `saved` up to date and returns what it says.
    pub(super) async fn run(&self, saved: &mut Saved) -> Result<View, Error> {
        let root = self.roots(saved).await?;
        check_age("root.json", &root, self.now)?;
        let known = saved.documents.clone();
        let had = known.as_ref().and_then(|documents| View::verify(&root, documents).ok());

        let text = self.document("timestamp.json", self.limits.timestamp).await?;
        let timestamp = view::timestamp(&root, text.as_bytes())?;
        not_below("timestamp.json", saved.floor.timestamp, timestamp.version)?;
        let named = timestamp.snapshot().map_or(0, |meta| meta.version);
        not_below("snapshot.json", saved.floor.snapshot, named)?;
        check_age("timestamp.json", &timestamp, self.now)?;
        if let Some(view) = had
            && view.timestamp.version == timestamp.version
            && !view.lacks()
        {
            view.check_age(self.now)?;
            return Ok(view);
        }
        saved.floor.timestamp = timestamp.version;
        saved.floor.snapshot = named;
        self.state.save(self.lock, saved)?;

        let name = format!("{named}.snapshot.json");
        let mut documents = Documents {
            timestamp: text,
            snapshot: self.document(&name, self.limits.snapshot).await?,
            ..Documents::default()
        };
        let snapshot = view::snapshot(&root, &timestamp, documents.snapshot.as_bytes())?;
        for (role, version) in &saved.floor.roles {
            let now = snapshot.meta.get(role).map_or(0, |meta| meta.version);
            not_below(role, *version, now)?;
        }
        check_age("snapshot.json", &snapshot, self.now)?;
        let versions = snapshot.meta.iter().map(|(role, meta)| (role.clone(), meta.version));
        saved.floor.roles = versions.collect();
        self.state.save(self.lock, saved)?;

        self.targets(&root, &snapshot, known.unwrap_or_default(), &mut documents)
            .await?;
        let view = View::verify(&root, &documents)?;
        view.check_age(self.now)?;
        saved.documents = Some(documents);
        self.state.save(self.lock, saved)?;
        Ok(view)
    }

    /// Follows the chain of roots to its end.
    async fn roots(&self, saved: &mut Saved) -> Result<Root, Error> {
        let mut root = first_root(&saved.root)?;
        for _ in 0..MAX_ROTATIONS {
            let name = format!("{}.root.json", root.version + 1);
            let text = match self.document(&name, self.limits.root).await {
                Ok(text) => text,
                Err(Error::Missing { .. }) => return Ok(root),
                Err(error) => return Err(error),
            };
            let next = next_root(&root, &name, &text)?;
            // Whoever had the old keys may have said that a far version is the newest; the new keys begin again.
            if !same_online_keys(&root, &next)? {
                saved.floor = Floor::default();
            }
            saved.chain.push(Digest::of(text.as_bytes()));
            saved.root = text;
            self.state.save(self.lock, saved)?;
            root = next;
        }
        Err(Error::malformed(
            "root.json",
            format_args!("it was rotated more than {MAX_ROTATIONS} times; pin a newer one"),
        ))
    }

    async fn targets(
        &self,
        root: &Root,
        snapshot: &Snapshot,
        known: Documents,
        documents: &mut Documents,
    ) -> Result<(), Error> {
        let what = "targets.json";
        let version = view::meta(snapshot, what)?.version;
        documents.targets = match known.targets {
            text if view::targets(root, snapshot, text.as_bytes()).is_ok() => text,
            _ => self.document(&format!("{version}.{what}"), self.limits.targets).await?,
        };
        let targets = view::targets(root, snapshot, documents.targets.as_bytes())?;
        check_age(what, &targets, self.now)?;

        let delegations = targets.delegations()?;
        if delegations.roles.len() > MAX_PUBLISHERS {
            return Err(Error::malformed(
                what,
                format_args!("it has more than {MAX_PUBLISHERS} publishers"),
            ));
        }
        let keys = read_keys(what, &delegations.keys)?;
        let part = MAX_PUBLISHED / (delegations.roles.len() as u64).max(1);
        let limit = self.limits.publisher.min(part);
        let revoked = known.revoked;
        let mut known = known.publishers;
        for publisher in &delegations.roles {
            let old = known.remove(&publisher.name).and_then(Result::ok);
            let quorum = publisher.quorum(&keys);
            let read = match (view::meta(snapshot, &format!("{}.json", publisher.name)), quorum) {
                (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
                (Ok(meta), Ok(_)) => match old.filter(|text| says_version(text, meta.version)) {
                    Some(text) => Ok(text),
                    None => self.publisher(&publisher.name, meta.version, limit).await?,
                },
            };
            documents.publishers.insert(publisher.name.clone(), read);
        }
        if let Some(target) = targets.targets.get(REVOKED) {
            let unchanged = |text: &String| view::check_target(REVOKED, target, text.as_bytes()).is_ok();
            let text = match revoked.filter(unchanged) {
                Some(text) => text,
                None => {
                    let sha256 = target.sha256();
                    let sha256 = sha256.ok_or_else(|| Error::mixed(REVOKED, "it has no SHA-256"))?;
                    let stored = names::stored(REVOKED, &sha256.hex());
                    self.files.document(&stored, self.limits.revoked).await?
                }
            };
            view::check_target(REVOKED, target, text.as_bytes())?;
            documents.revoked = Some(text);
        }
        Ok(())
    }

    /// A publisher's document; what the publisher did wrong costs the publisher, a network that fails costs the refresh.
    async fn publisher(&self, name: &str, version: u64, limit: u64) -> Result<Result<String, String>, Error> {
        let read = self.document(&format!("{version}.{name}.json"), limit).await;
        match read {
            Ok(text) => Ok(Ok(text)),
            Err(error) if error.retryable() => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    async fn document(&self, name: &str, limit: u64) -> Result<String, Error> {
        self.files.document(&format!("metadata/{name}"), limit).await
    }
}

/// Whether an old text may stand for this version; it is verified like a new one.
fn says_version(text: &str, version: u64) -> bool {
    let read = Envelope::read("old", text.as_bytes()).and_then(|envelope| envelope.content::<Targets>("old"));
    read.is_ok_and(|role| role.version() == version)
}

fn not_below(what: &str, had: u64, got: u64) -> Result<(), Error> {
    if got < had {
        return Err(Error::Rollback {
            what: what.to_owned(),
            had,
            got,
        });
    }
    Ok(())
}
