//! User-defined functions: what Hive keeps of a Java class that queries may call. They lie in a database and go
//! with it, in the same transaction.
//!
//! <https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-catalog-functions.html>

use serde::{Deserialize, Serialize};
use tenon_store::{Expected, Tree};

use crate::catalog::{Page, Stored, TenantCatalog};
use crate::error::{Error, Kind, Result};
use crate::model::Timestamp;
use crate::name::fold;
use crate::stored;
use crate::table::full_name;
use crate::tag::Tags;

/// A function.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserDefinedFunction {
    /// Name, in lower case.
    pub function_name: String,
    /// Name of its database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_name: Option<String>,
    /// Java class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<String>,
    /// `REGULAR_FUNCTION`, `AGGREGATE_FUNCTION` or `STORED_PROCEDURE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_type: Option<String>,
    /// `USER`, `ROLE` or `GROUP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_type: Option<String>,
    /// When it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_time: Option<Timestamp>,
    /// Files it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_uris: Option<Vec<ResourceUri>>,
    /// Where its code lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_location: Option<String>,
    /// `IAM_ONLY` or `LAKE_FORMATION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governance_mode: Option<String>,
    /// The account it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog_id: Option<String>,
}

/// What a caller says about a function.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UserDefinedFunctionInput {
    /// Name; folded to lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_name: Option<String>,
    /// Java class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_name: Option<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<String>,
    /// `REGULAR_FUNCTION`, `AGGREGATE_FUNCTION` or `STORED_PROCEDURE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function_type: Option<String>,
    /// `USER`, `ROLE` or `GROUP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_type: Option<String>,
    /// Files it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_uris: Option<Vec<ResourceUri>>,
    /// Where its code lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_location: Option<String>,
    /// `IAM_ONLY` or `LAKE_FORMATION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub governance_mode: Option<String>,
}

/// A file that a function needs.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ResourceUri {
    /// `JAR`, `FILE` or `ARCHIVE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// Where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// When it last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<Timestamp>,
}

impl TenantCatalog {
    /// Creates a function in `database`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the database, [`Error::AlreadyExists`], [`Error::InvalidInput`] when the name is
    /// missing or bad, [`Error::Store`].
    pub fn create_function(
        &self,
        database: &str,
        input: UserDefinedFunctionInput,
    ) -> Result<UserDefinedFunction> {
        let database = fold("database", database)?;
        let name = fold(
            "function",
            input.function_name.as_deref().unwrap_or_default(),
        )?;
        let function = UserDefinedFunction {
            create_time: self.now(),
            ..self.function_of(&database, &name, input)
        };
        self.put_new_function(&database, &function, &Tags::new())?;
        Ok(function)
    }

    /// Stores a function that is not there yet.
    pub(crate) fn put_new_function(
        &self,
        database: &str,
        function: &UserDefinedFunction,
        tags: &Tags,
    ) -> Result<()> {
        let full_name = full_name(database, &function.function_name);
        let key = stored::function(database, &function.function_name);
        let payload = stored::encode(function)?;
        self.retry(Kind::Function, &full_name, || {
            self.read_database(database)?;
            if self.object_version(Tree::Object, &key)?.is_some() {
                return Err(Error::AlreadyExists {
                    kind: Kind::Function,
                    name: full_name.clone(),
                });
            }
            let transaction = self
                .transaction()
                .expect(Tree::Object, stored::database(database), Expected::Present)
                .expect(Tree::Object, key.clone(), Expected::Absent)
                .put_tags(&key, tags)?
                .put(Tree::Object, key.clone(), stored::SCHEMA, payload.clone())
                // Whoever deletes the database notices.
                .put(
                    Tree::Object,
                    stored::tables_created(database),
                    stored::SCHEMA,
                    Vec::new(),
                );
            self.commit(transaction)
        })
    }

