//! [`Generator`]: requests made of the service model, valid ones and spoiled ones.
//!
//! Names come from small pools that belong to one worker, so that requests meet what others made; everything else
//! is as the model's rules allow, with lengths near their bounds now and then.

use serde_json::{Map, Number, Value, json};

use crate::support::Random;

/// Structures deeper than this have only what is required.
const MAX_DEPTH: usize = 7;

const KEY_TYPES: &[&str] = &[
    "int",
    "string",
    "date",
    "bigint",
    "decimal(5,2)",
    "timestamp",
];
const VALUES: &[&str] = &[
    "1",
    "2",
    "2020-01-01",
    "eu",
    "Eu",
    "a/b",
    "ü\u{1f600}",
    "__HIVE_DEFAULT_PARTITION__",
    "1.50",
    "\u{0}",
    " ",
];
const PARTITION_EXPRESSIONS: &[&str] = &[
    "",
    " ",
    "k0 = 1",
    "k0 = '1'",
    "(k0 >= 1 AND k1 IN ('eu', 'x'))",
    "k0 BETWEEN 1 AND 2 OR NOT k1 LIKE 'e%'",
    "k0 IS NULL",
    "k0 =",
    "((((k0=1))))",
    "k9 = 1",
    "k0 = '2020-01-01'",
    "k1 not in ('a\\'b')",
    "k0 <> 0x1",
    "'",
    "k0 = 1e400",
];
const TABLE_EXPRESSIONS: &[&str] = &[
    "t.*",
    "*1",
    "t",
    "(",
    "[",
    "t{1000}{1000}",
    "",
    "T0|t1",
    "t*",
    "\\",
];

pub(crate) struct Generator {
    model: Value,
    pub(crate) random: Random,
    prefix: String,
    /// Tokens that answers held.
    pub(crate) tokens: Vec<String>,
}

impl Generator {
    pub(crate) fn new(model: Value, seed: u64, worker: usize, prefix: String) -> Self {
        let random = Random::new(seed.wrapping_add(worker as u64 * 0x1_0000_0001));
        Self {
            model,
            random,
            prefix,
            tokens: Vec::new(),
        }
    }

    /// A supported operation and its input's shape. What deletes is rare, so that there is something to meet.
    pub(crate) fn operation(&mut self) -> (String, String) {
        let all = self.model["operations"].as_object().into_iter().flatten();
        let supported: Vec<_> = all
            .filter_map(|(name, input)| Some((name.clone(), input.as_str()?.to_owned())))
            .collect();
        let rare =
            |name: &str| ["DeleteDatabase", "DeleteTable", "BatchDeleteTable"].contains(&name);
        let picked = self.random.pick(&supported).clone();
        match rare(&picked.0) && self.random.chance(80) {
            true => self.operation(),
            false => picked,
        }
    }

    /// An operation of the service that is not supported, or of no service at all.
    pub(crate) fn unknown_operation(&mut self) -> String {
        let all = self.model["operations"].as_object().into_iter().flatten();
        let mut names: Vec<_> = all
            .filter(|(_, input)| input.is_null())
            .map(|(name, _)| name.clone())
            .collect();
        let odd = [
            "",
            "getdatabase",
            "GetDatabase ",
            "Get\tDatabase",
            "AWSGlue.GetDatabase",
            "é",
        ];
        names.extend(odd.map(str::to_owned));
        names.push("x".repeat(4000));
        self.random.pick(&names).clone()
    }

    pub(crate) fn database(&mut self) -> String {
        let name = format!("{}D{}", self.prefix, self.random.below(3));
        self.cased(name)
    }

    pub(crate) fn table(&mut self) -> String {
        let name = format!("T{}", self.random.below(4));
        self.cased(name)
    }

    fn cased(&mut self, name: String) -> String {
        if self.random.chance(20) {
            name
        } else {
            name.to_lowercase()
        }
    }

    /// An input of the shape `name`.
    pub(crate) fn input(&mut self, name: &str) -> Value {
        let mut input = self.value(name, name, "", 0);
        if self.random.chance(10) {
            input["FromTheFuture"] = json!([{"a": null}, 1.5e300]);
        }
        input
    }

