use super::*;
use crate::local::{Fault, LocalDiscord, Options, RateLimits};
use crate::outbox::Patience;

#[tokio::test]
async fn an_owner_is_one_as_long_as_discord_says_so() {
    let options = Options { rate_limits: RateLimits::Off, ..Options::default() };
    let discord = LocalDiscord::start(options).await.unwrap();
    let patience = Patience { give_up_after: Duration::from_millis(50), ..Patience::default() };
    let outbox = Outbox::with_patience(discord.url(), discord.token(), patience).unwrap();
    let me = outbox.whoami().await.unwrap();
    let gate = Gate::new(outbox, me.owners.clone());
    let [owner] = me.owners[..] else { panic!("one owner") };
    let heir = discord.user("heir");
    discord.hand_over(heir);
    let owns = || gate.owners().ids.contains(&owner);

    gate.refresh_for(owner).await;
    assert!(owns() && gate.is_sure_of(owner), "that was said just now");
    let old = Instant::now().checked_sub(2 * FRESH).unwrap();
    gate.owners().asked = old;
    assert!(!gate.is_sure_of(owner) && gate.is_sure_of(UserId::new(7).unwrap()));
    discord.fail_next(100, Fault::Status(500), "/applications/@me");
    gate.refresh_for(owner).await;
    assert!(owns(), "without an answer a command goes by the old one");
    discord.heal();
    gate.refresh_for(owner).await;
    assert!(!owns() && gate.owners().ids == [UserId::new(heir.get()).unwrap()]);
}
