//! Inputs of operations, made from the service model: required members, members that name something, and texts.

use serde_json::{Map, Value, json};

/// What names can stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    Database,
    Table,
    Partition,
    Function,
    /// Of connections, security configurations, catalogs and whatever else stands for itself.
    Thing,
}

pub(crate) const SLOTS: &[Slot] = &[
    Slot::Database,
    Slot::Table,
    Slot::Partition,
    Slot::Function,
    Slot::Thing,
];

/// A name for each of them, all of one length in every set.
#[derive(Debug, Clone)]
pub(crate) struct Names([String; 5]);

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        Self(
            ["database", "table", "partition", "function", "thing"]
                .map(|what| format!("{prefix}_{what}")),
        )
    }

    /// These names, but those of some slots taken from others.
    pub(crate) fn with(&self, slots: &[Slot], others: &Self) -> Self {
        let mut names = self.clone();
        for &slot in slots {
            names.0[slot as usize].clone_from(&others.0[slot as usize]);
        }
        names
    }

    pub(crate) fn all(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    fn of(&self, slot: Slot) -> &str {
        &self.0[slot as usize]
    }
}

/// Members that are sent although they are not required.
const OPTIONAL: &[&str] = &[
    "ClassName",
    "CodeGenConfigurationNodes",
    "ColumnNames",
    "Columns",
    "Comment",
    "DatabaseName",
    "Description",
    "FunctionName",
    "Location",
    "LocationUri",
    "Name",
    "Owner",
    "Parameters",
    "PartitionKeys",
    "PartitionValues",
    "StorageDescriptor",
    "TableInput",
    "TableName",
    "Type",
    "Values",
    "VersionId",
];

pub(crate) struct Inputs {
    model: Value,
}

impl Inputs {
    pub(crate) fn load() -> Self {
        let model = serde_json::from_str(include_str!("../../src/model/glue.json"));
        Self {
            model: model.expect("the model"),
        }
    }

    /// The input of an operation about these names, with `word` in its texts.
    pub(crate) fn input(
        &self,
        operation: &str,
        names: &Names,
        word: &str,
        catalog: Option<&str>,
    ) -> Value {
        let Some(shape) = self.model["operations"][operation].as_str() else {
            return json!({});
        };
        let maker = Maker {
            shapes: &self.model["shapes"],
            operation,
            names,
            word,
        };
        let mut input = maker.value(shape, &[]);
        for member in ["CatalogId", "CatalogID"] {
            let takes_catalog = !self.model["shapes"][shape]["members"][member].is_null();
            if let Some(catalog) = catalog.filter(|_| takes_catalog) {
                input[member] = json!(catalog);
            }
        }
        input
    }
}

impl Inputs {
    /// The account, for operations that must be told whose catalog is meant.
    pub(crate) fn catalog_of<'a>(&self, operation: &str, account: &'a str) -> Option<&'a str> {
        let shape = self.model["operations"][operation].as_str()?;
        let required = self.model["shapes"][shape]["required"].as_array()?;
        required.contains(&json!("CatalogId")).then_some(account)
    }
}

struct Maker<'a> {
    shapes: &'a Value,
    operation: &'a str,
    names: &'a Names,
    word: &'a str,
}

impl Maker<'_> {
    /// A value of a shape; `path` holds the members around it.
    fn value(&self, shape: &str, path: &[&str]) -> Value {
        let rules = &self.shapes[shape];
        match rules["type"].as_str().unwrap_or_default() {
            "structure" => self.structure(rules, path),
            "list" => {
                let of = rules["of"].as_str().unwrap_or_default();
                json!([self.value(of, path)])
            }
            "map" => {
                let keys = &self.shapes[rules["key"].as_str().unwrap_or_default()]["enum"];
                let key = keys[0].as_str().map(str::to_owned);
                let key = key.unwrap_or_else(|| format!("key_{}", self.word));
                let of = rules["of"].as_str().unwrap_or_default();
                match self.shapes[of]["type"].as_str() {
                    Some("structure") => json!({key: self.value(of, path)}),
                    _ => json!({key: self.word}),
                }
            }
            "string" => json!(self.text(rules, path)),
            "boolean" => json!(false),
            "blob" => json!("AA=="),
            "timestamp" => json!(1_440_000_000),
            _ => rules["min"]
                .as_f64()
                .map_or(json!(1), |min| json!(min.max(1.0) as i64)),
        }
    }

    fn structure(&self, rules: &Value, path: &[&str]) -> Value {
        let required: Vec<_> = rules["required"].as_array().into_iter().flatten().collect();
        let mut made = Map::new();
        for (name, shape) in rules["members"].as_object().into_iter().flatten() {
            let wanted = required.iter().any(|required| *required == name)
                || OPTIONAL.contains(&name.as_str());
            // Shapes may hold themselves.
            if wanted && path.len() < 6 {
                let path = [path, &[name.as_str()]].concat();
                let shape = shape.as_str().unwrap_or_default();
                made.insert(name.clone(), self.value(shape, &path));
            }
        }
        Value::Object(made)
    }

    fn text(&self, rules: &Value, path: &[&str]) -> String {
        let last = path.last().copied().unwrap_or_default();
        if let Some(choice) = rules["enum"][0].as_str() {
            return choice.to_owned();
        }
        if let Some(slot) = self.slot(path) {
            return self.names.of(slot).to_owned();
        }
        let database = self.names.of(Slot::Database);
        match last {
            "Type" => "string".to_owned(),
            "VersionId" | "VersionIds" => "0".to_owned(),
            "ResourceArn" => format!("arn:aws:glue:us-east-1:222222222222:database/{database}"),
            "Location" | "LocationUri" => format!("s3://{}/x", self.word),
            "PolicyInJson" => json!({"Version": "2012-10-17", "Statement": {
                "Sid": self.word, "Effect": "Allow", "Principal": "*", "Action": "glue:*", "Resource": "*"}})
            .to_string(),
            "Pattern" => "*".to_owned(),
            "Name" | "ColumnName" | "ColumnNames" | "Keys" => format!("column_{}", self.word),
            _ => self.word.to_owned(),
        }
    }

    /// What a member names.
    fn slot(&self, path: &[&str]) -> Option<Slot> {
        let (last, around) = path.split_last()?;
        let within = around.last().copied().unwrap_or_default();
        match *last {
            "DatabaseName" => Some(Slot::Database),
            "TableName" | "TablesToDelete" => Some(Slot::Table),
            "FunctionName" => Some(Slot::Function),
            "PartitionValues" | "PartitionValueList" | "Values" => Some(Slot::Partition),
            "ConnectionName" | "ConnectionNameList" | "JobName" | "JobNames" => Some(Slot::Thing),
            "Name" if within == "DatabaseInput" => Some(Slot::Database),
            "Name" if within == "TableInput" => Some(Slot::Table),
            "Name" if within.ends_with("Input") => Some(Slot::Thing),
            "Name" if !within.is_empty() => None,
            "Name" if self.operation.ends_with("Database") => Some(Slot::Database),
            "Name" if self.operation.contains("Table") => Some(Slot::Table),
            "Name" => Some(Slot::Thing),
            _ => None,
        }
    }
}
