//! Removes secrets from whatever is posted or logged: the values that the bot itself knows, and strings that look like
//! a known kind of token. Pure.
//!
//! This keeps an accident from becoming a leak: somebody asks why a deployment fails, and Claude prints the
//! environment. It does not stop anybody determined to get a secret out: `base64` is enough.
//!
//! Only unmistakable forms count, such as those with a prefix of their own: an answer about code is full of hashes and
//! ids, and all of them must arrive.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;
use regex::{Captures, Regex};

/// Replaces a secret.
pub const REDACTED: &str = "[redacted]";

/// Shorter values may be ordinary words. The limit also keeps a redacted text from growing.
const SHORTEST: usize = 12;

/// Takes secrets out of texts. A clone is cheap, and knows the same secrets, also those that the other learns later.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// `None` where every text stays as it is.
    values: Option<Arc<RwLock<Values>>>,
}

/// The values that are taken out.
#[derive(Debug, Default)]
struct Values {
    all: Vec<String>,
    /// Any of them; `None` where there are none.
    any: Option<Regex>,
}

impl Values {
    fn add(&mut self, values: impl IntoIterator<Item = String>) {
        let known = self.all.len();
        for value in values {
            let counts = value.chars().count() >= SHORTEST && !value.contains(REDACTED);
            if counts && !self.all.contains(&value) {
                self.all.push(value);
            }
        }
        if self.all.len() == known {
            return;
        }
        // The longest first: one may begin with another.
        self.all.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let any = self.all.iter().map(|value| regex::escape(value)).collect::<Vec<_>>().join("|");
        // It fails only if it is too large; then what was known before remains.
        if let Ok(any) = Regex::new(&any) {
            self.any = Some(any);
        }
    }
}

impl Redactor {
    /// One that leaves every text as it is.
    pub fn off() -> Self {
        Self::default()
    }

    /// One that takes out these values, and strings that have the form of a token. Values of fewer than 12 characters
    /// are left alone.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut known = Values::default();
        known.add(values);
        Self { values: Some(Arc::new(RwLock::new(known))) }
    }

    /// From now on takes out this secret as well, as it is and as it stands in JSON, and each of its lines that has no
    /// spaces: whoever prints a key may indent it. Does nothing where it is off.
    pub fn learn(&self, secret: &str) {
        let Some(values) = &self.values else { return };
        if values.read().all.iter().any(|known| known == secret) {
            return;
        }
        let in_json = serde_json::Value::from(secret).to_string();
        let in_json = in_json[1..in_json.len() - 1].to_owned();
        let lines = secret.lines().map(str::trim).filter(|line| !line.contains(char::is_whitespace));
        let lines = lines.filter(|line| line.len() >= 2 * SHORTEST).map(str::to_owned);
        values.write().add([secret.trim().to_owned(), secret.to_owned(), in_json].into_iter().chain(lines));
    }

    /// The text without secrets: never longer than before, and the same again where it is redacted twice.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(values) = &self.values else { return Cow::Borrowed(text) };
        let values = values.read();
        let mut text = Cow::Borrowed(text);
        loop {
            let before = text.len();
            text = values.any.iter().chain([&*TOKEN]).fold(text, |text, secret| replace(secret, text));
            // Its neighbours may form another one now. This ends because each pass makes the text shorter.
            if text.len() == before {
                return text;
            }
        }
    }

    /// Every string in a JSON value without secrets; names of fields stay.
    pub fn redact_json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => {
                if let Cow::Owned(redacted) = self.redact(text) {
                    *text = redacted;
                }
            }
            serde_json::Value::Array(values) => values.iter_mut().for_each(|value| self.redact_json(value)),
            serde_json::Value::Object(fields) => {
                fields.values_mut().for_each(|value| self.redact_json(value))
            }
            _ => {}
        }
    }
}

