//! Checkpoints, keys and exports: what somebody who owns the database can do, and what shows it.

use brain_swarm::{
    audit::{
        Break, Export, ExportError, KeyId, Place, PublicKey, Refusal, Selection, Signature, Signer, Verified,
        checkpoints::{self, Round},
        document::{CHECKPOINT, Checkpoint},
        keys, verify,
    },
    doctor,
    ids::TenantId,
};
use brain_testkit::scratch_dir;

use crate::audit::Trail;

fn key(name: &str) -> Signer {
    Signer::generate(&scratch_dir().join(name)).unwrap()
}

async fn export(trail: &Trail, signer: Option<&Signer>) -> Vec<u8> {
    exported(trail, signer, (None, None)).await.unwrap()
}

async fn exported(
    trail: &Trail,
    signer: Option<&Signer>,
    (from, to): (Option<i64>, Option<i64>),
) -> Result<Vec<u8>, ExportError> {
    let tenant_id = trail.tenant.clone();
    let mut export = Export::begin(&trail.postgres, signer, &Selection { tenant_id, from, to }).await?;
    let mut bytes = Vec::new();
    while let Some(lines) = export.next().await? {
        bytes.extend(lines);
    }
    Ok(bytes)
}

fn proof(export: &[u8], keys: &[PublicKey]) -> Result<Verified, Option<Place>> {
    verify(export, keys).map_err(|refusal| match refusal {
        Refusal::Wrong { place, .. } => Some(place),
        Refusal::Unreadable(_) => None,
    })
}

async fn signed(trail: &Trail, signer: &Signer) -> Round {
    checkpoints::round(&trail.postgres, signer).await.unwrap().unwrap()
}

/// What the doctor says of the chains.
async fn findings(trail: &Trail) -> Vec<String> {
    let bus = brain_config::Config::defaults().bus;
    let deadline = std::time::Duration::from_secs(30);
    let findings = doctor::check(&trail.postgres, None, &bus, deadline).await.unwrap();
    let chains = findings
        .into_iter()
        .find(|finding| finding.title.contains("chain"))
        .unwrap();
    assert_eq!(chains.violations as usize, chains.samples.len());
    chains.samples
}

#[tokio::test]
async fn an_export_of_many_records_is_one_snapshot() {
    let trail = Trail::new().await;
    trail.append(600).await;
    let tenant_id = trail.tenant.clone();
    let selection = Selection {
        tenant_id,
        from: None,
        to: None,
    };
    let mut running = Export::begin(&trail.postgres, None, &selection).await.unwrap();
    let mut bytes = running.next().await.unwrap().unwrap().to_vec();
    trail.append(3).await;
    let mut pieces = 0;
    while let Some(lines) = running.next().await.unwrap() {
        bytes.extend(lines);
        pieces += 1;
    }
    assert!(pieces > 2, "it comes in pieces");
    let verified = proof(&bytes, &[]).unwrap();
    assert_eq!((verified.first_seq, verified.last_seq, verified.key_id), (1, 600, None));
}

#[tokio::test]
async fn a_part_is_exported_and_nothing_is_too() {
    let trail = Trail::new().await;
    assert_eq!(proof(&export(&trail, None).await, &[]).unwrap().last_seq, 0);
    trail.append(9).await;
    for (range, found) in [
        ((Some(4), None), (4, 9)),
        ((None, Some(3)), (1, 3)),
        ((Some(9), Some(9)), (9, 9)),
        ((Some(2), Some(100)), (2, 9)),
    ] {
        let verified = proof(&exported(&trail, None, range).await.unwrap(), &[]).unwrap();
        assert_eq!((verified.first_seq, verified.last_seq), found, "{range:?}");
    }
    for range in [(Some(10), None), (Some(0), None), (Some(5), Some(4)), (None, Some(0))] {
        assert!(exported(&trail, None, range).await.is_err(), "{range:?}");
    }
}

#[tokio::test]
async fn the_end_of_each_chain_that_grew_is_signed_once() {
    let trail = Trail::new().await;
    let signer = key("one");
    trail.append(3).await;
    let other = trail.of(TenantId::new("acme").unwrap());
    other.append(2).await;
    assert_eq!(signed(&other, &signer).await.signed, 2);
    assert_eq!(signed(&other, &signer).await.signed, 0, "nothing has changed");
    other.append(1).await;
    let (one, two) = tokio::join!(signed(&other, &signer), signed(&other, &signer));
    assert_eq!(one.signed + two.signed, 1, "replicas do it once");
    let verified = proof(&export(&other, Some(&signer)).await, &[signer.public()]).unwrap();
    assert_eq!((verified.checkpoints, verified.trusted_checkpoints), (2, 2));
    assert!(findings(&other).await.is_empty());
}

