use std::future::Future;

use futures::StreamExt;
use futures::stream;

use super::{Flow, Notice};
use crate::base::Fault;

/// How far a piece of work is that may consist of several rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    done: usize,
    total: usize,
    unit: &'static str,
}

impl Tally {
    /// Nothing of `total` is done; `unit` says what is counted: `objects accepted`.
    pub fn new(total: usize, unit: &'static str) -> Self {
        Self { done: 0, total, unit }
    }
}

impl Flow {
    /// Runs `work` on every item, at most `most` at a time, and returns the results in the order of
    /// the items. After the first fault nothing new is started, what runs is finished, and
    /// the first fault is returned. Counts in `tally` as it goes.
    pub async fn each<I, T, F>(
        &self,
        items: Vec<I>,
        most: usize,
        tally: &mut Tally,
        work: impl Fn(I) -> F,
    ) -> Result<Vec<T>, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let total = items.len();
        let mut results: Vec<Option<T>> = Vec::with_capacity(total);
        results.resize_with(total, || None);
        let mut first_fault = None;
        let mut waiting = items.into_iter().enumerate();
        let mut running = stream::FuturesUnordered::new();
        loop {
            while running.len() < most && first_fault.is_none() {
                let Some((index, item)) = waiting.next() else { break };
                if let Err(fault) = self.check(tally.unit) {
                    first_fault = Some(fault);
                    break;
                }
                let future = work(item);
                running.push(async move { (index, future.await) });
            }
            let Some((index, result)) = running.next().await else { break };
            match result {
                Ok(value) => {
                    results[index] = Some(value);
                    tally.done += 1;
                    self.report(Notice::Counted { done: tally.done, total: tally.total, unit: tally.unit });
                }
                Err(fault) => {
                    first_fault.get_or_insert(fault);
                }
            }
        }
        match first_fault {
            Some(fault) => Err(fault),
            None => Ok(results.into_iter().flatten().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::base::FaultKind;
    use crate::flow::Cancel;

    #[tokio::test]
    async fn results_keep_the_order_of_the_items() {
        let flow = Flow::new(Cancel::default());
        let doubled =
            flow.each(vec![1, 2, 3], 2, &mut Tally::new(3, "numbers"), |n| async move { Ok(n * 2) }).await;
        assert_eq!(doubled, Ok(vec![2, 4, 6]));
    }

    #[tokio::test]
    async fn nothing_new_is_started_after_a_fault() {
        let flow = Flow::new(Cancel::default());
        let started = AtomicUsize::new(0);
        let result = flow
            .each((0..100).collect(), 4, &mut Tally::new(100, "numbers"), |n: i32| {
                started.fetch_add(1, Ordering::Relaxed);
                async move {
                    if n == 2 {
                        return Err(Fault::new(FaultKind::Invalid, "count", "two"));
                    }
                    tokio::task::yield_now().await;
                    Ok(n)
                }
            })
            .await;
        assert_eq!(result, Err(Fault::new(FaultKind::Invalid, "count", "two")));
        assert!(started.into_inner() < 10);
    }

    #[tokio::test]
    async fn nothing_is_started_after_a_signal() {
        let cancel = Cancel::default();
        cancel.request();
        let flow = Flow::new(cancel);
        let result = flow.each(vec![1], 1, &mut Tally::new(1, "numbers"), |n| async move { Ok(n) }).await;
        assert_eq!(result.map_err(|fault| fault.kind), Err(FaultKind::Cancelled));
    }
}
