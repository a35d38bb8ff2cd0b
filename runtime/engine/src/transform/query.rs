//! What the text of a query says of the tables that it reads.
//!
//! ```text
//! with f as (select * from s) select * from f a join f b      s stands there once and is read twice
//! select * from s tablesample (10 percent)                    DataFusion reads all of s
//! ```

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, ObjectName, Query, Select, Statement, TableFactor, Visit, Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// How often a table may come to be read, at most as far as 2 goes: as often as its name stands in the query, and at
/// least twice where the query may repeat a part of itself.
pub(crate) fn mentions(sql: &str, name: &str) -> usize {
    mentions_of(sql, &[name])
}

/// The same for a table of several names, none of them twice.
pub(crate) fn mentions_of(sql: &str, names: &[&str]) -> usize {
    let count: usize = names.iter().map(|name| count(sql, name)).sum();
    count.max(if may_repeat(sql) { 2 } else { 1 })
}

fn count(sql: &str, name: &str) -> usize {
    let is_of_words = |c: char| c.is_alphanumeric() || c == '_';
    if name.chars().all(is_of_words) {
        let words = sql.split(|c: char| !is_of_words(c));
        words.filter(|word| word.eq_ignore_ascii_case(name)).count()
    } else {
        sql.to_lowercase().matches(&name.to_lowercase()).count()
    }
}

/// Whether a part of the query may be planned more than once: a common table expression that is named twice or is
/// recursive, and a subquery in an expression, which goes wherever the optimiser copies the expression to. What cannot
/// be parsed fails when it is planned.
fn may_repeat(sql: &str) -> bool {
    let Ok(statements) = Parser::parse_sql(&GenericDialect {}, sql) else {
        return false;
    };
    let mut repeats = Repeats::default();
    statements.visit(&mut repeats).is_break()
}

#[derive(Default)]
struct Repeats {
    defined: BTreeSet<String>,
    named: BTreeSet<String>,
}

impl Visitor for Repeats {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let Some(with) = &query.with else {
            return ControlFlow::Continue(());
        };
        if with.recursive {
            return ControlFlow::Break(());
        }
        let names = with.cte_tables.iter();
        let names = names.map(|table| table.alias.name.value.to_lowercase());
        self.defined.extend(names);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let ident = relation.0.last().and_then(|part| part.as_ident());
        let name = ident.map(|ident| ident.value.to_lowercase());
        let name = name.unwrap_or_default();
        if self.defined.contains(&name) && !self.named.insert(name) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// What the query says and DataFusion passes over, as a sentence.
pub(crate) fn passed_over(statement: &Statement) -> Option<String> {
    statement.visit(&mut PassedOver).break_value()
}

struct PassedOver;

impl Visitor for PassedOver {
    type Break = String;

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<String> {
        let is_plain = match factor {
            TableFactor::Table { .. } => is_plain(factor),
            TableFactor::Derived { sample, .. } => sample.is_none(),
            _ => true,
        };
        match is_plain {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(format!(
                "a table has a name, arguments and an alias here, and nothing else: {factor}"
            )),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        let refuse = |what: &str| ControlFlow::Break(format!("a query has no {what} here"));
        if select.prewhere.is_some() {
            return refuse("PREWHERE");
        }
        if !select.connect_by.is_empty() {
            return refuse("CONNECT BY");
        }
        let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) =
            &select.group_by;
        match modifiers.first() {
            Some(modifier) => ControlFlow::Break(format!(
                "{modifier} does not stand behind the columns of GROUP BY here; write GROUP BY ROLLUP (...), CUBE (...) \
                 or GROUPING SETS (...)"
            )),
            None => ControlFlow::Continue(()),
        }
    }
}

/// Whether a table or a function has nothing but its name, its arguments and an alias.
pub(crate) fn is_plain(factor: &TableFactor) -> bool {
    let TableFactor::Table {
        name: _,
        alias: _,
        args,
        with_hints,
        version,
        with_ordinality,
        partitions,
        json_path,
        sample,
        index_hints,
    } = factor
    else {
        return false;
    };
    with_hints.is_empty()
        && version.is_none()
        && !with_ordinality
        && partitions.is_empty()
        && json_path.is_none()
        && sample.is_none()
        && index_hints.is_empty()
        && args.as_ref().is_none_or(|args| args.settings.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_as_words_and_odd_names_as_they_stand() {
        assert_eq!(mentions("select t.a from T, tt", "t"), 2);
        assert_eq!(mentions("select 1", "t"), 1);
        let odd = r#"select * from "my-node" a, "My-Node" b"#;
        assert_eq!(mentions(odd, "my-node"), 2);
    }

    #[test]
    fn what_may_be_planned_twice_is_read_twice() {
        for (sql, count) in [
            (
                "with f as (select * from s) select * from f a join f b on a.x = b.x",
                2,
            ),
            (
                "with f as (select * from s), g as (select * from F), h as (select * from g, \"f\") select 1 from h",
                2,
            ),
            (
                "with recursive f as (select 1 as n from s union all select n from f) select n from f",
                2,
            ),
            ("select * from (select (select max(x) from s) as m)", 2),
            ("select * from t where x in (select x from s)", 2),
            ("select * from t where exists (select 1 from s)", 2),
            ("with f as (select * from s) select f.x, f.y from f", 1),
            ("select * from (select x from s) a, t b, t c", 1),
            ("select with from s", 1),
        ] {
            assert_eq!(mentions(sql, "s"), count, "{sql}");
        }
    }

    #[test]
    fn what_is_said_of_a_table_is_noticed() {
        let said = |sql: &str| {
            let statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap();
            passed_over(&statements[0])
        };
        assert_eq!(said("select * from s as t (x), shout(1) u"), None);
        let sampled = said("select * from (select * from s tablesample (10 percent)) t");
        assert!(sampled.unwrap().contains("TABLESAMPLE"));
        for (sql, word) in [
            (
                "select a, sum(v) from s group by a with rollup",
                "WITH ROLLUP",
            ),
            ("select id from s prewhere id > 2", "PREWHERE"),
            (
                "select id from s start with id = 1 connect by prior id = up",
                "CONNECT BY",
            ),
        ] {
            assert!(said(sql).is_some_and(|said| said.contains(word)), "{sql}");
        }
        assert_eq!(said("select a, sum(v) from s group by rollup (a)"), None);
    }
}
