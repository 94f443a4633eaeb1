use std::sync::Arc;

use futures::future::BoxFuture;

use super::resource::Inner;
use crate::base::Fault;
use crate::engine::{Cx, Step};
use crate::providers::eks::stack::{Calls, Wanted};

/// What brings a stack nearer to the profile. Each begins something that AWS goes on with alone: if this dies right
/// after, the next run finds the stack on its way.
pub(super) enum Act {
    /// Makes it.
    Create(Wanted),
    /// Changes it, or lets it go on where it stopped.
    Update(Wanted),
    /// Sets whether AWS refuses to delete it.
    Protect(bool),
    /// Deletes what is left of one that can only be deleted, so that it can be made anew.
    Clear {
        /// Whether AWS refuses that so far.
        protected: bool,
    },
    /// Takes an update further back, without these resources.
    TakeBack(Vec<String>),
}

pub(super) struct Move {
    pub(super) inner: Arc<Inner>,
    pub(super) act: Act,
}

impl Step for Move {
    fn take<'a>(self: Box<Self>, cx: &'a Cx) -> BoxFuture<'a, Result<(), Fault>>
    where
        Self: 'a,
    {
        Box::pin(async move {
            let moved = self.inner.take(&self.act, cx).await;
            if moved.is_err() {
                self.inner.auto_mode.fail();
            }
            moved
        })
    }
}

impl Inner {
    async fn take(&self, act: &Act, cx: &Cx) -> Result<(), Fault> {
        let aws = self.session.open(&cx.flow).await.map_err(Fault::untouched)?;
        let calls = Calls::new(&aws, &cx.flow, self.names.stack());
        match act {
            Act::Create(wanted) => calls.create(wanted).await?,
            Act::Update(wanted) => calls.update(wanted).await?,
            Act::Protect(protected) => calls.protect(*protected).await?,
            Act::Clear { protected } => {
                if *protected {
                    calls.protect(false).await?;
                }
                calls.delete().await?;
            }
            Act::TakeBack(skipped) => calls.take_back(skipped.clone()).await?,
        }
        self.moved(act);
        Ok(())
    }
}
