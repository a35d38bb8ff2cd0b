//! One node of a graph: which kinds there are, and what is true of each without looking at data.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{
    Aggregate, ApplyMapping, CatalogSource, CatalogTarget, CsvSource, CustomCode, DirectSource,
    DirectTarget, DropDuplicates, DropFields, DropNullFields, DynamicTransform, ExcelSource,
    FillMissingValues, Filter, Join, JsonSource, Merge, ParquetSource, ParquetTarget, RenameField,
    Route, SelectFields, SelectFromCollection, SparkSql, Spigot, SplitFields, Union, check, files,
};
use crate::error::{Error, Result};
use crate::transform;

/// One node: exactly one kind, as in Glue's `CodeGenConfigurationNode`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the kinds are Glue's; their members are documented on their types"
)]
pub enum Node {
    S3CsvSource(CsvSource),
    S3JsonSource(JsonSource),
    S3ParquetSource(ParquetSource),
    S3ExcelSource(ExcelSource),
    S3DirectSource(DirectSource),
    CatalogSource(CatalogSource),
    S3CatalogSource(CatalogSource),
    ApplyMapping(ApplyMapping),
    SelectFields(SelectFields),
    DropFields(DropFields),
    RenameField(RenameField),
    Spigot(Spigot),
    Join(Join),
    SplitFields(SplitFields),
    FillMissingValues(FillMissingValues),
    Filter(Filter),
    SparkSQL(SparkSql),
    CustomCode(CustomCode),
    DropDuplicates(DropDuplicates),
    DropNullFields(DropNullFields),
    Merge(Merge),
    Union(Union),
    Aggregate(Aggregate),
    Route(Route),
    DynamicTransform(DynamicTransform),
    SelectFromCollection(SelectFromCollection),
    S3GlueParquetTarget(ParquetTarget),
    S3DirectTarget(DirectTarget),
    CatalogTarget(CatalogTarget),
    S3CatalogTarget(CatalogTarget),
}

/// What is true of a node of any kind.
struct Facts<'a> {
    /// In Glue's word.
    kind: &'static str,
    name: &'a str,
    inputs: &'a [String],
    /// How many inputs its kind takes.
    arity: RangeInclusive<usize>,
    /// How many outputs it has; none where only its plugin knows.
    outputs: Option<usize>,
}

impl<'a> Facts<'a> {
    fn source(kind: &'static str, name: &'a str) -> Self {
        Self::new(kind, name, &[]).takes(0..=0)
    }

    /// One input, one output.
    fn new(kind: &'static str, name: &'a str, inputs: &'a [String]) -> Self {
        Self {
            kind,
            name,
            inputs,
            arity: 1..=1,
            outputs: Some(1),
        }
    }

    fn takes(self, arity: RangeInclusive<usize>) -> Self {
        Self { arity, ..self }
    }

    fn gives(self, outputs: Option<usize>) -> Self {
        Self { outputs, ..self }
    }

    fn target(kind: &'static str, name: &'a str, inputs: &'a [String]) -> Self {
        Self::new(kind, name, inputs).gives(Some(0))
    }
}

