//! [`MlTransform`]: a transform that finds matches, as in Glue's JSON; creating, changing, listing and deleting it.
//! <https://docs.aws.amazon.com/glue/latest/webapi/API_MLTransform.html>

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tenon_store::{Expected, Transaction, Tree};

use super::labels::KeptLabels;
use super::metrics::EvaluationMetrics;
use crate::error::{Error, Kind, Result};
use crate::job::{Tags, check_timeout};
use crate::jobs::{MAX_PAGE, Stored, TenantJobs};
use crate::start::hex;
use crate::stored::{self, SCHEMA};
use crate::time::Timestamp;

/// The one kind of transform.
pub(super) const FIND_MATCHES: &str = "FIND_MATCHES";

/// Transforms of a tenant.
const MAX_TRANSFORMS: usize = 1000;

/// Columns of a transform's table: Glue's limit.
const MAX_COLUMNS: usize = 100;

/// Hexadecimal digits of an id.
const ID_DIGITS: usize = 40;

/// A table that a transform is for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InputTable {
    /// Its database.
    pub database_name: String,
    /// The table.
    pub table_name: String,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog_id: Option<String>,
    /// What its buckets, and the files of tasks, are reached through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_name: Option<String>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_options: Option<Value>,
}

/// What is to be found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TransformParameters {
    /// `FIND_MATCHES`.
    pub transform_type: String,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find_matches_parameters: Option<FindMatchesParameters>,
}

/// How matches are found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FindMatchesParameters {
    /// The column that identifies a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_key_column_name: Option<String>,
    /// 0 to 1: 1 finds few wrong matches, 0 misses few. Absent: the data decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision_recall_tradeoff: Option<f64>,
    /// 0 to 1: 1 compares the most pairs. Default 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_cost_tradeoff: Option<f64>,
    /// Whether what labels say overrules what is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_provided_labels: Option<bool>,
}

/// A column of a transform's table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SchemaColumn {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its type, in the catalog's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
}

/// What a caller says about a transform.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TransformDefinition {
    /// What people call it: one of the tenant's has it.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// One table.
    pub input_record_tables: Vec<InputTable>,
    /// What is to be found.
    pub parameters: TransformParameters,
    /// Kept and shown: a run may do what its account may.
    pub role: String,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glue_version: Option<String>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_capacity: Option<f64>,
    /// Which kind of worker task runs have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_type: Option<String>,
    /// How many of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number_of_workers: Option<i32>,
    /// Minutes a task run may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i32>,
    /// How often a task run that failed is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i32>,
    /// Kept and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform_encryption: Option<Value>,
}

/// What is to be changed of a transform; what is absent stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TransformUpdate {
    /// As in [`TransformDefinition`].
    pub name: Option<String>,
    /// As in [`TransformDefinition`].
    pub description: Option<String>,
    /// All of them.
    pub parameters: Option<TransformParameters>,
    /// As in [`TransformDefinition`].
    pub role: Option<String>,
    /// As in [`TransformDefinition`].
    pub glue_version: Option<String>,
    /// As in [`TransformDefinition`].
    pub max_capacity: Option<f64>,
    /// As in [`TransformDefinition`].
    pub worker_type: Option<String>,
    /// As in [`TransformDefinition`].
    pub number_of_workers: Option<i32>,
    /// As in [`TransformDefinition`].
    pub timeout: Option<i32>,
    /// As in [`TransformDefinition`].
    pub max_retries: Option<i32>,
    /// The columns of its table, as they are now, when they are known.
    pub schema: Option<Vec<SchemaColumn>>,
}

/// A transform.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MlTransform {
    /// `tfm-` and hexadecimal digits.
    pub transform_id: String,
    /// When it was created.
    pub created_on: Timestamp,
    /// When what callers say about it last changed.
    pub last_modified_on: Timestamp,
    /// What callers say about it.
    #[serde(flatten)]
    pub definition: TransformDefinition,
    /// The columns of its table when it was created or changed.
    pub schema: Vec<SchemaColumn>,
    /// Of the last evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_metrics: Option<EvaluationMetrics>,
}

