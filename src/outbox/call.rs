//! One REST call: its place in the channel's queue, its retries, and what its answer means.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Refused;
use super::pace::{CallKind, LimitHeaders, Pace};
use crate::domain::File;
use crate::redact::Redactor;

/// How long to try, and how long to wait in between.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The wait after the first failure; it doubles with every further one.
    pub first_wait: Duration,
    /// The longest of these waits.
    pub longest_wait: Duration,
    /// When to give up, counted from the moment at which the call was the first of its kind in its channel.
    pub give_up_after: Duration,
    /// The time limit of a single request.
    pub request: Duration,
    /// How long Discord waits for the first answer to an interaction.
    pub first_answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            give_up_after: Duration::from_secs(15 * 60),
            request: Duration::from_secs(15),
            first_answer: Duration::from_secs(3),
        }
    }
}

/// What to ask Discord.
pub(super) struct Call {
    pub(super) kind: CallKind,
    /// The channel (or guild) that the call belongs to, which Discord counts by; 0 where there is none.
    pub(super) place: u64,
    pub(super) method: Method,
    /// Below `/api/v10`, beginning with a slash.
    pub(super) path: String,
    pub(super) body: Option<Body>,
    /// Overrides the outbox's own.
    pub(super) give_up_after: Option<Duration>,
    /// Once this is cancelled, nobody wants the call any more; it is made only if it is on its way.
    pub(super) unwanted: CancellationToken,
}

/// What a call carries.
pub(super) enum Body {
    Json(Vec<u8>),
    /// The same, and files: <https://discord.com/developers/docs/reference#uploading-files>.
    Form(Vec<u8>, Vec<File>),
    /// The same with files of whatever kind, by name. Nothing is taken out of them: whoever hands them over has looked.
    Binary(Vec<u8>, Vec<(String, Bytes)>),
}

const JSON: &str = "application/json";
const MARKDOWN: &str = "text/markdown; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

impl Body {
    /// Puts it into a request, redacted. A form is consumed by its request, so each attempt builds a new one.
    fn put(&self, request: RequestBuilder, redactor: &Redactor) -> reqwest::Result<RequestBuilder> {
        match self {
            Self::Json(json) => Ok(request.header(CONTENT_TYPE, JSON).body(redacted(json, redactor))),
            Self::Form(json, files) => {
                let part = |file: &File| {
                    let kind = if file.name.ends_with(".md") { MARKDOWN } else { PLAIN };
                    let content = redactor.redact(&file.content).into_owned();
                    Part::text(content).file_name(file.name.clone()).mime_str(kind)
                };
                Ok(request.multipart(form(json, redactor, files.iter().map(part))?))
            }
            Self::Binary(json, files) => {
                let part = |(name, bytes): &(String, Bytes)| {
                    let part = Part::stream_with_length(bytes.clone(), bytes.len() as u64);
                    Ok(part.file_name(name.clone()))
                };
                Ok(request.multipart(form(json, redactor, files.iter().map(part))?))
            }
        }
    }
}

fn form(
    json: &[u8],
    redactor: &Redactor,
    files: impl Iterator<Item = reqwest::Result<Part>>,
) -> reqwest::Result<Form> {
    let payload = Part::bytes(redacted(json, redactor)).mime_str(JSON)?;
    let form = Form::new().part("payload_json", payload);
    (0..).zip(files).try_fold(form, |form, (n, file)| Ok(form.part(format!("files[{n}]"), file?)))
}

/// String by string, because JSON's escapes would hide a secret.
fn redacted(json: &[u8], redactor: &Redactor) -> Vec<u8> {
    match serde_json::from_slice(json) {
        Ok(mut body) => {
            redactor.redact_json(&mut body);
            body.to_string().into_bytes()
        }
        // Unreachable: they were all serialized from values.
        Err(_) => json.to_vec(),
    }
}

impl Call {
    pub(super) fn get(kind: CallKind, place: u64, path: String) -> Self {
        let unwanted = CancellationToken::new();
        Self { kind, place, method: Method::GET, path, body: None, give_up_after: None, unwanted }
    }

    /// Whether it puts something into the channel that is taken away again later.
    fn puts_what_is_removed(&self) -> bool {
        matches!(self.kind, CallKind::Show | CallKind::React) && self.method != Method::DELETE
    }
}

