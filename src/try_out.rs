//! `moonlane try`: what trigger, route and gate decide for one text. It runs nothing: no token, no store, no Discord.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::config::Config;
use crate::domain::{Author, ChannelId, GuildId, Message, MessageId, Project, RoleId, Route, UserId};
use crate::gate::{self, Verdict};
use crate::print;
use crate::script::{Loaded, ScriptProblem, ScriptSet, Severity};

/// What somebody would write, and where.
#[derive(Debug)]
pub struct TriedMessage {
    pub channel: ChannelId,
    /// The channel of a thread.
    pub parent: Option<ChannelId>,
    pub channel_name: String,
    /// Who writes it; nobody in particular where it is `None`.
    pub user: Option<UserId>,
    pub roles: Vec<RoleId>,
    /// Whether it mentions the bot.
    pub mention: bool,
    /// The text without the mention.
    pub text: String,
}

/// Prints the decision as one JSON object. The exit code is 2 where the scripts fail, at load or on this text; then the
/// object has only `errors`.
pub async fn run(config: &Config, said: TriedMessage) -> ExitCode {
    let (decision, fine) = match decide(config, said).await {
        Ok(decision) => (decision, true),
        Err(problems) => (json!({ "errors": problems.iter().map(error).collect::<Vec<_>>() }), false),
    };
    print::line(format_args!("{decision:#}"));
    if fine { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

async fn decide(config: &Config, said: TriedMessage) -> Result<Value, Vec<ScriptProblem>> {
    let Loaded { set, warnings } = match ScriptSet::load(&config.scripts, &config.root, &config.limits) {
        Ok(loaded) => loaded,
        Err(mut problems) => {
            problems.retain(|problem| problem.severity == Severity::Error);
            return Err(problems);
        }
    };
    for warning in warnings {
        print::complaint(warning);
    }
    let known = said.user.is_some();
    let message = message(said);
    let author = message.author.clone();
    let (prompt, route) = set.explain(message).await.map_err(|error| vec![error.problem()])?;

    let for_me = prompt.is_some();
    let admission = |project| admission(&set, project, &author, known);
    Ok(match route {
        Route::NotForMe => decision(for_me, prompt, "ignored", Admission::not_asked()),
        Route::Unrouted => decision(for_me, prompt, "unrouted", admission(None)),
        Route::Reply(reply) => {
            let mut decision = decision(for_me, prompt, "reply", admission(None));
            decision["reply"] = reply.into();
            decision
        }
        Route::Turn(work) => {
            let admission = admission(Some(&work.project));
            let mut decision = decision(for_me, Some(work.prompt), "project", admission);
            decision["project"] = work.project.name.0.as_str().into();
            decision["model"] = work.model.or_else(|| work.project.model.clone()).into();
            decision["fresh"] = work.fresh.into();
            decision
        }
    })
}

/// The message as the scripts get it. What nobody has said is made up: ids of 1, and no files.
fn message(said: TriedMessage) -> Message {
    Message {
        id: MessageId::new(1).expect("1 is not 0"),
        channel_id: said.channel,
        parent_channel_id: said.parent,
        channel_name: said.channel_name,
        channel_tags: Vec::new(),
        in_own_thread: false,
        guild_id: GuildId::new(1).expect("1 is not 0"),
        author: Author {
            id: said.user.unwrap_or(UserId::new(1).expect("1 is not 0")),
            name: String::new(),
            roles: said.roles,
            bot: false,
        },
        raw_text: said.text.clone(),
        text: said.text,
        mentions_me: said.mention,
        attachments: Vec::new(),
        reply_to: None,
        quoted: None,
        extras: Vec::new(),
    }
}

/// Whether the gate lets the person in, and why.
struct Admission {
    admitted: Option<bool>,
    why: String,
}

impl Admission {
    fn not_asked() -> Self {
        Self { admitted: None, why: "the gate is not asked about what is ignored".to_owned() }
    }
}

fn admission(set: &ScriptSet, project: Option<&Project>, author: &Author, known: bool) -> Admission {
    // Who owns the application only Discord can tell.
    let verdict = gate::judge(&[], gate::rule(set.allow(), project), author);
    let rule = match project.filter(|project| project.allow.is_some()) {
        Some(project) => format!("projects.{}.allow", project.name),
        None => "allow".to_owned(),
    };
    let why = match verdict {
        Verdict::User => format!("`{rule}.users` names user {}", author.id),
        Verdict::Role(role) => format!("`{rule}.roles` names role {role}"),
        Verdict::Owner => "the owner always may".to_owned(),
        Verdict::Bot => "a bot never may".to_owned(),
        Verdict::NotNamed => {
            let who = match (known, author.roles.is_empty()) {
                (true, true) => format!("`{rule}` does not name user {}", author.id),
                (true, false) => format!("`{rule}` names neither user {} nor one of these roles", author.id),
                (false, true) => "neither `--user` nor `--role` is given".to_owned(),
                (false, false) => format!("`{rule}` names none of these roles, and `--user` is not given"),
            };
            format!("{who}; the application's owner always may, but who that is cannot be known here")
        }
    };
    Admission { admitted: Some(verdict.admitted()), why }
}

fn decision(for_me: bool, prompt: Option<String>, route: &str, admission: Admission) -> Value {
    json!({
        "for_me": for_me,
        "prompt": prompt,
        "route": route,
        "project": null,
        "reply": null,
        "model": null,
        "fresh": false,
        "admitted": admission.admitted,
        "why": admission.why,
    })
}

fn error(problem: &ScriptProblem) -> Value {
    json!({ "file": problem.file, "line": problem.line, "path": problem.path, "message": problem.message })
}