impl MlTransform {
    /// Whether runs can use it: they have to know what identifies a record, and nothing else.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.primary_key().is_some()
    }

    /// The column that identifies a record.
    #[must_use]
    pub fn primary_key(&self) -> Option<&str> {
        self.find_matches()?.primary_key_column_name.as_deref()
    }

    pub(super) const fn find_matches(&self) -> Option<&FindMatchesParameters> {
        self.definition.parameters.find_matches_parameters.as_ref()
    }

    /// Names of the columns of its table.
    pub(super) fn columns(&self) -> Vec<String> {
        let names = self.schema.iter().filter_map(|column| column.name.clone());
        names.collect()
    }

    /// That members are in their ranges, and that the key is a column.
    fn check(&self) -> Result<()> {
        let definition = &self.definition;
        check_timeout(definition.timeout)?;
        if let Some(retries) = definition
            .max_retries
            .filter(|retries| !(0..=10).contains(retries))
        {
            return Err(Error::invalid(format!(
                "MaxRetries is {retries}, it must be 0 to 10"
            )));
        }
        let counts_workers =
            definition.worker_type.is_some() || definition.number_of_workers.is_some();
        if definition.max_capacity.is_some() && counts_workers {
            return Err(Error::invalid(
                "MaxCapacity says how much there is, and so do WorkerType and NumberOfWorkers; leave one out",
            ));
        }
        let [_] = definition.input_record_tables.as_slice() else {
            return Err(Error::invalid(format!(
                "InputRecordTables has {} tables, a transform is for one",
                definition.input_record_tables.len()
            )));
        };
        let columns = self.columns();
        if columns.len() > MAX_COLUMNS {
            return Err(Error::invalid(format!(
                "the table has {} columns, a transform takes at most {MAX_COLUMNS}; make a table of those that tell \
                 records apart",
                columns.len()
            )));
        }
        if let Some(taken) = columns.iter().find(|column| {
            let mut taken = super::labels::FIRST.iter();
            taken.any(|taken| column.eq_ignore_ascii_case(taken))
        }) {
            return Err(Error::invalid(format!(
                "the table has a column {taken:?}, which files of labels have for themselves; rename it"
            )));
        }
        match self.primary_key() {
            Some(key)
                if !columns
                    .iter()
                    .any(|column| column.eq_ignore_ascii_case(key)) =>
            {
                Err(Error::invalid(format!(
                    "PrimaryKeyColumnName {key:?} is no column of the table, which has {}",
                    columns.join(", ")
                )))
            }
            _ => Ok(()),
        }
    }
}

/// A transform as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredTransform {
    /// From the counter of jobs: task runs lie below it.
    pub(crate) number: u64,
    pub(crate) transform: MlTransform,
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) tags: Tags,
    #[serde(default)]
    pub(crate) labels: KeptLabels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<KeptModel>,
}

/// The model of the last evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptModel {
    /// Names its record.
    pub(crate) digest: String,
    /// Of the labels that it was trained with.
    pub(crate) generation: u64,
}

impl StoredTransform {
    /// Whether its model knows all labels.
    pub(crate) fn has_current_model(&self) -> bool {
        let model = self.model.as_ref();
        model.is_some_and(|model| model.generation == self.labels.generation)
    }
}

impl TenantJobs {
    /// Creates a transform over a table with these columns.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] for the name; [`Error::InvalidInput`] when a member is out of range or the key is no
    /// column; [`Error::LimitExceeded`]; [`Error::Conflict`], [`Error::Store`].
    pub fn create_transform(
        &self,
        definition: TransformDefinition,
        schema: Vec<SchemaColumn>,
        tags: Tags,
    ) -> Result<MlTransform> {
        self.mark()?;
        let now = self.now();
        let mut transform = MlTransform {
            created_on: now,
            last_modified_on: now,
            definition,
            schema,
            ..MlTransform::default()
        };
        transform.check()?;
        let name = transform.definition.name.clone();
        self.retry(Kind::MlTransform, &name, || {
            self.create_once(transform.clone(), &tags)
        })
        .map(|id| {
            transform.transform_id = id;
            transform
        })
    }

