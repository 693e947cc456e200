//! One running program that is ready for calls.
//!
//! Invariant: a call takes the worker, and gives it back only when it can go on serving.

use std::sync::Arc;

use serde_json::Value;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Settings, Stop};
use crate::{
    calls::{
        Call, Protocol, Skill,
        error::{Error, Failure},
        events::Share,
        json_rpc, mcp,
        peer::{Outcome, Peer, Until},
        terms::Terms,
    },
    digest::Digest,
    launch::{Enforced, Running, Tree},
};

/// One running program.
pub(super) struct Worker {
    peer: Peer,
    speaks: Speaks,
    started: Instant,
    calls: u32,
    grace: std::time::Duration,
}

enum Speaks {
    JsonRpc,
    Mcp(mcp::Session),
}

impl Worker {
    /// Makes a program that has just been started ready.
    pub(super) async fn start(
        running: Running,
        skill: &Skill,
        settings: &Settings,
        permit: OwnedSemaphorePermit,
        deadline: Instant,
        cancel: &CancellationToken,
        kill: &CancellationToken,
    ) -> Result<Self, Failure> {
        let mut peer = Peer::new(running, settings.frame_bytes, permit);
        let until = Until {
            deadline,
            cancel,
            kill,
            // Nothing is worth waiting for yet.
            grace: std::time::Duration::ZERO,
            notice: match skill.protocol {
                Protocol::JsonRpc => json_rpc::cancel,
                Protocol::Mcp { .. } => mcp::cancel,
            },
        };
        let ready = match skill.protocol {
            Protocol::JsonRpc => json_rpc::healthcheck(&mut peer, &until).await.map(|()| Speaks::JsonRpc),
            Protocol::Mcp { tools } => mcp::Session::open(&mut peer, tools, &until).await.map(Speaks::Mcp),
        };
        match ready {
            Ok(speaks) => Ok(Self {
                peer,
                speaks,
                started: Instant::now(),
                calls: 0,
                grace: settings.cancel_grace,
            }),
            Err(stop) => Err(peer.fail(stop).await),
        }
    }

    /// Makes a call. Where the worker can go on serving it comes back, with the answer or with the error that is none of the
    /// protocol.
    pub(super) async fn call(
        mut self,
        call: &Call,
        terms: &Terms<'_>,
        kill: &CancellationToken,
    ) -> Result<(Self, Result<Value, Error>), Failure> {
        self.calls += 1;
        let notice = match self.speaks {
            Speaks::JsonRpc => json_rpc::cancel,
            Speaks::Mcp(_) => mcp::cancel,
        };
        let until = Until {
            deadline: terms.deadline,
            cancel: terms.cancel,
            kill,
            grace: self.grace,
            notice,
        };
        if let Speaks::Mcp(session) = &mut self.speaks {
            match session.prepare(&mut self.peer, call, &until).await {
                Ok(()) => {}
                // It was not even asked.
                Err(Stop::Broken(error @ Error::UnknownTool(_))) => return Ok((self, Err(error))),
                Err(stop) => return Err(self.peer.fail(stop).await),
            }
        }
        if let Some(gate) = terms.gate {
            match gate.pass().await {
                Ok(held) => self.peer.hold(held),
                Err(reason) => return Ok((self, Err(Error::Stopped(reason)))),
            }
        }
        let outcome = {
            let mut share = Share::new(terms.events);
            match &mut self.speaks {
                Speaks::JsonRpc => json_rpc::execute(&mut self.peer, call, &until, &mut share).await,
                Speaks::Mcp(session) => session.call(&mut self.peer, call, &until, &mut share).await,
            }
        };
        match outcome {
            Ok(Outcome::Answered(Ok(value))) => Ok((self, Ok(value))),
            Ok(Outcome::Answered(Err(error))) => Ok((self, Err(Error::Refused(error)))),
            Ok(Outcome::Cancelled) => Ok((self, Err(Error::Cancelled))),
            Err(stop) => Err(self.peer.fail(stop).await),
        }
    }

    /// Whether it is young and small enough for a further call.
    pub(super) fn may_serve(&self, settings: &Settings) -> bool {
        let memory = self.peer.tree().memory_bytes();
        self.calls < settings.max_calls
            && self.started.elapsed() < settings.max_age
            && memory.is_none_or(|bytes| bytes <= settings.max_memory_bytes)
    }

    /// Whether it has kept still since its last call.
    pub(super) async fn is_quiet(&mut self) -> bool {
        let speaks = &mut self.speaks;
        let mut on_notice = |method: &str, _: &Value| {
            if let Speaks::Mcp(session) = speaks {
                session.notice(method);
            }
        };
        self.peer.is_quiet(&mut on_notice).await
    }

    pub(super) fn expires(&self, settings: &Settings) -> Instant {
        self.started + settings.max_age
    }

    pub(super) fn tree(&self) -> Arc<dyn Tree> {
        self.peer.tree()
    }

    pub(super) fn enforced(&self) -> Arc<[Enforced]> {
        self.peer.enforced()
    }

    /// The digest of its tools, where it has such.
    pub(super) fn tools(&self) -> Option<Digest> {
        match &self.speaks {
            Speaks::JsonRpc => None,
            Speaks::Mcp(session) => Some(session.digest()),
        }
    }
}
