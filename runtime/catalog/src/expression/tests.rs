//! Filters of partitions: what parses, what it means for typed keys, and what it lets the index rule out.

use std::ops::Bound;

use proptest::prelude::*;

use super::value::decimal;
use super::*;

impl Expression<'_> {
    fn accepts(&self, values: &[String]) -> Result<bool> {
        for conjunct in self.conjuncts() {
            if !self.holds(&conjunct, values)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn keys() -> Vec<Column> {
    let key = |(name, r#type): (&str, &str)| Column {
        name: name.to_owned(),
        r#type: Some(r#type.to_owned()),
        ..Default::default()
    };
    [
        ("region", "string"),
        ("year", "int"),
        ("day", "date"),
        ("price", "decimal(10,2)"),
        ("at", "timestamp"),
        ("blob", "binary"),
    ]
    .map(key)
    .to_vec()
}

const VALUES: [&str; 6] = [
    "eu-'1",
    "2015",
    "2020-02-03",
    "-1.50",
    "2020-01-01 10:00:00",
    "x",
];

fn holds(text: &str) -> Result<bool> {
    Expression::parse(text, &keys())?.accepts(&VALUES.map(str::to_owned))
}

#[test]
fn every_form_that_clients_send() {
    for (text, expected) in [
        ("", true),
        ("  \n ", true),
        ("year = 2015", true),
        ("YEAR = '2015' and year==02015", true),
        ("year <> 2015 or year != 2015", false),
        (
            "((year >= 2012 AND year <= 2013)) OR ((region in ('a', 'eu-''1')))",
            true,
        ),
        ("((region) NOT IN ('a') and year BETWEEN 1 AND 2)", false),
        ("region = 'eu-\\'1'", true),
        (
            "region = \"eu-'1\" AND `year` > -3 AND \"year\" < 9999",
            true,
        ),
        ("not (year in (2015))", false),
        ("NOT NOT year in (2015, 3)", true),
        ("year not between 2016 and 2020", true),
        ("region like 'eu%' and region LIKE '__-_1'", true),
        ("region not like '%2'", true),
        ("region is null", false),
        ("region is not null", true),
        ("day > date '2020-02-02' and day = '2020-2-3'", true),
        ("price = -1.5 and price < -1.49 and price > '-10'", true),
        (
            "at >= timestamp '2020-01-01 10:00:00.0' and at < '2020-01-01T10:00:01'",
            true,
        ),
        ("2016 > year and 2014 < year", true),
        ("year = 1 or year = 2015 and region = 'b'", false),
    ] {
        assert_eq!(holds(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_is_wrong_with_a_filter_is_said() {
    for (text, expected) in [
        ("city = 'a'", "city is not a partition key"),
        ("year = 'x'", "\"x\" is not of type int, which year has"),
        ("year like '2%'", "LIKE is for strings, year is of type int"),
        ("blob = 'a'", "is not of type binary"),
        ("year =", "it ends early"),
        ("year = 1 year", "is not expected"),
        ("(year = 1", "it ends early"),
        ("and = 1", "and is a reserved word"),
        ("region = 'a", "a ' is not closed"),
        ("year in ()", "stands where a value is expected"),
        ("day = '2020-13-01'", "is not of type date"),
        ("year ; 1", "';' is not expected"),
        (
            &format!("{}year = 1", "(".repeat(2000)),
            "nested deeper than 100",
        ),
        (
            &format!("{}year = 1", "not ".repeat(2000)),
            "nested deeper than 100",
        ),
    ] {
        let error = holds(text).unwrap_err();
        assert!(
            matches!(error, Error::InvalidInput { .. }) && error.to_string().contains(expected),
            "{error}"
        );
    }
    let keys = keys();
    let stored = Expression::parse("year = 1", &keys).unwrap();
    let null = ["a", "__HIVE_DEFAULT_PARTITION__"].map(str::to_owned);
    assert!(matches!(
        stored.accepts(&null),
        Err(Error::InvalidState { .. })
    ));
}

#[test]
fn what_a_filter_says_of_one_key_is_found() {
    let keys = keys();
    let points = |text: &str, column| {
        let expression = Expression::parse(text, &keys).unwrap();
        let conjuncts = expression.conjuncts();
        let points = conjuncts.iter().find_map(|one| one.points(column));
        points.map(|points| points.len())
    };
    assert_eq!(
        points("year = 1 and (region = 'a' and day > '2020-01-01')", 0),
        Some(1)
    );
    assert_eq!(points("region = 'a' or region in ('b', 'a')", 0), Some(2));
    assert_eq!(points("region = 'a' or year = 1", 0), None);
    assert_eq!(points("not region = 'a'", 0), None);

    let like = |text: &str| {
        let expression = Expression::parse(text, &keys).unwrap();
        expression.conjuncts()[0].range(0)
    };
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(
        like("region like 'az%'"),
        (Bound::Included(text("az")), Bound::Excluded(text("a{")))
    );
    assert_eq!(
        like("region like '\u{d7ff}_'").1,
        Bound::Excluded(text("\u{e000}"))
    );
    assert_eq!(like("region like '%a'").0, Bound::Unbounded);
    let last = format!("region like '{}%'", char::MAX);
    assert_eq!(like(&last).1, Bound::Unbounded);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_an_answer(text in "([a-z'\"`()=<>!,.0-9 %_-]|and |or |not |in |year |region |like )*") {
        let _ = holds(&text);
    }

    #[test]
    fn integers_compare_as_integers(a in any::<i64>(), b in any::<i64>()) {
        let keys = keys();
        let text = format!("year < {b}");
        let found = Expression::parse(&text, &keys).unwrap().accepts(&[String::new(), a.to_string()]).unwrap();
        prop_assert_eq!(found, a < b);
        let (a, b) = (i128::from(a), i128::from(b));
        prop_assert_eq!(decimal(&a.to_string()).cmp(&decimal(&b.to_string())), a.cmp(&b));
    }

    #[test]
    fn de_morgan_holds(x in -3..3_i64, y in -3..3_i64, v in -3..3_i64) {
        let keys = keys();
        let values = ["r".to_owned(), v.to_string()];
        let holds = |text: String| Expression::parse(&text, &keys).unwrap().accepts(&values).unwrap();
        prop_assert_eq!(
            holds(format!("not (year > {x} and year <= {y})")),
            holds(format!("not year > {x} or not year <= {y}"))
        );
        prop_assert_eq!(holds(format!("year between {x} and {y}")), x <= v && v <= y);
    }

    #[test]
    fn like_is_what_the_slow_definition_says(text in "[ab]{0,6}", pattern in "[ab%_]{0,6}") {
        fn slow(text: &[char], pattern: &[char]) -> bool {
            match pattern.split_first() {
                None => text.is_empty(),
                Some(('%', rest)) => (0..=text.len()).any(|at| slow(&text[at..], rest)),
                Some(('_', rest)) => !text.is_empty() && slow(&text[1..], rest),
                Some((c, rest)) => text.first() == Some(c) && slow(&text[1..], rest),
            }
        }
        let keys = keys();
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let found = Expression::parse(&format!("region like '{pattern}'"), &keys).unwrap();
        prop_assert_eq!(found.accepts(std::slice::from_ref(&text)).unwrap(), slow(&chars(&text), &chars(&pattern)));
    }
}
