//! Nodes that make rows of rows, in Glue's members and spelling. What each does is in `transform`.

use serde::{Deserialize, Serialize};

/// Renames, casts, reorders and drops columns: what is not mapped is dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct ApplyMapping {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// In output order.
    pub mapping: Vec<Mapping>,
}

/// One column of an [`ApplyMapping`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Mapping {
    /// The column's name afterwards.
    pub to_key: String,
    /// Where it is: a column, then fields of structs.
    pub from_path: Vec<String>,
    /// Its type before, for information; what the input really has counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_type: Option<String>,
    /// Its type afterwards, in Glue's words. Default: unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_type: Option<String>,
    /// Whether it is left out.
    #[serde(default)]
    pub dropped: bool,
    /// Of a struct: its fields afterwards, their paths as seen from it. Default: unchanged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Mapping>,
}

/// Keeps rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Filter {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// Whether all filters must hold, or one.
    pub logical_operator: LogicalOperator,
    /// At least one.
    pub filters: Vec<FilterExpression>,
}

/// How filters combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogicalOperator {
    /// All must hold.
    And,
    /// One must hold.
    Or,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FilterExpression {
    /// The comparison.
    pub operation: Operation,
    /// Whether it must not hold.
    #[serde(default)]
    pub negated: bool,
    /// A column, and for all but `ISNULL` something to compare it with.
    pub values: Vec<FilterValue>,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "Glue's words, which say it all")]
pub enum Operation {
    Eq,
    Lt,
    Gt,
    Lte,
    Gte,
    Regex,
    IsNull,
}

/// An operand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FilterValue {
    /// What it is.
    pub r#type: FilterValueType,
    /// The path of a column, or one constant as text.
    pub value: Vec<String>,
}

/// What an operand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "Glue's words, which say it all")]
pub enum FilterValueType {
    ColumnExtracted,
    Constant,
}

/// One query over its inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SparkSql {
    /// The node's name.
    pub name: String,
    /// The nodes that it reads.
    pub inputs: Vec<String>,
    /// The query, in DataFusion's SQL.
    pub sql_query: String,
    /// The names by which it knows its inputs.
    pub sql_aliases: Vec<SqlAlias>,
}

/// The name of an input in a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SqlAlias {
    /// A node's id.
    pub from: String,
    /// The table's name in the query.
    pub alias: String,
}

/// Keeps one row of those that agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DropDuplicates {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// The columns that must agree. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Vec<String>>,
}

/// A plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DynamicTransform {
    /// The node's name.
    pub name: String,
    /// What people call the transform.
    pub transform_name: String,
    /// The nodes that it reads; none where the plugin is a source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Its settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    /// The plugin's function.
    pub function_name: String,
    /// The plugin: `tenon:find-matches@1`.
    pub path: String,
}

/// One setting of a plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Parameter {
    /// Its key.
    pub name: String,
    /// What its text means.
    pub r#type: ParameterType,
    /// One text, or several for a list.
    #[serde(default)]
    pub value: Vec<String>,
}

/// What a setting's text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "Glue's words, which say it all")]
pub enum ParameterType {
    Str,
    Int,
    Float,
    Bool,
    List,
    Null,
}

/// One of the outputs of a node that has several, such as a plugin's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SelectFromCollection {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// Which output, from 0.
    pub index: usize,
}

/// Keeps columns, or fields of them; the others are dropped. Their order stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SelectFields {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// What is kept, each a column, then fields of structs.
    pub paths: Vec<Vec<String>>,
}

/// Drops columns, or fields of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DropFields {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// What is dropped, each a column, then fields of structs.
    pub paths: Vec<Vec<String>>,
}

/// Gives one column, or one field of a struct, another name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RenameField {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// Where it is.
    pub source_path: Vec<String>,
    /// The same with another last part.
    pub target_path: Vec<String>,
}

/// Writes a sample of its rows to a file beside passing all of them on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Spigot {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// A folder, or a file with a suffix.
    pub path: String,
    /// Rows of the sample, at most; 0 to 100. Default: 100 without `Prob`, else any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topk: Option<i64>,
    /// With which probability a row is in the sample, 0 to 1. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prob: Option<f64>,
}

/// Rows of two inputs side by side where keys agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Join {
    /// The node's name.
    pub name: String,
    /// Two nodes, the left one first.
    pub inputs: Vec<String>,
    /// Which rows are kept.
    pub join_type: JoinType,
    /// The keys of each input, in the same order.
    pub columns: Vec<JoinColumn>,
}

