//! `brain audit`: lists, exports and verifies the audit trail, and keeps the key that signs it.
//!
//! Invariant: verifying and making keys need no settings, no server and no database.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use brain_config::Config;
use brain_connectivity::postgres::Postgres;
use brain_swarm::audit::{self, PublicKey, Refusal, Signer, Verified, keys};
use serde_json::json;

use super::listing::{self, Column, moment, text};
use crate::cli::{
    AuditCommand, AuditExportArgs, AuditKeyCommand, AuditListArgs, AuditVerifyArgs, Format, SettingsArgs,
};
use crate::client::Client;
use crate::exit::Verdict;
use crate::render::{self, escape::escaped, table::fields};

const AUDIT: [&str; 3] = ["api", "capabilities", "audit"];
const EXPORT: [&str; 4] = ["api", "capabilities", "audit", "export"];

/// Who rotates a key, which is done in the database.
const OPERATOR: &str = "database";

const COLUMNS: [Column; 6] = [
    ("SEQ", |record| text(record, "seq")),
    ("AT", |record| moment(record, "at")),
    ("ACTOR", |record| text(record, "actorId")),
    ("ACTION", |record| text(record, "action")),
    ("TARGET", |record| text(record, "target")),
    ("APPROVAL", |record| text(record, "approvalState")),
];

pub(super) fn run(settings: &SettingsArgs, command: AuditCommand) -> anyhow::Result<Verdict> {
    match command {
        AuditCommand::Verify(args) => verify(&args),
        AuditCommand::Key(AuditKeyCommand::Generate { file }) => shown(&Signer::generate(&file)?.public()),
        AuditCommand::Key(AuditKeyCommand::Show { file }) => shown(&Signer::read(&file)?.public()),
        AuditCommand::Key(AuditKeyCommand::Rotate { old, new, .. }) => {
            super::once(settings, async |config| rotate(&config, old, &new).await)
        }
        AuditCommand::List(args) => super::once(settings, async |config| list(&config, &args).await),
        AuditCommand::Export(args) => super::once(settings, async |config| export(&config, &args).await),
    }
}

async fn list(config: &Config, args: &AuditListArgs) -> anyhow::Result<Verdict> {
    let query = listing::query(&[
        ("actionPrefix", &args.action),
        ("actorId", &args.actor),
        ("approvalState", &args.state),
        ("target", &args.target),
    ]);
    let client = Client::new(config, &args.server)?;
    let (records, more) = client.list(&AUDIT, "records", &query, args.list.limit).await?;
    listing::print(args.list.output, "records", &records, more, &COLUMNS)?;
    Ok(Verdict::Ok)
}

async fn export(config: &Config, args: &AuditExportArgs) -> anyhow::Result<Verdict> {
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let query = listing::query(&[("fromSeq", &number(args.from_seq)), ("toSeq", &number(args.to_seq))]);
    let client = Client::new(config, &args.server)?;
    if args.file.as_os_str() == "-" {
        let mut out = std::io::stdout().lock();
        client.download(&EXPORT, &query, &mut out).await?;
        out.flush()?;
        return Ok(Verdict::Ok);
    }
    // Under its name only once it is whole.
    let part = PathBuf::from(format!("{}.part", args.file.display()));
    let named = || format!("cannot write {}", part.display());
    let mut file = File::create(&part).with_context(named)?;
    let written = client.download(&EXPORT, &query, &mut file).await;
    let kept = match written {
        Ok(()) => file
            .sync_all()
            .and_then(|()| std::fs::rename(&part, &args.file))
            .with_context(named),
        Err(error) => Err(error),
    };
    if kept.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    kept?;
    let name = args.file.display().to_string();
    let name = escaped(&name);
    render::print(&format!("wrote {name}; `brain audit verify {name}` checks it"))?;
    Ok(Verdict::Ok)
}

fn verify(args: &AuditVerifyArgs) -> anyhow::Result<Verdict> {
    let mut export: Box<dyn BufRead> = match args.file.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => {
            let file = File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
            Box::new(BufReader::new(file))
        }
    };
    let verdict = audit::verify(&mut export, &args.key);
    if let Err(Refusal::Unreadable(error)) = verdict {
        return Err(error).with_context(|| format!("cannot read {}", args.file.display()));
    }
    match args.output {
        Format::Table => match &verdict {
            Ok(proof) => render::print(&format!("verified\n\n{}", proven(proof, !args.key.is_empty())))?,
            Err(refusal) => render::print(&refused(refusal))?,
        },
        Format::Json => match &verdict {
            Ok(proof) => render::print_json(&json!({
                "ok": true, "signatureChecked": !args.key.is_empty(), "export": proof,
            }))?,
            Err(refusal) => render::print_json(&json!({
                "ok": false, "at": place(refusal), "problem": refusal.to_string(),
            }))?,
        },
    }
    Ok(Verdict::from(verdict.is_ok()))
}

fn place(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::Wrong { place, .. } => Some(place.to_string()),
        Refusal::Unreadable(_) => None,
    }
}

fn refused(refusal: &Refusal) -> String {
    let place = place(refusal).unwrap_or_default();
    format!("NOT VERIFIED at {place}: {}", escaped(&refusal.to_string()))
}

fn proven(proof: &Verified, checked: bool) -> String {
    let signed = match (&proof.key_id, checked) {
        (None, _) => "nobody".to_owned(),
        (Some(id), true) => format!("{id}, which a trusted key is or vouches for"),
        (Some(id), false) => format!("{id}, not checked against a trusted key: give --key"),
    };
    let rows = match proof.last_seq < proof.first_seq {
        true => "none".to_owned(),
        false => format!(
            "{} to {}, none changed, missing or moved",
            proof.first_seq, proof.last_seq
        ),
    };
    let checkpoints = match checked {
        true => format!(
            "{}, of them {} by trusted keys",
            proof.checkpoints, proof.trusted_checkpoints
        ),
        false => proof.checkpoints.to_string(),
    };
    fields([
        ("tenant", proof.tenant_id.to_string()),
        ("rows", rows),
        ("last hash", proof.last_hash.to_string()),
        ("signed by", signed),
        ("checkpoints", checkpoints),
    ])
}

async fn rotate(config: &Config, old: Option<PathBuf>, new: &Path) -> anyhow::Result<Verdict> {
    let old = old.as_deref().map(Signer::read).transpose()?;
    let new = Signer::read(new)?;
    let postgres = Postgres::open(&config.postgres)?;
    let key = keys::rotate(&postgres, old.as_ref(), &new, OPERATOR).await?;
    postgres.close();
    let endorsed = key.endorsed_by.map_or_else(|| "nobody".to_owned(), |id| id.to_string());
    render::print(&fields([
        ("key", key.key_id.to_string()),
        ("public key", key.public_key.to_string()),
        ("endorsed by", endorsed),
    ]))?;
    render::print("\nlet STUDIO_BRAIN_AUDIT_SIGNING_KEY_FILE name the new key, and start every brain anew")?;
    Ok(Verdict::Ok)
}

fn shown(key: &PublicKey) -> anyhow::Result<Verdict> {
    render::print(&fields([
        ("key", key.id().to_string()),
        ("public key", key.to_string()),
    ]))?;
    Ok(Verdict::Ok)
}
