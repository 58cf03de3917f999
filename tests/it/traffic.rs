//! What people do in the channels, and Discord's bad moments: the same for the crash test and the soak.

use std::time::{Duration, SystemTime};

use fastrand::Rng;
use moonlane::local::{Fault, Id, LocalDiscord, Message, Say};

use crate::commands::buttons;
use crate::evidence::{Question, channel_name, is_of_claude};

/// The people, and what they have asked so far.
pub struct Traffic {
    channels: usize,
    dice: Rng,
    asked: Vec<Question>,
}

impl Traffic {
    pub fn new(channels: usize, dice: Rng) -> Self {
        Self { channels, dice, asked: Vec::new() }
    }

    /// Somebody does something: mostly, to ask.
    pub fn step(&mut self, discord: &LocalDiscord) {
        match self.dice.u8(..100) {
            0..70 => self.ask(discord),
            70..79 => self.edit(discord),
            79..86 => self.delete(discord),
            86..93 => self.press_one(discord),
            _ => self.others_talk(discord, 5),
        }
    }

    /// Somebody asks what takes long enough to be shown at work.
    pub fn ask_long(&mut self, discord: &LocalDiscord) {
        self.ask_what(discord, |_, name| {
            format!("TEXT:I look first. ;; TOOL:Bash:sleep 2.4 ;; TOOL:Bash:sleep 1.6 ;; {name}")
        });
    }

    /// Somebody asks what Claude needs a permission for, or a choice.
    pub fn ask_what_needs_an_answer(&mut self, discord: &LocalDiscord) {
        self.ask_what(discord, any_question);
    }

    /// Somebody presses something below one of the questions that Claude has asked.
    pub fn press_one(&mut self, discord: &LocalDiscord) {
        let open = self.claudes_questions(discord);
        if !open.is_empty() {
            let question = &open[self.dice.usize(..open.len())];
            self.press(discord, question);
        }
    }

    /// Everybody answers, so that nothing waits for a person; what an earlier bot has left stays as it is.
    pub fn press_all(&mut self, discord: &LocalDiscord) {
        for question in self.claudes_questions(discord) {
            if !buttons(&question).iter().any(|id| id.ends_with(":go_on")) {
                self.press(discord, &question);
            }
        }
    }

    fn press(&mut self, discord: &LocalDiscord, question: &Message) {
        let simple = |id: &String| {
            [":allow", ":deny", ":pick0", ":pick1", ":go_on"].iter().any(|end| id.ends_with(end))
        };
        let ids: Vec<_> = buttons(question).into_iter().filter(simple).collect();
        let Some(id) = self.dice.choice(&ids) else { return };
        // Where a restart has left the question, the press becomes a turn under the interaction's id.
        let Ok(press) = discord.press(question.id, discord.owner(), id) else { return };
        self.asked.push(Question { message: press.get(), texts: Vec::new(), deleted: None });
    }

    /// What Claude has asked and can be answered.
    fn claudes_questions(&self, discord: &LocalDiscord) -> Vec<Message> {
        let channels = (0..self.channels).map(|number| discord.channel(&channel_name(number)));
        let messages = channels.flat_map(|channel| discord.messages(channel));
        messages.filter(|it| is_of_claude(it) && !buttons(it).is_empty()).collect()
    }

    fn ask(&mut self, discord: &LocalDiscord) {
        self.ask_what(discord, any_text);
    }

    fn ask_what(&mut self, discord: &LocalDiscord, text: impl FnOnce(&mut Rng, String) -> String) {
        let channel = channel_name(self.dice.usize(..self.channels));
        // Each text is there once, so that it says which message it belongs to.
        let name = format!("TEXT:{channel}.{}", self.asked.len());
        let text = text(&mut self.dice, name);
        let message = discord.say(Say::to_bot(discord.channel(&channel), discord.owner(), &text));
        let message = message.get();
        self.asked.push(Question { message, texts: vec![(SystemTime::now(), text)], deleted: None });
    }

    /// Somebody edits one of the newest questions.
    fn edit(&mut self, discord: &LocalDiscord) {
        let bot = discord.bot_id();
        let Some(question) = self.one_of_the_newest().filter(|it| !it.texts.is_empty()) else { return };
        let edited = format!("{} ;; TEXT:edited", question.texts[0].1);
        if question.texts.len() == 1
            && discord.edit(Id::from(question.message), &format!("<@{bot}> {edited}"))
        {
            question.texts.push((SystemTime::now(), edited));
        }
    }

    /// Somebody takes one of the newest questions back.
    fn delete(&mut self, discord: &LocalDiscord) {
        let Some(question) = self.one_of_the_newest() else { return };
        if discord.delete(Id::from(question.message)) {
            question.deleted = Some(SystemTime::now());
        }
    }

    fn one_of_the_newest(&mut self) -> Option<&mut Question> {
        let newest = self.asked.len().min(12);
        let place = (newest > 0).then(|| self.asked.len() - 1 - self.dice.usize(..newest))?;
        self.asked.get_mut(place)
    }

    /// Others talk, and not with the bot.
    pub fn others_talk(&mut self, discord: &LocalDiscord, lines: usize) {
        let channel = discord.channel(&channel_name(self.dice.usize(..self.channels)));
        let other = discord.user("other");
        for line in 0..lines {
            discord.say(Say::new(channel, other, format!("line {line}")));
        }
    }

    /// All that was asked.
    pub fn questions(&self) -> Vec<Question> {
        self.asked.clone()
    }

    /// What somebody still wants an answer to.
    pub fn wanted(&self) -> impl Iterator<Item = u64> {
        let wanted = self.asked.iter().filter(|it| it.deleted.is_none() && !it.texts.is_empty());
        wanted.map(|question| question.message)
    }
}

fn any_text(dice: &mut Rng, name: String) -> String {
    match dice.u8(..100) {
        0..50 => name,
        50..65 => format!("SLEEP:0.2 ;; {name}"),
        65..75 => format!("DRIP:20 ;; {name} and some more words that come slowly, piece by piece"),
        75..93 => format!("{name} ;; LONG:{}", dice.usize(3_000..14_000)),
        93..95 => format!("{name} ;; LONG:{}", dice.usize(20_000..40_000)),
        95..97 => any_question(dice, name),
        _ => format!("{name} ;; TOOL:Read:a.txt ;; {name}"),
    }
}

/// What Claude answers only once a person has pressed something.
fn any_question(dice: &mut Rng, name: String) -> String {
    let once = name.replace("TEXT:", "");
    if dice.bool() {
        format!("ASK:Bash:echo {once} ;; {name}")
    } else {
        let choice = r#"[{"question":"Which?","header":"Which","options":[{"label":"A"},{"label":"B"}]}]"#;
        format!(r#"ASK:AskUserQuestion:{{"questions":{choice}}} ;; {name}"#)
    }
}

/// A number from the environment.
pub fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} must be a number: {value}")))
}

/// One of the next calls goes wrong.
pub fn bad_moment(discord: &LocalDiscord, dice: &mut Rng) {
    let fault = match dice.u8(..8) {
        0 => Fault::Status(500),
        1 => Fault::Status(502),
        2 => Fault::RateLimited { after: Duration::from_millis(200), global: dice.bool() },
        3 => Fault::DropBefore,
        4 => Fault::Delay(Duration::from_millis(dice.u64(50..500))),
        _ => Fault::DropAfter,
    };
    let calls = ["POST /channels", "POST /channels", "/channels", "GET /channels", "/reactions/"];
    discord.fail_next(1, fault, calls[dice.usize(..calls.len())]);
}
