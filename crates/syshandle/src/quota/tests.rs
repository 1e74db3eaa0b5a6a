//! Tests of quotas.

use super::*;
use crate::sync::run_once;

impl Quota {
    /// Returns a quota that limits only handles in flight.
    pub(crate) fn with_in_flight(max: usize) -> Arc<Self> {
        Arc::new(Self::new(QuotaLimits::UNLIMITED, Arc::new(InFlight::new(max))))
    }
}

fn quota(clients: usize, calls: usize, descriptors: usize) -> Arc<Quota> {
    let totals = QuotaLimits {
        clients,
        calls,
        async_calls: 3,
        waiting: 1,
        descriptors,
        tasks: 2,
        bytes: 100,
    };
    Arc::new(Quota::new(totals, Arc::new(InFlight::new(1))))
}

#[test]
fn a_dropped_guard_returns_its_quota() {
    run_once(|| {
        let quota = quota(2, 1, 10);
        let first = quota.take(Resource::Connection, 1).unwrap();
        let _second = quota.take(Resource::Connection, 1).unwrap();
        assert!(quota.take(Resource::Connection, 1).is_err());
        drop(first);
        let _third = quota.take(Resource::Connection, 1).unwrap();
        let call = quota.take(Resource::Call, 8).unwrap();
        assert_eq!(quota.take(Resource::Call, 0).unwrap_err(), "calls of one client");
        assert_eq!(
            quota.take(Resource::BackgroundTask(0), 1).unwrap_err(),
            "descriptors of one client"
        );
        drop(call);
        quota.take(Resource::Call, 8).unwrap();
        let reply = quota.take(Resource::Reply(60), 0).unwrap();
        quota.take(Resource::Reply(60), 0).unwrap_err();
        quota.take(Resource::Memory(60), 0).unwrap_err();
        quota.take(Resource::Reply(40), 0).unwrap();
        drop(reply);
        let mut memory = quota.take(Resource::Memory(10), 0).unwrap();
        memory.grow_memory(100).unwrap();
        assert_eq!(memory.grow_memory(101), Err(MEMORY));
        quota.take(Resource::Memory(1), 0).unwrap_err();
        memory.shrink_memory(40);
        quota.take(Resource::Memory(60), 0).unwrap();
        drop(memory);
        quota.take(Resource::Memory(100), 0).unwrap();
        let tasks = [(); 2].map(|()| quota.take(Resource::BackgroundTask(30), 0).unwrap());
        let error = quota.take(Resource::BackgroundTask(30), 0).unwrap_err();
        assert_eq!(error, "background tasks of one client");
        assert_eq!(quota.take(Resource::Memory(41), 0).unwrap_err(), MEMORY);
        drop(tasks);
        assert_eq!(quota.take(Resource::BackgroundTask(101), 0).unwrap_err(), MEMORY);
        quota.take(Resource::BackgroundTask(100), 0).unwrap();
        assert_eq!(quota.used().tasks, 0);
    });
}

#[test]
fn a_call_that_waits_starts_when_another_one_has_ended() {
    run_once(|| {
        let quota = quota(1, 1, 10);
        let running = quota.take(Resource::Call, 1).unwrap();
        let mut waiting = quota.take(Resource::WaitingCall, 8).unwrap();
        let error = quota.take(Resource::WaitingCall, 0).unwrap_err();
        assert_eq!(error, "calls of one client that wait");
        assert!(!quota.may_run() && !waiting.start());
        drop(running);
        assert!(quota.may_run() && waiting.start());
        quota.take(Resource::Call, 0).unwrap_err();
        let _next = quota.take(Resource::WaitingCall, 2).unwrap();
        drop(waiting);
        quota.take(Resource::Call, 8).unwrap();
    });
}

#[test]
fn a_refused_request_takes_no_quota() {
    run_once(|| {
        let quota = quota(1, 1, 1);
        for _ in 0..10 {
            quota.take(Resource::Connection, 2).unwrap_err();
            quota.take(Resource::Call, 2).unwrap_err();
        }
        let _client = quota.take(Resource::Connection, 1).unwrap();
        let _call = quota.take(Resource::Call, 0).unwrap();
    });
}

#[test]
fn a_process_of_ones_own_has_five_eighths_and_another_user_a_quarter() {
    let totals = QuotaLimits { clients: 16, calls: 2, ..QuotaLimits::UNLIMITED };
    let quotas = Quotas::new(totals);
    let user = UserId::from_kernel;
    let own = UserId::current();
    let process = quotas.of_process(own, 7);
    assert_eq!(process.max.clients, 10);
    assert_eq!(process.max.calls, 2, "rounded up");
    assert_eq!(process.max.descriptors, MAX);
    assert!(Arc::ptr_eq(&process, &quotas.of_process(own, 7)));
    assert!(!Arc::ptr_eq(&process, &quotas.of_process(own, 8)));
    let stranger = quotas.of_process(user(own.shown() + 1), 7);
    assert_eq!(stranger.max.clients, 4);
    assert!(Arc::ptr_eq(&stranger, &quotas.of_process(user(own.shown() + 1), 8)), "it is one user");
    let unknown = quotas.of_process(user(u32::MAX), 7);
    assert_eq!(unknown.max.clients, 4);
    assert!(Arc::ptr_eq(&unknown, &quotas.of_process(user(u32::MAX), 8)), "all have one quota");
    assert!(!Arc::ptr_eq(&unknown, &stranger));
}

#[test]
fn a_process_of_ones_own_and_another_user_together_leave_a_part_of_everything_to_others() {
    let totals = QuotaLimits::of_server(1024, 256, Some(1024));
    let quotas = Quotas::new(totals);
    let own = UserId::current();
    let process = quotas.of_process(own, 7).max;
    let user = quotas.of_process(UserId::from_kernel(own.shown() + 1), 7).max;
    let left = |of: fn(&QuotaLimits) -> usize| of(&totals) - of(&process) - of(&user);
    assert_eq!(left(|totals| totals.descriptors), 128);
    assert_eq!(left(|totals| totals.clients), 128);
    assert_eq!(left(|totals| totals.calls), 32);
    assert_eq!(left(|totals| totals.waiting), 128);
    assert!(left(|totals| totals.tasks) >= totals.tasks / 8);
    assert!(left(|totals| totals.bytes) >= totals.bytes / 8 - 2, "rounded up");
}

#[test]
fn processes_of_other_pid_namespaces_share_one_quota() {
    let quotas = Quotas::new(QuotaLimits { clients: 16, ..QuotaLimits::UNLIMITED });
    let [own, hidden] =
        [std::process::id(), 0].map(|pid| quotas.of_process(UserId::current(), pid));
    assert_eq!((own.max.clients, hidden.max.clients), (16, 10));
    assert!(Arc::ptr_eq(&hidden, &quotas.of_process(UserId::current(), 0)));
}

#[test]
fn departed_clients_leave_no_quota_entries() {
    let quotas = Quotas::new(QuotaLimits::UNLIMITED);
    for pid in 0..10_000 {
        quotas.of_process(UserId::current(), pid);
    }
    assert!(quotas.quotas.lock().unwrap().len() < 1_000);
}
