//! What people do in the channels, and Discord's bad moments: the same for the crash test and the soak.

use std::time::{Duration, SystemTime};

use fastrand::Rng;
use moonlane::local::{Fault, Id, LocalDiscord, Say};

use crate::evidence::{Question, channel_name};

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
            0..75 => self.ask(discord),
            75..85 => self.edit(discord),
            85..93 => self.delete(discord),
            _ => self.others_talk(discord, 5),
        }
    }

    /// Somebody asks what takes long enough to be shown at work.
    pub fn ask_long(&mut self, discord: &LocalDiscord) {
        self.ask_what(discord, |_, name| {
            format!("TEXT:I look first. ;; TOOL:Bash:sleep 2.4 ;; TOOL:Bash:sleep 1.6 ;; {name}")
        });
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
        let Some(question) = self.one_of_the_newest() else { return };
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
        self.asked.iter().filter(|question| question.deleted.is_none()).map(|question| question.message)
    }
}

fn any_text(dice: &mut Rng, name: String) -> String {
    match dice.u8(..100) {
        0..50 => name,
        50..65 => format!("SLEEP:0.2 ;; {name}"),
        65..75 => format!("DRIP:20 ;; {name} and some more words that come slowly, piece by piece"),
        75..93 => format!("{name} ;; LONG:{}", dice.usize(3_000..14_000)),
        93..96 => format!("{name} ;; LONG:{}", dice.usize(20_000..40_000)),
        _ => format!("{name} ;; TOOL:Read:a.txt ;; {name}"),
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
