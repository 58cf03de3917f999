//! Whether the promises held: [`Evidence`] against itself. Pure, so that forged evidence shows that each check can fail.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, SystemTime};

use crate::evidence::{AgentNote, Evidence, Post, Question, Row};

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// An accepted message whose answer, or whose word about its end, does not stand there whole.
    Lost,
    /// Something is said twice, or asked twice, or said without being in the ledger.
    Twice,
    /// Two prompts at work in one channel.
    Overlap,
    /// Something of an agent outlived its bot.
    Orphan,
    /// Somebody was told to ask again, and then the prompt ran.
    ToldThenRun,
    /// Accepted, and never finished.
    Stuck,
    /// Said, and never accepted.
    Unseen,
    /// It failed, although nothing was wrong with it.
    Failed,
    /// Somebody was told that the work on the message was interrupted, but no agent had it.
    ToldInVain,
    /// The author took the message back, and was told something all the same.
    ToldAfterDeletion,
    /// It was asked as it said before it was edited, long after the edit.
    Stale,
    /// Something still stands there that is to be gone.
    Litter,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Twice => "twice",
            Self::Overlap => "overlaps",
            Self::Orphan => "orphans",
            Self::ToldThenRun => "told-then-run",
            Self::Stuck => "stuck",
            Self::Unseen => "unseen",
            Self::Failed => "failed",
            Self::ToldInVain => "told-in-vain",
            Self::ToldAfterDeletion => "told-after-deletion",
            Self::Stale => "stale",
            Self::Litter => "litter",
        })
    }
}

const ALL: [Wrong; 12] = [
    Wrong::Lost,
    Wrong::Twice,
    Wrong::Overlap,
    Wrong::Orphan,
    Wrong::ToldThenRun,
    Wrong::Stuck,
    Wrong::Unseen,
    Wrong::Failed,
    Wrong::ToldInVain,
    Wrong::ToldAfterDeletion,
    Wrong::Stale,
    Wrong::Litter,
];

/// Everything that is wrong, in plain words.
#[derive(Debug, Default)]
pub struct Verdict {
    pub accepted: usize,
    /// Not accepted, and told so.
    pub refused: usize,
    /// How many questions of Claude's were posted.
    pub claudes: usize,
    pub wrong: Vec<(Wrong, String)>,
}

impl Verdict {
    pub fn count(&self, what: Wrong) -> usize {
        self.wrong.iter().filter(|(wrong, _)| *wrong == what).count()
    }

    fn add(&mut self, what: Wrong, words: impl Into<String>) {
        self.wrong.push((what, words.into()));
    }

    /// Every finding of these kinds, one a line.
    pub fn of(&self, kinds: &[Wrong]) -> String {
        let found = self.wrong.iter().filter(|(wrong, _)| kinds.contains(wrong));
        found.map(|(wrong, words)| format!("{wrong}: {words}\n")).collect()
    }
}

/// The line that a proof prints.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accepted {}", self.accepted)?;
        ALL.iter().try_for_each(|what| write!(f, ", {what} {}", self.count(*what)))
    }
}

/// How long after its author has taken a message back, or edited it, something may still happen that does not know of
/// it: a post on its way, a prompt that was just handed over.
const ON_ITS_WAY: Duration = Duration::from_secs(3);

/// Judges.
pub fn judge(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict { accepted: evidence.rows.len(), ..Verdict::default() };
    let mut prompts = HashMap::<&str, Vec<&AgentNote>>::new();
    for note in &evidence.agents {
        match (note.event.as_str(), note.prompt.as_deref()) {
            ("prompt", Some(prompt)) => prompts.entry(prompt).or_default().push(note),
            ("overlap", prompt) => {
                verdict.add(Wrong::Overlap, format!("{prompt:?} while another was at work"))
            }
            _ => {}
        }
    }
    let mut posts = HashMap::<u64, BTreeMap<u32, Vec<&Post>>>::new();
    let mut claudes = BTreeMap::<&str, usize>::new();
    for post in &evidence.posts {
        let Some((message, number)) = post.nonce.split_once('-') else { continue };
        if post.nonce.starts_with("q-") {
            *claudes.entry(&post.nonce).or_default() += 1;
        }
        // Others are of lines of progress, and of news for operators.
        let (Ok(message), Ok(number)) = (message.parse(), number.parse()) else { continue };
        posts.entry(message).or_default().entry(number).or_default().push(post);
    }
    for question in &evidence.questions {
        let row = evidence.rows.get(&question.message);
        let asked: Vec<_> =
            question.texts.iter().flat_map(|(_, text)| prompts.get(text.as_str())).flatten().collect();
        let said = posts.remove(&question.message).unwrap_or_default();
        let on_its_way = ON_ITS_WAY.mul_f64(evidence.slowness);
        Case { question, row, asked: &asked, said: &said, on_its_way, verdict: &mut verdict }.judge();
    }
    verdict.claudes = claudes.len();
    for (nonce, times) in claudes.into_iter().filter(|(_, times)| *times > 1) {
        verdict.add(Wrong::Twice, format!("Claude's question {nonce} was posted {times} times"));
    }
    for (message, said) in posts {
        verdict.add(Wrong::Twice, format!("an answer to {message}, which nobody asked: {said:?}"));
    }
    evidence.litter.iter().for_each(|what| verdict.add(Wrong::Litter, what));
    verdict
}