/// The sender behind all clones of an outbox.
pub(super) struct Sender {
    pub(super) http: reqwest::Client,
    /// `{api_url}/api/v10`
    base: String,
    /// `Bot TOKEN`, marked as sensitive, so that not even `Debug` shows it.
    token: HeaderValue,
    pub(super) patience: Patience,
    /// Everything that is posted passes through it.
    pub(super) redactor: Redactor,
    pace: Mutex<Pace>,
    pub(super) queues: Mutex<HashMap<u64, Arc<Queues>>>,
    /// Set by a confirmed 401: until when no call is made. Many invalid calls get the whole address blocked.
    refused_until: Mutex<Option<Instant>>,
    /// Discord's time in the latest answer, and when that came.
    pub(super) time_there: Mutex<Option<(SystemTime, Instant)>>,
    /// Held while a 401 is being confirmed: when the token was last found to be good after one.
    good_at: tokio::sync::Mutex<Option<Instant>>,
}

/// The queues of one channel or guild; tokio's mutexes are fair, so each is first in, first out.
#[derive(Default)]
pub(super) struct Queues {
    /// Held by the call that is in flight.
    in_flight: tokio::sync::Mutex<()>,
    /// Held by the call that is next of its kind, also while it waits for a window or for its next try.
    next: [tokio::sync::Mutex<()>; CallKind::COUNT],
}

/// Why a try failed.
enum FailedTry {
    /// Worth a retry.
    Passing {
        why: String,
        limited: bool,
    },
    Final(Refused),
}

/// What came of one request.
pub(super) enum Sent {
    /// It worked; this is the answer.
    Done(Vec<u8>),
    /// Too many; it did nothing, and may come again after this long.
    Limited(Duration),
    /// It never reached Discord.
    Never(String),
    /// It may or may not have taken effect.
    Unclear(String),
    /// It had no effect and never will.
    Refused(StatusCode, RefusalBody),
}

/// How long a rejected token is considered bad.
const TOKEN_PAUSE: Duration = Duration::from_secs(60);
/// For how long a token that was found to work is not checked again.
const TOKEN_GOOD: Duration = Duration::from_secs(5);

impl Sender {
    pub(super) fn new(http: reqwest::Client, base: String, token: HeaderValue, patience: Patience) -> Self {
        Self {
            redactor: Redactor::off(),
            http,
            base,
            token,
            patience,
            pace: Mutex::default(),
            queues: Mutex::default(),
            refused_until: Mutex::default(),
            time_there: Mutex::default(),
            good_at: tokio::sync::Mutex::default(),
        }
    }

    /// Whether the rate limits leave room for such a call now.
    pub(super) fn has_room(&self, kind: CallKind, place: u64) -> bool {
        self.pace.lock().room(kind, place, Instant::now()).is_ok()
    }

