//! The registered schemas as events are held against them.
//!
//! Invariants: an event of a type that has schemas is stored only when it fits the one it names; what is kept in memory is
//! bounded; the database is asked for news only when something is published and the last answer is older than [`NEWS_AFTER`],
//! so an idle brain asks nothing, and what is registered anywhere takes effect everywhere within that time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use brain_connectivity::postgres::{self, Postgres};
use jsonschema::Validator;
use serde_json::Value;

use super::{Misfit, document::Document, misfits};
use crate::{
    event::{Event, EventType, Invalid},
    ids::TenantId,
};

/// For how long an answer about what is registered holds.
pub(crate) const NEWS_AFTER: Duration = Duration::from_millis(900);
/// Of how many tenants the registered types are kept.
const MAX_TENANTS: usize = 256;
/// How many compiled schemas are kept.
const MAX_COMPILED: usize = 1024;
/// About how much memory they may take together, in bytes.
const MAX_WEIGHT: usize = 64 * 1024 * 1024;
/// A check that may take more steps than this is made where it keeps nobody waiting.
const INLINE_STEPS: usize = 200_000;

/// The newest version of each type of a tenant. Versions begin at 1 and have no gaps.
type Types = HashMap<Box<str>, i16>;
type Key = (TenantId, Box<str>, i16);

/// Knows what is registered. Clones share everything.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    postgres: Postgres,
    known: RwLock<Known>,
    compiled: Mutex<Compiled>,
    /// Held by whoever asks the database, so that many who publish ask once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// All registrations up to this number are taken into account.
    number: Option<i64>,
    asked: Option<Instant>,
    tenants: HashMap<TenantId, Arc<Types>>,
}

#[derive(Default)]
struct Compiled {
    entries: HashMap<Key, (Arc<Ready>, u64)>,
    weight: usize,
    clock: u64,
}

/// A schema that is ready for use.
struct Ready {
    /// `None`: this version of the program cannot use what an earlier one has taken.
    validator: Option<Validator>,
    subschemas: usize,
    weight: usize,
}

impl Registry {
    /// Knows nothing at first.
    #[must_use]
    pub fn new(postgres: Postgres) -> Self {
        Self(Arc::new(Inner {
            postgres,
            known: RwLock::default(),
            compiled: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }))
    }

    /// The schemas have changed, as far as this process knows.
    pub fn forget(&self) {
        self.0.known.write().unwrap_or_else(PoisonError::into_inner).asked = None;
    }

