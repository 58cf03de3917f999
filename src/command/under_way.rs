//! Limits how much each person has under way.

use std::collections::HashMap;

use parking_lot::{Mutex, MutexGuard};

use crate::domain::UserId;

/// Counts something by person, and lets nobody have too many.
pub struct UnderWay {
    most: usize,
    /// People with none have no entry.
    counts: Mutex<HashMap<UserId, usize>>,
}

/// One thing that is under way until this is dropped.
#[must_use = "dropping it ends what is counted"]
pub struct UnderWayGuard<'a> {
    of: &'a UnderWay,
    person: UserId,
}

impl UnderWay {
    /// Nothing yet; at most this many for one person.
    pub fn new(most: usize) -> Self {
        Self { most, counts: Mutex::default() }
    }

    /// How many one person may have.
    pub fn most(&self) -> usize {
        self.most
    }

    /// One more for this person, unless they have as many as they may.
    pub fn begin(&self, person: UserId) -> Option<UnderWayGuard<'_>> {
        let mut counts = self.counts();
        let count = counts.get(&person).copied().unwrap_or(0);
        (count < self.most).then(|| {
            counts.insert(person, count + 1);
            UnderWayGuard { of: self, person }
        })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.counts.lock()
    }
}

impl Drop for UnderWayGuard<'_> {
    fn drop(&mut self) {
        let mut counts = self.of.counts();
        match counts.get_mut(&self.person) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.person)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_person_has_so_many_at_once() {
        let [ada, bob] = [1, 2].map(|id| UserId::new(id).unwrap());
        let under_way = UnderWay::new(2);
        let (first, _second) = (under_way.begin(ada).unwrap(), under_way.begin(ada).unwrap());
        assert!(under_way.begin(ada).is_none());
        drop(under_way.begin(bob).unwrap());
        drop(first);
        drop(under_way.begin(ada).unwrap());
        assert_eq!(*under_way.counts(), HashMap::from([(ada, 1)]));
    }
}
