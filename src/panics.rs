//! Panics of what a bot cannot do without.
//!
//! A task or a thread that serves the whole bot for as long as it runs is started here. A panic is a mistake of ours, and
//! without that task the bot would seem to be well and do half of its work; so the first one is told to whoever decides what
//! it means ([`Panics::first`]), with what it was that panicked. What serves one message, one command or one agent has no
//! need of it: it ends by itself, and its panic costs that one.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// What panicked, and what the panic said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} panicked: {why}")]
pub struct Panic {
    pub what: &'static str,
    pub why: String,
}

/// Where panics are told. A cheap handle.
#[derive(Clone, Default)]
pub struct Panics {
    first: watch::Sender<Option<Panic>>,
    #[cfg(test)]
    on_purpose: on_purpose::OnPurpose,
}

impl Panics {
    /// Runs a task until it ends, or the handle is dropped.
    pub fn spawn(
        &self,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortOnDropHandle<()> {
        let panics = self.clone();
        #[cfg(test)]
        let task = self.on_purpose.breakable(what, task);
        AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                panics.tell(what, &*panic);
            }
        }))
    }

    /// Runs this on a thread of that name.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn thread(
        &self,
        what: &'static str,
        name: &str,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let panics = self.clone();
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
                panics.tell(what, &*panic);
            }
        })?;
        Ok(())
    }

    /// Resolves once something has panicked, with the first that did.
    pub async fn first(&self) -> Panic {
        let mut told = self.first.subscribe();
        let first = told.wait_for(Option::is_some).await.ok().and_then(|panic| panic.clone());
        match first {
            Some(panic) => panic,
            // The sender is ours.
            None => std::future::pending().await,
        }
    }

    fn tell(&self, what: &'static str, panic: &(dyn Any + Send)) {
        let why = words(panic);
        self.first.send_if_modified(|first| first.is_none() && first.replace(Panic { what, why }).is_none());
    }
}

/// What a panic says.
pub fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
}

/// Lets a test make each task panic.
#[cfg(test)]
mod on_purpose {
    use std::collections::BTreeSet;
    use std::sync::{Arc, Mutex};

    use tokio::sync::watch;

    #[derive(Clone, Default)]
    pub struct OnPurpose {
        known: Arc<Mutex<BTreeSet<&'static str>>>,
        wanted: watch::Sender<Option<&'static str>>,
    }

    impl OnPurpose {
        pub fn breakable(
            &self,
            what: &'static str,
            task: impl Future<Output = ()> + Send + 'static,
        ) -> impl Future<Output = ()> + Send + 'static {
            self.known.lock().unwrap().insert(what);
            let mut wanted = self.wanted.subscribe();
            async move {
                let broken = async {
                    if wanted.wait_for(|wanted| *wanted == Some(what)).await.is_err() {
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    () = task => {}
                    () = broken => panic!("on purpose"),
                }
            }
        }
    }

    impl super::Panics {
        /// Every task that was ever started.
        pub fn known(&self) -> Vec<&'static str> {
            self.on_purpose.known.lock().unwrap().iter().copied().collect()
        }

        /// Makes this task panic.
        pub fn cause(&self, what: &'static str) {
            self.on_purpose.wanted.send_replace(Some(what));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_panic_is_told_of_a_task_as_of_a_thread() {
        let panics = Panics::default();
        let ended = panics.spawn("a task that ends", async {});
        ended.await.unwrap();
        let quiet = tokio::time::timeout(std::time::Duration::from_millis(20), panics.first()).await;
        assert!(quiet.is_err());

        panics.thread("a thread", "test", || panic!("once")).unwrap();
        assert_eq!(panics.first().await.to_string(), "a thread panicked: once");
        let second = panics.spawn("a task", async { panic!("{} more", "once") });
        second.await.unwrap();
        assert_eq!(panics.first().await.what, "a thread", "whoever asks, and whenever");

        let panics = Panics::default();
        let _task = panics.spawn("a task", async { panic!("{} more", "once") });
        assert_eq!(panics.first().await.to_string(), "a task panicked: once more");
    }
}