    /// Makes the call and decodes its answer, retrying as long as the outbox's patience allows.
    ///
    /// Dropping the future cancels the call, unless it is already on its way.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, Refused> {
        self.tries(&call, |body| serde_json::from_slice(body).map_err(|e| e.to_string())).await
    }

    /// Like [`Self::ask`], for calls whose answer is of no interest.
    pub(super) async fn send(&self, call: Call) -> Result<(), Refused> {
        self.tries(&call, |_| Ok(())).await
    }

    async fn tries<T>(&self, call: &Call, decode: impl Fn(&[u8]) -> Result<T, String>) -> Result<T, Refused> {
        let place = self.enter(call.place);
        let unsent = |why: &str| Refused::GaveUp { why: why.to_owned(), sent: false };
        let _next = tokio::select! {
            biased;
            () = call.unwanted.cancelled() => return Err(unsent("it is not wanted any more")),
            next = place.queues().next[call.kind as usize].lock() => next,
        };
        let patience = call.give_up_after.unwrap_or(self.patience.give_up_after);
        let deadline = Instant::now() + patience;
        // The monotonic clock stops while the machine sleeps; Discord's does not.
        let began = SystemTime::now();
        let too_late = || began.elapsed().is_ok_and(|elapsed| elapsed > patience);
        let mut wait = self.patience.first_wait;
        let (mut sent, mut limited_before) = (false, false);
        let mut last = String::from("no room within Discord's rate limits");
        for attempt in 1.. {
            let in_flight = loop {
                let in_flight = place.queues().in_flight.lock().await;
                if call.unwanted.is_cancelled() {
                    return Err(Refused::GaveUp { why: last, sent });
                }
                let admitted = self.pace.lock().admit(call.kind, call.place, Instant::now());
                match admitted {
                    Ok(()) => break InFlight { sender: self, _alone: in_flight },
                    Err(until) if until > deadline || !call.kind.waits_for_room() => {
                        return Err(Refused::GaveUp { why: last, sent });
                    }
                    Err(until) => {
                        drop(in_flight);
                        // Whether or not it was cancelled, it is asked again above.
                        let _ = timeout_at(until, call.unwanted.cancelled()).await;
                    }
                }
            };
            let tried = self.try_once(call, &decode).await;
            drop(in_flight);
            let (why, limited) = match tried {
                Ok(answer) => return Ok(answer),
                // What an earlier try has put there still stands.
                Err(FailedTry::Final(refused)) if sent && call.puts_what_is_removed() => {
                    return Err(Refused::GaveUp { why: refused.to_string(), sent });
                }
                Err(FailedTry::Final(refused)) => return Err(refused),
                Err(FailedTry::Passing { why, limited }) => (why, limited),
            };
            last = why;
            sent |= !limited;
            // After a 429 the pace knows when to go on. A server that refuses again at that very moment is
            // approached like one that fails.
            if limited && !limited_before {
                debug!(kind = ?call.kind, place = call.place, "{last}");
            } else {
                if Instant::now() + wait > deadline || too_late() {
                    break;
                }
                warn!(kind = ?call.kind, place = call.place, attempt, "Discord: {last}; next try in {wait:?}");
                sleep(wait).await;
                wait = (wait * 2).min(self.patience.longest_wait);
            }
            limited_before = limited;
        }
        Err(Refused::GaveUp { why: last, sent })
    }

    async fn try_once<T>(
        &self,
        call: &Call,
        decode: &impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<T, FailedTry> {
        if self.is_silenced() {
            return Err(FailedTry::Final(Refused::Token));
        }
        let passing = |why| FailedTry::Passing { why, limited: false };
        let broken = |e: reqwest::Error| passing(format!("{:#}", anyhow::Error::from(e.without_url())));

        let url = format!("{}{}", self.base, call.path);
        let mut request = self.http.request(call.method.clone(), url);
        request = request.header(AUTHORIZATION, self.token.clone()).timeout(self.patience.request);
        if let Some(body) = &call.body {
            request = body.put(request, &self.redactor).map_err(broken)?;
        }
        let response = request.send().await.map_err(broken)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let time = headers.get(DATE).and_then(|time| httpdate::parse_http_date(time.to_str().ok()?).ok());
        if let Some(time) = time {
            *self.time_there.lock() = Some((time, Instant::now()));
        }
        let body = response.bytes().await.map_err(broken)?;

        let limits = LimitHeaders::read(status.as_u16(), &headers, &body, self.patience.first_wait);
        if let Some(refusal) = limits.refused.filter(|refusal| refusal.everywhere) {
            info!("Discord's limit for all calls together is reached; waiting {:?}", refusal.wait);
        }
        self.pace.lock().learn(call.kind, call.place, &limits, Instant::now());

        if status.is_success() {
            // The call worked; if its answer is garbled, a retry is safe because of the nonce.
            return decode(&body).map_err(|e| passing(format!("answer {status} not understood: {e}")));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(FailedTry::Passing { why: "over Discord's rate limit".to_owned(), limited: true });
        }
        let problem = RefusalBody::read(status, &body);
        // Discord's own refusals have a code. Without one it comes from a proxy, and may pass.
        let unsigned = call.kind.to_discord() == CallKind::Create
            && problem.code.is_none()
            && matches!(status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND);
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT || unsigned {
            return Err(passing(problem.why));
        }
        if status == StatusCode::UNAUTHORIZED && !self.is_token_refused().await {
            return Err(passing(problem.why));
        }
        Err(FailedTry::Final(problem.refused(status)))
    }

    /// Whether Discord really rejects the token. One 401 does not prove it: it may come from a proxy, or from a Discord
    /// server in trouble. So the simplest call there is has to confirm it.
    async fn is_token_refused(&self) -> bool {
        let mut good_at = self.good_at.lock().await;
        if self.is_silenced() {
            return true;
        }
        if good_at.is_some_and(|good| good.elapsed() < TOKEN_GOOD) {
            return false;
        }
        let request = self.http.get(format!("{}/users/@me", self.base));
        let request = request.header(AUTHORIZATION, self.token.clone()).timeout(self.patience.request);
        let status = request.send().await.map(|response| response.status());
        match status {
            Ok(StatusCode::UNAUTHORIZED) => *self.refused_until.lock() = Some(Instant::now() + TOKEN_PAUSE),
            Ok(status) if status.is_success() => {
                info!("a call was answered with 401, but the token is good");
                *good_at = Some(Instant::now());
            }
            // Unknown; the caller is retried and may ask again.
            _ => {}
        }
        status.is_ok_and(|status| status == StatusCode::UNAUTHORIZED)
    }

    fn is_silenced(&self) -> bool {
        self.refused_until.lock().is_some_and(|until| until > Instant::now())
    }

    /// Sends a request once, unpaced, and without the bot's token: its credential is in its path.
    pub(super) async fn send_open(
        &self,
        method: Method,
        path: &str,
        body: Option<&Body>,
        limit: Duration,
    ) -> Sent {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).timeout(limit);
        // The path is a secret.
        let words = |e: reqwest::Error| format!("{:#}", anyhow::Error::from(e.without_url()));
        if let Some(body) = body {
            request = match body.put(request, &self.redactor) {
                Ok(request) => request,
                Err(e) => {
                    return Sent::Refused(StatusCode::BAD_REQUEST, RefusalBody { code: None, why: words(e) });
                }
            };
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(e) if e.is_connect() => return Sent::Never(words(e)),
            Err(e) => return Sent::Unclear(words(e)),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = match response.bytes().await {
            Ok(body) => body,
            Err(e) if status.is_success() => return Sent::Unclear(words(e)),
            Err(_) => Default::default(),
        };
        if status.is_success() {
            return Sent::Done(body.to_vec());
        }
        if let Some(refusal) =
            LimitHeaders::read(status.as_u16(), &headers, &body, self.patience.first_wait).refused
        {
            return Sent::Limited(refusal.wait);
        }
        let problem = RefusalBody::read(status, &body);
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Sent::Unclear(problem.why);
        }
        Sent::Refused(status, problem)
    }

    fn enter(&self, place: u64) -> QueueShare<'_> {
        let queues = Arc::clone(self.queues.lock().entry(place).or_default());
        QueueShare { sender: self, place, queues: Some(queues) }
    }
}