/// One question, and all that is known of it.
struct Case<'a> {
    question: &'a Question,
    row: Option<&'a Row>,
    /// Whenever an agent got it.
    asked: &'a [&'a &'a AgentNote],
    /// The posts by part.
    said: &'a BTreeMap<u32, Vec<&'a Post>>,
    /// [`ON_ITS_WAY`], on a machine as busy as it was.
    on_its_way: Duration,
    verdict: &'a mut Verdict,
}

impl Case<'_> {
    fn judge(mut self) {
        self.said_once();
        self.asked_once();
        let is_press = self.question.texts.is_empty();
        let Some(row) = self.row else {
            if is_press {
                return;
            } else if self.is_refused() {
                self.verdict.refused += 1;
            } else if self.question.deleted.is_none() {
                self.wrong(Wrong::Unseen, "was never accepted");
            }
            return;
        };
        if row.is_open() {
            return self.wrong(Wrong::Stuck, &format!("{:?}, delivery {:?}", row.state, row.delivery));
        }
        self.recorded(row);
        if let Some(deleted) = self.question.deleted {
            return self.silent_after(deleted);
        }
        let whole = self.whole();
        match row.state.as_deref() {
            Some("answered") if is_press => {}
            Some("answered") => {
                let prompt = self.asked.last().and_then(|note| note.prompt.as_deref());
                let expected = prompt.map(answer_to);
                // What was decided stands before it.
                let is_decided = prompt.is_some_and(|prompt| prompt.starts_with("ASK:"));
                let is_there = |expected: &String| match is_decided {
                    true => DECIDED.iter().any(|it| whole.starts_with(it)) && whole.ends_with(expected),
                    false => whole == *expected,
                };
                if !expected.as_ref().is_some_and(is_there) {
                    let start = |text: &str| text.chars().take(80).collect::<String>();
                    let expected = expected.unwrap_or_default();
                    let words = format!(
                        "answered with {} characters, {:?}…, in place of {}, {:?}…",
                        whole.len(),
                        start(&whole),
                        expected.len(),
                        start(&expected)
                    );
                    self.wrong(Wrong::Lost, &words);
                }
            }
            Some("interrupted") => {
                if !self.told() {
                    self.wrong(Wrong::Lost, &format!("interrupted, and told only {whole:?}"));
                } else if self.asked.is_empty() && !is_press {
                    self.wrong(
                        Wrong::ToldInVain,
                        "was told that work on it was interrupted, and no agent had it",
                    );
                }
            }
            Some("failed") => self.wrong(Wrong::Failed, &format!("failed: {whole:?}")),
            other => self.wrong(Wrong::Lost, &format!("ended as {other:?}, and nobody wanted it")),
        }
    }

    fn wrong(&mut self, what: Wrong, words: &str) {
        let text = self.question.texts.first().map_or("a press", |(_, text)| text);
        self.verdict.add(what, format!("{} ({text}): {words}", self.question.message));
    }

    /// Each part once, and nothing beside the ledger.
    fn said_once(&mut self) {
        for (number, posts) in self.said {
            if posts.len() > 1 {
                let times: Vec<_> = posts.iter().map(|post| (post.id, post.at)).collect();
                self.wrong(
                    Wrong::Twice,
                    &format!("part {number} was posted {} times: {times:?}", posts.len()),
                );
            }
        }
        if !self.said.is_empty() && !self.is_refused() {
            if self.row.is_none() {
                self.wrong(Wrong::Twice, "was answered, and the store does not know it");
            }
            if self.said.contains_key(&0) {
                self.wrong(Wrong::Twice, "was told something that is not in the ledger");
            }
        }
    }

    /// The store could not take the message, and its author was told so, once, and nothing else.
    fn is_refused(&self) -> bool {
        let is_refusal = |posts: &Vec<&Post>| matches!(&posts[..], [post] if is_told(&post.text));
        self.row.is_none() && self.said.len() == 1 && self.said.get(&0).is_some_and(is_refusal)
    }

    fn asked_once(&mut self) {
        if self.asked.len() > 1 {
            self.wrong(Wrong::Twice, &format!("was asked {} times", self.asked.len()));
        }
        let told = self.said.values().flatten().filter(|post| is_told(&post.text)).map(|post| post.at).min();
        if let Some(told) = told
            && self.asked.iter().any(|note| note.at() > told)
        {
            self.wrong(Wrong::ToldThenRun, "was told, and then asked");
        }
        if let [.., (_, before), (since, _)] = &self.question.texts[..]
            && let Some(note) = self.asked.iter().find(|note| note.prompt.as_ref() == Some(before))
            && note.at() > *since + self.on_its_way
        {
            self.wrong(Wrong::Stale, "was asked as it said long before");
        }
    }

    /// What the ledger has as posted was posted, and the other way round.
    fn recorded(&mut self, row: &Row) {
        if self.question.deleted.is_some() {
            // A post that was on its way when nobody wanted it any more is not recorded.
            return;
        }
        for (number, posted) in &row.parts {
            let is_there =
                |id: &u64| self.said.get(number).is_some_and(|posts| posts.iter().any(|it| it.id == *id));
            if !posted.as_ref().is_some_and(is_there) {
                self.wrong(
                    Wrong::Lost,
                    &format!("part {number}, recorded as {posted:?}, does not stand there"),
                );
            }
        }
        let unknown: Vec<_> =
            self.said.keys().filter(|number| !row.parts.iter().any(|(part, _)| part == *number)).collect();
        if !unknown.is_empty() {
            self.wrong(Wrong::Twice, &format!("the parts {unknown:?} are not in the ledger"));
        }
    }

    fn silent_after(&mut self, deleted: SystemTime) {
        let told = self
            .said
            .values()
            .flatten()
            .any(|post| is_told(&post.text) && post.at > deleted + self.on_its_way);
        if told {
            self.wrong(Wrong::ToldAfterDeletion, "was told something after its author had taken it back");
        }
    }

    fn told(&self) -> bool {
        self.said.values().flatten().any(|post| is_told(&post.text))
    }

    /// The whole answer, without white space and without the bot's own notes.
    fn whole(&self) -> String {
        let posts = || self.said.values().flatten();
        match posts().find_map(|post| post.file.as_deref()) {
            Some(file) => bare(file),
            None => posts().map(|post| bare(&post.text)).collect(),
        }
    }
}

