//! The audit trail against a real database: whatever happens at once, is undone or is tampered with.

use brain_connectivity::postgres::Postgres;
use brain_swarm::{
    audit::{self, Actor, ApprovalState, Break, Chain, Entry, Metadata, Query, Record},
    digest::Digest,
    ids::TenantId,
};
use brain_testkit::TestDatabase;
use futures_util::future::join_all;

/// A database with a trail.
pub(crate) struct Trail {
    pub(crate) postgres: Postgres,
    pub(crate) tenant: TenantId,
    _database: TestDatabase,
}

impl Trail {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create(async |settings: brain_config::Postgres| {
            let postgres = Postgres::open(&settings)?;
            brain_connectivity::migrations::Migrations::embedded()
                .up(&postgres)
                .await
                .map(drop)
        })
        .await;
        Self {
            postgres: Postgres::open(&database.config().postgres).unwrap(),
            tenant: TenantId::single(),
            _database: database,
        }
    }

    /// The same database, for another tenant.
    pub(crate) fn of(self, tenant: TenantId) -> Self {
        Self { tenant, ..self }
    }

    pub(crate) async fn append(&self, count: usize) {
        for number in 1..=count {
            audit::append_after(&self.postgres, &self.tenant, entry(&format!("t-{number}")))
                .await
                .unwrap();
        }
    }

    pub(crate) async fn all(&self, tenant: &TenantId) -> Vec<Record> {
        let mut query = of(tenant);
        let mut all = Vec::new();
        loop {
            let page = audit::list(&self.postgres, &query).await.unwrap();
            all.extend(page.records);
            query.before = page.next;
            if query.before.is_none() {
                all.reverse();
                return all;
            }
        }
    }

    /// Does what the triggers refuse, as somebody does who owns the database.
    pub(crate) async fn tamper(&self, sql: &str) {
        let client = self.postgres.client().await.unwrap();
        let tampering = format!("SET session_replication_role = replica; {sql}; RESET session_replication_role");
        client.batch_execute(&tampering).await.unwrap();
    }
}

pub(crate) fn entry(target: &str) -> Entry {
    Entry {
        metadata: Metadata::default().with("note", "naïve \u{1f600} \"quoted\"\n"),
        ..Entry::new(Actor::principal("admin"), "task.cancel", target)
    }
}

fn of(tenant: &TenantId) -> Query {
    Query {
        tenant_id: tenant.clone(),
        action_prefix: None,
        actor_id: None,
        approval_state: None,
        target: None,
        before: None,
        limit: 7,
    }
}

fn verify(tenant: &TenantId, records: &[Record]) -> Result<i64, Break> {
    let mut chain = Chain::new(tenant.clone());
    records.iter().try_for_each(|record| chain.follow(record))?;
    let (seq, hash) = records.last().map_or((0, Digest::NONE), |last| (last.seq, last.hash));
    chain.end(seq, hash).map(|()| seq)
}

