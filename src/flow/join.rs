use std::future::Future;

use futures::StreamExt;
use futures::stream;

use super::{Flow, Notice};
use crate::base::Fault;

impl Flow {
    /// Runs `work` on every item, at most `most` at a time, and returns the results in the order of
    /// the items. After the first fault nothing new is started, what runs is finished, and
    /// the first fault is returned. Reports `done of total unit` as it goes.
    pub async fn each<I, T, F>(
        &self,
        items: Vec<I>,
        most: usize,
        unit: &'static str,
        work: impl Fn(I) -> F,
    ) -> Result<Vec<T>, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let total = items.len();
        let mut results: Vec<Option<T>> = Vec::with_capacity(total);
        results.resize_with(total, || None);
        let mut first_fault = None;
        let mut done = 0;
        let mut waiting = items.into_iter().enumerate();
        let mut running = stream::FuturesUnordered::new();
        loop {
            while running.len() < most && first_fault.is_none() {
                let Some((index, item)) = waiting.next() else { break };
                if let Err(fault) = self.check(unit) {
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
                    done += 1;
                    self.report(Notice::Counted { done, total, unit });
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
        let doubled = flow.each(vec![1, 2, 3], 2, "numbers", |n| async move { Ok(n * 2) }).await;
        assert_eq!(doubled, Ok(vec![2, 4, 6]));
    }

    #[tokio::test]
    async fn nothing_new_is_started_after_a_fault() {
        let flow = Flow::new(Cancel::default());
        let started = AtomicUsize::new(0);
        let result = flow
            .each((0..100).collect(), 4, "numbers", |n: i32| {
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
        let result = flow.each(vec![1], 1, "numbers", |n| async move { Ok(n) }).await;
        assert_eq!(result.map_err(|fault| fault.kind), Err(FaultKind::Cancelled));
    }
}
