//! A memory for jobs that are done. It is bounded: the oldest are forgotten first.

use std::collections::{BTreeMap, VecDeque};

use crate::message::JobId;

/// What is remembered of the last jobs.
#[derive(Debug)]
pub(crate) struct Recall<T> {
    known: BTreeMap<JobId, T>,
    /// The oldest first.
    order: VecDeque<JobId>,
    capacity: usize,
}

impl<T> Recall<T> {
    /// Remembers the last `capacity` jobs.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { known: BTreeMap::new(), order: VecDeque::new(), capacity }
    }

    pub(crate) fn get(&self, id: &JobId) -> Option<&T> {
        self.known.get(id)
    }

    /// Remembers `what` of a job, and forgets the oldest if that is one too many. What was known of this job stays.
    pub(crate) fn note(&mut self, id: JobId, what: T) {
        if self.known.contains_key(&id) {
            return;
        }
        self.order.push_back(id.clone());
        self.known.insert(id, what);
        while self.order.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> JobId {
        JobId { requestor: "a:1@00000000000000000000000000000001.1".parse().unwrap(), number }
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut recall = Recall::new(2);
        for number in 1..=3 {
            recall.note(id(number), number);
        }
        assert_eq!([recall.get(&id(1)), recall.get(&id(2)), recall.get(&id(3))], [None, Some(&2), Some(&3)]);
        assert_eq!((recall.known.len(), recall.order.len()), (2, 2));
    }

    #[test]
    fn what_is_known_stays_and_does_not_push_others_out() {
        let mut recall = Recall::new(2);
        for _ in 0..5 {
            recall.note(id(1), "first");
            recall.note(id(2), "second");
        }
        recall.note(id(1), "again");
        assert_eq!([recall.get(&id(1)), recall.get(&id(2))], [Some(&"first"), Some(&"second")]);
    }
}
