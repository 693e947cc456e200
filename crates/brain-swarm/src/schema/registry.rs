//! The registered schemas as events are held against them.
//!
//! Invariants: an event of a type that has schemas is stored only when it fits the one it names; what is kept in memory is
//! bounded; the database is asked for news only when something is published and the last answer is older than [`NEWS_AFTER`],
//! so an idle brain asks nothing, and what is registered anywhere takes effect everywhere within that time.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use brain_connectivity::postgres::{self, Postgres};
use serde_json::Value;

use super::{
    Misfit,
    compiled::{Compiled, Fit, Ready},
    misfits,
};
use crate::{
    event::{Event, EventType, Invalid},
    ids::TenantId,
};

/// For how long an answer about what is registered holds.
pub(crate) const NEWS_AFTER: Duration = Duration::from_millis(900);
/// Of how many tenants the registered types are kept.
const MAX_TENANTS: usize = 256;
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
    compiled: Compiled<Key>,
    /// Held by whoever asks the database, so that many who publish ask once.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// All registrations up to this number are taken into account.
    number: Option<i64>,
    asked: Option<Instant>,
    /// How often it was forgotten.
    forgotten: u64,
    tenants: HashMap<TenantId, Arc<Types>>,
}

/// What was known when a question was asked.
#[derive(Clone, Copy)]
struct Seen {
    number: Option<i64>,
    forgotten: u64,
}

impl Known {
    /// What is known for as long as nobody forgets it.
    fn seen(&self) -> Seen {
        Seen {
            number: self.number,
            forgotten: self.forgotten,
        }
    }

    fn forget(&mut self) {
        self.asked = None;
        self.forgotten += 1;
    }

    /// Notes an answer to a question of that time. It is no news any more where somebody has registered meanwhile.
    fn note(&mut self, seen: Seen, asked: Instant, changed: &[TenantId], number: i64) {
        for tenant in changed {
            self.tenants.remove(tenant);
        }
        self.number = Some(number);
        self.asked = (self.forgotten == seen.forgotten).then_some(asked);
    }
}

impl Registry {
    /// Knows nothing at first.
    #[must_use]
    pub fn new(postgres: Postgres) -> Self {
        Self(Arc::new(Inner {
            postgres,
            known: RwLock::default(),
            compiled: Compiled::default(),
            asking: tokio::sync::Mutex::default(),
        }))
    }

    /// The schemas have changed, as far as this process knows. Whoever publishes from now on sees it.
    pub fn forget(&self) {
        self.0.known.write().unwrap_or_else(PoisonError::into_inner).forget();
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
            Fit::No(misfits) => Err(super::invalid(name, event.schema_version, &misfits)),
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
        let fit = if steps(payload(held)).saturating_mul(ready.subschemas) <= INLINE_STEPS {
            Fit::found(name, || misfits(validator, payload(held)))
        } else {
            let (name, validator, held) = (name.to_owned(), Arc::clone(validator), Arc::clone(held));
            let checking =
                tokio::task::spawn_blocking(move || Fit::found(&name, || misfits(&validator, payload(&held))));
            checking.await.map_err(|error| postgres::Error::Unexpected {
                reason: format!("a payload could not be checked: {error}"),
            })?
        };
        Ok(fit)
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
        let seen = self.0.known.read().unwrap_or_else(PoisonError::into_inner).seen();
        let (changed, number): (Vec<TenantId>, i64) = match seen.number {
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
            known.note(seen, asked, &changed, number);
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
        let make = async || {
            let schema: Option<Value> = {
                let client = self.0.postgres.client().await?;
                let select =
                    "SELECT schema FROM event_schemas WHERE tenant_id = $1 AND event_type = $2 AND version = $3";
                let statement = client.prepare_cached(select).await?;
                let row = client
                    .query_opt(&statement, &[&tenant.as_str(), &name, &version])
                    .await?;
                row.map(|row| row.get(0))
            };
            let compiling = tokio::task::spawn_blocking(move || Ready::of(schema.unwrap_or_default()));
            Ok(compiling.await.unwrap_or_else(|_| Ready::unusable()))
        };
        self.0.compiled.get(key, make).await
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
    use super::*;

    #[test]
    fn an_answer_that_was_under_way_does_not_hide_what_was_registered_meanwhile() {
        let mut known = Known::default();
        let seen = known.seen();
        known.note(seen, Instant::now(), &[], 1);
        assert!(known.asked.is_some());
        let seen = known.seen();
        known.forget();
        known.note(seen, Instant::now(), &[], 1);
        assert!(known.asked.is_none(), "the next who publishes asks again");
        let seen = known.seen();
        known.note(seen, Instant::now(), &[], 2);
        assert!(known.asked.is_some());
    }
}