    /// Holds an event against the schema that it names. Events of types without schemas, and of types that the brain knows
    /// itself, fit; the latter were checked when they were read.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn check(&self, event: &Arc<Event>) -> Result<Result<(), Invalid>, postgres::Error> {
        let EventType::Custom(name) = &event.kind else {
            return Ok(Ok(()));
        };
        let checked = self.misfits(&event.tenant_id, name, event.schema_version, event, |event| {
            &event.payload
        });
        Ok(match checked.await? {
            Fit::Yes => Ok(()),
            Fit::No(misfits) => Err(Invalid::Schema {
                kind: name.to_string(),
                version: event.schema_version,
                problem: super::told(&misfits),
            }),
        })
    }

    /// What does not fit in a payload.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn validate(
        &self,
        tenant: &TenantId,
        kind: &EventType,
        version: i16,
        payload: Value,
    ) -> Result<Vec<Misfit>, postgres::Error> {
        if version < 1 || !matches!(kind, EventType::Custom(_)) {
            return Ok(super::builtin_misfits(kind, version, &payload));
        }
        let payload = Arc::new(payload);
        match self
            .misfits(tenant, kind.as_str(), version, &payload, |payload| payload)
            .await?
        {
            Fit::Yes => Ok(Vec::new()),
            Fit::No(misfits) => Ok(misfits),
        }
    }

    async fn misfits<T: Send + Sync + 'static>(
        &self,
        tenant: &TenantId,
        name: &str,
        version: i16,
        held: &Arc<T>,
        payload: fn(&T) -> &Value,
    ) -> Result<Fit, postgres::Error> {
        let Some(newest) = self.newest(tenant, name).await? else {
            return Ok(Fit::Yes);
        };
        if !(1..=newest).contains(&version) {
            let known = if newest == 1 {
                "1".to_owned()
            } else {
                format!("1 to {newest}")
            };
            return Ok(Fit::No(vec![Misfit::whole(format!(
                "no such schema version; known: {known}"
            ))]));
        }
        let ready = self.ready(tenant, name, version).await?;
        let Some(validator) = &ready.validator else {
            let problem = "the registered schema cannot be used by this version of the brain";
            return Ok(Fit::No(vec![Misfit::whole(problem.to_owned())]));
        };
        if steps(payload(held)).saturating_mul(ready.subschemas) <= INLINE_STEPS {
            return Ok(Fit::of(misfits(validator, payload(held))));
        }
        let (aside, held) = (Arc::clone(&ready), Arc::clone(held));
        let checking = tokio::task::spawn_blocking(move || {
            let validator = aside.validator.as_ref()?;
            Some(misfits(validator, payload(&held)))
        });
        match checking.await {
            Ok(found) => Ok(Fit::of(found.unwrap_or_default())),
            Err(panic) => Err(postgres::Error::Unexpected {
                reason: format!("a payload could not be checked: {panic}"),
            }),
        }
    }

    /// The newest version of a type; `None` where it has no schema.
    async fn newest(&self, tenant: &TenantId, name: &str) -> Result<Option<i16>, postgres::Error> {
        if let Some(types) = self.recent(tenant) {
            return Ok(types.get(name).copied());
        }
        let _one = self.0.asking.lock().await;
        // Somebody else may have asked meanwhile.
        if let Some(types) = self.recent(tenant) {
            return Ok(types.get(name).copied());
        }
        Ok(self.ask(tenant).await?.get(name).copied())
    }

    /// The types of a tenant, where what is known of them still holds.
    fn recent(&self, tenant: &TenantId) -> Option<Arc<Types>> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.asked.filter(|asked| asked.elapsed() < NEWS_AFTER)?;
        known.tenants.get(tenant).cloned()
    }

    /// Asks what is new, and then for the types of the tenant where they are not known.
    async fn ask(&self, tenant: &TenantId) -> Result<Arc<Types>, postgres::Error> {
        let client = self.0.postgres.client().await?;
        let asked = Instant::now();
        let number = self.0.known.read().unwrap_or_else(PoisonError::into_inner).number;
        let (changed, number): (Vec<TenantId>, i64) = match number {
            Some(number) => {
                let statement = client
                    .prepare_cached(include_str!("../sql/select_schema_changes.sql"))
                    .await?;
                let rows = client.query(&statement, &[&number]).await?;
                let newest = rows.iter().map(|row| row.get(1)).max().unwrap_or(number);
                (rows.iter().map(|row| TenantId::trusted(row.get(0))).collect(), newest)
            }
            None => {
                let newest = "SELECT coalesce(max(number), 0) FROM event_schemas";
                (Vec::new(), client.query_one(newest, &[]).await?.get(0))
            }
        };
        let known = {
            let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
            for tenant in &changed {
                known.tenants.remove(tenant);
            }
            known.number = Some(number);
            known.asked = Some(asked);
            known.tenants.get(tenant).cloned()
        };
        if let Some(types) = known {
            return Ok(types);
        }
        let select = "SELECT event_type, max(version) FROM event_schemas WHERE tenant_id = $1 GROUP BY event_type";
        let statement = client.prepare_cached(select).await?;
        let rows = client.query(&statement, &[&tenant.as_str()]).await?;
        let types: Types = rows
            .iter()
            .map(|row| (row.get::<_, &str>(0).into(), row.get(1)))
            .collect();
        let types = Arc::new(types);
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.tenants.len() >= MAX_TENANTS
            && let Some(other) = known.tenants.keys().next().cloned()
        {
            known.tenants.remove(&other);
        }
        known.tenants.insert(tenant.clone(), Arc::clone(&types));
        Ok(types)
    }

    async fn ready(&self, tenant: &TenantId, name: &str, version: i16) -> Result<Arc<Ready>, postgres::Error> {
        let key: Key = (tenant.clone(), name.into(), version);
        let cached = |key: &Key| self.0.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(key);
        if let Some(ready) = cached(&key) {
            return Ok(ready);
        }
        let _one = self.0.asking.lock().await;
        if let Some(ready) = cached(&key) {
            return Ok(ready);
        }
        let schema: Option<Value> = {
            let client = self.0.postgres.client().await?;
            let select = "SELECT schema FROM event_schemas WHERE tenant_id = $1 AND event_type = $2 AND version = $3";
            let statement = client.prepare_cached(select).await?;
            let row = client
                .query_opt(&statement, &[&tenant.as_str(), &name, &version])
                .await?;
            row.map(|row| row.get(0))
        };
        let compiling = tokio::task::spawn_blocking(move || Ready::of(schema.unwrap_or_default()));
        let ready = Arc::new(compiling.await.unwrap_or_else(|_| Ready::unusable()));
        let mut compiled = self.0.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        compiled.add(key, Arc::clone(&ready));
        Ok(ready)
    }
}

