//! [`Limits`]: how many requests an account may make, and [`Replays`]: signatures that were used already.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::account::Quotas;

/// Failed logins of an account that are written to its audit log, a minute; the others are in the server's log.
const FAILED_A_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

/// How long a signature is remembered, at least: longer than a request may be late.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// Signatures remembered in one generation, at most.
const MAX_REMEMBERED: usize = 500_000;

/// Signatures have whole seconds, so two honest requests of the same content within one are the same.
const HONEST_REPEAT: Duration = Duration::from_secs(2);

/// Rates of all accounts.
pub(super) struct Limits {
    rates: Mutex<HashMap<String, Rate>>,
    failed: DefaultKeyedRateLimiter<String>,
}

struct Rate {
    per_second: NonZeroU32,
    burst: NonZeroU32,
    limiter: DefaultDirectRateLimiter,
}

impl Limits {
    pub(super) fn new() -> Self {
        Self {
            rates: Mutex::default(),
            failed: RateLimiter::keyed(Quota::per_minute(FAILED_A_MINUTE)),
        }
    }

    /// Whether the account may make a request now.
    pub(super) fn admits(&self, account: &str, quotas: &Quotas) -> bool {
        let Some(per_second) = quotas.requests_per_second.and_then(NonZeroU32::new) else {
            return true;
        };
        let burst = quotas.burst.and_then(NonZeroU32::new);
        let burst =
            burst.unwrap_or_else(|| per_second.saturating_mul(NonZeroU32::MIN.saturating_add(1)));
        let mut rates = lock(&self.rates);
        let fresh = || Rate {
            per_second,
            burst,
            limiter: RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst)),
        };
        let rate = rates.entry(account.to_owned()).or_insert_with(fresh);
        if (rate.per_second, rate.burst) != (per_second, burst) {
            *rate = fresh();
        }
        rate.limiter.check().is_ok()
    }

    /// Whether a failed login of the account is to be written to its audit log.
    pub(super) fn records_failure(&self, account: &str) -> bool {
        self.failed.check_key(&account.to_owned()).is_ok()
    }
}

/// Signatures that were used, in two generations: what is remembered is in one of them for long enough.
pub(super) struct Replays(Mutex<Generations>);

struct Generations {
    begun: SystemTime,
    current: HashMap<[u8; 32], SystemTime>,
    previous: HashMap<[u8; 32], SystemTime>,
}

impl Replays {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Generations {
            begun: SystemTime::UNIX_EPOCH,
            current: HashMap::new(),
            previous: HashMap::new(),
        }))
    }

    /// Whether this signature, which was found right, was used before. Remembers it.
    pub(super) fn is_replay(&self, signature: [u8; 32], now: SystemTime) -> bool {
        let mut all = lock(&self.0);
        let age = now.duration_since(all.begun);
        if age.is_ok_and(|age| age >= REMEMBERED) || all.current.len() >= MAX_REMEMBERED {
            all.previous = std::mem::take(&mut all.current);
            all.begun = now;
        }
        let earlier = all.previous.get(&signature).copied();
        let first = *all
            .current
            .entry(signature)
            .or_insert_with(|| earlier.unwrap_or(now));
        now.duration_since(first)
            .is_ok_and(|age| age > HONEST_REPEAT)
    }
}

/// What is behind these locks is whole whenever a thread can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_holds_for_its_account_until_it_is_changed() {
        let limits = Limits::new();
        let quotas = Quotas {
            requests_per_second: Some(1),
            burst: Some(3),
            ..Quotas::default()
        };
        let admitted = |account: &str, quotas: &Quotas| {
            (0..10).filter(|_| limits.admits(account, quotas)).count()
        };
        assert_eq!(admitted("a", &quotas), 3);
        assert_eq!(admitted("a", &quotas), 0);
        assert_eq!(admitted("b", &quotas), 3);
        assert_eq!(admitted("a", &Quotas::default()), 10);
        let wider = Quotas {
            burst: Some(5),
            ..quotas
        };
        assert_eq!(admitted("a", &wider), 5);
        assert_eq!((0..10).filter(|_| limits.records_failure("a")).count(), 5);
    }

    #[test]
    fn a_signature_is_good_for_its_own_second_only() {
        let replays = Replays::new();
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
        assert!(!replays.is_replay([1; 32], at(0)));
        assert!(!replays.is_replay([1; 32], at(1)));
        assert!(replays.is_replay([1; 32], at(3)));
        assert!(!replays.is_replay([2; 32], at(3)));
        assert!(replays.is_replay([1; 32], at(599)));
        // Also over the change of generations, as long as its time would be accepted.
        assert!(replays.is_replay([2; 32], at(601)));
        assert!(replays.is_replay([2; 32], at(700)));
        for round in 1..=3 {
            replays.is_replay([3; 32], at(10_000 * round));
        }
        assert!(!replays.is_replay([2; 32], at(50_000)));
    }
}
