//! What can be wrong with a transform before there is any data: the bounds of Glue's API, and what it would mean.

use std::collections::BTreeSet;

use super::{
    Aggregate, DropNullFields, FilterExpression, Join, Mapping, Merge, Node, Operation,
    RenameField, Route, Spigot,
};
use crate::transform::{Code, NullDatatypes};

/// Rows of a [`Spigot`]'s sample, at most.
pub(crate) const MAX_TOPK: i64 = 100;

/// Operations of an [`Aggregate`].
const MAX_AGGREGATES: usize = 30;

/// Values of the author's of a [`DropNullFields`].
const MAX_NULL_TEXTS: usize = 50;

/// Says what is wrong with a transform; nothing of a node of another kind.
pub(super) fn transform(node: &Node) -> Result<(), String> {
    match node {
        Node::ApplyMapping(n) => n.mapping.iter().try_for_each(mapping),
        Node::SelectFields(n) => paths("Paths", &n.paths),
        Node::DropFields(n) => paths("Paths", &n.paths),
        Node::SplitFields(n) => paths("Paths", &n.paths),
        Node::RenameField(n) => rename_field(n),
        Node::Spigot(n) => spigot(n),
        Node::Join(n) => join(n),
        Node::FillMissingValues(n) if n.imputed_path.trim().is_empty() => {
            Err("ImputedPath names no column".to_owned())
        }
        Node::Filter(n) => filters("Filters", &n.filters),
        Node::CustomCode(n) => Code::of(n).map(drop),
        Node::DropNullFields(n) => drop_null_fields(n),
        Node::Merge(n) => merge(n),
        Node::Aggregate(n) => aggregate(n),
        Node::Route(n) => route(n),
        _ => Ok(()),
    }
}

/// At least one path, none of them empty.
fn paths(member: &str, paths: &[Vec<String>]) -> Result<(), String> {
    match paths {
        [] => Err(format!("{member} names no column")),
        paths => paths.iter().try_for_each(|p| path(member, p)),
    }
}

fn path(member: &str, path: &[String]) -> Result<(), String> {
    match path.is_empty() || path.iter().any(String::is_empty) {
        true => Err(format!("{member} has a path without a name: {path:?}")),
        false => Ok(()),
    }
}

fn mapping(mapping: &Mapping) -> Result<(), String> {
    path("FromPath", &mapping.from_path)?;
    if mapping.children.is_empty() || mapping.dropped {
        return Ok(());
    }
    let to_type = mapping.to_type.as_deref().unwrap_or("struct");
    if !to_type.eq_ignore_ascii_case("struct") {
        return Err(format!(
            "Mapping of {:?} has Children, so its ToType is struct, not {to_type}",
            mapping.to_key
        ));
    }
    mapping.children.iter().try_for_each(self::mapping)
}

fn rename_field(node: &RenameField) -> Result<(), String> {
    path("SourcePath", &node.source_path)?;
    path("TargetPath", &node.target_path)?;
    let parent = |path: &[String]| path[..path.len() - 1].to_vec();
    if parent(&node.source_path) != parent(&node.target_path) {
        return Err(format!(
            "TargetPath {} is in another place than SourcePath {}; a field is renamed where it is, an ApplyMapping node \
             moves it",
            node.target_path.join("."),
            node.source_path.join(".")
        ));
    }
    Ok(())
}

fn spigot(node: &Spigot) -> Result<(), String> {
    if node.path.trim().is_empty() {
        return Err("Path is empty; give a folder or a file for the sample".to_owned());
    }
    if let Some(topk) = node.topk
        && !(0..=MAX_TOPK).contains(&topk)
    {
        return Err(format!("Topk is {topk}; it is 0 to {MAX_TOPK}"));
    }
    match node.prob {
        Some(prob) if !(0.0..=1.0).contains(&prob) => Err(format!("Prob is {prob}; it is 0 to 1")),
        _ => Ok(()),
    }
}

fn join(node: &Join) -> Result<(), String> {
    let [first, second] = node.columns.as_slice() else {
        return Err(format!(
            "Columns has {} entries; it has one for each of the two inputs",
            node.columns.len()
        ));
    };
    for side in [first, second] {
        paths("Columns.Keys", &side.keys)?;
    }
    if first.keys.len() != second.keys.len() {
        return Err(format!(
            "{:?} has {} Keys and {:?} has {}; they are compared one by one",
            first.from,
            first.keys.len(),
            second.from,
            second.keys.len()
        ));
    }
    let named: BTreeSet<&String> = [&first.from, &second.from].into();
    let inputs: BTreeSet<&String> = node.inputs.iter().collect();
    match named == inputs {
        true => Ok(()),
        false => Err(format!(
            "Columns are From {:?} and {:?}; its inputs are {}",
            first.from,
            second.from,
            node.inputs.join(", ")
        )),
    }
}

fn merge(node: &Merge) -> Result<(), String> {
    paths("PrimaryKeys", &node.primary_keys)?;
    let mut sources = node.inputs.iter().filter(|input| **input == node.source);
    match (sources.next(), sources.next()) {
        (Some(_), None) => Ok(()),
        (None, _) => Err(format!(
            "Source is {:?}, which is not among its inputs {}",
            node.source,
            node.inputs.join(", ")
        )),
        _ => Err(format!(
            "both inputs are {:?}; the other one is what it is merged with",
            node.source
        )),
    }
}

fn aggregate(node: &Aggregate) -> Result<(), String> {
    let count = node.aggs.len();
    if !(1..=MAX_AGGREGATES).contains(&count) {
        return Err(format!(
            "Aggs has {count} entries; it has 1 to {MAX_AGGREGATES}"
        ));
    }
    node.groups.iter().try_for_each(|p| path("Groups", p))?;
    let mut columns = node.aggs.iter().map(|agg| &agg.column);
    columns.try_for_each(|p| path("Aggs.Column", p))
}

fn route(node: &Route) -> Result<(), String> {
    if node.group_filters_list.is_empty() {
        return Err("GroupFiltersList is empty; it has one entry for each output".to_owned());
    }
    let mut names = BTreeSet::new();
    for group in &node.group_filters_list {
        if !names.insert(&group.group_name) {
            return Err(format!("two groups are named {:?}", group.group_name));
        }
        filters(&format!("group {:?}", group.group_name), &group.filters)?;
    }
    Ok(())
}

fn filters(place: &str, filters: &[FilterExpression]) -> Result<(), String> {
    if filters.is_empty() {
        return Err(format!("{place}: there is no condition"));
    }
    for filter in filters {
        let (wanted, found) = (operands(filter.operation), filter.values.len());
        if wanted != found {
            return Err(format!(
                "{place}: {} takes {wanted} Values, not {found}",
                format!("{:?}", filter.operation).to_uppercase()
            ));
        }
    }
    Ok(())
}

fn operands(operation: Operation) -> usize {
    match operation {
        Operation::IsNull => 1,
        _ => 2,
    }
}

fn drop_null_fields(node: &DropNullFields) -> Result<(), String> {
    let count = node.null_text_list.len();
    if count > MAX_NULL_TEXTS {
        return Err(format!(
            "NullTextList has {count} entries; it has at most {MAX_NULL_TEXTS}"
        ));
    }
    NullDatatypes::of(&node.null_text_list).map(drop)
}
