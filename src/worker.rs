//! A thread of its own for a value that must be used by one at a time and may block: the database connection,
//! a Lua VM. Jobs are closures; they run in the order in which they were sent.
//!
//! A job that panics is a bug. It ends neither the thread nor its value: whoever waits for it gets an error, the jobs
//! behind it run, and [`Worker::panicked`] tells whoever has to decide what it means. So no thread dies unnoticed, and
//! what is left to say can still be written down. The value must bear that: SQLite takes back a transaction that is
//! dropped, and mlua takes panics through Lua unharmed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use tokio::sync::{oneshot, watch};
use tracing::error;

use crate::panics::words;

/// The job panicked; what it was about is in the log.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a bug in moonlane: the job panicked")]
pub struct Panicked;

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// A handle to the thread. When the last clone is dropped, the jobs already sent are done, then the thread ends.
pub struct Worker<T> {
    jobs: mpsc::Sender<Job<T>>,
    /// What the first panic said.
    panic: watch::Receiver<Option<Arc<str>>>,
}

impl<T> Clone for Worker<T> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), panic: self.panic.clone() }
    }
}

impl<T: Send + 'static> Worker<T> {
    /// Moves `value` to a new thread with this name.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn spawn(name: &str, mut value: T) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job<T>>();
        let (tell, panic) = watch::channel(None);
        let thread = name.to_owned();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in inbox {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(&mut value))) {
                    let words = words(&*panic);
                    error!(thread, "a bug in moonlane: a job panicked: {words}");
                    tell.send_if_modified(|first| first.is_none() && first.replace(words.into()).is_none());
                }
            }
        })?;
        Ok(Self { jobs, panic })
    }

    /// Runs `job` on the thread and waits for what it returns. The job runs even if the caller stops waiting.
    ///
    /// # Errors
    /// [`Panicked`] where this job does.
    pub async fn call<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, Panicked> {
        let (reply, answer) = oneshot::channel();
        // The receiver may be gone: the caller no longer wants to know.
        let job: Job<T> = Box::new(move |value| drop(reply.send(job(value))));
        self.jobs.send(job).map_err(|_| Panicked)?;
        answer.await.map_err(|_| Panicked)
    }

    /// Runs `job` on the thread and waits for nothing.
    pub fn tell(&self, job: impl FnOnce(&mut T) + Send + 'static) {
        // The thread is there as long as a handle is.
        drop(self.jobs.send(Box::new(job)));
    }

    /// Resolves once a job has panicked, with what the first one said.
    pub async fn panicked(&self) -> String {
        match self.panic.clone().wait_for(Option::is_some).await {
            Ok(words) => words.as_deref().unwrap_or_default().to_owned(),
            // The thread is there as long as a handle is.
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_run_in_order_and_one_that_panics_harms_no_other_and_is_told() {
        let worker = Worker::spawn("test", Vec::new()).unwrap();
        let (first, second) = tokio::join!(
            worker.call(|v: &mut Vec<u8>| v.push(1)),
            worker.call(|v| {
                v.push(2);
                v.clone()
            })
        );
        assert!(first.is_ok());
        assert_eq!(second.unwrap(), [1, 2]);
        let quiet = tokio::time::timeout(std::time::Duration::from_millis(20), worker.panicked()).await;
        assert!(quiet.is_err());

        assert!(worker.call(|_| panic!("on purpose")).await.is_err());
        worker.tell(|_| panic!("once {}", "more"));
        assert_eq!(worker.call(|v| v.len()).await.unwrap(), 2);
        assert_eq!(worker.panicked().await, "on purpose");
        assert_eq!(worker.clone().panicked().await, "on purpose", "whoever asks, and whenever");
    }
}
