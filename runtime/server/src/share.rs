//! What one tenant may have of what all share, so that it leaves something to the others.
//!
//! Requests that find no [`Seats`] free wait for one without a thread: they are slower, and those of other tenants are
//! not. What is slow by nature takes a [`Share`], or is told to come again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use tenon_store::Tenant;
use tokio::sync::Semaphore;

use crate::identity::lock;

/// Seats of every tenant, as many for each. `K` tells tenants apart, however the caller knows them.
#[derive(Debug)]
pub(crate) struct Seats<K> {
    each: usize,
    /// As many as there were tenants that asked.
    tenants: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> Seats<K> {
    pub(crate) fn new(each: usize) -> Self {
        Self {
            each: each.max(1),
            tenants: Mutex::new(HashMap::new()),
        }
    }

    /// The seats of a tenant; who waits for one gets it in the order of waiting.
    pub(crate) fn of(&self, tenant: K) -> Arc<Semaphore> {
        let mut tenants = lock(&self.tenants);
        let fresh = || Arc::new(Semaphore::new(self.each));
        Arc::clone(tenants.entry(tenant).or_insert_with(fresh))
    }
}

/// How much there is of something, for one tenant and for all together.
#[derive(Debug)]
pub(crate) struct Shares {
    of_one: usize,
    of_all: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<Tenant, usize>,
}

/// A part of it, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    of: &'a Shares,
    tenant: Tenant,
}

impl Shares {
    pub(crate) fn new(of_one: usize, of_all: usize) -> Self {
        Self {
            of_one,
            of_all,
            taken: Mutex::default(),
        }
    }

    /// A share for this tenant. The error is how many are taken that leave none for it: its own, or all.
    pub(crate) fn take(&self, tenant: Tenant) -> Result<Share<'_>, usize> {
        let mut taken = lock(&self.taken);
        let own = taken.by.get(&tenant).copied().unwrap_or(0);
        if own >= self.of_one {
            return Err(own);
        }
        if taken.all >= self.of_all {
            return Err(taken.all);
        }
        taken.all += 1;
        taken.by.insert(tenant, own + 1);
        Ok(Share { of: self, tenant })
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut taken = lock(&self.of.taken);
        taken.all -= 1;
        if let Some(own) = taken.by.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                taken.by.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_takes_its_share_and_leaves_the_rest() {
        let shares = Shares::new(2, 5);
        let (one, two, three) = (Tenant::new(1), Tenant::new(2), Tenant::new(3));
        let first = shares.take(one).unwrap();
        let _second = shares.take(one).unwrap();
        assert_eq!(shares.take(one).unwrap_err(), 2);
        let _others = (shares.take(two).unwrap(), shares.take(two).unwrap());
        let _last = shares.take(three).unwrap();
        assert_eq!(shares.take(three).unwrap_err(), 5);
        drop(first);
        let _again = shares.take(three).unwrap();
        assert_eq!(shares.take(one).unwrap_err(), 5);
    }

    #[test]
    fn what_is_given_back_leaves_no_trace() {
        let shares = Shares::new(1, 1);
        for tenant in 0..100 {
            drop(shares.take(Tenant::new(tenant)).unwrap());
        }
        assert!(lock(&shares.taken).by.is_empty());
    }

    #[test]
    fn seats_are_the_same_for_the_same_tenant_and_others_for_others() {
        let seats = Seats::new(1);
        let taken = seats.of(Tenant::new(1)).try_acquire_owned().unwrap();
        assert!(seats.of(Tenant::new(1)).try_acquire().is_err());
        assert!(seats.of(Tenant::new(2)).try_acquire().is_ok());
        drop(taken);
        assert!(seats.of(Tenant::new(1)).try_acquire().is_ok());
    }
}