    fn value(&mut self, shape: &str, owner: &str, member: &str, depth: usize) -> Value {
        if let Some(known) = self.pooled(owner, member) {
            return known;
        }
        let rules = self.model["shapes"][shape].clone();
        match rules["type"].as_str().unwrap_or_default() {
            "structure" => self.structure(&rules, shape, depth),
            "list" => {
                let count = self.count(&rules, if depth > 3 { 1 } else { 3 });
                let of = rules["of"].as_str().unwrap_or_default();
                (0..count)
                    .map(|_| self.value(of, shape, "", depth + 1))
                    .collect()
            }
            "map" => {
                let count = self.count(&rules, 3);
                let part = |name: &str| rules[name].as_str().unwrap_or_default().to_owned();
                let (key, of) = (part("key"), part("of"));
                let mut entries = Map::new();
                for _ in 0..count {
                    let name = self.value(&key, shape, "", depth + 1);
                    let name = name.as_str().unwrap_or("key").to_owned();
                    entries.insert(name, self.value(&of, shape, "", depth + 1));
                }
                Value::Object(entries)
            }
            "boolean" => json!(self.random.chance(50)),
            "integer" | "long" => {
                let bound = |name: &str, default| rules[name].as_f64().unwrap_or(default) as i64;
                let (min, max) = (bound("min", 0.0), bound("max", 1000.0));
                json!(min + self.random.below((max - min).max(0) as usize + 1) as i64)
            }
            "double" | "float" | "timestamp" => {
                json!(self.random.below(4_000_000_000) as f64 / 2.0)
            }
            "blob" => json!("AAEC"),
            _ => self.text(&rules),
        }
    }

    fn structure(&mut self, rules: &Value, name: &str, depth: usize) -> Value {
        let required: Vec<_> = rules["required"].as_array().into_iter().flatten().collect();
        let mut made = Map::new();
        for (member, shape) in rules["members"].as_object().into_iter().flatten() {
            let needed = required.contains(&&json!(member))
                || matches!(member.as_str(), "TableInput" | "Values");
            let likely = match (depth, name) {
                // It has eighty members, of which a node has one.
                (_, "CodeGenConfigurationNode") => 2,
                (0, _) => 35,
                _ => 45,
            };
            if needed || (depth < MAX_DEPTH && self.wanted(member) && self.random.chance(likely)) {
                let value = self.value(shape.as_str().unwrap_or_default(), name, member, depth + 1);
                made.insert(member.clone(), value);
            } else if self.random.chance(3) {
                made.insert(member.clone(), Value::Null);
            }
        }
        Value::Object(made)
    }

    /// Members that make nearly every request fail are rare.
    fn wanted(&mut self, member: &str) -> bool {
        match member {
            "CatalogId" | "NextToken" | "Name" | "VersionId" => self.random.chance(25),
            _ => true,
        }
    }

    /// What has to fit what is there.
    fn pooled(&mut self, owner: &str, member: &str) -> Option<Value> {
        let database_request = owner.starts_with("CreateDatabase")
            || owner.starts_with("GetDatabaseR")
            || owner.starts_with("DeleteDatabase")
            || owner.starts_with("UpdateDatabase");
        Some(match (owner, member) {
            ("DatabaseInput", "Name") | (_, "DatabaseName") => json!(self.database()),
            (_, "Name") if database_request => json!(self.database()),
            ("TableInput", "Name")
            | (_, "TableName" | "JobName")
            | ("BatchDeleteTableNameList" | "JobNameList", "") => {
                json!(self.table())
            }
            (_, "Name") if owner.ends_with("Request") => json!(self.table()),
            (_, "VersionId") | ("BatchDeleteTableVersionList", "") => {
                json!(self.random.pick(&[
                    "0",
                    "1",
                    "2",
                    "3",
                    "+1",
                    "-1",
                    "x",
                    "18446744073709551615"
                ]))
            }
            (_, "CatalogId") => {
                json!(
                    self.random
                        .pick(&["000000000000", "000000000000", "1", "999999999999"])
                )
            }
            ("GetTablesRequest", "Expression") => json!(self.random.pick(TABLE_EXPRESSIONS)),
            (_, "Expression") => json!(self.random.pick(PARTITION_EXPRESSIONS)),
            (_, "NextToken") => self.token(),
            (_, "PartitionKeys") => self.partition_keys(),
            (_, "Values" | "PartitionValues" | "PartitionValueList") => self.partition_values(),
            _ => return None,
        })
    }

    fn token(&mut self) -> Value {
        if self.tokens.is_empty() || self.random.chance(20) {
            return json!(
                self.random
                    .pick(&["", "00", "zz", "é", "ab".repeat(40).as_str()])
            );
        }
        json!(self.random.pick(&self.tokens))
    }

    fn partition_keys(&mut self) -> Value {
        let count = self.random.below(3);
        let key = |n: usize| json!({"Name": format!("k{n}"), "Type": self.random.pick(KEY_TYPES)});
        (0..count).map(key).collect()
    }

    pub(crate) fn partition_values(&mut self) -> Value {
        if self.random.chance(2) {
            return json!(["x".repeat(1024), "ü".repeat(1024)]);
        }
        let count = 1 + self.random.below(2);
        (0..count)
            .map(|_| json!(self.random.pick(VALUES)))
            .collect()
    }

    fn count(&mut self, rules: &Value, usual: usize) -> usize {
        let bound = |name: &str| {
            rules[name]
                .as_u64()
                .and_then(|bound| usize::try_from(bound).ok())
        };
        let (min, max) = (
            bound("min").unwrap_or(0),
            bound("max").unwrap_or(usize::MAX),
        );
        if max <= 25 && self.random.chance(2) {
            return max;
        }
        (min + self.random.below(usual + 1)).min(max)
    }