    /// The function `name` of `database`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the database or the function, [`Error::InvalidInput`] for a bad name,
    /// [`Error::Store`].
    pub fn get_function(&self, database: &str, name: &str) -> Result<UserDefinedFunction> {
        let (database, name) = (fold("database", database)?, fold("function", name)?);
        Ok(self.read_function(&database, &name)?.value)
    }

    /// Replaces the definition of the function `name`; its time of creation stays. A function cannot be renamed:
    /// the input's name must be `name` when it is given.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InvalidInput`], [`Error::Conflict`] when it is changed all the time,
    /// [`Error::Store`].
    pub fn update_function(
        &self,
        database: &str,
        name: &str,
        input: UserDefinedFunctionInput,
    ) -> Result<()> {
        let (database, name) = (fold("database", database)?, fold("function", name)?);
        let full_name = full_name(&database, &name);
        if let Some(new) = &input.function_name
            && fold("function", new)? != name
        {
            return Err(Error::invalid(format!(
                "function {full_name} cannot be renamed to {new}"
            )));
        }
        self.retry(Kind::Function, &full_name, || {
            let old = self.read_function(&database, &name)?;
            let function = UserDefinedFunction {
                create_time: old.value.create_time,
                ..self.function_of(&database, &name, input.clone())
            };
            let key = stored::function(&database, &name);
            let payload = stored::encode(&function)?;
            let transaction = self
                .transaction()
                .expect(Tree::Object, key.clone(), old.unchanged())
                .put(Tree::Object, key, stored::SCHEMA, payload);
            self.commit(transaction)
        })
    }

    /// Deletes the function `name` of `database`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the database or the function, [`Error::InvalidInput`] for a bad name,
    /// [`Error::Store`].
    pub fn delete_function(&self, database: &str, name: &str) -> Result<()> {
        let (database, name) = (fold("database", database)?, fold("function", name)?);
        self.read_function(&database, &name)?;
        let key = stored::function(&database, &name);
        let transaction = self
            .transaction()
            .expect(Tree::Object, key.clone(), Expected::Present)
            .delete_tagged(key);
        match self.commit(transaction) {
            Err(error) if error.is_store_conflict() => Err(Error::not_found(
                Kind::Function,
                full_name(&database, &name),
            )),
            outcome => outcome,
        }
    }

    /// At most `limit` functions of `database` (1 to 1000) in the order of their names; `token` is a page's
    /// `next`.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the database, [`Error::InvalidInput`] for a bad name, [`Error::Store`].
    pub fn list_functions(
        &self,
        database: &str,
        token: Option<&str>,
        limit: usize,
    ) -> Result<Page<UserDefinedFunction>> {
        let database = fold("database", database)?;
        self.read_database(&database)?;
        let after = token.map(|name| stored::function(&database, name));
        let below = stored::functions(&database);
        let (items, next) =
            self.list::<UserDefinedFunction>(Tree::Object, &below, after.as_ref(), limit)?;
        let next = next.and_then(|_| items.last().map(|item| item.function_name.clone()));
        Ok(Page { items, next })
    }

    fn read_function(&self, database: &str, name: &str) -> Result<Stored<UserDefinedFunction>> {
        if let Some(found) = self.read(Tree::Object, &stored::function(database, name))? {
            return Ok(found);
        }
        self.read_database(database)?;
        Err(Error::not_found(Kind::Function, full_name(database, name)))
    }

    fn function_of(
        &self,
        database: &str,
        name: &str,
        input: UserDefinedFunctionInput,
    ) -> UserDefinedFunction {
        UserDefinedFunction {
            function_name: name.to_owned(),
            database_name: Some(database.to_owned()),
            class_name: input.class_name,
            owner_name: input.owner_name,
            function_type: input.function_type,
            owner_type: input.owner_type,
            create_time: None,
            resource_uris: input.resource_uris,
            artifact_location: input.artifact_location,
            governance_mode: input.governance_mode,
            catalog_id: self.catalog_id(),
        }
    }
}