fn replace<'a>(secret: &Regex, text: Cow<'a, str>) -> Cow<'a, str> {
    let replaced = secret.replace_all(&text, |found: &Captures<'_>| {
        // What only precedes the secret stays.
        let before = found.name("host").or_else(|| found.name("begin"));
        format!("{}{REDACTED}", before.map_or("", |before| before.as_str()))
    });
    match replaced {
        Cow::Owned(replaced) => Cow::Owned(replaced),
        Cow::Borrowed(_) => text,
    }
}

/// Tokens by their form, as their issuers (and secret scanners) describe it.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    // Of a Discord bot: its id, digits in base64, so that hardly anything else looks like it; a time; a signature.
    let digits = "(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){5,6}(?:[MNO][AQgw]|[MNO][DTjz][AEIMQUYcgk])?";
    let discord = format!(r"{digits}\.[A-Za-z0-9_-]{{6}}\.[A-Za-z0-9_-]{{27,50}}");
    let forms = [
        &*discord,
        // Anthropic, OpenAI
        "sk-ant-[A-Za-z0-9_-]{20,}",
        "sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,}",
        "sk-[A-Za-z0-9]{48}",
        // GitHub, GitLab
        "gh[pousr]_[A-Za-z0-9]{36,}",
        "github_pat_[A-Za-z0-9_]{60,}",
        "glpat-[A-Za-z0-9_-]{20,}",
        // Slack, AWS, Google, Stripe
        "xox[abeprs]-[A-Za-z0-9-]{20,}",
        "(?:AKIA|ASIA)[A-Z0-9]{16}",
        "AIza[A-Za-z0-9_-]{35}",
        "[rs]k_live_[A-Za-z0-9]{20,}",
        // npm, PyPI, crates.io, Hugging Face
        "npm_[A-Za-z0-9]{36}",
        "pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}",
        "cio[A-Za-z0-9]{32}",
        "hf_[A-Za-z0-9]{34}",
        // A signed JSON Web Token
        r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    ];
    // ASCII word boundaries: the others would make the search slow in every language but English.
    let tokens = format!(r"(?-u:\b)(?:{})", forms.join("|"));
    let webhook = r"(?<host>discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]{15,20}/)[A-Za-z0-9_-]{60,}";
    // Long lines only, without blanks: what stands there may be words, and in a question the command that is to be run. The last
    // line stays, and so do the line breaks before it: the end of a code block may follow.
    let key =
        r"(?<begin>-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----)(?:(?:\\[rn]|[\r\n\t ])*[A-Za-z0-9+/=]{40,})+";
    Regex::new(&format!("{tokens}|{webhook}|{key}")).expect("it is a constant")
});

