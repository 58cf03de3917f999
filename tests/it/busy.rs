//! Time on a machine that has more to do than it has processors for.
//!
//! What moonlane promises of time holds where the machine keeps up. On one that does not, everything takes longer by as
//! much, and so do the limits of the tests.

use std::fmt;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Tells how long something took, and whether that was in time.
#[derive(Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        looks();
        Self(Instant::now())
    }

    /// One that was started so long ago.
    pub fn started(ago: Duration) -> Self {
        looks();
        let now = Instant::now();
        Self(now.checked_sub(ago).unwrap_or(now))
    }

    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Whether no more than `limit` has passed, or than that takes on a machine as busy as this one was meanwhile.
    pub fn is_within(self, limit: Duration) -> bool {
        self.allows(self.elapsed(), limit)
    }

    /// The same of something that took this long meanwhile.
    pub fn allows(self, took: Duration, limit: Duration) -> bool {
        took < limit.mul_f64(self.slowness())
    }

    /// How many times longer everything takes because more wanted a processor since the start, on average, than were
    /// there: at least 1.
    pub fn slowness(self) -> f64 {
        let looks = looks().lock().unwrap();
        let since: Vec<_> =
            looks.iter().rev().take_while(|look| look.0 >= self.0).map(|look| look.1).collect();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let wanting = since.iter().sum::<usize>() as f64 / since.len().max(1) as f64;
        (wanting / processors as f64).max(1.0)
    }
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, on a machine {:.1} times slower than an idle one", self.elapsed(), self.slowness())
    }
}

/// How many wanted a processor, and when: looked at from the first call on.
fn looks() -> &'static Mutex<Vec<(Instant, usize)>> {
    static LOOKS: OnceLock<&Mutex<Vec<(Instant, usize)>>> = OnceLock::new();
    LOOKS.get_or_init(|| {
        let looks: &Mutex<Vec<_>> = Box::leak(Box::default());
        std::thread::spawn(move || {
            loop {
                looks.lock().unwrap().push((Instant::now(), wanting()));
                std::thread::sleep(LOOK_EVERY);
            }
        });
        looks
    })
}

/// How many want a processor or wait for the disk now, besides who looks.
fn wanting() -> usize {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let count = |name: &str| -> usize {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    (count("procs_running ") + count("procs_blocked ")).saturating_sub(1)
}

#[test]
fn a_limit_is_not_stretched_by_more_than_what_wants_a_processor() {
    let now = Stopwatch::start();
    assert!(now.is_within(Duration::from_secs(3600)));
    let hour_ago = Stopwatch::started(Duration::from_secs(3600));
    assert!(!hour_ago.is_within(Duration::from_secs(1)), "{hour_ago:?}");
}
