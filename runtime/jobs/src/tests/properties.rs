//! Random sequences of events, with two schedulers over one store: no forbidden state, no run lost or doubled, no run
//! held by two.

use proptest::prelude::*;
use tenon_store::Tree;

use super::*;
use crate::run::Phase;
use crate::stored::{self, StoredRun, Tally};

/// What may happen next. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Event {
    Start {
        tenant: usize,
        job: usize,
    },
    Stop(usize),
    Tick(usize),
    /// A scheduler dies, and another one with nothing in memory takes its place.
    Kill(usize),
    Report(usize, Kind),
    Wait(u64),
    Delete {
        tenant: usize,
        job: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Started,
    Ready,
    Succeeded,
    Failed,
    Cancelled,
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        4 => Just(Kind::Started),
        2 => Just(Kind::Ready),
        3 => Just(Kind::Succeeded),
        2 => Just(Kind::Failed),
        1 => Just(Kind::Cancelled),
    ];
    prop_oneof![
        6 => (0..2_usize, 0..2_usize).prop_map(|(tenant, job)| Event::Start { tenant, job }),
        2 => any::<usize>().prop_map(Event::Stop),
        10 => (0..2_usize).prop_map(Event::Tick),
        1 => (0..2_usize).prop_map(Event::Kill),
        10 => (any::<usize>(), kind).prop_map(|(run, kind)| Event::Report(run, kind)),
        3 => prop_oneof![Just(1), Just(11), Just(31), Just(70), Just(100)].prop_map(Event::Wait),
        1 => (0..2_usize, 0..2_usize).prop_map(|(tenant, job)| Event::Delete { tenant, job }),
    ]
}

const TENANTS: [Tenant; 2] = [ONE, TWO];
const NAMES: [&str; 2] = ["a", "b"];

struct World {
    bench: Bench,
    schedulers: Vec<Scheduler>,
    views: Vec<Jobs>,
    /// The state that each attempt had when it was last seen.
    seen: BTreeMap<(Tenant, String), RunState>,
    /// Claims that each attempt has had.
    started: Vec<(usize, usize, String)>,
}

impl World {
    fn new() -> Self {
        let bench = Bench::new();
        let views = vec![bench.jobs.clone(), open_jobs(&bench.store, &bench.clock)];
        let schedulers = vec![
            bench.scheduler_of(&views[0], 2, "one"),
            bench.scheduler_of(&views[1], 2, "two"),
        ];
        let world = Self {
            bench,
            schedulers,
            views,
            seen: BTreeMap::new(),
            started: Vec::new(),
        };
        for tenant in 0..2 {
            for job in 0..2 {
                world.create(tenant, job);
            }
        }
        world
    }

    fn create(&self, tenant: usize, job: usize) {
        let quick = JobDefinition {
            timeout: Some(1),
            ..definition(1 + i32::try_from(job).unwrap(), 1)
        };
        let jobs = self.bench.jobs.tenant(TENANTS[tenant]);
        jobs.create_job(NAMES[job], quick, Tags::new()).unwrap();
    }

    fn play(&mut self, event: &Event) {
        match *event {
            Event::Start { tenant, job } => {
                let jobs = self.bench.jobs.tenant(TENANTS[tenant]);
                let id = jobs.start_run(NAMES[job], &StartRun::default()).unwrap();
                self.started.push((tenant, job, id));
            }
            Event::Stop(which) if !self.started.is_empty() => {
                let (tenant, job, id) = &self.started[which % self.started.len()];
                // It may have ended.
                let _ = self
                    .bench
                    .jobs
                    .tenant(TENANTS[*tenant])
                    .stop_run(NAMES[*job], id);
            }
            Event::Tick(which) => drop(self.schedulers[which].tick().unwrap()),
            Event::Kill(which) => {
                let holder = format!("after a kill {which}");
                self.schedulers[which] = self.bench.scheduler_of(&self.views[which], 2, &holder);
            }
            Event::Report(which, kind) => self.report(which, kind),
            Event::Wait(seconds) => self.bench.advance(seconds),
            Event::Delete { tenant, job } => {
                self.bench
                    .jobs
                    .tenant(TENANTS[tenant])
                    .delete_job(NAMES[job])
                    .unwrap();
                self.started.retain(|(t, j, _)| (*t, *j) != (tenant, job));
                self.seen.retain(|(t, _), _| *t != TENANTS[tenant]);
                self.create(tenant, job);
            }
            Event::Stop(_) => {}
        }
    }

