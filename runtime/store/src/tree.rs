//! [`Tree`]: the named trees records live in, and the engine's own spaces beside them.

use std::fmt;

/// A named tree of records. The list is closed: the engine keeps memory for each tree, and a tree is part of
/// the stored layout. Tenants and kinds of object share trees; the key tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Tree {
    /// Current objects.
    Object,
    /// Full older versions of objects.
    Version,
    /// Partitions of tables.
    Partition,
    /// Secondary indexes.
    Index,
    /// Records of job runs.
    Run,
    /// Scheduled work, by time.
    Due,
    /// Job bookmarks.
    Bookmark,
    /// Plugin metadata.
    Plugin,
    /// Encrypted secrets.
    Secret,
    /// Answers to requests that carried a client token.
    Idempotency,
}

impl Tree {
    /// Every tree.
    pub const ALL: [Self; 10] = [
        Self::Object,
        Self::Version,
        Self::Partition,
        Self::Index,
        Self::Run,
        Self::Due,
        Self::Bookmark,
        Self::Plugin,
        Self::Secret,
        Self::Idempotency,
    ];

    /// The stored name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Object => "obj",
            Self::Version => "ver",
            Self::Partition => "part",
            Self::Index => "idx",
            Self::Run => "run",
            Self::Due => "due",
            Self::Bookmark => "mark",
            Self::Plugin => "plug",
            Self::Secret => "secret",
            Self::Idempotency => "idem",
        }
    }

    /// The stored number, in keys of chunks. Never reused for another tree.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Object => 1,
            Self::Version => 2,
            Self::Partition => 3,
            Self::Index => 4,
            Self::Run => 5,
            Self::Due => 6,
            Self::Bookmark => 7,
            Self::Plugin => 8,
            Self::Secret => 9,
            Self::Idempotency => 10,
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where an engine keeps an entry: a tree, or one of the spaces callers do not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Space {
    Records(Tree),
    /// Pieces of payloads that are too large for one entry.
    Chunks,
    /// Format, sequence number and digest. The engine's own: neither in the journal nor in the digest.
    Meta,
}

impl Space {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Tree::ALL
            .into_iter()
            .map(Self::Records)
            .chain([Self::Chunks, Self::Meta])
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Records(tree) => tree.name(),
            Self::Chunks => "chunk",
            Self::Meta => "meta",
        }
    }

    /// The stored number, in the journal and in checkpoints. Never reused for another space.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Records(tree) => tree.code(),
            Self::Chunks => 200,
            Self::Meta => 201,
        }
    }

    /// The space with this number; none for [`Space::Meta`], which is never written down.
    pub(crate) fn of_code(code: u8) -> Option<Self> {
        Self::stored().find(|space| space.code() == code)
    }

    /// Every space that the journal covers, in ascending order.
    pub(crate) fn stored() -> impl Iterator<Item = Self> {
        Self::all().filter(|space| *space != Self::Meta)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_codes_are_distinct() {
        let names: BTreeSet<_> = Space::all().map(Space::name).collect();
        let codes: BTreeSet<_> = Tree::ALL.map(Tree::code).into();
        assert_eq!(
            (names.len(), codes.len()),
            (Tree::ALL.len() + 2, Tree::ALL.len())
        );
        let codes: BTreeSet<_> = Space::all().map(Space::code).collect();
        assert_eq!(codes.len(), Tree::ALL.len() + 2);
        assert!(Space::stored().is_sorted());
        assert!(Space::stored().all(|space| Space::of_code(space.code()) == Some(space)));
    }
}
