//! Random transactions against a map: what the store holds is what the map holds, also after reopening.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const NAMES: [&str; 6] = ["", "a", "a\0", "ab", "b", "\u{ff}"];
const TREES: [Tree; 2] = [Tree::Object, Tree::Version];

/// A payload as byte and length, or a delete.
type Content = Option<(u8, usize)>;

#[derive(Debug, Clone)]
enum Step {
    Commit {
        tenant: u32,
        conditions: Vec<(usize, usize, Ask)>,
        changes: Vec<(usize, usize, Content)>,
    },
    Reopen,
}

/// A precondition relative to the model, so that about half of them hold.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Absent,
    Present,
    CurrentVersion,
    WrongVersion,
}

fn step() -> impl Strategy<Value = Step> {
    let ask = select(vec![
        Ask::Absent,
        Ask::Present,
        Ask::CurrentVersion,
        Ask::WrongVersion,
    ]);
    let size = prop_oneof![8 => 0..100_usize, 1 => 4000..20_000_usize];
    let content = prop_oneof![3 => (any::<u8>(), size).prop_map(Some), 1 => Just(None)];
    let (tree, name) = (0..TREES.len(), 0..NAMES.len());
    let conditions = prop::collection::vec((tree.clone(), name.clone(), ask), 0..2);
    let changes = prop::collection::vec((tree, name, content), 0..5);
    let commit = (select(vec![0, 1, u32::MAX]), conditions, changes).prop_map(
        |(tenant, conditions, changes)| Step::Commit {
            tenant,
            conditions,
            changes,
        },
    );
    prop_oneof![15 => commit, 1 => Just(Step::Reopen)]
}

type Model = BTreeMap<(Tree, u32, &'static str), (u64, Vec<u8>)>;

fn check(store: &dyn Store, model: &Model) -> Result<(), TestCaseError> {
    for tree in TREES {
        for tenant in [0, 1, u32::MAX] {
            let page = store
                .scan(Tenant::new(tenant), tree, &Key::new(), None, 100)
                .unwrap();
            let found: Vec<_> = page
                .records
                .into_iter()
                .map(|(key, record)| (key, record.version, record.payload))
                .collect();
            let range = (tree, tenant, "")..=(tree, tenant, NAMES[5]);
            let expected: Vec<_> = model
                .range(range)
                .map(|((_, _, name), (version, payload))| (key(name), *version, payload.clone()))
                .collect();
            prop_assert!(found == expected, "{tree} of tenant {tenant} differs");
        }
    }
    Ok(())
}

fn run(open: Open, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let dir = scratch();
    let mut store = open(dir.path());
    let mut model = Model::new();
    for step in steps {
        let Step::Commit {
            tenant,
            conditions,
            changes,
        } = step
        else {
            drop(store);
            store = open(dir.path());
            check(&*store, &model)?;
            continue;
        };
        let mut transaction = Transaction::new(Tenant::new(tenant));
        let mut holds = true;
        for (tree, name, ask) in conditions {
            let (tree, name) = (TREES[tree], NAMES[name]);
            let found = model
                .get(&(tree, tenant, name))
                .map(|(version, _)| *version);
            let expected = match ask {
                Ask::Absent => Expected::Absent,
                Ask::Present => Expected::Present,
                Ask::CurrentVersion => Expected::Version(found.unwrap_or(1)),
                Ask::WrongVersion => Expected::Version(found.map_or(3, |version| version + 1)),
            };
            holds &= match ask {
                Ask::Absent => found.is_none(),
                Ask::Present | Ask::CurrentVersion => found.is_some(),
                Ask::WrongVersion => false,
            };
            transaction = transaction.expect(tree, key(name), expected);
        }
        let distinct: BTreeMap<_, _> = changes
            .into_iter()
            .map(|(tree, name, content)| ((TREES[tree], NAMES[name]), content))
            .collect();
        for ((tree, name), content) in &distinct {
            transaction = match content {
                Some((fill, size)) => transaction.put(*tree, key(name), 1, vec![*fill; *size]),
                None => transaction.delete(*tree, key(name)),
            };
        }
        let outcome = store.commit(transaction);
        prop_assert_eq!(outcome.is_ok(), holds, "{:?}", outcome);
        if let Ok(commit) = outcome {
            let mut versions = commit.versions.into_iter();
            for ((tree, name), content) in distinct {
                match content {
                    Some((fill, size)) => {
                        let version = versions.next().unwrap();
                        model.insert((tree, tenant, name), (version, vec![fill; size]));
                    }
                    None => drop(model.remove(&(tree, tenant, name))),
                }
            }
        }
    }
    check(&*store, &model)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sled_is_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(open_sled, steps)?;
    }

    #[test]
    fn redb_is_a_map(steps in prop::collection::vec(step(), 1..60)) {
        run(open_redb, steps)?;
    }
}
