//! A sample of a stream that depends on what is in it alone: the entries with the smallest hashes, whatever their order.

/// Keeps the entries with the smallest hashes.
#[derive(Debug)]
pub(crate) struct Smallest<T> {
    kept: Vec<(u64, T)>,
    count: usize,
    /// Hashes above this are not among the smallest.
    ceiling: u64,
}

impl<T: Ord> Smallest<T> {
    /// Nothing kept yet, `count` entries at most.
    pub(crate) fn new(count: usize) -> Self {
        Self {
            kept: Vec::new(),
            count,
            ceiling: u64::MAX,
        }
    }

    /// Sees an entry, which is made only when it may stay.
    pub(crate) fn observe(&mut self, hash: u64, entry: impl FnOnce() -> T) {
        if hash > self.ceiling {
            return;
        }
        self.kept.push((hash, entry()));
        if self.kept.len() >= 2 * self.count {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.kept.sort_unstable();
        self.kept.truncate(self.count);
        if self.kept.len() == self.count
            && let Some(last) = self.kept.last()
        {
            self.ceiling = last.0;
        }
    }

    /// The entries, by their hashes.
    pub(crate) fn finish(mut self) -> impl Iterator<Item = T> {
        self.cut();
        self.kept.into_iter().map(|(_, entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;

    #[test]
    fn what_is_kept_does_not_depend_on_the_order() {
        let kept = |entries: &mut dyn Iterator<Item = u64>| {
            let mut smallest = Smallest::new(1_000);
            entries.for_each(|n| smallest.observe(hash::mix(1, n), || n));
            smallest.finish().collect::<Vec<_>>()
        };
        let forwards = kept(&mut (0..50_000));
        assert_eq!(forwards.len(), 1_000);
        assert_eq!(forwards, kept(&mut (0..50_000).rev()));
        let late = forwards.iter().filter(|n| **n >= 25_000).count();
        assert!(
            (420..580).contains(&late),
            "{late} of 1000 are from the second half"
        );
        assert_eq!(kept(&mut (0..7)).len(), 7);
    }
}