impl Node {
    /// One line for each kind.
    fn facts(&self) -> Facts<'_> {
        match self {
            Self::S3CsvSource(n) => Facts::source("S3CsvSource", &n.name),
            Self::S3JsonSource(n) => Facts::source("S3JsonSource", &n.name),
            Self::S3ParquetSource(n) => Facts::source("S3ParquetSource", &n.name),
            Self::S3ExcelSource(n) => Facts::source("S3ExcelSource", &n.name),
            Self::S3DirectSource(n) => Facts::source("S3DirectSource", &n.name),
            Self::CatalogSource(n) => Facts::source("CatalogSource", &n.name),
            Self::S3CatalogSource(n) => Facts::source("S3CatalogSource", &n.name),
            Self::ApplyMapping(n) => Facts::new("ApplyMapping", &n.name, &n.inputs),
            Self::SelectFields(n) => Facts::new("SelectFields", &n.name, &n.inputs),
            Self::DropFields(n) => Facts::new("DropFields", &n.name, &n.inputs),
            Self::RenameField(n) => Facts::new("RenameField", &n.name, &n.inputs),
            Self::Spigot(n) => Facts::new("Spigot", &n.name, &n.inputs),
            Self::Join(n) => Facts::new("Join", &n.name, &n.inputs).takes(2..=2),
            Self::SplitFields(n) => Facts::new("SplitFields", &n.name, &n.inputs).gives(Some(2)),
            Self::FillMissingValues(n) => Facts::new("FillMissingValues", &n.name, &n.inputs),
            Self::Filter(n) => Facts::new("Filter", &n.name, &n.inputs),
            Self::SparkSQL(n) => Facts::new("SparkSQL", &n.name, &n.inputs).takes(1..=64),
            Self::CustomCode(n) => Facts::new("CustomCode", &n.name, &n.inputs)
                .takes(1..=64)
                .gives(None),
            Self::DropDuplicates(n) => Facts::new("DropDuplicates", &n.name, &n.inputs),
            Self::DropNullFields(n) => Facts::new("DropNullFields", &n.name, &n.inputs),
            Self::Merge(n) => Facts::new("Merge", &n.name, &n.inputs).takes(2..=2),
            Self::Union(n) => Facts::new("Union", &n.name, &n.inputs).takes(2..=2),
            Self::Aggregate(n) => Facts::new("Aggregate", &n.name, &n.inputs),
            Self::Route(n) => {
                let outputs = Some(n.group_filters_list.len() + 1);
                Facts::new("Route", &n.name, &n.inputs).gives(outputs)
            }
            Self::DynamicTransform(n) => Facts::new("DynamicTransform", &n.name, &n.inputs)
                .takes(0..=16)
                .gives(None),
            Self::SelectFromCollection(n) => Facts::new("SelectFromCollection", &n.name, &n.inputs),
            Self::S3GlueParquetTarget(n) => {
                Facts::target("S3GlueParquetTarget", &n.name, &n.inputs)
            }
            Self::S3DirectTarget(n) => Facts::target("S3DirectTarget", &n.name, &n.inputs),
            Self::CatalogTarget(n) => Facts::target("CatalogTarget", &n.name, &n.inputs),
            Self::S3CatalogTarget(n) => Facts::target("S3CatalogTarget", &n.name, &n.inputs),
        }
    }

    /// The kind, in Glue's word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.facts().kind
    }

    /// The name that its author gave it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.facts().name
    }

    /// The ids of the nodes that it reads.
    #[must_use]
    pub fn inputs(&self) -> &[String] {
        self.facts().inputs
    }

    /// Whether it writes.
    #[must_use]
    pub fn is_target(&self) -> bool {
        self.outputs() == Some(0)
    }

    /// The plugin that it calls: `tenon:find-matches@1`.
    pub(crate) fn plugin(&self) -> Option<&str> {
        match self {
            Self::DynamicTransform(n) => Some(&n.path),
            Self::CustomCode(n) => match transform::Code::of(n) {
                Ok(transform::Code::Plugin(plugin)) => Some(plugin),
                _ => None,
            },
            _ => None,
        }
    }

    /// How many inputs its kind takes.
    pub(super) fn arity(&self) -> RangeInclusive<usize> {
        self.facts().arity
    }

    /// How many outputs it has: 0 of a target; none where only its plugin knows.
    pub(crate) fn outputs(&self) -> Option<usize> {
        self.facts().outputs
    }

    /// Which output of its input it reads.
    pub(super) fn chosen_output(&self) -> usize {
        match self {
            Self::SelectFromCollection(n) => n.index,
            _ => 0,
        }
    }

    /// How often it reads the node of that id and name, for each output that somebody reads of itself.
    pub(super) fn reads(&self, id: &str, name: &str) -> usize {
        let mentioned = || self.inputs().iter().filter(|input| *input == id).count();
        match self {
            Self::SparkSQL(sql) => {
                let aliases = sql.sql_aliases.iter().filter(|alias| alias.from == id);
                aliases
                    .map(|alias| transform::mentions(&sql.sql_query, &alias.alias))
                    .sum()
            }
            Self::CustomCode(code) => transform::Code::reads(code, id, name),
            // The staging input tells also which rows of the source stay.
            Self::Merge(merge) if merge.source != id => 2 * mentioned(),
            // Once to learn from all rows, once to go on; a spigot's sample is drawn on its own.
            Self::FillMissingValues(_) | Self::DropNullFields(_) | Self::Spigot(_) => {
                2 * mentioned()
            }
            _ => mentioned(),
        }
    }

    /// Refuses what cannot be acted on, as far as the node alone shows it.
    pub(super) fn check(&self) -> Result<()> {
        if let Some((member, reason)) = files::unserved(self) {
            return Err(Error::node(self.name(), format!("{member}: {reason}")));
        }
        if self.file_members().is_some() {
            crate::source::FileReading::of(self)?;
        }
        if self.is_target() {
            return crate::target::check(self);
        }
        check::transform(self).map_err(|why| Error::node(self.name(), why))
    }
}
