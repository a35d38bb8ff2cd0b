//! What goes over the wire: a struct for each structure that requests and answers of the supported operations
//! consist of, made of the service model by `generate.rs`, which says how.
//!
//! Structures that the catalog stores under the same name are the catalog's own, `catalog::TableInput` and the like, and so
//! are those of jobs: they are read from a request and written into an answer as they are, without a copy.
//!
//! **What is absent is not written**: a member of an answer that is `None` does not stand in the text. A member
//! that a request must have is no option, since the model's rules are checked before a request is read. Members
//! that the model does not know are ignored.
#![expect(
    dead_code,
    reason = "requests have members that change nothing here, answers some that only AWS can fill"
)]

/// Structures of requests.
macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $member:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "PascalCase")]
        pub(crate) struct $name {
            $($(#[$attribute])* pub(crate) $member: $type,)*
        }
    )*};
}

/// Structures that answers consist of.
macro_rules! parts_of_answers {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $member:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Default, serde::Serialize)]
        #[serde(rename_all = "PascalCase")]
        pub(crate) struct $name {
            $(
                $(#[$attribute])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(crate) $member: $type,
            )*
        }
    )*};
}

/// Answers of operations that succeed as a whole.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident $members:tt)*) => {
        parts_of_answers! { $($(#[$doc])* $name $members)* }
        $(impl super::Answer for $name {})*
    };
}

/// Answers of operations of which parts may fail.
macro_rules! partial_answers {
    ($($(#[$doc:meta])* $name:ident $members:tt)*) => {
        parts_of_answers! { $($(#[$doc])* $name $members)* }
        $(impl super::Answer for $name {
            fn failures(&self) -> usize {
                self.errors.as_ref().map_or(0, |errors| errors.len())
            }
        })*
    };
}

/// Structures of requests and of answers.
macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $member:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Default, serde::Deserialize, serde::Serialize)]
        #[serde(rename_all = "PascalCase")]
        pub(crate) struct $name {
            $(
                $(#[$attribute])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(crate) $member: $type,
            )*
        }
    )*};
}

mod answers;
#[cfg(test)]
mod generate;
mod parts;
mod requests;
#[cfg(test)]
mod tests;

pub(super) use answers::*;
pub(super) use parts::*;
pub(super) use requests::*;

/// What an operation answers.
pub(crate) trait Answer: serde::Serialize {
    /// How many parts of what was asked for failed.
    fn failures(&self) -> usize {
        0
    }
}
