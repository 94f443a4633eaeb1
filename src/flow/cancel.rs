use tokio::sync::watch;

/// How urgently a run has to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It does not.
    Running,
    /// Start nothing new; let running changes finish.
    Finishing,
    /// Stop now.
    Forced,
}

/// The switch behind Ctrl-C: each request moves it one stage on.
#[derive(Debug, Clone)]
pub struct Cancel {
    stage: watch::Sender<Stage>,
}

impl Default for Cancel {
    fn default() -> Self {
        Self { stage: watch::Sender::new(Stage::Running) }
    }
}

impl Cancel {
    /// Moves to the next stage and returns it.
    pub fn request(&self) -> Stage {
        self.stage.send_modify(|stage| {
            *stage = match stage {
                Stage::Running => Stage::Finishing,
                Stage::Finishing | Stage::Forced => Stage::Forced,
            };
        });
        self.stage()
    }

    /// The present stage.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Resolves once stopping was requested.
    pub async fn requested(&self) {
        self.reached(Stage::Finishing).await;
    }

    /// Resolves once stopping at once was requested.
    pub async fn forced(&self) {
        self.reached(Stage::Forced).await;
    }

    async fn reached(&self, wanted: Stage) {
        let mut watcher = self.stage.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail before the stage is reached.
        if watcher.wait_for(|stage| *stage >= wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_request_finishes_and_the_second_forces() {
        let cancel = Cancel::default();
        assert_eq!(cancel.stage(), Stage::Running);
        assert_eq!(cancel.request(), Stage::Finishing);
        cancel.requested().await;
        assert_eq!(cancel.request(), Stage::Forced);
        cancel.forced().await;
    }
}
