//! How much a plugin's query becomes once every table in it stands where its name stands.
//!
//! A common table expression or a step that is named twice is planned twice, and so is what it names twice itself:
//! thirty short lines double thirty times. Planning cannot be interrupted, so that the size is worked out on the text
//! first: the columns of every table, as often as its name would come to stand in the whole.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{ObjectName, Query, Statement, Visit, Visitor};

/// Most columns of all tables in one query.
pub(super) const MAX_WEIGHT: u64 = 1 << 18;

/// Deepest nesting of queries that define tables: looking up names doubles with each level.
pub(super) const MAX_WITH_DEPTH: usize = 8;

/// Columns of the tables that a query may name, what they are made of included.
pub(super) type Weights = HashMap<String, u64>;

/// What a query weighs.
///
/// # Errors
/// What it has too much of.
pub(super) fn of(statement: &Statement, tables: &Weights) -> Result<u64, String> {
    let mut scale = Scale {
        known: tables.clone(),
        definitions: HashMap::new(),
        open: vec![0],
        depth: 0,
    };
    if let ControlFlow::Break(why) = statement.visit(&mut scale) {
        return Err(why);
    }
    let weight = scale.open.into_iter().fold(0, u64::saturating_add);
    match weight <= MAX_WEIGHT {
        true => Ok(weight),
        false => Err(format!(
            "the tables of its query have {weight} columns when each stands where its name stands; {MAX_WEIGHT} \
             are allowed"
        )),
    }
}

struct Scale {
    known: Weights,
    /// Names of those queries that define a table, by where they stand.
    definitions: HashMap<*const Query, String>,
    /// The queries around the place that is visited.
    open: Vec<u64>,
    depth: usize,
}

impl Visitor for Scale {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        self.open.push(0);
        let Some(with) = &query.with else {
            return ControlFlow::Continue(());
        };
        self.depth += 1;
        if self.depth > MAX_WITH_DEPTH {
            return ControlFlow::Break(format!(
                "its query has WITH inside of WITH more than {MAX_WITH_DEPTH} levels deep"
            ));
        }
        for table in &with.cte_tables {
            let name = table.alias.name.value.to_lowercase();
            self.definitions
                .insert(std::ptr::from_ref(&*table.query), name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<String> {
        let name = relation.0.last().map(|part| part.to_string());
        let name = name.unwrap_or_default().trim_matches('"').to_lowercase();
        // Functions and whatever is unknown: planning says what is wrong with it.
        let weight = self.known.get(&name).copied().unwrap_or(1);
        if let Some(sum) = self.open.last_mut() {
            *sum = sum.saturating_add(weight);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        let weight = self.open.pop().unwrap_or(0);
        if query.with.is_some() {
            self.depth -= 1;
        }
        match self.definitions.get(&std::ptr::from_ref(query)) {
            // Names may be defined again further inside: the heavier one counts.
            Some(name) => {
                let known = self.known.entry(name.clone()).or_default();
                *known = weight.max(*known).max(1);
            }
            None => {
                if let Some(around) = self.open.last_mut() {
                    *around = around.saturating_add(weight);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn weight(sql: &str) -> Result<u64, String> {
        let statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap();
        of(&statements[0], &HashMap::from([("input0".to_owned(), 10)]))
    }

    #[test]
    fn tables_count_where_they_stand() {
        assert_eq!(weight("select 1"), Ok(0));
        assert_eq!(weight("select * from input0 a, INPUT0 b"), Ok(20));
        assert_eq!(
            weight("select * from (select * from input0) where 1 in (select 2 from input0)"),
            Ok(20)
        );
        let sql = "with a as (select * from input0 x, input0 y), b as (select * from a x, a y) select * from b, a";
        assert_eq!(weight(sql), Ok(60));
    }

    #[test]
    fn doubling_is_seen_in_time() {
        let mut sql = "with t0 as (select * from input0)".to_owned();
        for n in 1..60 {
            sql += &format!(", t{n} as (select * from t{} a, t{} b)", n - 1, n - 1);
        }
        sql += " select * from t59";
        let said = weight(&sql).unwrap_err();
        assert!(said.contains("5764607523034234880 columns"), "{said}");
    }

    #[test]
    fn definitions_in_definitions_have_an_end() {
        let nested = |levels: usize| {
            let (open, close) = (
                "with t as (".repeat(levels),
                ") select * from t".repeat(levels),
            );
            weight(&format!("{open}select * from input0{close}"))
        };
        assert_eq!(nested(8), Ok(10));
        assert!(nested(9).unwrap_err().contains("more than 8 levels deep"));
    }
}
