//! Starts a program only from files that were read again just now.
//!
//! Invariant: while a program runs, its files are held: nobody removes them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use async_trait::async_trait;

use super::Known;
use crate::{
    SkillRef,
    launch::{Ended, Error, Launch, Program, Running, Tree},
    policy::Policy,
    store::{Launchable, Revocations, Store},
};

/// Looks at a program before it is started.
pub(super) struct Checked {
    pub(super) store: Arc<Store>,
    pub(super) policy: Arc<Policy>,
    pub(super) revocations: Arc<RwLock<Arc<Revocations>>>,
    pub(super) known: Arc<Mutex<HashMap<SkillRef, Arc<Known>>>>,
    pub(super) launch: Arc<dyn Launch>,
}

#[async_trait]
impl Launch for Checked {
    async fn launch(&self, program: &Program) -> Result<Running, Error> {
        let reference = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let of = known.iter().find(|(_, known)| known.digest == program.digest);
            of.map(|(reference, _)| reference.clone())
        };
        let reference =
            reference.ok_or_else(|| Error::Program("it is not installed any more; install it again".to_owned()))?;
        let revocations = Arc::clone(&self.revocations.read().unwrap_or_else(PoisonError::into_inner));
        let (store, policy) = (Arc::clone(&self.store), Arc::clone(&self.policy));
        let looked = tokio::task::spawn_blocking(move || store.launchable(&reference, &policy, &revocations));
        let launchable = match looked.await {
            Ok(launchable) => launchable.map_err(|error| Error::Program(error.to_string()))?,
            Err(error) => return Err(Error::Failed(error.to_string())),
        };
        if launchable.digest != program.digest {
            return Err(Error::Program(
                "other files were installed meanwhile; call it again".to_owned(),
            ));
        }
        let running = self.launch.launch(program).await?;
        Ok(Running {
            tree: Arc::new(Held {
                tree: running.tree,
                _files: launchable,
            }),
            ..running
        })
    }
}

/// A tree of processes with a hold on the files that it runs from.
struct Held {
    tree: Arc<dyn Tree>,
    _files: Launchable,
}

#[async_trait]
impl Tree for Held {
    fn kill(&self) {
        self.tree.kill();
    }

    async fn ended(&self) -> Ended {
        self.tree.ended().await
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.tree.memory_bytes()
    }
}
