//! The users that programs run as where the brain is root: one for each running program.
//!
//! Invariants: no user has two programs of this brain at a time; user 0 is none of them.

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
};

/// The range, and what is taken of it.
#[derive(Debug)]
pub(super) struct Users {
    range: RangeInclusive<u32>,
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    next: u32,
    users: BTreeSet<u32>,
}

/// One user, taken until this is dropped.
#[derive(Debug)]
pub(super) struct User {
    users: Arc<Users>,
    id: u32,
}

impl Users {
    /// All users of a range; none where it is empty or has user 0 in it.
    pub(super) fn new(range: RangeInclusive<u32>) -> Option<Self> {
        if range.is_empty() || *range.start() == 0 || *range.end() == u32::MAX {
            return None;
        }
        let taken = Taken {
            next: *range.start(),
            users: BTreeSet::new(),
        };
        let taken = Mutex::new(taken);
        Some(Self { range, taken })
    }

    /// Takes the next free one, the one that was given back longest ago; none where all are taken.
    pub(super) fn take(self: &Arc<Self>) -> Option<User> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let wrapped = (taken.next..=*self.range.end()).chain(*self.range.start()..taken.next);
        let id = wrapped.into_iter().find(|id| !taken.users.contains(id))?;
        taken.users.insert(id);
        taken.next = if id == *self.range.end() {
            *self.range.start()
        } else {
            id + 1
        };
        let users = Arc::clone(self);
        Some(User { users, id })
    }
}

impl User {
    /// Its number; that of its group is the same.
    pub(super) fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut taken = self.users.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.users.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn each_user_is_taken_once_until_it_is_given_back() {
        let users = Arc::new(Users::new(7..=8).unwrap());
        let (one, two) = (users.take().unwrap(), users.take().unwrap());
        assert_eq!((one.id(), two.id()), (7, 8));
        assert!(users.take().is_none());
        drop(two);
        assert_eq!(users.take().unwrap().id(), 8);
        drop(one);
        assert_eq!(users.take().unwrap().id(), 7);
    }

    #[test]
    fn root_is_in_no_range() {
        assert!(Users::new(0..=5).is_none());
        assert!(Users::new(RangeInclusive::new(5, 4)).is_none());
    }
}
