//! Where skills come from: a signed registry, or plain directories.

use std::{fmt, fs::File, path::PathBuf};

use jiff::Timestamp;

use super::Error;
use crate::{
    SkillRef,
    digest::Digest,
    refused::{Refused, Stage},
    registry::{Registry, Resolved, Revocations, Unsigned},
    store::Expected,
};

/// Where skills come from.
#[derive(Debug)]
pub enum Offers {
    /// A signed registry, and what it is called.
    Signed(Box<Registry>, String),
    /// Directories, and what they are called.
    Unsigned(Unsigned, String),
}

/// One skill that can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub reference: SkillRef,
    /// Who published it; nobody, in plain directories.
    pub publisher: Option<String>,
    /// The digest of its tree, where signed metadata says it.
    pub digest: Option<Digest>,
}

pub(super) enum Found {
    Signed(Resolved),
    Unsigned(PathBuf),
}

impl Found {
    /// What its files must be, where whoever installs them named a digest too.
    pub(super) fn expected(&self, digest: Option<Digest>) -> Result<Expected, Refused> {
        match self {
            Self::Signed(resolved) => match digest.filter(|digest| *digest != resolved.tree) {
                None => Ok(Expected::Signed {
                    publisher: resolved.publisher.clone(),
                    digest: resolved.tree,
                }),
                Some(wanted) => {
                    let reason = format!(
                        "{} is {} in the registry, not {wanted}",
                        resolved.reference, resolved.tree
                    );
                    Err(Refused::at(Stage::Checksum, reason))
                }
            },
            Self::Unsigned(_) => Ok(Expected::Unsigned { digest }),
        }
    }
}

impl Offers {
    /// Whether signatures vouch for what is offered.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        matches!(self, Self::Signed(..))
    }

    /// Whether there is anything to read from at all.
    #[must_use]
    pub fn exist(&self) -> bool {
        match self {
            Self::Signed(..) => true,
            Self::Unsigned(directories, _) => directories.exists(),
        }
    }

    /// Everything that can be had now.
    ///
    /// # Errors
    /// [`Error`].
    pub fn all(&self) -> Result<Vec<Offer>, Error> {
        match self {
            Self::Signed(registry, _) => {
                let skills = registry.list()?.into_iter();
                let offers = skills.filter_map(|skill| registry.resolve(&skill).ok());
                Ok(offers
                    .map(|resolved| Offer {
                        reference: resolved.reference,
                        publisher: Some(resolved.publisher),
                        digest: Some(resolved.tree),
                    })
                    .collect())
            }
            Self::Unsigned(directories, _) if !directories.exists() => Ok(Vec::new()),
            Self::Unsigned(directories, _) => {
                let skills = directories.list()?.into_iter();
                Ok(skills
                    .map(|reference| Offer {
                        reference,
                        publisher: None,
                        digest: None,
                    })
                    .collect())
            }
        }
    }

    /// Until when what the registry says holds; `None` where nobody signed it.
    ///
    /// # Errors
    /// [`Error`] where nothing of it is trusted yet.
    pub fn expires(&self) -> Result<Option<Timestamp>, Error> {
        match self {
            Self::Signed(registry, _) => {
                let roles = registry.status()?;
                Ok(roles.iter().filter_map(|role| role.expires).min())
            }
            Self::Unsigned(..) => Ok(None),
        }
    }

    pub(super) async fn find(&self, reference: &SkillRef) -> Result<Found, Error> {
        match self {
            Self::Signed(registry, _) => match registry.resolve(reference) {
                Ok(resolved) => Ok(Found::Signed(resolved)),
                // It may have been published a moment ago.
                Err(_) => {
                    registry.refresh().await?;
                    Ok(Found::Signed(registry.resolve(reference)?))
                }
            },
            Self::Unsigned(directories, _) => Ok(Found::Unsigned(directories.resolve(reference)?)),
        }
    }

    pub(super) async fn fetch(&self, resolved: &Resolved) -> Result<File, Error> {
        match self {
            Self::Signed(registry, _) => Ok(registry.fetch(resolved).await?),
            Self::Unsigned(..) => Err(Error::Failed("plain directories have no archives".to_owned())),
        }
    }

    pub(super) async fn refresh(&self) -> Result<(), Error> {
        match self {
            Self::Signed(registry, _) => Ok(registry.refresh().await?),
            Self::Unsigned(..) => Ok(()),
        }
    }

    pub(super) fn revocations(&self) -> Option<Revocations> {
        match self {
            Self::Signed(registry, _) => registry.revocations().ok(),
            Self::Unsigned(..) => None,
        }
    }
}

impl fmt::Display for Offers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Signed(_, name) | Self::Unsigned(_, name)) = self;
        f.write_str(name)
    }
}