    fn create_once(&self, mut transform: MlTransform, tags: &Tags) -> Result<String> {
        let name_key = stored::transform_name(&transform.definition.name);
        if self.read::<String>(Tree::Object, &name_key)?.is_some() {
            return Err(Error::AlreadyExists {
                kind: Kind::MlTransform,
                name: transform.definition.name,
            });
        }
        if self.count_transforms(MAX_TRANSFORMS)? >= MAX_TRANSFORMS {
            return Err(Error::LimitExceeded {
                reason: format!(
                    "the limit is {MAX_TRANSFORMS} ML transforms of an account; delete those that are not used"
                ),
            });
        }
        let (number, unchanged) = self.next_number()?;
        let id = self.transform_id(number, &transform);
        transform.transform_id.clone_from(&id);
        let stored = StoredTransform {
            number,
            transform,
            tags: tags.clone(),
            labels: KeptLabels::default(),
            model: None,
        };
        let key = stored::transform(&id);
        let transaction = self
            .transaction()
            .expect(Tree::Object, name_key.clone(), Expected::Absent)
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .expect(Tree::Object, stored::next_job(), unchanged)
            .put(
                Tree::Object,
                stored::next_job(),
                SCHEMA,
                stored::encode(&(number + 1))?,
            )
            .put(Tree::Object, name_key, SCHEMA, stored::encode(&id)?)
            .put(Tree::Object, key, SCHEMA, stored::encode(&stored)?);
        self.commit(transaction)?;
        Ok(id)
    }

    /// Looks random, as Glue's do; numbers are used once.
    fn transform_id(&self, number: u64, transform: &MlTransform) -> String {
        let mut hash = Sha256::new();
        hash.update(self.tenant.number().to_be_bytes());
        hash.update(number.to_be_bytes());
        hash.update(transform.created_on.unix_millis().to_be_bytes());
        hash.update(&transform.definition.name);
        format!("tfm-{}", &hex(&hash.finalize())[..ID_DIGITS])
    }

    /// The transform with this id, and how many labels it has.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn get_transform(&self, id: &str) -> Result<(MlTransform, u64)> {
        let stored = self.stored_transform(id)?.value;
        Ok((stored.transform, stored.labels.labelled))
    }

    /// All transforms with their labels' counts and their tags, in the order of their ids.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn all_transforms(&self) -> Result<Vec<(MlTransform, u64, Tags)>> {
        let below = stored::transforms();
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let (found, next) =
                self.list::<StoredTransform>(Tree::Object, &below, after.as_ref(), MAX_PAGE)?;
            let found = found.into_iter();
            all.extend(
                found.map(|(_, stored)| (stored.transform, stored.labels.labelled, stored.tags)),
            );
            after = next;
            if after.is_none() {
                return Ok(all);
            }
        }
    }

    /// How many transforms there are, counted up to `limit`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn count_transforms(&self, limit: usize) -> Result<usize> {
        let (mut count, mut after) = (0, None);
        loop {
            let (keys, next) = self.keys(Tree::Object, &stored::transforms(), after.as_ref())?;
            count += keys.len();
            after = next;
            if after.is_none() || count >= limit {
                return Ok(count.min(limit));
            }
        }
    }

    /// The numbers below which task runs lie.
    pub(crate) fn transform_numbers(&self) -> Result<Vec<u64>> {
        let below = stored::transforms();
        let (mut numbers, mut after) = (Vec::new(), None);
        loop {
            let (found, next) =
                self.list::<StoredTransform>(Tree::Object, &below, after.as_ref(), MAX_PAGE)?;
            numbers.extend(found.into_iter().map(|(_, stored)| stored.number));
            after = next;
            if after.is_none() {
                return Ok(numbers);
            }
        }
    }

    /// Changes what is named. Another primary key makes what was learned by the old one worthless: it is forgotten.
    ///
    /// # Errors
    /// [`Error::NotFound`]; as [`TenantJobs::create_transform`].
    pub fn update_transform(&self, id: &str, update: &TransformUpdate) -> Result<()> {
        self.retry(Kind::MlTransform, id, || {
            let mut found = self.stored_transform(id)?;
            let unchanged = found.unchanged();
            let stored = &mut found.value;
            let (old_name, old_key) = (
                stored.transform.definition.name.clone(),
                stored.transform.primary_key().map(str::to_owned),
            );
            update.apply(&mut stored.transform);
            stored.transform.last_modified_on = self.now();
            stored.transform.check()?;
            let mut transaction = self.transaction();
            if stored.transform.primary_key() != old_key.as_deref() {
                transaction = without_model(transaction, stored);
            }
            if stored.transform.definition.name != old_name {
                transaction = self.renamed(transaction, stored, &old_name)?;
            }
            let key = stored::transform(id);
            let transaction = transaction
                .expect(Tree::Object, key.clone(), unchanged)
                .put(Tree::Object, key, SCHEMA, stored::encode(stored)?);
            self.commit(transaction)
        })
    }

    fn renamed(
        &self,
        transaction: Transaction,
        stored: &StoredTransform,
        old: &str,
    ) -> Result<Transaction> {
        let (id, name) = (
            &stored.transform.transform_id,
            &stored.transform.definition.name,
        );
        let key = stored::transform_name(name);
        if self.read::<String>(Tree::Object, &key)?.is_some() {
            return Err(Error::AlreadyExists {
                kind: Kind::MlTransform,
                name: name.clone(),
            });
        }
        Ok(transaction
            .expect(Tree::Object, key.clone(), Expected::Absent)
            .delete(Tree::Object, stored::transform_name(old))
            .put(Tree::Object, key, SCHEMA, stored::encode(id)?))
    }

    /// Deletes a transform with its task runs, labels, model and tags. Workers of task runs that are under way are
    /// stopped.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`], [`Error::Store`].
    pub fn delete_transform(&self, id: &str) -> Result<()> {
        let number = self.retry(Kind::MlTransform, id, || {
            let found = self.stored_transform(id)?;
            let (key, number) = (stored::transform(id), found.value.number);
            let name = stored::transform_name(&found.value.transform.definition.name);
            let transaction = self
                .transaction()
                .expect(Tree::Object, key.clone(), found.unchanged())
                .put(Tree::Object, stored::remains(number), SCHEMA, Vec::new())
                .delete(Tree::Object, name)
                .delete(Tree::Object, key);
            self.commit(transaction)?;
            Ok(number)
        })?;
        self.remove_remains(number)?;
        self.jobs.bell.ring();
        Ok(())
    }

    /// The tags of a transform.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub fn transform_tags(&self, id: &str) -> Result<Tags> {
        Ok(self.stored_transform(id)?.value.tags)
    }

    /// Changes the tags of a transform; nothing is changed when `change` refuses.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`]; what `change` says, as [`Error::InvalidInput`].
    pub fn change_transform_tags(
        &self,
        id: &str,
        change: impl Fn(&mut Tags) -> Result<(), String>,
    ) -> Result<()> {
        self.retry(Kind::MlTransform, id, || {
            let mut found = self.stored_transform(id)?;
            change(&mut found.value.tags).map_err(Error::invalid)?;
            let key = stored::transform(id);
            let transaction = self
                .transaction()
                .expect(Tree::Object, key.clone(), found.unchanged())
                .put(Tree::Object, key, SCHEMA, stored::encode(&found.value)?);
            self.commit(transaction)
        })
    }

    pub(crate) fn stored_transform(&self, id: &str) -> Result<Stored<StoredTransform>> {
        let found = self.read(Tree::Object, &stored::transform(id))?;
        found.ok_or_else(|| Error::not_found(Kind::MlTransform, id))
    }
}