/// The values of variables whose names say that they hold a secret.
pub fn secrets_in(environment: impl IntoIterator<Item = (String, String)>) -> impl Iterator<Item = String> {
    const SECRET: [&str; 7] =
        ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "API_KEY", "ACCESS_KEY", "PRIVATE_KEY"];
    const ELSEWHERE: [&str; 4] = ["_FILE", "_PATH", "_DIR", "_URL"];
    environment.into_iter().filter_map(|(name, value)| {
        let name = name.to_ascii_uppercase();
        let is_secret = SECRET.iter().any(|word| name.contains(word))
            && !ELSEWHERE.iter().any(|end| name.ends_with(end))
            && !value.starts_with('/')
            && !value.contains(char::is_whitespace);
        is_secret.then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    /// A made-up token of this form.
    fn token(prefix: &str, length: usize) -> String {
        let letters = "a8Bk3ZxQ7mT0vLcJ5nRw".chars().cycle();
        prefix.chars().chain(letters.take(length)).collect()
    }

    fn tokens() -> Vec<String> {
        let discord = |id: &str| format!("{id}.GaB_cd.{}", token("", 38));
        vec![
            // 17 to 20 digits
            discord("MTIzNDU2Nzg5MDEyMzQ1Njc"),
            discord("MTIzNDU2Nzg5MDEyMzQ1Njc4"),
            discord("MTIzNDU2Nzg5MDEyMzQ1Njc4OQ"),
            discord("MTIzNDU2Nzg5MDEyMzQ1Njc4OTA"),
            token("sk-ant-api03-", 93),
            token("sk-ant-oat01-", 93),
            token("sk-proj-", 120),
            token("ghp_", 36),
            token("gho_", 36),
            format!("github_pat_{}_{}", token("", 22), token("", 59)),
            token("glpat-", 20),
            token("xoxb-", 50),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            token("AIza", 35),
            token("sk_live_", 24),
            token("npm_", 36),
            token("hf_", 34),
            format!("{}.{}.{}", token("eyJ", 20), token("eyJ", 60), token("", 43)),
        ]
    }

    fn redacted(text: &str) -> String {
        Redactor::new([]).redact(text).into_owned()
    }

    #[test]
    fn what_is_learnt_is_known_to_every_clone_in_each_form_in_which_it_may_stand() {
        let (redactor, off) = (Redactor::new([]), Redactor::off());
        let clone = redactor.clone();
        let key = "{\n  \"key\": \"x\"\n}\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n";
        let said = |secret: &str| format!("it is {secret}, you see");
        assert_eq!(clone.redact(&said(key)), said(key));
        for redactor in [&redactor, &off] {
            redactor.learn(key);
            redactor.learn("too short");
            redactor.learn("correct horse battery");
        }
        let masked = said(REDACTED);
        for secret in [key, key.trim_end(), "correct horse battery", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"] {
            assert_eq!(clone.redact(&said(secret)), masked, "{secret}");
            assert_eq!(off.redact(&said(secret)), said(secret));
        }
        let json = serde_json::json!({ "said": key }).to_string();
        assert_eq!(clone.redact(&json), format!("{{\"said\":\"{REDACTED}\"}}"));
        for kept in ["too short", "\"key\": \"x\""] {
            assert_eq!(clone.redact(&said(kept)), said(kept));
        }
    }

    #[test]
    fn tokens_are_known_by_their_form_wherever_they_stand() {
        for token in tokens() {
            for (before, after) in [
                ("", ""),
                ("TOKEN=", "\n"),
                ("`", "`"),
                ("(\"", "\")"),
                ("日本語 ", "。"),
                ("a: ", ", b"),
                ("/", "/"),
            ] {
                let text = format!("{before}{token}{after}");
                assert_eq!(redacted(&text), format!("{before}{REDACTED}{after}"));
            }
        }
        let webhook = format!("<https://discord.com/api/webhooks/231200000000000004/{}>", token("", 68));
        assert_eq!(redacted(&webhook), "<https://discord.com/api/webhooks/231200000000000004/[redacted]>");
    }

    #[test]
    fn a_private_key_goes_and_the_code_block_around_it_stays() {
        let body = format!("{}\n", token("", 64)).repeat(20);
        for (end, kept) in [("-----END OPENSSH PRIVATE KEY-----\n", true), ("", false)] {
            let begin = "```\n-----BEGIN OPENSSH PRIVATE KEY-----";
            let text = format!("{begin}\n{body}{end}```\nDone.");
            let end = if kept { end } else { "" };
            assert_eq!(redacted(&text), format!("{begin}[redacted]\n{end}```\nDone."));
        }
        let in_json = format!(r#"{{"key": "-----BEGIN PRIVATE KEY-----\n{}\n"}}"#, token("", 64));
        assert!(!redacted(&in_json).contains(&token("", 64)), "{}", redacted(&in_json));
        let commands =
            "echo -----BEGIN PRIVATE KEY-----\nreboot\nbash /tmp/x/install now or never /tmp/y\nrm r /home";
        assert_eq!(redacted(commands), commands);
        let talk = "A file that begins with `-----BEGIN PRIVATE KEY-----` is to be kept to yourself, whatever it is.";
        assert_eq!(redacted(talk), talk);
    }

    #[test]
    fn what_only_looks_long_stays() {
        for text in [
            "79631ec8b0c0ffee79631ec8b0c0ffee79631ec8",
            "023c7a63-31d3-4b5f-ab1b-0a4e2d6c3f59",
            "sha512-9NET910DNaIPngYnLLPeg+Ogzqsi9uM4mSboU5y6p8S5DzMTVEsJZrawi+BoDNUVBa2DhJqQYUFvMDfgU062LQ==",
            "task-sk-and-other-words-with-hyphens-that-go-on-for-very-long-indeed",
            "Set `GITHUB_TOKEN=ghp_xxxxxxxx` or `sk-ant-...`; `AKIA…` is the key's id.",
            "MyNotificationServiceProvider.create.withSomeVeryLongMethodNameAfterIt()",
            "https://discord.com/channels/231200000000000004/231200000000000005",
            "npm_config_registry npm_lifecycle_event hf_hub_download",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn answers_of_every_kind_pass_as_they_are() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/text");
        let mut read = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            assert_eq!(redacted(&text), text);
            read += 1;
        }
        assert!(read > 20, "{read}");
    }

    #[test]
    fn variables_are_secret_by_their_names() {
        let variables = [
            ("DISCORD_TOKEN", "the-token-of-the-bot"),
            ("ANTHROPIC_API_KEY", "the-key-of-the-bot"),
            ("db_password", "correct-horse"),
            ("AWS_SECRET_ACCESS_KEY", "a/b/c/d/e/f/g/h"),
            ("TOKEN_FILE", "somewhere-else"),
            ("SSL_PRIVATE_KEY", "/etc/ssl/key.pem"),
            ("SECRET_SENTENCE", "words in a row"),
            ("PATH", "not-at-all-secret"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let found: Vec<_> = secrets_in(variables).collect();
        assert_eq!(found, ["the-token-of-the-bot", "the-key-of-the-bot", "correct-horse", "a/b/c/d/e/f/g/h"]);
    }

    #[test]
    fn switched_off_it_leaves_everything() {
        let text = token("ghp_", 36);
        assert_eq!(Redactor::off().redact(&text), text);
    }

    #[test]
    fn strings_in_json_are_redacted_and_nothing_else() {
        let mut value =
            serde_json::json!({ "content": format!("\n{}", token("ghp_", 36)), "n": 1, "a": [true, "x"] });
        Redactor::new([]).redact_json(&mut value);
        assert_eq!(value, serde_json::json!({ "content": "\n[redacted]", "n": 1, "a": [true, "x"] }));
    }

    /// Not a bench, only a limit that shows when something heavy gets into its way.
    #[test]
    fn it_is_quick() {
        let text = "A sentence of an answer, with `code` and MixedCase words: Möglichkeiten. ".repeat(3000);
        let redactor = Redactor::new((0..20).map(|n| token(&format!("value-{n}-"), 30)));
        drop(redactor.redact(&text));
        // Of the processor, which may have more to do than this.
        let used = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
        let before = used();
        assert_eq!(redactor.redact(&text), text);
        let took = used() - before;
        println!("{} bytes in {took:?}", text.len());
        assert!(took < Duration::from_millis(500), "{took:?}");
    }

    /// Words, tokens and own secrets, in any order, with or without something between them.
    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "\\PC{0,12}",
            Just("\n".to_owned()),
            Just(" ".to_owned()),
            proptest::sample::select(tokens()),
            proptest::sample::select(own()),
            Just("-----BEGIN RSA PRIVATE KEY-----".to_owned()),
            "[A-Za-z0-9+/=\n]{0,90}",
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    fn own() -> Vec<String> {
        ["hunter2-hunter2", "hunter2-hunter2-and-more", "pass.word*(x)[y]", "ключ-от-всех-дверей"]
            .map(str::to_owned)
            .to_vec()
    }

    proptest! {
        #[test]
        fn what_is_redacted_holds_none_of_the_values_and_is_not_longer(text in texts()) {
            let redactor = Redactor::new(own());
            let once = redactor.redact(&text);
            for value in own() {
                prop_assert!(!once.contains(&value), "{once:?}");
            }
            prop_assert!(once.encode_utf16().count() <= text.encode_utf16().count());
            prop_assert_eq!(redactor.redact(&once), once.clone());
        }

        #[test]
        fn what_holds_no_secret_is_not_changed(text in "(\\PC|\n){0,300}") {
            prop_assert_eq!(Redactor::new(own()).redact(&text), text.as_str());
        }
    }
}