/// A call on its way; dropping it, also when the call is cancelled, tells the pace that it has ended.
struct InFlight<'a> {
    sender: &'a Sender,
    _alone: tokio::sync::MutexGuard<'a, ()>,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.sender.pace.lock().end(Instant::now());
    }
}

/// A caller's share in a place's queues; the last one out removes them.
struct QueueShare<'a> {
    sender: &'a Sender,
    place: u64,
    queues: Option<Arc<Queues>>,
}

impl QueueShare<'_> {
    fn queues(&self) -> &Queues {
        self.queues.as_deref().expect("only drop takes it")
    }
}

impl Drop for QueueShare<'_> {
    fn drop(&mut self) {
        let mut all = self.sender.queues.lock();
        self.queues = None;
        if all.get(&self.place).is_some_and(|queues| Arc::strong_count(queues) == 1) {
            all.remove(&self.place);
        }
    }
}

/// The body of a refusal: `{"message": "Missing Permissions", "code": 50013}`.
pub(super) struct RefusalBody {
    pub(super) code: Option<u32>,
    why: String,
}

impl RefusalBody {
    fn read(status: StatusCode, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Body {
            code: Option<u32>,
            #[serde(default)]
            message: String,
            errors: Option<serde_json::Value>,
        }
        let Ok(Body { code, message, errors }) = serde_json::from_slice(body) else {
            return Self { code: None, why: status.to_string() };
        };
        let details = errors.map(|e| e.to_string().chars().take(300).collect::<String>());
        let details = details.map(|details| format!(": {details}")).unwrap_or_default();
        let number = code.map(|code| format!(" ({code})")).unwrap_or_default();
        Self { code, why: format!("{status}: {message}{number}{details}") }
    }

    pub(super) fn refused(self, status: StatusCode) -> Refused {
        let Self { code, why } = self;
        match status {
            StatusCode::UNAUTHORIZED => Refused::Token,
            StatusCode::FORBIDDEN => Refused::Forbidden { code, why },
            StatusCode::NOT_FOUND => Refused::NotFound { code, why },
            _ => Refused::Invalid { code, why },
        }
    }
}
