//! What must hold of every answer, and of the catalog after requests that succeeded.
//!
//! A worker's databases are its own and it sends one request at a time, so what it created it must find: at once,
//! with everything it said about it, and at the end in complete lists.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::{Answer, Connection, Random};

/// Exceptions that Glue declares, and those that all services of its protocol share.
const EXCEPTIONS: &[&str] = &[
    "AccessDeniedException",
    "AlreadyExistsException",
    "ColumnStatisticsTaskNotRunningException",
    "ColumnStatisticsTaskRunningException",
    "ConcurrentModificationException",
    "ConcurrentRunsExceededException",
    "ConditionCheckFailureException",
    "EntityNotFoundException",
    "FederationSourceException",
    "GlueEncryptionException",
    "IdempotentParameterMismatchException",
    "InvalidInputException",
    "InvalidStateException",
    "MLTransformNotReadyException",
    "OperationTimeoutException",
    "ResourceNotReadyException",
    "ResourceNumberLimitExceededException",
    "SerializationException",
    "UnknownOperationException",
    "ValidationException",
    "VersionMismatchException",
];

/// Exceptions of requests that never reach the catalog.
const BEFORE_THE_CATALOG: &[&str] = &[
    "SerializationException",
    "UnknownOperationException",
    "ValidationException",
];

/// One worker's connection, and what it knows to exist.
pub(crate) struct Worker {
    connection: Connection,
    prefix: String,
    exact: bool,
    /// Tables of each database.
    known: BTreeMap<String, BTreeSet<String>>,
}

/// What an answer was.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Done(Value),
    Refused(String),
}

impl Outcome {
    pub(crate) fn reached_the_catalog(&self) -> bool {
        match self {
            Self::Done(_) => true,
            Self::Refused(name) => !BEFORE_THE_CATALOG.contains(&name.as_str()),
        }
    }

    fn is(&self, exception: &str) -> bool {
        matches!(self, Self::Refused(name) if name == exception)
    }
}

impl Worker {
    pub(crate) fn new(connection: Connection, prefix: String) -> Self {
        Self {
            connection,
            prefix,
            exact: true,
            known: BTreeMap::new(),
        }
    }

    /// Sends what it is given and checks the form of the answer. `headers` are whole lines.
    pub(crate) fn send(&mut self, headers: &str, body: &[u8]) -> Result<Outcome, String> {
        let shown = || {
            let body = String::from_utf8_lossy(body);
            format!("{headers}{}", body.chars().take(2000).collect::<String>())
        };
        let answer = self.connection.post(headers, body);
        let answer = answer.map_err(|error| format!("no answer ({error}) to\n{}", shown()))?;
        outcome(&answer).map_err(|reason| {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            format!("{reason}\n{} {text}\nto\n{}", answer.status, shown())
        })
    }

    fn call(&mut self, operation: &str, input: &Value) -> Result<Outcome, String> {
        let headers = format!(
            "X-Amz-Target: AWSGlue.{operation}\r\nContent-Type: application/x-amz-json-1.1\r\n"
        );
        self.send(&headers, input.to_string().as_bytes())
    }

