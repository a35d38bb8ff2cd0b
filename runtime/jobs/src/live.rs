//! [`Live`]: how far runs are that this process sees through, between what the records say.

use std::collections::HashMap;

use parking_lot::Mutex;
use tenon_store::Tenant;

use crate::metrics::RunMetrics;
use crate::port::RunKey;
use crate::stored::Place;

/// What runs reported last.
#[derive(Default)]
pub(crate) struct Live(Mutex<HashMap<(Tenant, Place), RunMetrics>>);

impl Live {
    pub(crate) fn set(&self, key: RunKey, metrics: &RunMetrics) {
        let mut live = self.0.lock();
        live.insert((key.tenant, key.place), metrics.clone());
    }

    pub(crate) fn remove(&self, key: RunKey) {
        self.0.lock().remove(&(key.tenant, key.place));
    }

    pub(crate) fn get(&self, tenant: Tenant, place: Place) -> Option<RunMetrics> {
        self.0.lock().get(&(tenant, place)).cloned()
    }
}