impl TransformUpdate {
    fn apply(&self, transform: &mut MlTransform) {
        let definition = &mut transform.definition;
        replace(&mut definition.name, self.name.as_ref());
        replace(&mut definition.role, self.role.as_ref());
        replace(&mut definition.parameters, self.parameters.as_ref());
        replace(&mut transform.schema, self.schema.as_ref());
        replace_some(&mut definition.description, self.description.as_ref());
        replace_some(&mut definition.glue_version, self.glue_version.as_ref());
        replace_some(&mut definition.max_capacity, self.max_capacity.as_ref());
        replace_some(&mut definition.worker_type, self.worker_type.as_ref());
        replace_some(
            &mut definition.number_of_workers,
            self.number_of_workers.as_ref(),
        );
        replace_some(&mut definition.timeout, self.timeout.as_ref());
        replace_some(&mut definition.max_retries, self.max_retries.as_ref());
    }
}

fn replace<T: Clone>(old: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        old.clone_from(new);
    }
}

fn replace_some<T: Clone>(old: &mut Option<T>, new: Option<&T>) {
    if new.is_some() {
        *old = new.cloned();
    }
}

/// Forgets what the last evaluation learned.
pub(super) fn without_model(transaction: Transaction, stored: &mut StoredTransform) -> Transaction {
    stored.transform.evaluation_metrics = None;
    match stored.model.take() {
        Some(model) => transaction.delete(Tree::Run, stored::model(stored.number, &model.digest)),
        None => transaction,
    }
}