    /// What must be true now that `operation` succeeded with `output`. Bytes that were not made of the model may have
    /// members nobody knows: then `exact` is false, and only what exists is checked.
    pub(crate) fn after(
        &mut self,
        operation: &str,
        input: &Value,
        output: &Value,
        exact: bool,
    ) -> Result<(), String> {
        self.exact = exact;
        let text = |name: &str| input[name].as_str().unwrap_or_default().to_lowercase();
        let (database, name) = (text("DatabaseName"), text("Name"));
        if ![&database, &name, &folded(&input["DatabaseInput"]["Name"])]
            .iter()
            .any(|name| name.starts_with(&self.prefix))
        {
            return Ok(());
        }
        match operation {
            "CreateDatabase" | "UpdateDatabase" => {
                let made = &input["DatabaseInput"];
                let name = folded(&made["Name"]);
                self.finds("GetDatabase", &json!({"Name": name}), "Database", made)?;
                self.known.entry(name).or_default();
            }
            "DeleteDatabase" => {
                self.known.remove(&name);
                self.misses("GetDatabase", &json!({"Name": name}))?;
                self.misses("GetTables", &json!({"DatabaseName": name}))?;
            }
            "CreateTable" | "UpdateTable" => {
                let made = &input["TableInput"];
                let name = folded(&made["Name"]);
                self.finds(
                    "GetTable",
                    &json!({"DatabaseName": database, "Name": name}),
                    "Table",
                    made,
                )?;
                self.known.entry(database).or_default().insert(name);
            }
            "DeleteTable" => {
                self.gone(&database, &name);
                self.misses("GetTable", &json!({"DatabaseName": database, "Name": name}))?;
            }
            "BatchDeleteTable" => {
                // A table named twice is gone, and missing the second time.
                let stays = |name: &Value| {
                    let errors = output["Errors"].as_array().into_iter().flatten();
                    let mut own = errors.filter(|error| error["TableName"] == *name);
                    own.any(|error| error["ErrorDetail"]["ErrorCode"] != "EntityNotFoundException")
                };
                for name in input["TablesToDelete"].as_array().into_iter().flatten() {
                    if !stays(name) {
                        self.gone(&database, &folded(name));
                    }
                }
            }
            "CreatePartition" | "UpdatePartition" => {
                let made = &input["PartitionInput"];
                let values = match made["Values"].as_array() {
                    Some(values) if !values.is_empty() => &made["Values"],
                    _ => &input["PartitionValueList"],
                };
                self.finds("GetPartition", &at(input, values), "Partition", made)?;
            }
            "DeletePartition" => {
                self.misses("GetPartition", &at(input, &input["PartitionValues"]))?
            }
            "BatchCreatePartition" => {
                let failed: Vec<_> = output["Errors"].as_array().into_iter().flatten().collect();
                let inputs = input["PartitionInputList"].as_array().into_iter().flatten();
                for made in inputs.filter(|made| made["Values"].is_array()) {
                    if !failed
                        .iter()
                        .any(|error| error["PartitionValues"] == made["Values"])
                    {
                        self.finds(
                            "GetPartition",
                            &at(input, &made["Values"]),
                            "Partition",
                            made,
                        )?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn gone(&mut self, database: &str, table: &str) {
        if let Some(tables) = self.known.get_mut(database) {
            tables.remove(table);
        }
    }

    /// What was said about an object is what is answered about it.
    fn finds(
        &mut self,
        operation: &str,
        input: &Value,
        member: &str,
        said: &Value,
    ) -> Result<(), String> {
        match self.call(operation, input)? {
            Outcome::Done(_) if !self.exact => Ok(()),
            Outcome::Done(output) => holds(said, &output[member], true)
                .map_err(|place| format!("{place} of\n{said}\ndiffers in {operation}\n{output}")),
            Outcome::Refused(name) => Err(format!(
                "{name} for {operation} {input} after it was made as {said}"
            )),
        }
    }

    fn misses(&mut self, operation: &str, input: &Value) -> Result<(), String> {
        let outcome = self.call(operation, input)?;
        // A name may be one that no object can have.
        if outcome.is("EntityNotFoundException")
            || outcome.is("InvalidInputException")
            || outcome.is("ValidationException")
        {
            return Ok(());
        }
        Err(format!("{operation} {input} still answers {outcome:?}"))
    }

    /// Complete lists, page by page, against what is known.
    pub(crate) fn at_the_end(&mut self, random: &mut Random) -> Result<(), String> {
        let databases = self.pages("GetDatabases", &json!({}), "DatabaseList", random)?;
        let names = names(&databases).filter(|name| name.starts_with(&self.prefix));
        let (found, known): (Vec<_>, Vec<_>) =
            (names.collect(), self.known.keys().cloned().collect());
        if found != known {
            return Err(format!("databases {found:?} are listed, {known:?} exist"));
        }
        for (database, known) in self.known.clone() {
            let scope = json!({"DatabaseName": database});
            let tables = self.pages("GetTables", &scope, "TableList", random)?;
            let (found, known): (Vec<_>, Vec<_>) = (names_of(&tables), known.into_iter().collect());
            if found != known {
                return Err(format!(
                    "tables {found:?} of {database} are listed, {known:?} exist"
                ));
            }
            for table in known {
                self.table_is_whole(&database, &table, random)?;
            }
        }
        Ok(())
    }

    fn table_is_whole(
        &mut self,
        database: &str,
        table: &str,
        random: &mut Random,
    ) -> Result<(), String> {
        let scope = json!({"DatabaseName": database, "TableName": table});
        let versions = self.pages("GetTableVersions", &scope, "TableVersions", random)?;
        let numbers: Vec<u64> = versions
            .iter()
            .filter_map(|version| version["VersionId"].as_str()?.parse().ok())
            .collect();
        if numbers.is_empty() || !numbers.is_sorted_by(|a, b| a > b) {
            return Err(format!("versions of {database}.{table}: {numbers:?}"));
        }
        let partitions = self.pages("GetPartitions", &scope, "Partitions", random)?;
        let values: BTreeSet<_> = partitions
            .iter()
            .map(|partition| partition["Values"].to_string())
            .collect();
        if values.len() != partitions.len() {
            return Err(format!("a partition of {database}.{table} is listed twice"));
        }
        let mut parts = Vec::new();
        for number in 0..3 {
            let segment = json!({"SegmentNumber": number, "TotalSegments": 3});
            let scope = json!({"DatabaseName": database, "TableName": table, "Segment": segment});
            parts.extend(self.pages("GetPartitions", &scope, "Partitions", random)?);
        }
        if parts.len() != partitions.len() {
            return Err(format!("segments of {database}.{table} are not the whole"));
        }
        Ok(())
    }

    fn pages(
        &mut self,
        operation: &str,
        scope: &Value,
        member: &str,
        random: &mut Random,
    ) -> Result<Vec<Value>, String> {
        let (mut items, mut input) = (Vec::new(), scope.clone());
        let size = 1 + random.below(4);
        input["MaxResults"] = json!(size);
        loop {
            let Outcome::Done(output) = self.call(operation, &input)? else {
                return Err(format!("{operation} {input} was refused"));
            };
            let page = output[member].as_array().cloned().unwrap_or_default();
            if page.len() > size {
                return Err(format!("{operation} {input} answers {} items", page.len()));
            }
            items.extend(page);
            match output.get("NextToken") {
                Some(token) => input["NextToken"] = token.clone(),
                None => return Ok(items),
            }
        }
    }
}

fn names(list: &[Value]) -> impl Iterator<Item = String> {
    list.iter().map(|item| folded(&item["Name"]))
}

fn names_of(list: &[Value]) -> Vec<String> {
    names(list).collect()
}

fn folded(name: &Value) -> String {
    name.as_str().unwrap_or_default().to_lowercase()
}

fn at(input: &Value, values: &Value) -> Value {
    json!({"DatabaseName": input["DatabaseName"], "TableName": input["TableName"], "PartitionValues": values})
}

/// The form of answers: <https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html>
fn outcome(answer: &Answer) -> Result<Outcome, String> {
    if answer.header("x-amzn-requestid").is_none_or(str::is_empty) {
        return Err("no request id".to_owned());
    }
    if answer.header("content-type") != Some("application/x-amz-json-1.1") {
        return Err("another content type".to_owned());
    }
    let body: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    if !body.is_object() || has_null(&body) {
        return Err("the body is no object, or has a null".to_owned());
    }
    if answer.status == 200 {
        return Ok(Outcome::Done(body));
    }
    let name = body["__type"].as_str().unwrap_or_default();
    let message = body["Message"].as_str().unwrap_or_default();
    if !(400..500).contains(&answer.status) || !EXCEPTIONS.contains(&name) {
        return Err("not an exception of callers".to_owned());
    }
    if message.is_empty()
        || message.len() > 20_000
        || answer.header("x-amzn-errortype") != Some(name)
    {
        return Err("an exception without its message or name".to_owned());
    }
    Ok(Outcome::Refused(name.to_owned()))
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

/// Everything in `said` is in `found`; else where not. What is empty or null may be absent. The object's own name is
/// folded, times are to the millisecond.
fn holds(said: &Value, found: &Value, outermost: bool) -> Result<(), String> {
    match (said, found) {
        (Value::Object(members), _) => {
            for (name, value) in members.iter().filter(|(name, _)| *name != "FromTheFuture") {
                let same = if value.is_null() {
                    true
                } else if outermost && name == "Name" {
                    folded(value) == folded(&found[name])
                } else {
                    is_empty(value) && found.get(name).is_none()
                        || holds(value, &found[name], false).is_ok()
                };
                if !same {
                    return Err(format!("member {name}"));
                }
            }
            Ok(())
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => items
            .iter()
            .zip(others)
            .try_for_each(|(a, b)| holds(a, b, false)),
        (Value::Number(a), Value::Number(b)) if a != b => {
            // What no client can show as a time becomes the nearest it can.
            let a = a.as_f64().unwrap_or_default();
            let a = a.clamp(-62_135_510_400.0, 253_402_214_400.0);
            let b = b.as_f64().unwrap_or_default();
            if (a - b).abs() <= 0.001 {
                Ok(())
            } else {
                Err("a number".to_owned())
            }
        }
        _ if said == found => Ok(()),
        _ => Err("a value".to_owned()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty() || members.values().all(is_empty),
        _ => false,
    }
}
