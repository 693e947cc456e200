//! `brain skill registry`: makes and keeps a signed registry of skills, on this machine and without a server.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use brain_skills::{
    bundle::{self, Bounds, Bundle, archive, directory::Directory},
    registry::{
        Clock, PublicKey,
        author::{Author, Expiries, Missing, Outcome, RoleOf, Roles, SecretKey},
        revoked::Subject,
    },
};

use crate::cli::{RegistryChangeArgs, RegistryKeyCommand, RegistryPublisherCommand, RoleArgs, SkillRegistryCommand};
use crate::exit::{Usage, Verdict};
use crate::render;

/// Runs a command; what still needs signatures is not done, and says so.
pub(super) fn run(command: SkillRegistryCommand) -> anyhow::Result<Verdict> {
    match command {
        SkillRegistryCommand::Init {
            registry,
            keys,
            root,
            root_threshold,
        } => init(&registry, &keys, &root, root_threshold),
        SkillRegistryCommand::Key(command) => key(command),
        SkillRegistryCommand::Publisher(RegistryPublisherCommand::Add {
            name,
            names,
            of,
            change,
        }) => {
            let globs: Vec<&str> = names.iter().map(String::as_str).collect();
            let (author, keys) = opened(&change)?;
            told(author.add_publisher(&name, &role(&of)?, &globs, &keys)?)
        }
        SkillRegistryCommand::Publisher(RegistryPublisherCommand::Remove { name, change }) => {
            let (author, keys) = opened(&change)?;
            told(author.remove_publisher(&name, &keys)?)
        }
        SkillRegistryCommand::Publish {
            bundle,
            publisher,
            change,
        } => publish(&bundle, &publisher, &change),
        SkillRegistryCommand::Revoke {
            subject,
            reason,
            change,
        } => {
            let (author, keys) = opened(&change)?;
            told(author.revoke(subject_of(&subject)?, &reason, &keys)?)
        }
        SkillRegistryCommand::Refresh { renew, change } => {
            let (author, keys) = opened(&change)?;
            for role in &renew {
                if let waits @ Outcome::Waits(_) = author.renew(role, &keys)? {
                    return told(waits);
                }
            }
            told(author.refresh(&keys)?)
        }
        SkillRegistryCommand::Waiting { registry } => {
            let waiting = author(&registry).waiting()?;
            match waiting {
                Some(documents) => render::print_json(&serde_json::to_value(documents)?)?,
                None => render::print("nothing waits for signatures")?,
            }
            Ok(Verdict::Ok)
        }
        SkillRegistryCommand::Sign { change } => {
            let (author, keys) = opened(&change)?;
            told(author.sign(&keys)?)
        }
        SkillRegistryCommand::Discard { registry } => {
            author(&registry).discard()?;
            render::print("nothing waits for signatures any more")?;
            Ok(Verdict::Ok)
        }
    }
}

fn author(registry: &Path) -> Author {
    Author::new(registry, Expiries::default(), Clock::default())
}

fn opened(change: &RegistryChangeArgs) -> anyhow::Result<(Author, Vec<SecretKey>)> {
    Ok((author(&change.registry), keys(&change.keys)?))
}

/// The keys in these files, and in the files of these directories.
fn keys(paths: &[PathBuf]) -> anyhow::Result<Vec<SecretKey>> {
    let mut keys = Vec::new();
    for path in paths {
        if !path.is_dir() {
            keys.push(SecretKey::load(path)?);
            continue;
        }
        let cannot = || format!("cannot read the directory {}", path.display());
        for entry in std::fs::read_dir(path).with_context(cannot)? {
            let file = entry.with_context(cannot)?.path();
            if file.extension().is_some_and(|extension| extension == "pem") {
                keys.push(SecretKey::load(&file)?);
            }
        }
    }
    Ok(keys)
}

