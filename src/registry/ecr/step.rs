use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::caches;
use super::calls::Calls;
use super::difference::Write;
use super::look::AT_ONCE;
use super::resource::Inner;
use super::wanted::{Cache, Wanted};
use crate::base::Fault;
use crate::engine::{Cx, Step};
use crate::flow::Tally;

/// One thing to do. They are independent of each other, and each may be done twice.
pub(super) enum Task {
    Create(Wanted),
    /// Somebody else's repository, by its ARN, becomes ours. The next look finds what differs.
    Adopt(String),
    Write(Wanted, Vec<Write>),
    Cache(Cache, caches::Act),
}

/// All that is to be done. If this dies half way, the next run does the rest.
pub(super) struct EcrStep {
    pub inner: Arc<Inner>,
    pub tasks: Vec<Task>,
}

impl Step for EcrStep {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        async move {
            let Self { inner, tasks } = *self;
            let calls = Calls::open(&inner.session, &cx.flow).await?;
            let (calls, inner) = (&calls, &inner);
            let mut tally = Tally::new(tasks.len(), "repositories");
            let done = cx
                .flow
                .each(tasks, AT_ONCE, &mut tally, |task| async move { work(calls, inner, task).await });
            done.await.map(|_| ())
        }
        .boxed()
    }
}

async fn work(calls: &Calls, inner: &Inner, task: Task) -> Result<(), Fault> {
    match task {
        Task::Create(wanted) => {
            let is_made = calls.create(&wanted, &inner.marks).await?;
            inner.made(&wanted.name);
            // One that was there may be somebody else's: the next look says whose.
            if is_made {
                calls.write(&wanted, &Write::Lifecycle).await?;
            }
            if is_made && wanted.policy.is_some() {
                calls.write(&wanted, &Write::Policy(wanted.policy.clone())).await?;
            }
            Ok(())
        }
        Task::Adopt(arn) => calls.mark(&arn, &inner.marks).await,
        Task::Write(wanted, writes) => {
            for write in &writes {
                calls.write(&wanted, write).await?;
            }
            Ok(())
        }
        Task::Cache(wanted, act) => caches::make(calls, &wanted, &inner.owner, &act).await,
    }
}
