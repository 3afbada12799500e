//! Who waits where: a queue for each destination, connections given out fairly.
//!
//! Plain data under one short lock: it starts no task and reads no clock.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    job::{Destination, Job},
    outcome::Failure,
};

/// How many connections there may be.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// To one destination.
    pub each_max: usize,
    /// In all.
    pub all_max: usize,
}

/// All destinations that have something to do.
#[derive(Debug)]
pub struct Line {
    limits: Connections,
    destinations: HashMap<Destination, Waiting>,
    /// Destinations that wait for a connection, in their order.
    line: VecDeque<Destination>,
    /// Workers in all, those for mailboxes left out.
    connections: usize,
}

/// One destination.
#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    workers: usize,
    idle: usize,
    in_line: bool,
    /// Until then nobody connects: all its hosts failed.
    closed: Option<(Instant, Failure)>,
    wake: Arc<Notify>,
}

/// What is to be done after a change.
#[derive(Debug)]
#[must_use]
pub enum Then {
    /// Nothing: somebody is busy there, or it waits in line.
    Nothing,
    /// Wake an idle worker.
    Wake(Arc<Notify>),
    /// Start a worker; it is counted already.
    Start(Destination),
}

/// What a worker finds.
#[derive(Debug)]
pub enum Next {
    /// A job.
    Job(Box<Job>),
    /// Nothing now; it is counted as idle until [`Line::busy`].
    Idle(Arc<Notify>),
    /// Nothing now, and others wait for a connection: end.
    Yield,
}

impl Line {
    /// Nobody waits.
    pub fn new(limits: Connections) -> Self {
        Self { limits, destinations: HashMap::new(), line: VecDeque::new(), connections: 0 }
    }

    /// Adds a job.
    pub fn push(&mut self, destination: Destination, job: Job) -> Then {
        let waiting = self.destinations.entry(destination.clone()).or_default();
        waiting.jobs.push_back(job);
        if waiting.idle > 0 {
            return Then::Wake(waiting.wake.clone());
        }
        self.start_or_stand_in_line(destination)
    }

    fn start_or_stand_in_line(&mut self, destination: Destination) -> Then {
        let Some(waiting) = self.destinations.get_mut(&destination) else { return Then::Nothing };
        if destination == Destination::Local {
            if waiting.workers > 0 {
                return Then::Nothing;
            }
            waiting.workers = 1;
            return Then::Start(destination);
        }
        if waiting.workers >= self.limits.each_max.max(1) || waiting.in_line {
            return Then::Nothing;
        }
        if self.connections >= self.limits.all_max.max(1) {
            waiting.in_line = true;
            self.line.push_back(destination);
            return Then::Nothing;
        }
        waiting.workers += 1;
        self.connections += 1;
        Then::Start(destination)
    }

    /// Whether a destination waits for a connection that others have.
    pub fn is_crowded(&self) -> bool {
        !self.line.is_empty()
    }

    /// The next job of a destination.
    pub fn next(&mut self, destination: &Destination) -> Next {
        let crowded = self.is_crowded();
        let Some(waiting) = self.destinations.get_mut(destination) else { return Next::Yield };
        match waiting.jobs.pop_front() {
            Some(job) => Next::Job(Box::new(job)),
            None if crowded => Next::Yield,
            None => {
                waiting.idle += 1;
                Next::Idle(waiting.wake.clone())
            }
        }
    }

    /// An idle worker is idle no more.
    pub fn busy(&mut self, destination: &Destination) {
        if let Some(waiting) = self.destinations.get_mut(destination) {
            waiting.idle = waiting.idle.saturating_sub(1);
        }
    }

    /// The next job, or nothing.
    pub fn take(&mut self, destination: &Destination) -> Option<Job> {
        self.destinations.get_mut(destination)?.jobs.pop_front()
    }

    /// Whether jobs wait for this destination.
    pub fn has_jobs(&self, destination: &Destination) -> bool {
        self.destinations.get(destination).is_some_and(|waiting| !waiting.jobs.is_empty())
    }

    /// Nobody connects to this destination until then.
    pub fn close(&mut self, destination: &Destination, until: Instant, failure: Failure) {
        if let Some(waiting) = self.destinations.get_mut(destination) {
            waiting.closed = Some((until, failure));
        }
    }

    /// A host of it has answered.
    pub fn open(&mut self, destination: &Destination) {
        if let Some(waiting) = self.destinations.get_mut(destination) {
            waiting.closed = None;
        }
    }

    /// Why nobody connects to this destination now, if so.
    pub fn closed(&self, destination: &Destination, now: Instant) -> Option<Failure> {
        let (until, failure) = self.destinations.get(destination)?.closed.as_ref()?;
        (*until > now).then(|| failure.clone())
    }

    /// A worker has ended; whoever stands first in line is next.
    pub fn ended(&mut self, destination: &Destination) -> Vec<Then> {
        let mut then = Vec::new();
        if let Some(waiting) = self.destinations.get_mut(destination) {
            waiting.workers = waiting.workers.saturating_sub(1);
            if *destination != Destination::Local {
                self.connections = self.connections.saturating_sub(1);
            }
        }
        // Those that stood in line come before the one that just had its turn.
        while self.connections < self.limits.all_max.max(1) {
            let Some(first) = self.line.pop_front() else { break };
            let Some(waiting) = self.destinations.get_mut(&first) else { continue };
            waiting.in_line = false;
            if !waiting.jobs.is_empty() {
                then.push(self.start_or_stand_in_line(first));
            }
        }
        if self.has_jobs(destination) {
            then.push(self.start_or_stand_in_line(destination.clone()));
        }
        then
    }

    /// Forgets destinations with nothing to do.
    pub fn tidy(&mut self, now: Instant) {
        self.destinations.retain(|_, waiting| {
            let closed = waiting.closed.as_ref().is_some_and(|(until, _)| *until > now);
            !waiting.jobs.is_empty() || waiting.workers > 0 || waiting.in_line || closed
        });
    }

    /// Drops all jobs: they are not ours any more.
    pub fn clear(&mut self) {
        self.line.clear();
        for waiting in self.destinations.values_mut() {
            waiting.jobs.clear();
            waiting.in_line = false;
        }
    }
}

#[cfg(test)]
mod tests;