    fn text(&mut self, rules: &Value) -> Value {
        if let Some(choices) = rules["enum"].as_array() {
            return self.random.pick(choices).clone();
        }
        let pattern = rules["pattern"].as_str().unwrap_or_default();
        if pattern.contains("arn:aws") {
            return json!("arn:aws:glue:us-east-1:000000000000:catalog");
        }
        if pattern.starts_with("[a-f0-9]{8}") {
            return json!("00000000-0000-0000-0000-00000000000a");
        }
        let alphabet: &[char] = match pattern {
            "" => &[
                'a',
                'B',
                '0',
                ' ',
                '\n',
                'é',
                '中',
                '\u{1f600}',
                '"',
                '\\',
                '\u{0}',
                '\u{7f}',
            ],
            _ if pattern.contains("\\u0020") => &[
                'a',
                'B',
                '0',
                ' ',
                '\t',
                'é',
                '中',
                '\u{1f600}',
                '"',
                '\\',
                '_',
            ],
            _ => &['a', 'B', '0'],
        };
        let count = self.count(rules, 12);
        let count = match rules["max"]
            .as_u64()
            .and_then(|max| usize::try_from(max).ok())
        {
            Some(max) if max <= 2056 && self.random.chance(3) => max,
            _ => count,
        };
        json!(
            (0..count)
                .map(|_| *self.random.pick(alphabet))
                .collect::<String>()
        )
    }

    /// Changes one place of an input into something that does not belong there, or takes it away.
    pub(crate) fn spoil(&mut self, input: &mut Value) {
        let below = match input {
            Value::Object(members) => members.len(),
            Value::Array(items) => items.len(),
            _ => 0,
        };
        if below == 0 || self.random.chance(25) {
            *input = self.junk();
            return;
        }
        let at = self.random.below(below);
        match input {
            Value::Object(members) if self.random.chance(15) => {
                let name = members.keys().nth(at).cloned().unwrap_or_default();
                members.remove(&name);
            }
            Value::Object(members) => members
                .values_mut()
                .nth(at)
                .into_iter()
                .for_each(|value| self.spoil(value)),
            Value::Array(items) => items
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|value| self.spoil(value)),
            _ => {}
        }
    }

    fn junk(&mut self) -> Value {
        let float = |number| Number::from_f64(number).map_or(Value::Null, Value::Number);
        match self.random.below(14) {
            0 => Value::Null,
            1 => json!(-1),
            2 => json!(u64::MAX),
            3 => json!(i64::MIN),
            4 => float(1.0e300),
            5 => float(-0.5),
            6 => json!(""),
            7 => json!("x".repeat(5000)),
            8 => json!("\u{0}\u{1}\u{fffe}\u{ffff}"),
            9 => json!([]),
            10 => json!({}),
            11 => json!([[[[[{"a": [null]}]]]]]),
            12 => json!(true),
            _ => json!([null, null]),
        }
    }

    /// Bytes that are not quite the input.
    pub(crate) fn raw(&mut self, input: &Value) -> Vec<u8> {
        let text = input.to_string();
        let inside = text.trim_start_matches('{');
        let at = self.random.below(text.len());
        let mut bytes = text.clone().into_bytes();
        match self.random.below(16) {
            0 => bytes.truncate(at),
            1 => bytes[at] = (self.random.next() & 0xff) as u8,
            2 => bytes.insert(at, 0),
            3 => bytes.insert(at, 0xff),
            4 => bytes.splice(at..at, [0xed, 0xa0, 0x80]).for_each(drop),
            5 => return format!("{{\"Name\":\"\\ud800\",{inside}").into_bytes(),
            6 => {
                return format!("{{\"Name\":\"twice\",\"DatabaseName\":\"twice\",{inside}")
                    .into_bytes();
            }
            7 => {
                return format!(
                    "{{\"Deep\":{}{},{inside}",
                    "[".repeat(20_000),
                    "]".repeat(20_000)
                )
                .into_bytes();
            }
            8 => {
                return format!(
                    "{{\"Deep\":{}{},{inside}",
                    "{\"a\":".repeat(120),
                    "1".to_owned() + &"}".repeat(120)
                )
                .into_bytes();
            }
            9 => return format!("{{\"MaxResults\":1{},{inside}", "0".repeat(400)).into_bytes(),
            10 => return format!("{{\"MaxResults\":1e999,{inside}").into_bytes(),
            11 => return format!("\u{feff}{text}").into_bytes(),
            12 => return format!(" \r\n{text}\n\n").into_bytes(),
            13 => return Vec::new(),
            14 => return format!("[{text}]").into_bytes(),
            _ => return format!("{text}{text}").into_bytes(),
        }
        bytes
    }
}