#[tokio::test]
async fn many_at_once_make_one_chain_without_gaps() {
    let trail = Trail::new().await;
    let entries: Vec<String> = (0..50).map(|number| format!("t-{number}")).collect();
    let appends = entries
        .iter()
        .map(|target| audit::append_after(&trail.postgres, &trail.tenant, entry(target)));
    for appended in join_all(appends).await {
        appended.unwrap();
    }
    let records = trail.all(&trail.tenant).await;
    assert_eq!(verify(&trail.tenant, &records), Ok(50));
    let mut targets: Vec<&str> = records.iter().map(|record| record.target.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    assert_eq!(targets.len(), 50);
}

#[tokio::test]
async fn tenants_have_chains_of_their_own() {
    let trail = Trail::new().await;
    let other = TenantId::new("acme").unwrap();
    trail.append(3).await;
    audit::append_after(&trail.postgres, &other, entry("x")).await.unwrap();
    assert_eq!(verify(&trail.tenant, &trail.all(&trail.tenant).await), Ok(3));
    let theirs = trail.all(&other).await;
    assert_eq!((theirs.len(), theirs[0].seq, theirs[0].prev_hash), (1, 1, Digest::NONE));
    assert_eq!(verify(&other, &theirs), Ok(1));
}

#[tokio::test]
async fn what_is_rolled_back_leaves_nothing() {
    let trail = Trail::new().await;
    trail.append(1).await;
    let mut client = trail.postgres.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let record = audit::append(&transaction, &trail.tenant, entry("never"))
        .await
        .unwrap();
    assert_eq!(record.seq, 2);
    transaction.rollback().await.unwrap();
    drop(client);
    trail.append(1).await;
    let records = trail.all(&trail.tenant).await;
    assert_eq!(verify(&trail.tenant, &records), Ok(2));
    assert!(records.iter().all(|record| record.target != "never"));
}

#[tokio::test]
async fn the_database_refuses_to_change_what_is_written() {
    let trail = Trail::new().await;
    trail.append(2).await;
    let client = trail.postgres.client().await.unwrap();
    for refused in [
        "UPDATE brain_event_log SET rationale = 'x' WHERE tenant_id = 'default'",
        "DELETE FROM brain_event_log WHERE tenant_id = 'default'",
        "TRUNCATE brain_event_log",
        "TRUNCATE brain_audit_checkpoints",
        "TRUNCATE brain_audit_keys CASCADE",
    ] {
        let error = client.batch_execute(refused).await.unwrap_err();
        let error = error.as_db_error().unwrap();
        assert!(error.message().contains("append-only"), "{refused}: {error}");
    }
    assert_eq!(verify(&trail.tenant, &trail.all(&trail.tenant).await), Ok(2));
}

#[tokio::test]
async fn what_is_tampered_with_is_found() {
    let trail = Trail::new().await;
    trail.append(5).await;
    trail
        .tamper("UPDATE brain_event_log SET target = 'other' WHERE tenant_id = 'default' AND seq = 3")
        .await;
    let records = trail.all(&trail.tenant).await;
    assert_eq!(verify(&trail.tenant, &records), Err(Break::Changed { seq: 3 }));
    trail
        .tamper("DELETE FROM brain_event_log WHERE tenant_id = 'default' AND seq = 3")
        .await;
    let records = trail.all(&trail.tenant).await;
    assert_eq!(verify(&trail.tenant, &records), Err(Break::Missing { seq: 3 }));
}

#[tokio::test]
async fn records_are_found_by_what_they_say() {
    let trail = Trail::new().await;
    for (action, actor, state) in [
        ("token.create", "admin", ApprovalState::NotRequired),
        ("token.revoke", "token:1", ApprovalState::NotRequired),
        ("tokens_of%", "admin", ApprovalState::NotRequired),
        ("capability.execute", "token:1", ApprovalState::Denied),
    ] {
        let entry = Entry {
            approval_state: state,
            ..Entry::new(Actor::principal(actor), action, "it")
        };
        audit::append_after(&trail.postgres, &trail.tenant, entry)
            .await
            .unwrap();
    }
    let found = async |edit: fn(&mut Query)| {
        let mut query = of(&trail.tenant);
        edit(&mut query);
        let page = audit::list(&trail.postgres, &query).await.unwrap();
        page.records.iter().map(|record| record.seq).collect::<Vec<_>>()
    };
    assert_eq!(found(|_| {}).await, [4, 3, 2, 1]);
    assert_eq!(
        found(|query| query.action_prefix = Some("token.".to_owned())).await,
        [2, 1]
    );
    assert_eq!(
        found(|query| query.action_prefix = Some("tokens_o%".to_owned())).await,
        [] as [i64; 0]
    );
    assert_eq!(found(|query| query.actor_id = Some("admin".to_owned())).await, [3, 1]);
    assert_eq!(
        found(|query| query.approval_state = Some(ApprovalState::Denied)).await,
        [4]
    );
    assert_eq!(
        found(|query| query.target = Some("other".to_owned())).await,
        [] as [i64; 0]
    );
    assert_eq!(found(|query| query.limit = 2).await, [4, 3]);
    assert_eq!(found(|query| query.before = Some(3)).await, [2, 1]);
}

#[tokio::test]
async fn each_migration_is_recorded_once() {
    let trail = Trail::new().await;
    let recorded = join_all((0..3).map(|_| audit::record_migrations(&trail.postgres))).await;
    let recorded: usize = recorded.into_iter().map(Result::unwrap).sum();
    let files = brain_connectivity::migrations::Migrations::embedded().files().len();
    assert_eq!(recorded, files);
    let records = trail.all(&trail.tenant).await;
    assert_eq!(verify(&trail.tenant, &records), Ok(i64::try_from(files).unwrap()));
    assert_eq!(records[0].target, "001_job_runs.sql");
    assert_eq!(records[0].actor_id, "migrations");
}
