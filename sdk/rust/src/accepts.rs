//! Which forms of a column a function takes as they are.

use crate::bindings::base::tenon::plugin::types as wit;

/// The forms of a column that a function works on itself. What it does not accept, the host rewrites: a view of
/// strings arrives as a `StringArray`, a dictionary or runs as their values, a list view as a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepts {
    /// `StringViewArray` and `BinaryViewArray`.
    pub views: bool,
    /// `DictionaryArray`.
    pub dictionaries: bool,
    /// `RunArray`.
    pub runs: bool,
    /// `ListViewArray` and `LargeListViewArray`.
    pub list_views: bool,
}

impl Accepts {
    /// Nothing but plain arrays: what most functions want.
    pub const PLAIN: Self = Self {
        views: false,
        dictionaries: false,
        runs: false,
        list_views: false,
    };

    /// Every column as it is.
    pub const ALL: Self = Self {
        views: true,
        dictionaries: true,
        runs: true,
        list_views: true,
    };
}

impl From<Accepts> for wit::Accepts {
    fn from(accepts: Accepts) -> Self {
        Self {
            views: accepts.views,
            dictionaries: accepts.dictionaries,
            runs: accepts.runs,
            list_views: accepts.list_views,
            // Always: repeating a value here is cheaper than moving it for each row.
            constants: true,
        }
    }
}