/// Writes the records from a number on anew, with hashes that fit, as somebody does who owns the database and knows this program.
async fn rewrite_tail(trail: &Trail, from: i64) {
    let records = trail.all(&trail.tenant).await;
    let mut before = records[usize::try_from(from).unwrap() - 2].hash;
    for record in &records[usize::try_from(from).unwrap() - 1..] {
        let mut record = record.clone();
        record.target = "rewritten".to_owned();
        record.prev_hash = before;
        record.hash = record.digest().unwrap();
        before = record.hash;
        let (previous, hash, seq) = (record.prev_hash, record.hash, record.seq);
        let update = format!(
            "UPDATE brain_event_log SET target = 'rewritten', prev_hash = '\\x{previous}', hash = '\\x{hash}' \
             WHERE tenant_id = 'default' AND seq = {seq}; \
             UPDATE brain_audit_heads SET hash = '\\x{hash}' WHERE tenant_id = 'default'"
        );
        trail.tamper(&update).await;
    }
}

#[tokio::test]
async fn a_tail_that_was_written_anew_is_found_by_its_checkpoint() {
    let trail = Trail::new().await;
    let signer = key("one");
    trail.append(6).await;
    assert_eq!(signed(&trail, &signer).await.signed, 1);
    rewrite_tail(&trail, 5).await;
    // Adopting the key made a record too: the end that was signed is the seventh.
    let found = findings(&trail).await;
    assert_eq!(
        found,
        ["tenant default: row 7 is not the row that its checkpoint was made of"]
    );
    let bytes = export(&trail, None).await;
    assert_eq!(proof(&bytes, &[]), Err(Some(Place::Row(7))));
    // What follows is not signed, so that no signature covers it.
    trail.append(1).await;
    let round = signed(&trail, &signer).await;
    assert_eq!((round.signed, round.broken.len()), (0, 1), "{round:?}");
}

/// Puts a checkpoint of the end of the chain into the database: it names one key and was signed by another.
async fn forge(trail: &Trail, name: &KeyId, by: &Signer) {
    let last = trail.all(&trail.tenant).await.pop().unwrap();
    let mut forged = Checkpoint {
        r#type: CHECKPOINT.to_owned(),
        tenant_id: trail.tenant.clone(),
        seq: last.seq,
        hash: last.hash,
        at: last.at,
        key_id: name.clone(),
        signature: Signature::try_from([0; 64].as_slice()).unwrap(),
    };
    forged.signature = by.sign(&forged).unwrap();
    let insert = format!(
        "INSERT INTO brain_audit_checkpoints (tenant_id, seq, hash, at, key_id, signature) \
         VALUES ('default', {}, '\\x{}', '{}', '{name}', '\\x{:?}')",
        forged.seq, forged.hash, forged.at, forged.signature
    );
    trail.tamper(&insert).await;
}

#[tokio::test]
async fn nothing_is_built_on_a_checkpoint_that_was_made_up() {
    let (one, two, stranger) = (key("one"), key("two"), key("stranger"));
    let (own, foreign) = (one.public().id(), stranger.public().id());
    let adopt = format!(
        "INSERT INTO brain_audit_keys (key_id, public_key) VALUES ('{foreign}', '\\x{}')",
        stranger.public()
    );
    let (forged, unlinked) = (Break::Forged { seq: 8 }, Break::Unlinked { seq: 8 });
    for (name, tampering, signer, found) in [
        (&own, "SELECT 1", &one, &forged),
        (&foreign, "SELECT 1", &one, &unlinked),
        (&foreign, adopt.as_str(), &one, &unlinked),
        (&own, "SELECT 1", &two, &forged),
        (&foreign, "SELECT 1", &two, &forged),
    ] {
        let trail = Trail::new().await;
        trail.append(6).await;
        assert_eq!(signed(&trail, &one).await.signed, 1);
        rewrite_tail(&trail, 5).await;
        trail.append(1).await;
        trail.tamper(tampering).await;
        forge(&trail, name, &stranger).await;
        keys::rotate(&trail.postgres, Some(&one), &two, "database")
            .await
            .unwrap();
        let round = signed(&trail, signer).await;
        let expected = Round {
            signed: 0,
            broken: vec![(trail.tenant.clone(), found.clone())],
        };
        assert_eq!(round, expected, "{name} {tampering}");
    }
}