    /// Any worker that ever was says anything, also one that was given up long ago.
    fn report(&self, which: usize, kind: Kind) {
        let all = self.bench.script.0.lock().clone();
        if all.is_empty() {
            return;
        }
        let given = &all[which % all.len()];
        given.report(match kind {
            Kind::Started => Report::Started,
            Kind::Ready => Report::Ready,
            Kind::Succeeded => Report::Ended(Outcome::Succeeded(Success::default())),
            Kind::Failed => Report::Ended(Outcome::Failed(crate::Problem::new("no", "yes"))),
            Kind::Cancelled => Report::Ended(Outcome::Cancelled),
        });
    }

    /// What must be so at every moment.
    fn check(&mut self) {
        self.check_holders();
        for tenant in TENANTS {
            let jobs = self.bench.jobs.tenant(tenant);
            let (mut waiting, mut active) = (0, 0);
            for name in NAMES {
                let number = jobs.stored_job(name).unwrap().value.number;
                let runs: Vec<(_, StoredRun)> = jobs
                    .list(Tree::Run, &stored::runs(number), None, 1000)
                    .unwrap()
                    .0;
                let count = |phase| {
                    let phases = runs.iter().map(|(_, run)| run.run.job_run_state.phase());
                    phases.filter(|found| *found == phase).count()
                };
                let tally = jobs
                    .read::<Tally>(Tree::Run, &stored::tally(number))
                    .unwrap();
                let tally = tally.map(|tally| tally.value).unwrap_or_default();
                assert_eq!(tally.waiting, count(Phase::Waiting) as u64);
                assert_eq!(tally.active, count(Phase::Active) as u64);
                assert_eq!(tally.newest, runs.len() as u64, "no run is lost");
                let limit = jobs.get_job(name).unwrap().definition.concurrent_runs();
                assert!(tally.active <= limit);
                waiting += count(Phase::Waiting);
                active += count(Phase::Active);
                for (_, run) in &runs {
                    self.follow(tenant, run);
                }
            }
            let queued = jobs
                .keys(Tree::Due, &stored::queue(), None)
                .unwrap()
                .0
                .len();
            let held = jobs
                .keys(Tree::Due, &stored::all_active(), None)
                .unwrap()
                .0
                .len();
            assert_eq!(
                (queued, held),
                (waiting, active),
                "the queue is the waiting runs"
            );
        }
    }

    /// A run goes only where the machine allows, also in several steps.
    fn follow(&mut self, tenant: Tenant, run: &StoredRun) {
        let now = run.run.job_run_state;
        let before = self.seen.insert((tenant, run.run.id.clone()), now);
        let before = before.unwrap_or(RunState::Waiting);
        assert!(before == now || reaches(before, now), "{before} to {now}");
        assert_eq!(now.is_final(), run.run.completed_on.is_some());
        assert_eq!(now.phase() == Phase::Active, run.lease.is_some());
    }

    /// Of two schedulers that both think they hold a run, at most one may change it.
    fn check_holders(&self) {
        let all = self.bench.script.0.lock().clone();
        let mut held = std::collections::BTreeSet::new();
        for given in all {
            let key = given.key();
            if self.bench.jobs.tenant(key.tenant).held_run(key).is_ok() {
                assert!(held.insert((key.tenant, key.place)), "held twice");
            }
        }
    }
}

fn reaches(from: RunState, to: RunState) -> bool {
    let next = RunState::ALL
        .into_iter()
        .filter(|next| from.may_become(*next));
    let mut next = next.collect::<Vec<_>>().into_iter();
    next.any(|next| next == to || reaches(next, to))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_run_is_lost_doubled_or_held_twice(events in prop::collection::vec(event(), 1..80)) {
        let mut world = World::new();
        for event in &events {
            world.play(event);
            world.check();
        }
        // Left alone, everything comes to an end.
        for _ in 0..200 {
            let open = world.bench.script.0.lock().clone();
            for given in open.iter().filter(|given| !given.said().dropped) {
                given.report(Report::Started);
                given.succeed();
            }
            for scheduler in &mut world.schedulers {
                scheduler.tick().unwrap();
            }
            world.bench.advance(31);
            world.check();
        }
        for (run, state) in &world.seen {
            prop_assert!(state.is_final(), "{run:?} is {state}");
        }
    }
}
