//! What is on the disk: installed, looked at, swept.
//!
//! Invariant: every refusal is written down beside those of the store, whichever stage it comes from.

use std::sync::Arc;

use super::{Error, Inner, Plane, Wanted, offers};
use crate::{
    SkillRef,
    digest::Digest,
    store::{self, Expected, Install, Record, Source},
};

impl Plane {
    /// Installs a skill on this disk; where it is there already, and whole, nothing is fetched.
    ///
    /// # Errors
    /// [`Error`]; what was installed before is as it was then.
    pub async fn install(&self, wanted: &Wanted) -> Result<Record, Error> {
        let inner = Arc::clone(&self.0);
        let wanted = wanted.clone();
        let Wanted { reference, digest, .. } = &wanted;
        self.blocking({
            let (inner, reference) = (Arc::clone(&inner), reference.clone());
            move || inner.policy.admits(&reference).map_err(Error::from)
        })
        .await
        .inspect_err(|error| self.note(reference, error))?;
        let found = inner.offers.find(reference).await;
        let found = found.inspect_err(|error| self.note(reference, error))?;
        let expected = found.expected(*digest).inspect_err(|refused| {
            self.note(reference, &Error::Refused(refused.clone()));
        })?;
        let source = inner.offers.to_string();
        let install = {
            let (inner, wanted, expected, source) =
                (Arc::clone(&inner), wanted.clone(), expected.clone(), source.clone());
            move |from: Option<Source<'_>>| -> Result<Option<Record>, Error> {
                let revocations = inner.revoked();
                let install = Install {
                    reference: &wanted.reference,
                    policy: &inner.policy,
                    revocations: &revocations,
                    expected: &expected,
                    source: &source,
                    allow_downgrade: wanted.allow_downgrade,
                };
                match from {
                    Some(from) => Ok(Some(inner.store.install(&install, from)?)),
                    None => {
                        inner.store.admit(&install)?;
                        Ok(inner.whole(&install))
                    }
                }
            }
        };
        let there = {
            let install = install.clone();
            self.blocking(move || install(None)).await?
        };
        if let Some(record) = there {
            return Ok(record);
        }
        let record = match found {
            offers::Found::Signed(resolved) => {
                let mut archive = inner
                    .offers
                    .fetch(&resolved)
                    .await
                    .inspect_err(|error| self.note(reference, error))?;
                self.blocking(move || install(Some(Source::Archive(&mut archive))))
                    .await?
            }
            offers::Found::Unsigned(directory) => {
                self.blocking(move || install(Some(Source::Directory(&directory))))
                    .await?
            }
        };
        self.forget(reference);
        record.ok_or_else(|| Error::Failed("nothing was installed".to_owned()))
    }

    /// What an installed skill says it does.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn describe(&self, reference: &SkillRef) -> Result<String, Error> {
        Ok(self.known(reference).await?.description.clone())
    }

    /// Reads every file of a skill again; gives what is wrong.
    ///
    /// # Errors
    /// [`Error`] when it cannot be said.
    pub async fn verify(&self, reference: &SkillRef) -> Result<Option<String>, Error> {
        let (inner, reference) = (Arc::clone(&self.0), reference.clone());
        self.blocking(move || {
            let revocations = inner.revoked();
            match inner.store.launchable(&reference, &inner.policy, &revocations) {
                Ok(_) => Ok(None),
                Err(
                    error @ (store::Error::Refused(_) | store::Error::Damaged { .. } | store::Error::NotInstalled(_)),
                ) => Ok(Some(error.to_string())),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Removes from this disk what is not among these; programs that run keep their files.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn sweep(&self, keep: Vec<Digest>) -> Result<Vec<Digest>, Error> {
        let inner = Arc::clone(&self.0);
        self.blocking(move || {
            for record in inner.store.list()? {
                if !keep.contains(&record.digest) {
                    inner.store.remove(&record.reference)?;
                    inner.forget(&record.reference);
                }
            }
            Ok(inner.store.gc()?)
        })
        .await
    }

    /// A refusal that the store has not seen is written down beside its own.
    fn note(&self, reference: &SkillRef, error: &Error) {
        if let Error::Refused(refused) = error
            && let Err(error) = self.0.store.refuse(reference, refused)
        {
            tracing::warn!(skill = %reference, error = %error, "a refusal could not be written down");
        }
    }
}

impl Inner {
    /// What is installed, where it is what is wanted and whole.
    fn whole(&self, install: &Install<'_>) -> Option<Record> {
        let record = self.store.show(install.reference).ok()?;
        let same = match install.expected {
            Expected::Signed { publisher, digest } => {
                record.digest == *digest && record.publisher.as_ref() == Some(publisher)
            }
            // A directory may have changed since.
            Expected::Unsigned { .. } => false,
        };
        let launchable = same
            .then(|| {
                self.store
                    .launchable(install.reference, install.policy, install.revocations)
            })?
            .ok()?;
        // What may be granted may have changed.
        (launchable.granted == record.granted).then_some(record)
    }
}
