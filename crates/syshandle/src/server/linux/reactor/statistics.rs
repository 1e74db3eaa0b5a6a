//! The statistics of a running server.

use std::sync::atomic::Ordering;

use syshandle_os::UserId;
use syshandle_wire::Fault;

use super::Reactor;
use crate::quota::holder::QuotaHolder;
use crate::quota::{MAX, QuotaLimits};
use crate::server::stats::{CallStats, QuotaOwner, QuotaStats, ServerStats, Usage};

impl Reactor {
    /// Counts a client or a call that is refused with this fault.
    pub(crate) fn count_refusal(&self, fault: &Fault) {
        self.refusals.count(fault);
    }

    /// Returns the statistics.
    pub(crate) fn stats(&self) -> ServerStats {
        let mut stats = ServerStats {
            refusals: self.refusals.stats(),
            clients: self.activity.presence(),
            threads: self.workers.threads(),
            ..ServerStats::default()
        };
        for event_loop in self.event_loops() {
            stats.calls.done += event_loop.calls.load(Ordering::Relaxed);
            stats.event_loops += usize::from(event_loop.is_run.load(Ordering::Relaxed));
        }
        for (holder, quota) in self.quotas.all() {
            let (limits, used) = (quota.limits(), quota.used());
            let CallStats { running, waiting, .. } = &mut stats.calls;
            *running += used.calls + used.async_calls;
            *waiting += used.waiting;
            stats.background_tasks += used.tasks;
            stats.descriptors += used.descriptors;
            stats.quotas.push(quota_stats(holder, used, limits));
        }
        stats
    }
}

fn quota_stats(holder: QuotaHolder, used: QuotaLimits, limits: QuotaLimits) -> QuotaStats {
    let usage = |used, limit| Usage { used, limit: Some(limit).filter(|limit| *limit < MAX) };
    QuotaStats {
        owner: match holder {
            QuotaHolder::User(uid) => QuotaOwner::User(UserId::from_kernel(uid)),
            QuotaHolder::Unknown => QuotaOwner::UnknownUsers,
            QuotaHolder::Process(pid) => QuotaOwner::Process(pid),
        },
        clients: usage(used.clients, limits.clients),
        running_calls: usage(used.calls, limits.calls),
        async_calls: usage(used.async_calls, limits.async_calls),
        waiting_calls: usage(used.waiting, limits.waiting),
        descriptors: usage(used.descriptors, limits.descriptors),
        background_tasks: usage(used.tasks, limits.tasks),
        memory: usage(used.bytes, limits.bytes),
    }
}
