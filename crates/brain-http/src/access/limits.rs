//! What each caller uses: requests a second, and open event streams.
//!
//! Invariants: a caller without limits leaves no trace; what is kept about callers is bounded, and a caller that is forgotten
//! is one that uses nothing at the moment.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use super::Principal;
use crate::problem::{Kind, Problem};

/// Callers that are kept at the same time, about.
const MAX_CALLERS: usize = 10_000;

/// The use of all callers of one server.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage(Arc<Mutex<HashMap<Arc<str>, Used>>>);

#[derive(Debug)]
struct Used {
    /// Requests that may come at once; refilled as time passes.
    left: f64,
    /// When it was refilled last.
    at: Instant,
    streams: u32,
}

impl Usage {
    /// Counts a request.
    ///
    /// # Errors
    /// A problem when the caller had its share of this second.
    pub(crate) fn request(&self, by: &Principal, now: Instant) -> Result<(), Problem> {
        let Some(rate) = by.limits.requests_per_second else {
            return Ok(());
        };
        let most = f64::from(rate.get());
        let mut callers = self.lock();
        let used = entry(&mut callers, by, now);
        used.left = (used.left + now.saturating_duration_since(used.at).as_secs_f64() * most).min(most);
        used.at = now;
        if used.left < 1.0 {
            let detail = format!("this caller may make {rate} requests a second; slow down");
            return Err(Problem::new(Kind::RateLimited, detail));
        }
        used.left -= 1.0;
        Ok(())
    }

    /// Takes a place for an event stream; it is free again when the place is dropped.
    ///
    /// # Errors
    /// A problem when the caller has as many as it may.
    pub(crate) fn stream(&self, by: &Principal, now: Instant) -> Result<Place, Problem> {
        let Some(most) = by.limits.streams else {
            return Ok(Place(None));
        };
        let mut callers = self.lock();
        let used = entry(&mut callers, by, now);
        if used.streams >= most {
            let detail = format!("this caller has {most} event streams open, and may have no more");
            return Err(Problem::new(Kind::RateLimited, detail));
        }
        used.streams += 1;
        Ok(Place(Some((self.clone(), Arc::clone(&by.id)))))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Used>> {
        self.0.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

fn entry<'a>(callers: &'a mut HashMap<Arc<str>, Used>, by: &Principal, now: Instant) -> &'a mut Used {
    if callers.len() >= MAX_CALLERS && !callers.contains_key(&by.id) {
        // After a second without a request a caller has its whole share again, as one that nobody knows has.
        callers.retain(|_, used| used.streams > 0 || now.saturating_duration_since(used.at).as_secs() < 1);
    }
    callers.entry(Arc::clone(&by.id)).or_insert_with(|| Used {
        left: by.limits.requests_per_second.map_or(0.0, |rate| f64::from(rate.get())),
        at: now,
        streams: 0,
    })
}

/// A place among the event streams of a caller.
#[derive(Debug)]
pub(crate) struct Place(Option<(Usage, Arc<str>)>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((usage, caller)) = self.0.take()
            && let Some(used) = usage.lock().get_mut(&caller)
        {
            used.streams = used.streams.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::time::Duration;

    use brain_swarm::ids::{ActorId, TenantId};

    use super::*;
    use crate::access::{Role, Scopes, principal::Limits};

    fn caller(id: &str, requests: u32, streams: u32) -> Principal {
        Principal {
            id: id.into(),
            actor_id: ActorId::new("a").unwrap(),
            bound: false,
            tenant_id: TenantId::single(),
            role: Role::Agent,
            scopes: Scopes::default(),
            installation: false,
            expires_at: None,
            limits: Limits {
                requests_per_second: requests.try_into().ok(),
                streams: (streams > 0).then_some(streams),
                body_bytes: None,
            },
        }
    }

    #[test]
    fn a_share_is_refilled_as_time_passes() {
        let (usage, one, other) = (Usage::default(), caller("1", 10, 0), caller("2", 10, 0));
        let start = Instant::now();
        for _ in 0..10 {
            usage.request(&one, start).unwrap();
        }
        assert_eq!(usage.request(&one, start).unwrap_err().kind(), Kind::RateLimited);
        usage.request(&other, start).unwrap();
        let later = start + Duration::from_millis(250);
        assert_eq!((0..10).filter(|_| usage.request(&one, later).is_ok()).count(), 2);
        let much_later = start + Duration::from_secs(60);
        assert_eq!((0..99).filter(|_| usage.request(&one, much_later).is_ok()).count(), 10);
    }

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let (usage, one) = (Usage::default(), caller("1", 0, 2));
        let now = Instant::now();
        let places = [usage.stream(&one, now).unwrap(), usage.stream(&one, now).unwrap()];
        assert_eq!(usage.stream(&one, now).unwrap_err().kind(), Kind::RateLimited);
        drop(places);
        assert!(usage.stream(&one, now).is_ok());
        assert!(usage.stream(&caller("2", 0, 0), now).is_ok(), "nobody limits it");
    }

    #[test]
    fn callers_that_use_nothing_are_forgotten() {
        let (usage, start) = (Usage::default(), Instant::now());
        let busy = caller("busy", 0, 1);
        let place = usage.stream(&busy, start).unwrap();
        for caller_id in 0..MAX_CALLERS {
            usage.request(&caller(&caller_id.to_string(), 1, 0), start).unwrap();
        }
        usage
            .request(&caller("late", 1, 0), start + Duration::from_secs(2))
            .unwrap();
        assert_eq!(usage.lock().len(), 2, "the one with a stream and the last");
        drop(place);
    }
}