fn init(registry: &Path, folder: &Path, more: &[String], threshold: u64) -> anyhow::Result<Verdict> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the directory {}", folder.display()))?;
    let mut signers = Vec::new();
    let mut one = |name: &str| -> anyhow::Result<PublicKey> {
        let file = folder.join(format!("{name}.pem"));
        let key = match file.exists() {
            true => SecretKey::load(&file)?,
            false => {
                let key = SecretKey::generate()?;
                key.save(&file)?;
                key
            }
        };
        let public = key.public()?;
        signers.push(key);
        Ok(public)
    };
    let single = |key: PublicKey| RoleOf {
        keys: vec![key],
        threshold: 1,
    };
    let mut root = vec![one("root")?];
    root.extend(more.iter().map(|hex| public(hex)).collect::<Result<Vec<_>, _>>()?);
    let roles = Roles {
        root: RoleOf { keys: root, threshold },
        targets: single(one("targets")?),
        snapshot: single(one("snapshot")?),
        timestamp: single(one("timestamp")?),
    };
    let outcome = author(registry).init(&roles, &signers)?;
    if outcome == Outcome::Published {
        render::print(&format!(
            "registry made in {registry}; keep root.pem and targets.pem of {keys} away from it\n\
             brains trust it by STUDIO_BRAIN_SKILL_REGISTRY_ROOT={registry}/metadata/1.root.json: copy that file to them",
            registry = registry.display(),
            keys = folder.display(),
        ))?;
        return Ok(Verdict::Ok);
    }
    told(outcome)
}

fn key(command: RegistryKeyCommand) -> anyhow::Result<Verdict> {
    match command {
        RegistryKeyCommand::Generate { file } => {
            let key = SecretKey::generate()?;
            key.save(&file)?;
            render::print(&hex(&key.public()?))?;
            Ok(Verdict::Ok)
        }
        RegistryKeyCommand::Show { file } => {
            render::print(&hex(&SecretKey::load(&file)?.public()?))?;
            Ok(Verdict::Ok)
        }
        RegistryKeyCommand::Rotate { role: name, of, change } => {
            let (author, keys) = opened(&change)?;
            told(author.rotate(&name, &role(&of)?, &keys)?)
        }
    }
}

fn publish(path: &Path, publisher: &str, change: &RegistryChangeArgs) -> anyhow::Result<Verdict> {
    let (author, keys) = opened(change)?;
    let bundle = Bundle::read(bundle::read_directory(path, Bounds::default())?)?;
    let archive = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    let directory = Directory::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    archive::pack(&directory, &bundle.tree, archive.as_file())?;
    let (skill, tree) = (bundle.manifest.reference(), bundle.tree.digest());
    let outcome = author.publish(archive.path(), skill, &tree, publisher, &keys)?;
    if outcome == Outcome::Published {
        render::print(&format!("published {skill} as {tree}"))?;
        return Ok(Verdict::Ok);
    }
    told(outcome)
}

fn told(outcome: Outcome) -> anyhow::Result<Verdict> {
    match outcome {
        Outcome::Published => {
            render::print("done")?;
            Ok(Verdict::Ok)
        }
        Outcome::Waits(missing) => {
            let roles: Vec<String> = missing.iter().map(still).collect();
            render::print(&format!(
                "waits for signatures of {}; others add theirs by `brain skill registry sign`",
                roles.join(", ")
            ))?;
            Ok(Verdict::Ok)
        }
    }
}

fn still(missing: &Missing) -> String {
    format!(
        "{} ({} of {} are there)",
        missing.role, missing.valid, missing.threshold
    )
}

fn role(args: &RoleArgs) -> anyhow::Result<RoleOf> {
    let keys = args.public.iter().map(|hex| public(hex)).collect::<Result<_, _>>()?;
    Ok(RoleOf {
        keys,
        threshold: args.threshold,
    })
}

fn subject_of(text: &str) -> anyhow::Result<Subject> {
    match text.starts_with("sha256:") {
        true => Ok(Subject::Tree(text.parse()?)),
        false => Ok(Subject::Reference(text.parse()?)),
    }
}

fn public(text: &str) -> anyhow::Result<PublicKey> {
    let digit = |at: u8| char::from(at).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks_exact(2);
    let bytes: Option<Vec<u8>> = pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect();
    let bytes: Option<[u8; 32]> = bytes
        .filter(|_| text.len() == 64)
        .and_then(|bytes| bytes.try_into().ok());
    match bytes.and_then(|bytes| PublicKey::of(&bytes)) {
        Some(key) => Ok(key),
        None => bail!(Usage(format!(
            "{text:?} is no public key: write the 64 hexadecimal digits that `brain skill registry key show` prints"
        ))),
    }
}

fn hex(key: &PublicKey) -> String {
    key.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