/// Whether a payload fits.
enum Fit {
    Yes,
    No(Vec<Misfit>),
}

impl Fit {
    fn of(misfits: Vec<Misfit>) -> Self {
        if misfits.is_empty() {
            Self::Yes
        } else {
            Self::No(misfits)
        }
    }
}

impl Ready {
    fn of(schema: Value) -> Self {
        match Document::new(schema) {
            Ok(document) => Self {
                validator: document.compile().ok(),
                subschemas: document.subschemas(),
                weight: document.weight(),
            },
            Err(problem) => {
                tracing::error!(error = %problem, "a registered schema cannot be used");
                Self::unusable()
            }
        }
    }

    fn unusable() -> Self {
        Self {
            validator: None,
            subschemas: 1,
            weight: 1,
        }
    }
}

impl Compiled {
    fn get(&mut self, key: &Key) -> Option<Arc<Ready>> {
        self.clock += 1;
        let (ready, used) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(Arc::clone(ready))
    }

    /// Keeps one more, in place of those that were used longest ago where there are too many.
    fn add(&mut self, key: Key, ready: Arc<Ready>) {
        self.clock += 1;
        self.weight += ready.weight;
        if let Some((before, _)) = self.entries.insert(key, (ready, self.clock)) {
            self.weight -= before.weight;
        }
        while (self.weight > MAX_WEIGHT || self.entries.len() > MAX_COMPILED) && self.entries.len() > 1 {
            let oldest = self.entries.iter().min_by_key(|(_, (_, used))| *used);
            let Some(key) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            if let Some((gone, _)) = self.entries.remove(&key) {
                self.weight -= gone.weight;
            }
        }
    }
}

/// How many values a payload is made of.
fn steps(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(steps).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(steps).sum::<usize>(),
        // What is matched with patterns is as long as it is.
        Value::String(text) => 1 + text.len() / 64,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_what_is_used_stays() {
        let mut compiled = Compiled::default();
        let key = |number: usize| -> Key { (TenantId::single(), format!("a.n{number}").into(), 1) };
        let heavy = json!({"patternProperties": {"^a": true, "^b": true, "^c": true, "^d": true}});
        for number in 0..200 {
            compiled.add(key(number), Arc::new(Ready::of(heavy.clone())));
            assert!(compiled.get(&key(0)).is_some(), "{number}");
            assert!(compiled.weight <= MAX_WEIGHT);
        }
        assert!(compiled.get(&key(1)).is_none() && compiled.get(&key(199)).is_some());
        for number in 0..2 * MAX_COMPILED {
            compiled.add(key(number), Arc::new(Ready::unusable()));
        }
        assert!(compiled.entries.len() <= MAX_COMPILED);
        let sum: usize = compiled.entries.values().map(|(ready, _)| ready.weight).sum();
        assert_eq!(compiled.weight, sum);
    }
}