/// Which rows a [`Join`] keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JoinType {
    /// Pairs that agree.
    Equijoin,
    /// And rows of the left input alone.
    Left,
    /// And rows of the right input alone.
    Right,
    /// And rows of either input alone.
    Outer,
    /// Rows of the left input that agree with one of the right.
    LeftSemi,
    /// Rows of the left input that agree with none of the right.
    LeftAnti,
}

/// The keys of one input of a [`Join`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct JoinColumn {
    /// The input.
    pub from: String,
    /// Paths of columns.
    pub keys: Vec<Vec<String>>,
}

/// Two outputs: some columns, and the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct SplitFields {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// What the first output has; the second has what is left.
    pub paths: Vec<Vec<String>>,
}

/// Adds a column that has an estimate where another one has nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct FillMissingValues {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// The column with missing values: `age`, `$.age`, or `person.age` for a field of a struct.
    pub imputed_path: String,
    /// The new column. Default: the last part of `ImputedPath` with `_filled` behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled_path: Option<String>,
}

/// Drops columns in which no row has a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct DropNullFields {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// What also counts as no value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_check_box_list: Option<NullCheckBoxList>,
    /// Values of the author's that count as none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub null_text_list: Vec<NullValueField>,
}

/// What counts as no value beside null.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct NullCheckBoxList {
    /// Text without a letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_empty: Option<bool>,
    /// The text `null`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_null_string: Option<bool>,
    /// The number -1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_neg_one: Option<bool>,
}

/// A value of the author's that counts as none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct NullValueField {
    /// As text.
    pub value: String,
    /// Of columns of which type.
    pub datatype: NullDatatype,
}

/// The type of a [`NullValueField`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct NullDatatype {
    /// `string`, or that of a number, such as `integer`.
    pub id: String,
    /// What people call it.
    pub label: String,
}

/// Rows of one input, replaced and supplemented by those of another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Merge {
    /// The node's name.
    pub name: String,
    /// Two nodes.
    pub inputs: Vec<String>,
    /// Which of them is replaced; the other one is the staging input.
    pub source: String,
    /// Paths of columns that tell which row is which.
    pub primary_keys: Vec<Vec<String>>,
}

/// Rows of two inputs, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Union {
    /// The node's name.
    pub name: String,
    /// Two nodes; the first one names the columns.
    pub inputs: Vec<String>,
    /// Whether equal rows stay.
    pub union_type: UnionType,
}

/// Whether equal rows stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum UnionType {
    /// All rows.
    All,
    /// One of those that are equal.
    Distinct,
}

/// One row for each group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Aggregate {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// Paths of columns; without any all rows are one group.
    pub groups: Vec<Vec<String>>,
    /// 1 to 30.
    pub aggs: Vec<AggregateOperation>,
}

/// One column of an [`Aggregate`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct AggregateOperation {
    /// The path of a column.
    pub column: Vec<String>,
    /// What is made of it.
    pub agg_func: AggFunction,
}

/// What an [`Aggregate`] makes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "Glue's words, which say it all")]
pub enum AggFunction {
    Avg,
    CountDistinct,
    Count,
    First,
    Last,
    Kurtosis,
    Max,
    Min,
    Skewness,
    #[serde(rename = "stddev_samp")]
    StddevSamp,
    #[serde(rename = "stddev_pop")]
    StddevPop,
    Sum,
    SumDistinct,
    #[serde(rename = "var_samp")]
    VarSamp,
    #[serde(rename = "var_pop")]
    VarPop,
}

/// An output for each group of conditions, and one for the rows that none of them takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Route {
    /// The node's name.
    pub name: String,
    /// One node.
    pub inputs: Vec<String>,
    /// In the order of the outputs; the default output comes after them.
    pub group_filters_list: Vec<GroupFilters>,
}

/// One output of a [`Route`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct GroupFilters {
    /// What it is called.
    pub group_name: String,
    /// At least one.
    pub filters: Vec<FilterExpression>,
    /// Whether all filters must hold, or one.
    pub logical_operator: LogicalOperator,
}

/// A query, or a plugin's function, in the place of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct CustomCode {
    /// The node's name.
    pub name: String,
    /// The nodes that it reads.
    pub inputs: Vec<String>,
    /// One query over the inputs, or `plugin: tenon:clean@1`.
    pub code: String,
    /// Of a plugin: its function. Of a query: for information.
    pub class_name: String,
    /// The columns that the result has to have. Default: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub output_schemas: Vec<super::OutputSchema>,
}