#[tokio::test]
async fn a_checkpoint_of_no_year_is_told_of() {
    let trail = Trail::new().await;
    let signer = key("one");
    trail.append(2).await;
    signed(&trail, &signer).await;
    trail.tamper("UPDATE brain_audit_checkpoints SET at = 'infinity'").await;
    assert_eq!(
        findings(&trail).await,
        ["tenant default: the checkpoint of row 3 cannot be read"]
    );
    trail.append(1).await;
    let round = signed(&trail, &signer).await;
    assert_eq!(round.broken, [(trail.tenant.clone(), Break::Forged { seq: 3 })]);
    assert_eq!(proof(&export(&trail, None).await, &[]).unwrap().checkpoints, 0);
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_found_by_its_checkpoint() {
    let trail = Trail::new().await;
    let signer = key("one");
    trail.append(6).await;
    signed(&trail, &signer).await;
    trail
        .tamper(
            "DELETE FROM brain_event_log WHERE tenant_id = 'default' AND seq > 4; \
             UPDATE brain_audit_heads SET seq = 4, \
             hash = (SELECT hash FROM brain_event_log WHERE tenant_id = 'default' AND seq = 4) WHERE tenant_id = 'default'",
        )
        .await;
    let found = findings(&trail).await;
    assert_eq!(
        found,
        ["tenant default: row 5 is missing: a checkpoint was made of row 7"]
    );
}

#[tokio::test]
async fn the_doctor_names_what_was_tampered_with() {
    let trail = Trail::new().await;
    trail.append(6).await;
    assert!(findings(&trail).await.is_empty());
    for (tampering, found) in [
        (
            "UPDATE brain_event_log SET approval_state = 'maybe' WHERE seq = 6",
            "row 6 cannot be read as a record",
        ),
        (
            "UPDATE brain_event_log SET rationale = 'x' WHERE seq = 5",
            "row 5 was changed: its hash is not that of what it says",
        ),
        ("DELETE FROM brain_event_log WHERE seq = 4", "row 4 is missing"),
        ("DELETE FROM brain_audit_heads", "row 4 is missing"),
        (
            "DELETE FROM brain_event_log WHERE seq > 3",
            "row 1 comes after the end of the chain",
        ),
    ] {
        trail.tamper(tampering).await;
        assert_eq!(
            findings(&trail).await,
            [format!("tenant default: {found}")],
            "{tampering}"
        );
    }
}

#[tokio::test]
async fn whoever_trusts_the_first_key_trusts_those_that_follow() {
    let trail = Trail::new().await;
    let (one, two, three, stranger) = (key("one"), key("two"), key("three"), key("stranger"));
    trail.append(2).await;
    assert!(keys::admit(&trail.postgres, &one).await.unwrap());
    assert!(
        !keys::admit(&trail.postgres, &two).await.unwrap(),
        "it follows no known key"
    );
    signed(&trail, &one).await;
    let unknown = keys::rotate(&trail.postgres, Some(&stranger), &two, "database").await;
    assert!(
        matches!(unknown, Err(keys::RotationError::UnknownOld(_))),
        "{unknown:?}"
    );
    keys::rotate(&trail.postgres, Some(&one), &two, "database")
        .await
        .unwrap();
    keys::rotate(&trail.postgres, Some(&two), &three, "database")
        .await
        .unwrap();
    let again = keys::rotate(&trail.postgres, Some(&two), &three, "database").await;
    assert!(matches!(again, Err(keys::RotationError::Known(_))), "{again:?}");
    signed(&trail, &three).await;
    let bytes = export(&trail, Some(&three)).await;
    let verified = proof(&bytes, &[one.public()]).unwrap();
    assert!(verified.trusted);
    assert_eq!((verified.checkpoints, verified.trusted_checkpoints), (2, 2));
    let later = proof(&bytes, &[three.public()]).unwrap();
    assert_eq!(
        later.trusted_checkpoints, 1,
        "the later key does not vouch for the one before"
    );
    assert_eq!(proof(&bytes, &[stranger.public()]), Err(Some(Place::Seal)));
    let actions: Vec<String> = trail
        .all(&trail.tenant)
        .await
        .into_iter()
        .map(|record| record.action)
        .collect();
    assert_eq!(
        actions[2..],
        ["audit.key.adopt", "audit.key.rotate", "audit.key.rotate"]
    );
    assert!(findings(&trail).await.is_empty());

    // A lost key: nobody vouches for the next one.
    let fresh = key("fresh");
    let stored = keys::rotate(&trail.postgres, None, &fresh, "database").await.unwrap();
    assert_eq!(stored.endorsed_by, None);
    let bytes = export(&trail, Some(&fresh)).await;
    assert_eq!(proof(&bytes, &[one.public()]), Err(Some(Place::Seal)));
    assert!(proof(&bytes, &[fresh.public()]).is_ok());
}
