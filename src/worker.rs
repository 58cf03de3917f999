//! A thread of its own for a value that must be used by one at a time and may block: the database connection,
//! a Lua VM. Jobs are closures; they run in the order in which they were sent.

use std::sync::mpsc;

use tokio::sync::oneshot;

/// The worker's thread has ended: its value was dropped, or a job panicked.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the worker thread has ended")]
pub struct Gone;

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// A handle to the thread. When the last clone is dropped, the jobs already sent are done, then the thread ends.
pub struct Worker<T> {
    jobs: mpsc::Sender<Job<T>>,
}

impl<T> Clone for Worker<T> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone() }
    }
}

impl<T: Send + 'static> Worker<T> {
    /// Moves `value` to a new thread with this name.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn spawn(name: &str, mut value: T) -> std::io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job<T>>();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in inbox {
                job(&mut value);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs `job` on the thread and waits for what it returns. The job runs even if the caller stops waiting.
    ///
    /// # Errors
    /// [`Gone`] where the thread has ended, by a panic in this job or in an earlier one.
    pub async fn call<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, Gone> {
        let (reply, answer) = oneshot::channel();
        // The receiver may be gone: the caller no longer wants to know.
        let job: Job<T> = Box::new(move |value| drop(reply.send(job(value))));
        self.jobs.send(job).map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// Runs `job` on the thread, if it has not ended, and waits for nothing.
    pub fn tell(&self, job: impl FnOnce(&mut T) + Send + 'static) {
        // Where the thread has ended, its value is gone too, and with it all that the job is about.
        drop(self.jobs.send(Box::new(job)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_run_in_order_and_a_panic_ends_the_worker() {
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
        assert!(worker.call(|_| panic!("on purpose")).await.is_err());
        assert!(worker.call(|_| ()).await.is_err());
    }
}