/// How the demo agent begins to say what was decided, without white space.
const DECIDED: [&str; 3] = ["Bashwas", "AskUserQuestionwas", "Theanswer:"];

/// Whether this is a sentence about the end of a turn, and no answer.
fn is_told(text: &str) -> bool {
    text.contains("⚠️")
}

/// A text without white space and without small lines.
fn bare(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("-# "));
    lines.flat_map(str::chars).filter(|c| !c.is_whitespace()).collect()
}

/// What the demo agent says to a prompt, without white space.
fn answer_to(prompt: &str) -> String {
    let mut said = String::new();
    for directive in prompt.split(" ;; ") {
        match directive.split_once(':') {
            Some(("TEXT", words)) => said.push_str(words),
            // Only what comes after the last tool is the answer.
            Some(("TOOL" | "ASK", _)) => said.clear(),
            Some(("LONG", length)) => {
                let unit = "The quick brown fox jumps over the lazy dog. ";
                said.extend(unit.chars().cycle().take(length.parse().unwrap()));
            }
            _ => {}
        }
    }
    bare(&said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + number)
    }

    fn post(part: u32, text: &str) -> Post {
        let id = 100 + u64::from(part);
        Post { id, at: second(10), nonce: format!("7-{part}"), text: text.to_owned(), file: None }
    }

    /// One question in two parts, answered as it should be.
    fn good() -> Evidence {
        let question =
            Question { message: 7, texts: vec![(second(0), "TEXT:a ;; TEXT:b".to_owned())], deleted: None };
        let row = Row {
            state: Some("answered".to_owned()),
            delivery: Some("done".to_owned()),
            parts: vec![(1, Some(101)), (2, Some(102))],
        };
        Evidence {
            questions: vec![question],
            posts: vec![post(1, "a"), post(2, "b")],
            litter: Vec::new(),
            slowness: 1.0,
            agents: vec![AgentNote::prompted("TEXT:a ;; TEXT:b", second(5))],
            rows: HashMap::from([(7, row)]),
        }
    }

    fn row(evidence: &mut Evidence) -> &mut Row {
        evidence.rows.get_mut(&7).unwrap()
    }

    /// The kinds of what is wrong with it.
    fn wrong(change: impl FnOnce(&mut Evidence)) -> Vec<Wrong> {
        let mut evidence = good();
        change(&mut evidence);
        let mut kinds: Vec<_> = judge(&evidence).wrong.into_iter().map(|(kind, _)| kind).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    fn interrupted(evidence: &mut Evidence, text: &str) {
        row(evidence).state = Some("interrupted".to_owned());
        row(evidence).parts = vec![(1, Some(101))];
        evidence.posts = vec![post(1, text)];
    }

    const TOLD: &str = "⚠️ I was stopped while I worked on this.";

    #[test]
    fn nothing_is_wrong_with_what_is_right() {
        assert_eq!(wrong(|_| {}), []);
        assert_eq!(wrong(|it| interrupted(it, TOLD)), []);
        let in_a_file = |it: &mut Evidence| {
            it.posts[1].file = Some("ab".to_owned());
            it.posts[1].text = "-# the rest is in the file".to_owned();
        };
        assert_eq!(wrong(in_a_file), []);
        assert_eq!(
            judge(&good()).to_string(),
            "accepted 1, lost 0, twice 0, overlaps 0, orphans 0, told-then-run 0, stuck 0, unseen 0, failed 0, told-in-vain 0, told-after-deletion 0, stale 0, litter 0"
        );
    }

    #[test]
    fn what_is_missing_is_lost() {
        assert_eq!(wrong(|it| drop(it.posts.pop())), [Wrong::Lost]);
        assert_eq!(wrong(|it| it.posts[1].text.clear()), [Wrong::Lost]);
        let decided = |text: &str| {
            wrong(|it| {
                let prompt = "ASK:Bash:make ;; TEXT:b";
                it.questions[0].texts[0].1 = prompt.to_owned();
                it.agents = vec![AgentNote::prompted(prompt, second(5))];
                it.posts = vec![post(1, text), post(2, "b")];
            })
        };
        assert_eq!(decided("Bash was denied: no."), []);
        assert_eq!(decided("so"), [Wrong::Lost]);
        assert_eq!(wrong(|it| row(it).parts[1].1 = None), [Wrong::Lost]);
        assert_eq!(wrong(|it| interrupted(it, "a")), [Wrong::Lost]);
        assert_eq!(wrong(|it| row(it).state = Some("cancelled".to_owned())), [Wrong::Lost]);
        assert_eq!(wrong(|it| drop(it.rows.remove(&7))), [Wrong::Twice, Wrong::Unseen]);
        let never =
            |it: &mut Evidence| *it = Evidence { questions: it.questions.clone(), ..Evidence::default() };
        assert_eq!(wrong(never), [Wrong::Unseen]);
    }

    #[test]
    fn what_is_there_twice_is_seen() {
        assert_eq!(wrong(|it| it.posts.push(Post { id: 1, ..post(2, "") })), [Wrong::Twice]);
        assert_eq!(wrong(|it| it.posts.push(post(3, ""))), [Wrong::Twice]);
        assert_eq!(wrong(|it| it.posts.push(post(0, ""))), [Wrong::Twice]);
        assert_eq!(wrong(|it| it.agents.push(it.agents[0].clone())), [Wrong::Twice]);
        let of_claude = Post { nonce: "q-1".to_owned(), ..post(1, "?") };
        assert_eq!(wrong(|it| it.posts.push(of_claude.clone())), []);
        assert_eq!(wrong(|it| it.posts.extend([of_claude.clone(), of_claude.clone()])), [Wrong::Twice]);
        assert_eq!(
            wrong(|it| it.posts.push(Post { nonce: "8-1".to_owned(), ..post(1, "") })),
            [Wrong::Twice]
        );
    }

    #[test]
    fn each_other_fault_is_seen() {
        assert_eq!(
            wrong(|it| it.agents.push(AgentNote { event: "overlap".to_owned(), ..it.agents[0].clone() })),
            [Wrong::Overlap]
        );
        let told_then_run = |it: &mut Evidence| {
            interrupted(it, TOLD);
            it.agents = vec![AgentNote::prompted("TEXT:a ;; TEXT:b", second(11))];
        };
        assert_eq!(wrong(told_then_run), [Wrong::ToldThenRun]);
        assert_eq!(wrong(|it| row(it).state = Some("running".to_owned())), [Wrong::Stuck]);
        assert_eq!(wrong(|it| row(it).delivery = Some("open".to_owned())), [Wrong::Stuck]);
        assert_eq!(wrong(|it| row(it).state = Some("failed".to_owned())), [Wrong::Failed]);
        let in_vain = |it: &mut Evidence| {
            interrupted(it, TOLD);
            it.agents.clear();
        };
        assert_eq!(wrong(in_vain), [Wrong::ToldInVain]);
        let after_deletion = |it: &mut Evidence| {
            interrupted(it, TOLD);
            it.questions[0].deleted = Some(second(1));
        };
        assert_eq!(wrong(after_deletion), [Wrong::ToldAfterDeletion]);
        assert_eq!(
            wrong(|it| it.questions[0].texts.push((second(1), "TEXT:new".to_owned()))),
            [Wrong::Stale]
        );
        assert_eq!(wrong(|it| it.litter.push("an hourglass".to_owned())), [Wrong::Litter]);
    }
}
