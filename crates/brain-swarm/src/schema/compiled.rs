//! Compiled schemas in memory.
//!
//! Invariants: what is kept is bounded; a schema that several wait for is made once, and whoever waits for one holds up nobody
//! who needs another.

use std::{
    collections::HashMap,
    hash::Hash,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use jsonschema::Validator;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{Misfit, document::Document};

/// How many compiled schemas are kept.
const MAX_COMPILED: usize = 1024;
/// About how much memory they may take together, in bytes.
const MAX_WEIGHT: usize = 64 * 1024 * 1024;

/// A schema that is ready for use.
pub(super) struct Ready {
    /// `None`: this version of the program cannot use what an earlier one has taken.
    pub(super) validator: Option<Arc<Validator>>,
    pub(super) subschemas: usize,
    weight: usize,
}

impl Ready {
    pub(super) fn of(schema: Value) -> Self {
        match Document::new(schema) {
            Ok(document) => Self {
                validator: Some(document.validator()),
                subschemas: document.subschemas(),
                weight: document.weight(),
            },
            Err(problem) => {
                tracing::error!(error = %problem, "a registered schema cannot be used");
                Self::unusable()
            }
        }
    }

    pub(super) fn unusable() -> Self {
        Self {
            validator: None,
            subschemas: 1,
            weight: 1,
        }
    }
}

/// Whether a payload fits.
#[derive(Debug)]
pub(super) enum Fit {
    Yes,
    No(Vec<Misfit>),
}

impl Fit {
    /// What a check of this type of event found. One that panics would panic each time: what cannot be checked does not fit.
    pub(super) fn found(event_type: &str, check: impl FnOnce() -> Vec<Misfit>) -> Self {
        match std::panic::catch_unwind(AssertUnwindSafe(check)) {
            Ok(misfits) if misfits.is_empty() => Self::Yes,
            Ok(misfits) => Self::No(misfits),
            Err(_) => {
                tracing::error!(
                    event.r#type = event_type,
                    "a payload could not be checked against its schema"
                );
                let problem = "it could not be checked against its schema";
                Self::No(vec![Misfit::whole(problem.to_owned())])
            }
        }
    }
}

/// Compiled schemas by their keys.
pub(super) struct Compiled<K> {
    kept: Mutex<Kept<K>>,
    /// What is being made now.
    making: Mutex<HashMap<K, Weak<OnceCell<Arc<Ready>>>>>,
}

impl<K> Default for Compiled<K> {
    fn default() -> Self {
        Self {
            kept: Mutex::new(Kept {
                entries: HashMap::new(),
                weight: 0,
                clock: 0,
            }),
            making: Mutex::default(),
        }
    }
}

impl<K: Clone + Eq + Hash> Compiled<K> {
    /// The schema of this key, from memory or as `make` makes it.
    pub(super) async fn get<E>(&self, key: K, make: impl AsyncFnOnce() -> Result<Ready, E>) -> Result<Arc<Ready>, E> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = kept().get(&key) {
            return Ok(ready);
        }
        let cell = self.cell(&key);
        let made = cell.get_or_try_init(async || {
            // Somebody else may have made it meanwhile.
            if let Some(ready) = kept().get(&key) {
                return Ok(ready);
            }
            let ready = Arc::new(make().await?);
            kept().add(key.clone(), Arc::clone(&ready));
            Ok(ready)
        });
        made.await.cloned()
    }

    /// Where those wait who need the same.
    fn cell(&self, key: &K) -> Arc<OnceCell<Arc<Ready>>> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        making.retain(|_, cell| cell.strong_count() > 0);
        if let Some(cell) = making.get(key).and_then(Weak::upgrade) {
            return cell;
        }
        let cell = Arc::default();
        making.insert(key.clone(), Arc::downgrade(&cell));
        cell
    }
}

struct Kept<K> {
    entries: HashMap<K, (Arc<Ready>, u64)>,
    weight: usize,
    clock: u64,
}

impl<K: Clone + Eq + Hash> Kept<K> {
    fn get(&mut self, key: &K) -> Option<Arc<Ready>> {
        self.clock += 1;
        let (ready, used) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(Arc::clone(ready))
    }

    /// Keeps one more, in place of those that were used longest ago where there are too many.
    fn add(&mut self, key: K, ready: Arc<Ready>) {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use serde_json::json;
    use tokio::sync::Notify;

    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_what_is_used_stays() {
        let compiled = Compiled::<usize>::default();
        let mut compiled = compiled.kept.lock().unwrap();
        let heavy = json!({"patternProperties": {"^a": true, "^b": true, "^c": true, "^d": true}});
        for number in 0..200 {
            compiled.add(number, Arc::new(Ready::of(heavy.clone())));
            assert!(compiled.get(&0).is_some(), "{number}");
            assert!(compiled.weight <= MAX_WEIGHT);
        }
        assert!(compiled.get(&1).is_none() && compiled.get(&199).is_some());
        for number in 0..2 * MAX_COMPILED {
            compiled.add(number, Arc::new(Ready::unusable()));
        }
        assert!(compiled.entries.len() <= MAX_COMPILED);
        let sum: usize = compiled.entries.values().map(|(ready, _)| ready.weight).sum();
        assert_eq!(compiled.weight, sum);
    }

    #[tokio::test]
    async fn one_is_made_once_and_holds_up_no_other() {
        let compiled = Compiled::<&str>::default();
        let (go_on, made) = (Notify::new(), AtomicUsize::new(0));
        let slow = || {
            compiled.get("slow", async || {
                made.fetch_add(1, Ordering::Relaxed);
                go_on.notified().await;
                Ok::<_, Infallible>(Ready::unusable())
            })
        };
        let other = async {
            let other = compiled.get("other", async || Ok::<_, Infallible>(Ready::unusable()));
            other.await.unwrap();
            go_on.notify_one();
        };
        // The slow one goes on only after the other is there.
        let (one, same, ()) = tokio::join!(slow(), slow(), other);
        assert!(Arc::ptr_eq(&one.unwrap(), &same.unwrap()));
        slow().await.unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_could_not_be_made_is_made_by_the_next() {
        let compiled = Compiled::<&str>::default();
        assert_eq!(compiled.get("one", async || Err("away")).await.err(), Some("away"));
        assert!(
            compiled
                .get("one", async || Ok::<_, &str>(Ready::unusable()))
                .await
                .is_ok()
        );
    }

    #[test]
    fn what_cannot_be_checked_does_not_fit() {
        assert!(matches!(Fit::found("a.b", Vec::new), Fit::Yes));
        let Fit::No(misfits) = Fit::found("a.b", || panic!("a flaw in a validator")) else {
            panic!("it fits");
        };
        insta::assert_snapshot!(misfits[0].problem, @"it could not be checked against its schema");
    }
}
