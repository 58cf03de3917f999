use super::*;
use crate::config;
use crate::domain::Limits;
use crate::local::{Fault, LocalDiscord, Options, RateLimits};
use crate::outbox::Patience;

const LIMITS: Limits = Limits {
    start: Duration::from_secs(1),
    wake: Duration::from_secs(1),
    silence: Duration::from_secs(1),
    tool: Duration::from_secs(1),
    turn: Duration::from_secs(1),
    after_result: Duration::from_secs(1),
    continue_spread: Duration::ZERO,
    question: Duration::from_secs(60),
    question_choice: None,
};

#[tokio::test]
async fn an_owner_is_one_as_long_as_discord_says_so() {
    let options = Options { rate_limits: RateLimits::Off, ..Options::default() };
    let discord = LocalDiscord::start(options).await.unwrap();
    let patience = Patience { give_up_after: Duration::from_millis(50), ..Patience::default() };
    let outbox = Outbox::with_patience(discord.url(), discord.token(), patience).unwrap();
    let me = outbox.whoami().await.unwrap();
    let gate = Gate::new(outbox, me.owners.clone(), Vec::new(), GateTimes::default());
    let [owner] = me.owners[..] else { panic!("one owner") };
    let heir = discord.user("heir");
    discord.hand_over(heir);
    let owns = || gate.owners().ids.contains(&owner);

    gate.refresh_for(owner).await;
    assert!(owns() && gate.is_sure_of(owner), "that was said just now");
    let old = Instant::now().checked_sub(2 * GateTimes::default().fresh).unwrap();
    gate.owners().asked = old;
    assert!(!gate.is_sure_of(owner) && gate.is_sure_of(UserId::new(7).unwrap()));
    discord.fail_next(100, Fault::Status(500), "/applications/@me");
    gate.refresh_for(owner).await;
    assert!(owns(), "without an answer a command goes by the old one");
    discord.heal();
    gate.refresh_for(owner).await;
    assert!(!owns() && gate.owners().ids == [UserId::new(heir.get()).unwrap()]);
}

/// Scripts with one project and this `allow`.
fn set(allow: &str) -> ScriptSet {
    let root = tempfile::tempdir().unwrap();
    let routing = format!("return {{ allow = {{ {allow} }}, projects = {{ here = {{ dir = 'work' }} }} }}");
    std::fs::write(root.path().join("routing.lua"), routing).unwrap();
    std::fs::write(root.path().join("triggers.lua"), "return { mention = true }").unwrap();
    let scripts = config::ScriptsConfig { dir: root.path().to_owned(), ..config::ScriptsConfig::default() };
    ScriptSet::load(&scripts, root.path(), &LIMITS).unwrap().set
}

#[tokio::test]
async fn a_guild_counts_where_an_owner_is_unless_a_list_says_otherwise() {
    let options = Options { rate_limits: RateLimits::Off, ..Options::default() };
    let discord = LocalDiscord::start(options).await.unwrap();
    let patience = Patience { give_up_after: Duration::from_millis(50), ..Patience::default() };
    let outbox = Outbox::with_patience(discord.url(), discord.token(), patience).unwrap();
    let owners = outbox.whoami().await.unwrap().owners;
    let guild = GuildId::new(discord.guild().get()).unwrap();
    let other = GuildId::new(7).unwrap();
    let open = set("");
    let by_owner = Gate::new(outbox.clone(), owners.clone(), Vec::new(), GateTimes::default());
    let ask = async |gate: &Gate, set: &ScriptSet, guild| gate.serves(set, guild, Verdict::User).await;
    let (yes, no) = (Some(true), Some(false));

    discord.fail_next(9, Fault::Status(500), "/members/");
    assert_eq!(ask(&by_owner, &open, guild).await, None, "nobody knows");
    discord.heal();
    assert_eq!((ask(&by_owner, &open, guild).await, ask(&by_owner, &open, other).await), (yes, no));
    discord.fail_next(9, Fault::Status(500), "/members/");
    assert_eq!(ask(&by_owner, &open, guild).await, yes, "that was said just now");
    assert_eq!(by_owner.serves(&open, other, Verdict::Owner).await, yes, "there is one");

    let configured = Gate::new(outbox, owners, vec![other], GateTimes::default());
    assert_eq!((ask(&configured, &open, other).await, ask(&configured, &open, guild).await), (yes, no));
    let listed = set("guilds = { '8' }");
    let eight = GuildId::new(8).unwrap();
    assert_eq!((ask(&configured, &listed, eight).await, ask(&configured, &listed, other).await), (yes, no));
    assert_eq!(configured.serves(&set("guilds = {}"), guild, Verdict::Owner).await, no, "nowhere");
}

#[tokio::test]
async fn a_refusal_without_a_reason_of_discords_is_no_word_about_roles() {
    let options = Options { rate_limits: RateLimits::Off, ..Options::default() };
    let discord = LocalDiscord::start(options).await.unwrap();
    let patience = Patience { give_up_after: Duration::from_millis(50), ..Patience::default() };
    let outbox = Outbox::with_patience(discord.url(), discord.token(), patience).unwrap();
    let (staff, ada) = (discord.role("staff"), discord.user("ada"));
    discord.give_role(ada, staff);
    let set = set(&format!("roles = {{ '{staff}' }}"));
    let guild = GuildId::new(discord.guild().get()).unwrap();
    let gate = Gate::new(outbox, Vec::new(), vec![guild], GateTimes::default());
    let project = set.projects().next().unwrap().clone();
    let place = ChannelId::new(discord.channel("general").get()).unwrap();
    let begins = async || gate.lets_begin(&set, &project, place, UserId::new(ada.get()).unwrap()).await;
    assert!(begins().await.unwrap());
    for (status, path) in [(403, "/members/"), (404, "/members/"), (403, "/channels/")] {
        discord.fail_next(1, Fault::Status(status), path);
        assert!(begins().await.is_err(), "{status} {path}");
    }
    discord.take_role(ada, staff);
    assert!(!begins().await.unwrap());
}
