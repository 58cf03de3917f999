//! Prompts for whoever wants to see what a channel shows of a turn at work. Each stands for a script; a number after it
//! makes it so many times as fast: `work 20`.

/// The scripts by their prompts. The times in braces are seconds, or milliseconds where a directive wants those.
const SHOWS: [(&str, &str); 8] = [
    ("work", WORK),
    ("compact", COMPACT),
    ("limit", LIMIT),
    ("permission", PERMISSION),
    ("plan", PLAN),
    ("question", QUESTION),
    ("questions", QUESTIONS),
    ("form", FORM),
];

/// Leave to run a command.
const PERMISSION: &str = "TEXT:The change is ready. I push it.\nASK:Bash:git push origin main";

/// A plan to be approved.
const PLAN: &str = r##"
TEXT:I have read how the greeting is made. This is what I would do.
ASK:ExitPlanMode:{"plan":"# A friendlier greeting\n\n1. Change the greeting in `src/greeting.rs`.\n2. Add a test for it.\n3. Run all tests.","planFilePath":"/home/demo/.claude/plans/a-friendlier-greeting.md"}
"##;

/// One choice.
const QUESTION: &str = r#"
TEXT:There are two ways to greet.
ASK:AskUserQuestion:{"questions":[{"question":"How shall I greet people?","header":"Greeting","options":[{"label":"By name","description":"Hello, Ada!"},{"label":"By time of day","description":"Good morning!"}],"multiSelect":false}]}
"#;

/// Several at once: one choice of which previews are shown, and one of several.
const QUESTIONS: &str = r##"
TEXT:Before I begin, I need to know two things.
ASK:AskUserQuestion:{"questions":[{"question":"How shall the greeting look?","header":"Look","options":[{"label":"Plain","description":"One line","preview":"Hello, Ada!"},{"label":"Framed","description":"In a box","preview":"+-------------+\n| Hello, Ada! |\n+-------------+"}],"multiSelect":false},{"question":"Which languages shall it speak?","header":"Languages","options":[{"label":"English","description":"Hello"},{"label":"French","description":"Bonjour"},{"label":"Spanish, of Mexico","description":"Hola"}],"multiSelect":true}]}
"##;

/// A form of an MCP server.
const FORM: &str = r#"
TEXT:I sign you up for the newsletter.
FORM:newsletter:{"message":"Where shall the newsletter go?","property_order":["email","often"],"requested_schema":{"type":"object","required":["email"],"properties":{"email":{"type":"string","title":"E-mail address","format":"email"},"often":{"type":"string","title":"How often","oneOf":[{"const":"w","title":"Every week"},{"const":"m","title":"Every month"}],"default":"m"}}}}
"#;

/// A usage limit that is reached.
const LIMIT: &str = "TEXT:I begin with it.\nLIMIT:30";

/// Half a minute of work.
const WORK: &str = r#"
TEXT:I'll look at how the greeting is made, change it, and run the tests.
TOOL:TaskCreate:{"subject":"Find the greeting"}
TOOL:TaskCreate:{"subject":"Change it"}
TOOL:TaskCreate:{"subject":"Run the tests"}
TOOL:TaskUpdate:{"taskId":"1","status":"in_progress"}
TOOL:Grep:{"pattern":"hello"}
SLEEP:{3}
TOOL:Read:{"file_path":"src/main.rs"}
SLEEP:{2}
TOOL:Read:{"file_path":"src/greeting.rs"}
SLEEP:{3}
TOOL:TaskUpdate:{"taskId":"1","status":"completed"}
TOOL:TaskUpdate:{"taskId":"2","status":"in_progress"}
TEXT:It is in `src/greeting.rs`. I change it there.
TOOL:Edit:{"file_path":"src/greeting.rs"}
SLEEP:{4}
TOOL:TaskUpdate:{"taskId":"2","status":"completed"}
TOOL:TaskUpdate:{"taskId":"3","status":"in_progress"}
TEXT:Now the tests.
RUN:{8}:cargo test
RETRY:2:{3000}
RUN:{4}:cargo clippy --all-targets
TOOL:TaskUpdate:{"taskId":"3","status":"completed"}
TEXT:The greeting is friendlier now, and all tests pass.
"#;

/// A conversation that has become too long.
const COMPACT: &str = r#"
TEXT:I go through the logs of the whole week.
TOOL:Read:{"file_path":"logs/monday.log"}
SLEEP:{3}
TOOL:Read:{"file_path":"logs/tuesday.log"}
SLEEP:{1}
COMPACT:154000:31000:{4000}
TEXT:Nothing odd until Tuesday. I look at the rest.
TOOL:Grep:{"pattern":"ERROR"}
SLEEP:{3}
TEXT:One error on Thursday: the disk was full for a minute.
"#;

/// The script that a prompt stands for, if it does.
pub fn of(prompt: &str) -> Option<String> {
    let mut words = prompt.split_whitespace();
    let name = words.next()?;
    let (_, script) = SHOWS.iter().find(|(known, _)| *known == name)?;
    let faster =
        words.next().map_or(Some(1.0), |number| number.parse::<f64>().ok().filter(|it| *it > 0.0))?;
    let nothing_else = words.next().is_none();
    nothing_else.then(|| faster_by(script, faster))
}

/// The same script with shorter times.
fn faster_by(script: &str, factor: f64) -> String {
    let mut parts = script.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let time = part.split_once('}').and_then(|(time, rest)| Some((time.parse::<f64>().ok()?, rest)));
        match time {
            // Milliseconds are whole ones.
            Some((time, rest)) if time >= 1000.0 => text += &format!("{}{rest}", (time / factor).round()),
            Some((time, rest)) => text += &format!("{}{rest}", time / factor),
            // The input of a tool.
            None => text += &format!("{{{part}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_makes_it_faster_and_anything_else_is_another_prompt() {
        assert!(of("work").unwrap().contains("\nSLEEP:3\n"));
        let fast = of(" work  20 ").unwrap();
        assert!(fast.contains("\nRUN:0.4:cargo test\nRETRY:2:150\n"), "{fast}");
        assert!(fast.contains(r#"TOOL:Grep:{"pattern":"hello"}"#), "{fast}");
        for prompt in ["work now", "work 0", "work -1", "work 2 3", "homework", ""] {
            assert_eq!(of(prompt), None, "{prompt}");
        }
    }
}
